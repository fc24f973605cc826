//! How members talk to each other.

use std::borrow::Cow;

use pvelens_proto::agent::v1 as wire;

use super::{Check, Failure, Input, ProfileSeverities, Remedy, Scope, Verdicts, gate, words};
use crate::{
    finding::{Category, Evidence, Risk, Severity},
    untrusted,
    view::Subject,
};

const COROSYNC: &str = "/etc/pve/corosync.conf";

pub(super) const SINGLE_LINK: Check = Check {
    id: "cluster.corosync.single_link",
    title: "The cluster network has no second link",
    category: Category::Ha,
    severity: Severity::Warning,
    scope: Scope::Cluster,
    mappings: &["RESIL"],
    profile: Some(ProfileSeverities {
        homelab: Some(Severity::Info),
        production: Some(Severity::Warning),
        strict: Some(Severity::Critical),
        hosting: None,
    }),
    remediation: Remedy {
        diagnose: &["corosync-cfgtool -s", "pvecm status"],
        fix: "Add ring1_addr on a separate physical network to every node and an interface block for link 1, in a copy of corosync.conf with a higher config_version.",
        impact: "Applied to the running cluster at once; a typing error can cost quorum.",
        risk: Risk::Medium,
        way_back: "Put the saved copy back with a higher config_version.",
    },
    run: |input, verdicts| configured(input, verdicts, single_link),
    ..Check::POSTURE
};

/// Which interface and bond carries the link, and whether HA is in use, is not
/// collected yet: the branches that need it do not fire.
fn single_link(config: &wire::CorosyncConfig) -> Option<Failure> {
    let mut single: Vec<&str> = config
        .nodes
        .iter()
        .filter(|node| node.addresses.len() == 1)
        .map(|node| node.name.as_str())
        .collect();
    single.sort_unstable();
    if single.is_empty() {
        return None;
    }
    let whom = if single.len() == config.nodes.len() {
        Cow::Borrowed("Every node")
    } else {
        Cow::Owned(words::list(single.iter().map(|name| untrusted::name(name))))
    };
    let verb = if single.len() == 1 || single.len() == config.nodes.len() {
        "has"
    } else {
        "have"
    };
    let evidence = single
        .iter()
        .map(|name| Evidence::new("one address only", *name, COROSYNC));
    Some(
        Failure::new(
            Severity::Warning,
            format!("{whom} {verb} one link of the cluster network only: when it fails, the node is out."),
        )
        .proof(evidence),
    )
}

pub(super) const CRYPTO_OFF: Check = Check {
    id: "cluster.corosync.crypto_off",
    title: "Cluster messages are not encrypted",
    category: Category::Security,
    severity: Severity::Critical,
    scope: Scope::Cluster,
    mappings: &["CRYPTOT"],
    profile: Some(ProfileSeverities {
        homelab: Some(Severity::Warning),
        production: Some(Severity::Critical),
        strict: Some(Severity::Critical),
        hosting: Some(Severity::Critical),
    }),
    remediation: Remedy {
        diagnose: &[
            "sed -n '/^totem/,/^}/p' /etc/pve/corosync.conf",
            "pvecm status",
        ],
        fix: "Set secauth: on in the totem block, remove transport, and raise config_version. Disarm HA first.",
        impact: "Membership is interrupted while nodes disagree.",
        risk: Risk::High,
        way_back: "Put the saved copy back with a higher config_version.",
    },
    run: |input, verdicts| configured(input, verdicts, crypto_off),
    ..Check::POSTURE
};

fn crypto_off(config: &wire::CorosyncConfig) -> Option<Failure> {
    let is = |text: &str, words: &[&str]| words.contains(&text.to_ascii_lowercase().as_str());
    let cipher = config.crypto_cipher.as_str();
    let why = if is(&config.transport, &["udp", "udpu"]) {
        "the transport knows no encryption"
    } else if is(cipher, &["3des"]) {
        "the cipher 3des is broken"
    } else if !is(&config.secauth, &["on", "yes"]) && is(cipher, &["", "none"]) {
        "it is switched off"
    } else {
        return None;
    };
    Some(
        Failure::new(
            Severity::Critical,
            format!("Messages between the nodes are not protected: {why}. Whoever reaches that network can control the cluster."),
        )
        .proof([
            Evidence::new("transport", config.transport.as_str(), COROSYNC),
            Evidence::new("secauth", config.secauth.as_str(), COROSYNC),
            Evidence::new("crypto_cipher", cipher, COROSYNC),
            Evidence::new("crypto_hash", config.crypto_hash.as_str(), COROSYNC),
        ]),
    )
}

fn configured(
    input: &Input<'_>,
    verdicts: &mut Verdicts<'_>,
    judge: impl Fn(&wire::CorosyncConfig) -> Option<Failure>,
) {
    for (index, cluster) in input.view.clusters() {
        let subject = Subject::Cluster(index);
        if cluster.standalone {
            verdicts.not_applicable(subject, gate::STANDALONE);
            continue;
        }
        match gate::config(input, cluster.corosync.as_ref()) {
            Ok(config) => match judge(&config.value) {
                Some(failure) => verdicts.fail(subject, failure),
                None => verdicts.pass(subject),
            },
            Err(why) => verdicts.unknown(subject, why),
        }
    }
}

#[cfg(test)]
mod tests;
