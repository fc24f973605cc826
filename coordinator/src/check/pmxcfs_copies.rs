//! Whether the members hold the same content in `/etc/pve`.

use jiff::{SignedDuration, Timestamp};

use super::{Check, Failure, Input, Outcome, Remedy, Scope, Timing, Unknown, gate, words};
use crate::{
    finding::{Category, Evidence, Risk, Severity},
    untrusted,
    view::{Cluster, Copy, NodeIndex, SharedFile, Subject},
};

/// A copy that changed a moment ago is on its way to the others: three reads.
const SETTLED: SignedDuration = SignedDuration::from_secs(60);

pub(super) const DESYNC: Check = Check {
    id: "cluster.pmxcfs.desync",
    title: "Members hold different configuration",
    category: Category::Health,
    severity: Severity::Critical,
    scope: Scope::Cluster,
    timing: Timing::STATE,
    mappings: &["CHG", "OPS"],
    remediation: Remedy {
        diagnose: &[
            "md5sum {part}",
            "journalctl -u pve-cluster -n 100",
            "pvecm status",
        ],
        fix: "Restart the service pve-cluster on the member that deviates, after its HA guests were moved away.",
        impact: "What is changed on one member is not seen on the other. The restart interrupts the API and may make HA restart the node.",
        risk: Risk::Medium,
        way_back: "",
    },
    run: |input, verdicts| {
        for (index, cluster) in input.view.clusters() {
            for outcome in judge(input, cluster) {
                verdicts.push(Subject::Cluster(index), outcome);
            }
        }
    },
    ..Check::HEALTH
};

/// Their digests stand for what was parsed; files that were written in the last
/// minute are not compared. Firewall and HA files are not compared yet.
fn judge(input: &Input<'_>, cluster: &Cluster) -> Vec<Outcome> {
    if cluster.standalone {
        return vec![Outcome::NotApplicable(gate::STANDALONE)];
    }
    let reports = match gate::memberships(input, cluster) {
        Ok(reports) => reports,
        Err(why) => return vec![Outcome::Unknown(why)],
    };
    if reports.iter().any(|report| report.quorate == Some(false)) {
        return vec![Outcome::NotApplicable("a member is without quorum")];
    }
    let mut compared = false;
    let mut outcomes = Vec::new();
    for file in &cluster.shared_files {
        // What does not change is confirmed seldom; `differ` waits for that.
        let copies: Vec<&Copy> = file
            .copies
            .iter()
            .filter(|copy| input.is_recent(copy.at, input.params.limits.config_age))
            .collect();
        compared |= copies.len() >= 2;
        if differ(&copies, input.at) {
            outcomes.push(Outcome::Fail(Box::new(failure(input, file, &copies))));
        }
    }
    if outcomes.is_empty() {
        outcomes.push(if compared {
            Outcome::Pass
        } else {
            Outcome::Unknown(Unknown::NotReported)
        });
    }
    outcomes
}

fn differ(copies: &[&Copy], at: Timestamp) -> bool {
    let Some(first) = copies.first() else {
        return false;
    };
    // Each was read when all of them had long been what they are.
    let changed = copies.iter().map(|copy| copy.since).max();
    let settled = changed.is_some_and(|changed| {
        at.duration_since(changed) >= SETTLED && copies.iter().all(|copy| copy.at >= changed)
    });
    settled && copies.iter().any(|copy| copy.digest != first.digest)
}

fn failure(input: &Input<'_>, file: &SharedFile, copies: &[&Copy]) -> Failure {
    let holders = |digest: &str| copies.iter().filter(|copy| *copy.digest == *digest).count();
    let most = copies.iter().map(|copy| holders(&copy.digest)).max();
    let deviating: Vec<NodeIndex> = copies
        .iter()
        .filter(|copy| Some(holders(&copy.digest)) != most)
        .map(|copy| copy.node)
        .collect();
    let summary = if deviating.is_empty() {
        let nodes: Vec<NodeIndex> = copies.iter().map(|copy| copy.node).collect();
        let nodes = words::nodes(input.view, &nodes);
        format!("{nodes} hold different content in {}.", file.path)
    } else {
        let nodes = words::nodes(input.view, &deviating);
        format!(
            "{} on {nodes} is another than on the other members.",
            file.path
        )
    };
    let evidence = copies.iter().map(|copy| {
        let digest = match &*copy.digest {
            "" => "no such file".to_owned(),
            digest => untrusted::name(digest).into_owned(),
        };
        Evidence::new("digest", digest, file.path).seen(&input.view.node(copy.node).name, copy.at)
    });
    Failure::new(Severity::Critical, summary)
        .about(file.path)
        .proof(evidence)
}

#[cfg(test)]
mod tests {
    use crate::check::testing::Scene;

    const DESYNC: &str = "cluster.pmxcfs.desync";

    #[test]
    fn copies_that_differ_for_a_minute_are_found_and_who_deviates_is_named() {
        let mut scene = Scene::healthy();
        assert_eq!(scene.judge(DESYNC, "cluster"), "pass");
        let long_ago = scene.minutes_ago(2);
        let copy = &mut scene.view.clusters[0].shared_files[0].copies[1];
        (copy.digest, copy.since) = ("other".into(), long_ago);
        assert_eq!(
            scene.judge(DESYNC, "cluster"),
            "critical /etc/pve/storage.cfg"
        );
        assert_eq!(
            scene.summary(DESYNC),
            "/etc/pve/storage.cfg on pve2 is another than on the other members."
        );
        // Written a moment ago.
        let now = scene.at;
        scene.view.clusters[0].shared_files[0].copies[1].since = now;
        assert_eq!(scene.judge(DESYNC, "cluster"), "pass");
    }

    #[test]
    fn a_copy_that_was_not_read_since_the_change_says_nothing() {
        let mut scene = Scene::healthy();
        let (changed, before) = (scene.minutes_ago(1), scene.minutes_ago(2));
        let copies = &mut scene.view.clusters[0].shared_files[0].copies;
        (copies[1].digest, copies[1].since) = ("other".into(), changed);
        copies[0].at = before;
        assert_eq!(scene.judge(DESYNC, "cluster"), "pass");
    }

    #[test]
    fn without_quorum_anywhere_copies_are_not_compared() {
        let mut scene = Scene::healthy();
        scene.view.clusters[0].memberships[2].quorate = Some(false);
        assert_eq!(scene.judge(DESYNC, "cluster"), "not applicable");
    }
}
