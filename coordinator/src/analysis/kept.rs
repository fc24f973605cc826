//! What the store keeps of an analysis: a few words about it, then its report.
//!
//! The body is JSON. Beside the report it has what a list of analyses tells, which is read
//! without the report, and who wrote it (`kind` and `source`), so that analyses of other
//! kinds can be kept alike. Another version may have written it, so a part of a report that
//! cannot be read costs that part alone, and the reader is told.
//!
//! Compression was left out: a report of a small cluster has about 7 KB, and there are few.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::Depth;
use crate::{
    answer::{SetAside, finding, intent},
    check::VerdictCounts,
    finding::Finding,
    inventory::{Coverage, CoverageWord, NodeCoverage},
    report::{AnalysisKind, HealthState, KeptFor, Report},
    untrusted,
};

/// Who writes reports without a model.
pub(super) const DETERMINISTIC: &str = "deterministic";
/// Bytes of a body. A report that is larger is kept with less.
const CEILING: usize = 64 << 10;
/// A larger body was not written here.
const READABLE: usize = 1 << 20;
/// Findings that are kept in full before nodes that are seen in full are left out.
const FINDINGS: usize = 10;
/// Characters of a text of a report, which may be a fix.
const TEXT: usize = 2000;

/// What is told without the report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Header {
    /// [`AnalysisKind::as_str`].
    pub(crate) kind: String,
    /// `deterministic` or `claude:MODEL`.
    pub(crate) source: String,
    /// [`HealthState::as_str`].
    pub(crate) state: String,
    /// State of the one before; empty = it is the first.
    pub(crate) was: String,
    pub(crate) headline: String,
    pub(crate) critical: u32,
    pub(crate) warning: u32,
    pub(crate) info: u32,
    /// Same as long as nothing of note became another one.
    pub(crate) mark: String,
    /// What the ceiling left no room for.
    pub(crate) findings_left_out: u32,
    pub(crate) nodes_left_out: u32,
}

#[derive(Debug, Serialize)]
struct Body<'r> {
    #[serde(flatten)]
    header: &'r Header,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'r Report>,
}

#[derive(Debug, Deserialize)]
struct Kept {
    #[serde(default)]
    report: Map<String, Value>,
}

impl Header {
    /// None = it is damaged, or so new that nothing of it is known.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        if body.len() > READABLE {
            return None;
        }
        let header: Self = serde_json::from_slice(body).ok()?;
        let is_told = !header.kind.is_empty() && !header.state.is_empty();
        is_told.then(|| Self {
            kind: untrusted::name(&header.kind).into_owned(),
            source: untrusted::name(&header.source).into_owned(),
            headline: plain(&header.headline),
            ..header
        })
    }

    pub(crate) fn is_of(&self, kind: AnalysisKind) -> bool {
        self.kind == kind.as_str()
    }

    /// A word of a newer version is not a state that is known.
    pub(crate) fn state(&self) -> HealthState {
        HealthState::named(&self.state).unwrap_or(HealthState::Unknown)
    }

    /// None = it is the first.
    pub(crate) fn was(&self) -> Option<HealthState> {
        let word = Some(&*self.was).filter(|was| !was.is_empty());
        word.map(|word| HealthState::named(word).unwrap_or(HealthState::Unknown))
    }
}

/// What the store gets: the report, or as much of it as there is room for.
pub(super) fn write(mut header: Header, mut report: Report) -> Vec<u8> {
    loop {
        let body = Body {
            header: &header,
            report: Some(&report),
        };
        // Structures with string keys always serialise.
        let bytes = serde_json::to_vec(&body).unwrap_or_default();
        if bytes.len() <= CEILING {
            return bytes;
        }
        if !shorten(&mut header, &mut report) {
            let body = Body {
                header: &header,
                report: None,
            };
            return serde_json::to_vec(&body).unwrap_or_default();
        }
    }
}

/// Leaves something out, the least important first; false = there is nothing left.
fn shorten(header: &mut Header, report: &mut Report) -> bool {
    let nodes = &mut report.coverage.nodes;
    let findings = &mut report.findings;
    if findings.len() > FINDINGS {
        let keep = (findings.len() / 2).max(FINDINGS);
        header.findings_left_out += count(findings.len() - keep);
        findings.truncate(keep);
    } else if !nodes.is_empty() {
        // Stable: nodes with gaps come first, and stay sorted by name.
        nodes.sort_by_key(|node| !has_gap(node));
        let keep = nodes.len() / 2;
        header.nodes_left_out += count(nodes.len() - keep);
        nodes.truncate(keep);
    } else if !findings.is_empty() {
        header.findings_left_out += count(findings.len());
        findings.clear();
    } else {
        return false;
    }
    true
}

fn has_gap(node: &NodeCoverage) -> bool {
    node.level != CoverageWord::Full || node.stale || !node.failures.is_empty()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The report of that time, as far as it can be read; it stands for `asked`.
pub(crate) fn report(at: Timestamp, body: &[u8], asked: KeptFor) -> Report {
    let Some(header) = Header::read(body) else {
        return unreadable(at, asked);
    };
    let mut kept: Kept = match serde_json::from_slice(body) {
        Ok(kept) => kept,
        Err(_) => return unreadable(at, asked),
    };
    kept.report.values_mut().for_each(clean);
    let mut parts = Parts {
        members: kept.report,
        notes: asked.notes,
    };
    if parts.members.is_empty() {
        parts.notes.push("only its headline is kept".to_owned());
    }
    for (count, what) in [
        (header.findings_left_out, "findings"),
        (header.nodes_left_out, "nodes of what it covers"),
    ] {
        if count > 0 {
            let note = format!("{count} {what} were too many to be kept");
            parts.notes.push(note);
        }
    }
    let findings: Vec<Finding> = parts.all("findings");
    let coverage = parts.one("coverage").unwrap_or_else(|| nothing_covered(at));
    let set_aside = parts.one("set_aside").map(|mut aside: SetAside| {
        for used in &mut aside.statements {
            used.statement = intent::shown(&used.statement);
        }
        aside
    });
    Report {
        kind: AnalysisKind::ClusterHealth,
        depth: Depth::Summary,
        at,
        state: header.state(),
        headline: header.headline,
        profiles: parts.all("profiles"),
        sections: parts.all("sections"),
        findings: findings.iter().map(finding::shown).collect(),
        coverage,
        verdicts: parts.one("verdicts").unwrap_or_default(),
        duration_milliseconds: parts.one("duration_milliseconds").unwrap_or_default(),
        set_aside,
        kept: Some(KeptFor {
            notes: parts.notes,
            ..asked
        }),
    }
}

fn nothing_covered(at: Timestamp) -> Coverage {
    Coverage {
        at,
        nodes: Vec::new(),
        not_assessed: Vec::new(),
    }
}

/// Unknown is not healthy: also not that which cannot be read.
fn unreadable(at: Timestamp, asked: KeptFor) -> Report {
    Report {
        kind: AnalysisKind::ClusterHealth,
        depth: Depth::Summary,
        at,
        state: HealthState::Unknown,
        headline: UNREADABLE.to_owned(),
        profiles: Vec::new(),
        sections: Vec::new(),
        findings: Vec::new(),
        coverage: Coverage {
            not_assessed: vec![UNREADABLE.to_owned()],
            ..nothing_covered(at)
        },
        verdicts: VerdictCounts::default(),
        duration_milliseconds: 0,
        set_aside: None,
        kept: Some(asked),
    }
}

/// Stands for what an analysis said.
pub(crate) const UNREADABLE: &str =
    "What was kept cannot be read: it is damaged, or a newer version of pvelens wrote it.";

/// Members of a report that are read one by one.
struct Parts {
    members: Map<String, Value>,
    notes: Vec<String>,
}

impl Parts {
    /// None = it is not there, or cannot be read, which is noted.
    fn one<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let value = self.members.remove(name)?;
        let read = serde_json::from_value(value);
        if read.is_err() {
            self.notes.push(format!("its {name} cannot be read"));
        }
        read.ok()
    }

    /// What can be read of a list; what cannot is counted.
    fn all<T: DeserializeOwned>(&mut self, name: &str) -> Vec<T> {
        let Some(values) = self.one::<Vec<Value>>(name) else {
            return Vec::new();
        };
        let before = values.len();
        let read = values.into_iter().map(serde_json::from_value);
        let read: Vec<T> = read.filter_map(Result::ok).collect();
        let lost = before - read.len();
        if lost > 0 {
            let note = format!("{lost} of {before} {name} cannot be read");
            self.notes.push(note);
        }
        read
    }
}

fn plain(text: &str) -> String {
    untrusted::line(text, TEXT).into_owned()
}

/// Makes every text safe to show: what pvelens itself had written there is only a text of
/// a file now.
fn clean(value: &mut Value) {
    match value {
        Value::String(text) => *text = plain(text),
        Value::Array(values) => values.iter_mut().for_each(clean),
        Value::Object(members) => members.values_mut().for_each(clean),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
