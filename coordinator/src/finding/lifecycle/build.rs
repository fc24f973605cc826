//! Making the public form of a finding.

use std::fmt::Write as _;

use jiff::Timestamp;
use pvelens_proto::agent::v1::GuestKind;
use sha2::{Digest, Sha256};

use super::Key;
use crate::{
    check::{Check, Failure, Remedy},
    finding::{Finding, FindingState, Remediation, Severity},
    untrusted,
    view::{Subject, View},
};

/// A new finding; [`renew`] fills in what its failure says.
pub(super) fn finding(
    view: &View,
    key: &Key,
    check: &Check,
    subject: Subject,
    at: Timestamp,
) -> Finding {
    Finding {
        fingerprint: fingerprint(key),
        check: check.id.to_owned(),
        title: check.title.to_owned(),
        cluster: key.cluster.to_string(),
        subject: key.subject.clone(),
        discriminator: key.discriminator.clone(),
        lane: check.lane,
        severity: Severity::Info,
        category: check.category,
        state: FindingState::Pending,
        summary: String::new(),
        first_seen: at,
        last_seen: at,
        evidence: Vec::new(),
        remediation: remediation(view, &check.remediation, subject, &key.discriminator),
        caused_by: Vec::new(),
        cause_of: Vec::new(),
        confidence: 1.0,
        mappings: check
            .mappings
            .iter()
            .map(|code| (*code).to_owned())
            .collect(),
        unverified: false,
        statement: None,
    }
}

/// Takes over what the newest failure says.
pub(super) fn renew(
    finding: &mut Finding,
    failure: &Failure,
    severity: Severity,
    check: &Check,
    (view, subject): (&View, Subject),
) {
    if let Some((title, remedy)) = failure.instead {
        title.clone_into(&mut finding.title);
        finding.remediation = remediation(view, remedy, subject, &finding.discriminator);
    }
    finding.severity = severity;
    finding.lane = failure.lane.unwrap_or(check.lane);
    finding.summary.clone_from(&failure.summary);
    finding.evidence.clone_from(&failure.evidence);
    finding.confidence = failure.confidence;
}

/// Half a SHA-256 over what names the defect; contains no measured value. Each
/// part is preceded by its length, so that no two names run together.
fn fingerprint(key: &Key) -> String {
    let mut hash = Sha256::new();
    for part in [
        &*key.cluster,
        key.check,
        key.subject.as_str(),
        key.discriminator.as_str(),
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    // A later guest with the same VMID has findings of its own.
    if key.generation > 1 {
        hash.update(key.generation.to_be_bytes());
    }
    let mut hex = String::with_capacity(32);
    for byte in hash.finalize().iter().take(16) {
        // Writing to a string cannot fail.
        write!(hex, "{byte:02x}").unwrap_or_default();
    }
    hex
}

/// The remedy with the names of the case. Names go into commands that people
/// paste: what is not plainly a name leaves the placeholder.
fn remediation(view: &View, remedy: &Remedy, subject: Subject, part: &str) -> Remediation {
    let names = names(view, subject, part);
    let fill = |text: &str| {
        let mut text = text.to_owned();
        for (place, name) in &names {
            if text.contains(place) {
                text = text.replace(place, name);
            }
        }
        text
    };
    Remediation {
        diagnose: remedy
            .diagnose
            .iter()
            .map(|command| fill(command))
            .collect(),
        fix: fill(remedy.fix),
        impact: fill(remedy.impact),
        risk: remedy.risk,
        way_back: fill(remedy.way_back),
    }
}

fn names(view: &View, subject: Subject, part: &str) -> Vec<(&'static str, String)> {
    let mut names = vec![("{part}", plain(part, "PART"))];
    let node = |names: &mut Vec<_>, node| {
        names.push(("{node}", plain(&view.node(node).name, "NODE")));
    };
    match subject {
        Subject::Cluster(_) => {}
        Subject::Node(index) => node(&mut names, index),
        Subject::Guest(index) => {
            let guest = view.guest(index);
            let (tool, kind) = match guest.kind {
                GuestKind::Lxc => ("pct", "lxc"),
                _ => ("qm", "qemu"),
            };
            names.push(("{id}", guest.vmid.to_string()));
            names.push(("{tool}", tool.to_owned()));
            names.push(("{kind}", kind.to_owned()));
            node(&mut names, guest.node);
        }
        Subject::Storage(index) => {
            names.push(("{storage}", plain(&view.storage(index).name, "STORAGE")));
        }
        Subject::StorageOnNode(index, on) => {
            names.push(("{storage}", plain(&view.storage(index).name, "STORAGE")));
            node(&mut names, on);
        }
    }
    names
}

fn plain(name: &str, placeholder: &str) -> String {
    let is_plain = !name.is_empty()
        && !name.starts_with('-')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '/'));
    if is_plain {
        untrusted::name(name).into_owned()
    } else {
        placeholder.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_do_not_reach_commands() {
        assert_eq!(plain("nas-1.local", "STORAGE"), "nas-1.local");
        for hostile in [
            "",
            "a b",
            "a;reboot",
            "$(reboot)",
            "-rf",
            "a\nb",
            "a`b`",
            "ä",
        ] {
            assert_eq!(plain(hostile, "STORAGE"), "STORAGE", "{hostile}");
        }
    }

    #[test]
    fn fingerprints_tell_parts_apart() {
        let key = |subject: &str, discriminator: &str| Key {
            check: "a.b",
            cluster: "c0ffee".into(),
            subject: subject.to_owned(),
            generation: 0,
            discriminator: discriminator.to_owned(),
        };
        let first = fingerprint(&key("node/a", "b"));
        assert_eq!(first.len(), 32);
        assert_eq!(first, fingerprint(&key("node/a", "b")));
        assert_ne!(first, fingerprint(&key("node/ab", "")));
    }
}
