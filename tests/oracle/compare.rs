//! Comparing every value of the API with ours, and keeping account of it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::{
    account::{Account, Agreement},
    api::{self, Record},
    config::Flat,
    context::{Ours, look_up},
    facts::{self, Facts},
    figures, outputs,
    recordings::{MOMENTS, State},
    table::{Compare, Place, Rule, Table, Verdict},
};

/// A node's facts at both moments.
pub(crate) struct NodeFacts<'a> {
    pub(crate) node: &'a str,
    pub(crate) moments: [Facts; 2],
    pub(crate) rates: crate::context::Rates,
}

pub(crate) fn collect<'a>(state: &'a State, account: &mut Account) -> Result<Vec<NodeFacts<'a>>> {
    let mut nodes = Vec::new();
    for node in &state.nodes {
        let mut moments = Vec::new();
        for (tree, moment) in node.trees.iter().zip(MOMENTS) {
            let facts = facts::collect(tree)?;
            for failure in facts::unexplained_failures(&facts, tree) {
                account
                    .wrong
                    .push(format!("{} {} {moment}: {failure}", state.name, node.name));
            }
            moments.push(facts);
        }
        let moments: [Facts; 2] = moments
            .try_into()
            .map_err(|_| anyhow::anyhow!("a node has two moments"))?;
        let rates = figures::rates(&node.trees, &moments);
        nodes.push(NodeFacts {
            node: &node.name,
            moments,
            rates,
        });
    }
    Ok(nodes)
}

/// Compares all answers of a state.
pub(crate) fn compare(
    state: &State,
    nodes: &[NodeFacts<'_>],
    table: &Table,
    account: &mut Account,
) -> Result<()> {
    let mut answers = [
        api::records(&state.oracle(MOMENTS[0]))?,
        api::records(&state.oracle(MOMENTS[1]))?,
    ];
    for (moment, answers) in answers.iter_mut().enumerate() {
        for node in &state.nodes {
            answers.extend(outputs::records(node, moment)?);
        }
    }
    let by_identity = [0, 1].map(|moment: usize| {
        let records = answers[moment].iter();
        records
            .map(|record| (record.identity(), record))
            .collect::<BTreeMap<_, _>>()
    });
    for (moment, records) in answers.iter().enumerate() {
        for record in records {
            let other = by_identity[1 - moment].get(&record.identity()).copied();
            let has_tree = record
                .node
                .as_deref()
                .is_none_or(|node| state.node(node).is_some())
                || record.told_by.is_some();
            for viewer in viewers(record, nodes) {
                let sides = [moment, 1 - moment].map(|moment| Ours {
                    node: viewer.node,
                    values: &viewer.moments[moment].values,
                    rates: &viewer.rates,
                });
                let place = Place {
                    state: &state.name,
                    has_tree,
                };
                Comparison {
                    record,
                    other,
                    sides,
                    place,
                    moment,
                    table,
                }
                .run(account);
            }
        }
    }
    Ok(())
}

/// Who can be compared: with a tool the agent beside it; about one node its own
/// agent, else the others, by what it broadcasts; about the cluster, every member.
fn viewers<'n, 's>(record: &Record, nodes: &'n [NodeFacts<'s>]) -> Vec<&'n NodeFacts<'s>> {
    if let Some(teller) = record.told_by.as_deref() {
        return nodes.iter().filter(|node| node.node == teller).collect();
    }
    let is_local = record.shape.starts_with("/nodes/") && !record.is_guest_config()
        || matches!(
            record.shape.as_str(),
            "/cluster/metrics/export#node" | "/cluster/tasks"
        );
    let own: Vec<_> = nodes
        .iter()
        .filter(|node| is_local && Some(node.node) == record.node.as_deref())
        .collect();
    if own.is_empty() {
        nodes.iter().collect()
    } else {
        own
    }
}

struct Comparison<'a> {
    record: &'a Record,
    /// The same record at the other moment.
    other: Option<&'a Record>,
    /// Ours at this moment and at the other.
    sides: [Ours<'a>; 2],
    place: Place<'a>,
    moment: usize,
    table: &'a Table,
}

impl Comparison<'_> {
    fn run(&self, account: &mut Account) {
        let contexts = self.sides.map(|side| side.context(self.record));
        let config = self
            .record
            .is_guest_config()
            .then_some(self.record.vmid)
            .flatten();
        let config = config.and_then(|vmid| self.sides[0].guest_config(vmid));
        for (field, theirs) in &self.record.fields {
            let mut name = field.clone();
            if let Some((flat, pending)) = &config
                && is_pending(flat, pending, field, theirs)
            {
                name = format!("pending.{field}");
            }
            match self.table.verdict(self.record, &name, theirs, self.place) {
                Verdict::Excluded | Verdict::NotCarried => {}
                Verdict::Unknown => account.wrong.push(format!(
                    "no row for {} {name} = {theirs} ({})",
                    self.record.shape, self.record.file
                )),
                Verdict::Compare(row, _) if name != *field => {
                    account.check(&row.kind, true, String::new);
                }
                Verdict::Compare(row, path) => {
                    let values =
                        [0, 1].map(|side: usize| self.figure(&contexts[side], field, &path));
                    let scale = row
                        .of
                        .as_deref()
                        .and_then(|path| look_up(&contexts[0], path));
                    let other = self.other.and_then(|record| record.fields.get(field));
                    let agreement =
                        agreement(row, &values, [Some(theirs), other], scale.as_deref());
                    account.check(&row.kind, agreement, || {
                        format!(
                            "{} {} {} seen from {} {}: the API says {theirs:?} (then {other:?}), ours is {:?} (then {:?}) as {path}",
                            self.place.state,
                            MOMENTS[self.moment],
                            self.record.identity(),
                            self.sides[0].node,
                            field,
                            values[0],
                            values[1],
                        )
                    });
                }
            }
        }
        self.silent(&contexts[0], account);
        if let Some((flat, pending)) = config {
            self.nothing_more(&flat, &pending, account);
        }
    }

    /// Ours; `nics.tap101i0.netin` names its interface itself.
    fn figure(
        &self,
        context: &serde_json::Map<String, serde_json::Value>,
        field: &str,
        path: &str,
    ) -> Option<String> {
        let interface = field
            .strip_prefix("nics.")
            .and_then(|rest| rest.split('.').next());
        match (interface, context.get("nic")) {
            (Some(name), Some(nic)) if nic.get("name").and_then(|n| n.as_str()) != Some(name) => {
                None
            }
            _ => look_up(context, path),
        }
    }

    /// What the API does not say, ours must not have either.
    fn silent(&self, context: &serde_json::Map<String, serde_json::Value>, account: &mut Account) {
        for (row, field, path) in self.table.complete(self.record, self.place) {
            let ours = look_up(context, path).unwrap_or_default();
            let is_default =
                ["", "0"].contains(&ours.as_str()) || row.silent.as_deref() == Some(ours.as_str());
            account.check(&row.kind, is_default, || {
                format!(
                    "{} {} {} seen from {} {field}: the API has none, ours is {ours:?} as {path}",
                    self.place.state,
                    MOMENTS[self.moment],
                    self.record.identity(),
                    self.sides[0].node,
                )
            });
        }
    }

    /// What we carry of a configuration and the API does not have.
    fn nothing_more(&self, flat: &Flat, pending: &[String], account: &mut Account) {
        for (key, ours) in flat {
            let is_pending = pending.iter().any(|name| name == key);
            if !self.record.fields.contains_key(key) && !is_pending {
                account.wrong.push(format!(
                    "{} {} {:?}: carried {key} = {ours}, unknown to the API",
                    self.place.state, self.record.file, self.record.vmid
                ));
            }
        }
    }
}

/// The API shows the configuration with pending changes applied.
fn is_pending(flat: &Flat, pending: &[String], field: &str, theirs: &str) -> bool {
    let key = field.split('.').next().unwrap_or_default();
    pending.iter().any(|name| name == key) && flat.get(field).map(String::as_str) != Some(theirs)
}

/// How ours and the API's value agree by the rule of the row.
fn agreement(
    row: &Compare,
    ours: &[Option<String>; 2],
    theirs: [Option<&String>; 2],
    of: Option<&str>,
) -> Agreement {
    let ([Some(our_text), _], [Some(their_text), _]) = (ours, theirs) else {
        return Agreement::Wrong;
    };
    let number = |text: &str| text.parse::<f64>().ok();
    let equal = match (number(our_text), number(their_text)) {
        (Some(ours), Some(theirs)) => (ours - theirs).abs() < 1e-9,
        _ => our_text == their_text,
    };
    let near = match row.rule {
        Rule::Exact => false,
        Rule::Set => return (words(our_text) == words(their_text)).into(),
        Rule::Shortened => our_text
            .split_once(" ... ")
            .is_some_and(|(begin, end)| their_text.starts_with(begin) && their_text.ends_with(end)),
        Rule::Between => {
            let (Some(our), Some(their)) = (number(our_text), number(their_text)) else {
                return Agreement::Wrong;
            };
            let scale = of.and_then(number).unwrap_or(their).abs();
            let near = (our - their).abs() <= (row.ratio * scale).max(row.absolute);
            let lies_between = |value: f64, one: f64, other: Option<f64>| {
                other.is_some_and(|other| one.min(other) <= value && value <= one.max(other))
            };
            near || lies_between(our, their, theirs[1].and_then(|text| number(text)))
                || lies_between(their, our, ours[1].as_deref().and_then(number))
        }
    };
    match (equal, near) {
        (true, _) => Agreement::Equal,
        (false, true) => Agreement::Near,
        (false, false) => Agreement::Wrong,
    }
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split([',', ';', ' '])
        .filter(|word| !word.is_empty())
        .collect()
}
