//! What a summary keeps of an answer, and what gives way when it is too large.
//!
//! Answers have one JSON form, and a summary is a part of it: the members that
//! the Markdown shows too. A second set of types for summaries was rejected,
//! since each new figure would have to be added twice.

use serde_json::{Value, json};

use super::arguments::Detail;

/// How an answer is made smaller. Paths are member names with `*` for each
/// entry of a list: `guests/*`.
#[derive(Debug)]
pub(super) struct Shape {
    /// The list that comes in pages; empty = none does.
    pub(super) list: &'static str,
    /// Objects of which a summary keeps only some members.
    pub(super) summary: &'static [Keep],
    /// Lists that are cut when the answer is too large, the first first.
    pub(super) lists: &'static [&'static str],
}

#[derive(Debug)]
pub(super) struct Keep {
    pub(super) at: &'static str,
    pub(super) members: &'static [&'static str],
}

/// Of each node in the coverage.
pub(super) const COVERAGE: Keep = Keep {
    at: "coverage/nodes/*",
    members: &["cluster", "node", "level", "newest", "stale"],
};

/// Nodes that the coverage names, the least known first. It comes with every
/// answer, so in a summary the counts have to do for the others.
const COVERAGE_NODES_SUMMARY: usize = 5;
const COVERAGE_NODES_FULL: usize = 100;

/// Entries that a list keeps however large the answer is.
const FEWEST: usize = 3;

/// Gives an answer its shape; returns what was cut, in words.
pub(super) fn apply(
    answer: &mut Value,
    shape: &Shape,
    detail: Detail,
    one_cluster: bool,
) -> Vec<String> {
    let cut = coverage(answer, detail);
    if detail == Detail::Summary {
        for keep in shape.summary {
            each(answer, keep.at, &mut |object| {
                if let Value::Object(members) = object {
                    members.retain(|name, _| {
                        keep.members.contains(&name.as_str()) && !(one_cluster && name == "cluster")
                    });
                }
            });
        }
        round(answer);
    }
    cut
}

/// Cuts lists until `fits`; returns what was cut, in words.
pub(super) fn shorten(
    answer: &mut Value,
    shape: &Shape,
    fits: &dyn Fn(&Value) -> bool,
) -> Vec<String> {
    let mut cut = Vec::new();
    for path in shape.lists {
        let before = longest(answer, path);
        while !fits(answer) && longest(answer, path) > FEWEST {
            let keep = (longest(answer, path) / 2).max(FEWEST);
            each(answer, path, &mut |list| {
                if let Value::Array(entries) = list {
                    entries.truncate(keep);
                }
            });
        }
        let after = longest(answer, path);
        if after < before {
            cut.push(format!("{path}: {after} of {before}"));
        }
    }
    cut
}

/// Counts the nodes that were fully seen, and names those that were not.
fn coverage(answer: &mut Value, detail: Detail) -> Vec<String> {
    let Some(Value::Object(coverage)) = answer.get_mut("coverage") else {
        return Vec::new();
    };
    let Some(Value::Array(mut nodes)) = coverage.remove("nodes") else {
        return Vec::new();
    };
    coverage.insert("nodes_total".to_owned(), json!(nodes.len()));
    let full = nodes.iter().filter(|node| !has_gap(node)).count();
    coverage.insert("nodes_full".to_owned(), json!(full));
    let most = match detail {
        Detail::Summary => {
            nodes.retain(has_gap);
            COVERAGE_NODES_SUMMARY
        }
        Detail::Full => COVERAGE_NODES_FULL,
    };
    let all = nodes.len();
    if all > most {
        // Stable, so nodes stay sorted by name.
        nodes.sort_by_key(known);
        nodes.truncate(most);
    }
    if !nodes.is_empty() {
        coverage.insert("nodes".to_owned(), Value::Array(nodes));
    }
    if all > most && detail == Detail::Full {
        vec![format!("coverage/nodes: {most} of {all}")]
    } else {
        Vec::new()
    }
}

/// How much is known of a node, from nothing to everything.
fn known(node: &Value) -> u8 {
    match node.get("level").and_then(Value::as_str) {
        Some("none") => 0,
        _ if node.get("stale") == Some(&json!(true)) => 1,
        Some("basic") => 2,
        _ if has_gap(node) => 3,
        _ => 4,
    }
}

fn has_gap(node: &Value) -> bool {
    node.get("level") != Some(&json!("full"))
        || node.get("stale") == Some(&json!(true))
        || node.get("failures").is_some()
}

/// Says in the schema of an answer what [`apply`] does to it.
pub(super) fn describe(schema: &mut Value, shape: &Shape) {
    for keep in shape.summary {
        if let Some(required) =
            schema_at(schema, keep.at).and_then(|object| object.get_mut("required"))
            && let Value::Array(required) = required
        {
            required.retain(|name| {
                name.as_str()
                    .is_some_and(|name| keep.members.contains(&name) && name != "cluster")
            });
        }
    }
    if let Some(Value::Object(coverage)) = schema_at(schema, "coverage") {
        if let Some(Value::Array(required)) = coverage.get_mut("required") {
            required.retain(|name| name != "nodes");
            required.extend([json!("nodes_total"), json!("nodes_full")]);
        }
        if let Some(Value::Object(properties)) = coverage.get_mut("properties") {
            let count =
                |text: &str| json!({ "type": "integer", "minimum": 0, "description": text });
            properties.insert(
                "nodes_total".to_owned(),
                count("Nodes the answer is about."),
            );
            properties.insert(
                "nodes_full".to_owned(),
                count("Of them, nodes of which everything was read lately."),
            );
            if let Some(Value::Object(nodes)) = properties.get_mut("nodes") {
                nodes.insert(
                    "description".to_owned(),
                    json!("In a summary at most five nodes with gaps, the least known first."),
                );
            }
        }
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert(
            "truncated".to_owned(),
            json!({
                "type": "array",
                "items": { "type": "string" },
                "description": "Lists that were cut to keep the answer small; absent = none.",
            }),
        );
    }
}

fn schema_at<'s>(schema: &'s mut Value, path: &str) -> Option<&'s mut Value> {
    path.split('/').try_fold(schema, |schema, step| match step {
        "*" => schema.get_mut("items"),
        name => schema.get_mut("properties")?.get_mut(name),
    })
}

/// Calls `change` for whatever is at `path`.
fn each(value: &mut Value, path: &str, change: &mut dyn FnMut(&mut Value)) {
    let (step, rest) = match path.split_once('/') {
        Some((step, rest)) => (step, Some(rest)),
        None => (path, None),
    };
    let mut go = |value: &mut Value| match rest {
        Some(rest) => each(value, rest, change),
        None => change(value),
    };
    match (step, value) {
        ("*", Value::Array(entries)) => entries.iter_mut().for_each(go),
        (name, Value::Object(members)) => {
            if let Some(member) = members.get_mut(name) {
                go(member);
            }
        }
        _ => {}
    }
}

fn longest(answer: &mut Value, path: &str) -> usize {
    let mut longest = 0;
    each(answer, path, &mut |list| {
        longest = longest.max(list.as_array().map_or(0, Vec::len));
    });
    longest
}

/// Three significant digits are enough to judge by, and a third of the length.
fn round(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let Some(exact) = number.as_f64() else { return };
            let rounded = if exact.abs() >= 100.0 || exact.fract() == 0.0 {
                format!("{exact:.0}").parse::<i64>().ok().map(Value::from)
            } else {
                format!("{exact:.2e}").parse::<f64>().ok().map(Value::from)
            };
            if let Some(rounded) = rounded {
                *value = rounded;
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(round),
        Value::Object(members) => members.values_mut().for_each(round),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        list: "guests",
        summary: &[
            Keep {
                at: "guests/*",
                members: &["cluster", "vmid"],
            },
            COVERAGE,
        ],
        lists: &["guests/*/tags", "guests"],
    };

    fn node(name: &str, level: &str) -> Value {
        json!({ "cluster": "c", "node": name, "level": level, "stale": false })
    }

    #[test]
    fn a_summary_keeps_some_members_and_names_nodes_with_gaps() {
        let mut answer = json!({
            "guests": [{ "cluster": "c", "vmid": 100, "lock": "x" }],
            "coverage": { "nodes": [node("a", "full"), node("b", "basic")], "not_assessed": [] },
        });
        assert!(apply(&mut answer, &SHAPE, Detail::Summary, true).is_empty());
        assert_eq!(
            answer,
            json!({
                "guests": [{ "vmid": 100 }],
                "coverage": {
                    "nodes_total": 2,
                    "nodes_full": 1,
                    "nodes": [{ "node": "b", "level": "basic", "stale": false }],
                    "not_assessed": [],
                },
            })
        );
    }

    #[test]
    fn coverage_of_many_nodes_is_bounded_and_gaps_come_first() {
        let mut nodes: Vec<Value> = (0..1000).map(|n| node(&format!("n{n}"), "full")).collect();
        nodes.push(node("z", "none"));
        let mut answer = json!({ "coverage": { "nodes": nodes } });
        let cut = apply(&mut answer, &SHAPE, Detail::Full, true);
        assert_eq!(cut, ["coverage/nodes: 100 of 1001"]);
        assert_eq!(answer["coverage"]["nodes"][0]["node"], "z");
        assert_eq!(answer["coverage"]["nodes_full"], 1000);
    }

    #[test]
    fn lists_are_cut_in_order_until_the_answer_fits() {
        let mut answer =
            json!({ "guests": vec![json!({ "tags": vec!["x"; 100] }), json!({ "tags": [] })] });
        let size = |answer: &Value| answer.to_string().len();
        let cut = shorten(&mut answer, &SHAPE, &|answer| size(answer) < 200);
        assert_eq!(cut, ["guests/*/tags: 25 of 100"]);
        assert!(size(&answer) < 200);
    }

    #[test]
    fn figures_are_rounded_to_three_digits() {
        let mut value = json!([0.051_234, 512_345.678, 12.345, 0.0, 7, -0.000_012_345]);
        round(&mut value);
        assert_eq!(value.to_string(), "[0.0512,512346,12.3,0,7,-0.0000123]");
    }
}
