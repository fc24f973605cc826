//! Thin pools of LVM: how full they are, and whether the kernel still writes to them.

use std::time::Duration;

use pvelens_proto::agent::v1::{
    LogicalVolumeHealth as Health, LogicalVolumeKind, LogicalVolumeState, ThinPoolMode,
};

use super::{
    Check, Failure, Input, Remedy, Scope, Timing, Unknown, Verdicts, forecast, forecast::Forecast,
    gate,
};
use crate::{
    figure,
    finding::{Category, Evidence, Risk, Severity},
    metric::Metric,
    store::row::ObjectKind,
    untrusted,
    view::{Node, NodeIndex, Subject},
    windows::{Declared, Form},
};

mod pool;

use pool::Pool;

const COLLECTOR: &str = "lvm";
const NO_POOL: &str = "it has no thin pool";

pub(super) const DATA_FULL: Check = Check {
    id: "storage.lvmthin.data_full",
    title: "A thin pool is nearly full",
    category: Category::Capacity,
    severity: Severity::Warning,
    scope: Scope::Node,
    timing: Timing::T2 {
        hold: Duration::ZERO,
        clear: Duration::from_secs(600),
    },
    floor: true,
    mappings: &["CAP"],
    windows: &[Declared {
        kinds: &[ObjectKind::Storage],
        metric: Metric::UsedRatio,
        parts: &[],
        form: Form::Course,
    }],
    remediation: Remedy {
        diagnose: &[
            "lvs -a -o name,size,data_percent,metadata_percent",
            "dmsetup status",
        ],
        fix: "Give unused blocks back first: fstrim -av in the VMs, pct fstrim ID for containers. Then extend the pool (lvextend -L +SIZE {part}) or remove snapshots.",
        impact: "Trimming loads the disks. Extending cannot be taken back, and a removed snapshot is gone. A pool that is full gives write errors to all of its guests.",
        risk: Risk::Low,
        way_back: "",
    },
    run: |input, verdicts| pools(input, verdicts, data),
    ..Check::HEALTH
};

pub(super) const METADATA_FULL: Check = Check {
    id: "storage.lvmthin.metadata_full",
    title: "The metadata of a thin pool is nearly full",
    category: Category::Storage,
    severity: Severity::Critical,
    scope: Scope::Node,
    timing: Timing::T2 {
        hold: Duration::ZERO,
        clear: Duration::from_secs(600),
    },
    floor: true,
    mappings: &["CAP"],
    remediation: Remedy {
        diagnose: &["lvs -a -o name,data_percent,metadata_percent,seg_monitor"],
        fix: "Extend it while there is space in the volume group: lvextend --poolmetadatasize +256M {part}. Or remove snapshots.",
        impact: "None while it works; it cannot be taken back. A pool whose metadata is full stops for all of its guests and must be repaired.",
        risk: Risk::Low,
        way_back: "",
    },
    run: |input, verdicts| pools(input, verdicts, metadata),
    ..Check::HEALTH
};

pub(super) const NEEDS_CHECK: Check = Check {
    id: "storage.lvmthin.needs_check",
    title: "A thin pool has stopped",
    category: Category::Storage,
    severity: Severity::Critical,
    scope: Scope::Node,
    timing: Timing::STATE,
    floor: true,
    mappings: &["HW"],
    remediation: Remedy {
        diagnose: &[
            "dmsetup status | grep thin-pool",
            "lvs -o +lv_health_status",
        ],
        fix: "A pool that only lacks space goes on once it has some. Otherwise stop the guests on {part}, copy its metadata away, and repair it while it is inactive: lvconvert --repair {part}.",
        impact: "The guests on it are down until it is repaired, and a repair may lose volumes.",
        risk: Risk::High,
        way_back: "",
    },
    run: |input, verdicts| pools(input, verdicts, stopped),
    ..Check::HEALTH
};

/// What is said of one pool.
enum Said {
    Fine,
    Recovering,
    Wrong(Failure),
    /// The tool does not say.
    Nothing,
    /// Not enough is known of the hours before.
    TooFew,
}

fn pools(input: &Input<'_>, verdicts: &mut Verdicts<'_>, judge: fn(&Input<'_>, &Pool<'_>) -> Said) {
    for (index, node) in input.view.nodes() {
        let subject = Subject::Node(index);
        let fact = node.facts.lvm.as_ref();
        let lvm = match gate::node_fact(input, node, fact, COLLECTOR) {
            Ok(lvm) => lvm,
            Err(_) if is_without(input, index, node) => {
                verdicts.not_applicable(subject, NO_POOL);
                continue;
            }
            Err(why) => {
                verdicts.unknown(subject, why);
                continue;
            }
        };
        let pools = lvm.value.logical_volumes.iter();
        let pools = pools.filter(|volume| volume.kind() == LogicalVolumeKind::ThinPool);
        let (mut seen, mut has_failed, mut is_clear, mut is_known) = (0, false, true, true);
        let mut is_covered = true;
        for volume in pools {
            seen += 1;
            let pool = Pool {
                index,
                node,
                name: untrusted::name(&format!("{}/{}", volume.volume_group, volume.name))
                    .into_owned(),
                volume,
                lvm,
            };
            match judge(input, &pool) {
                Said::Fine => {}
                Said::Recovering => is_clear = false,
                Said::Nothing => is_known = false,
                Said::TooFew => is_covered = false,
                Said::Wrong(failure) => {
                    has_failed = true;
                    verdicts.fail(subject, failure.about(&pool.name));
                }
            }
        }
        if seen == 0 {
            // The list of volumes may be what could not be read.
            match gate::failed(node, COLLECTOR) {
                Some(why) => verdicts.unknown(subject, why),
                None => verdicts.not_applicable(subject, NO_POOL),
            }
        } else if !is_known {
            let why = gate::failed(node, COLLECTOR).unwrap_or(Unknown::NotReported);
            verdicts.unknown(subject, why);
        } else if !is_covered {
            verdicts.unknown(subject, Unknown::Coverage);
        } else if !is_clear {
            verdicts.recovering(subject);
        } else if !has_failed {
            verdicts.pass(subject);
        }
    }
}

/// Whether the agent found no LVM, and no storage says that there must be a pool.
fn is_without(input: &Input<'_>, index: NodeIndex, node: &Node) -> bool {
    let found_none = gate::agent(input, node).is_ok()
        && node.facts.lvm.is_none()
        && gate::nothing(input, node, COLLECTOR).is_some();
    let cluster = input.view.cluster(node.cluster);
    found_none
        && !input.view.storages_of(cluster).any(|(_, storage)| {
            storage.entry.storage_type == "lvmthin"
                && !storage.entry.disabled
                && storage.nodes.iter().any(|on| on.node == index)
        })
}

/// How full it is, and whether it will be within a day. The catalogue looks seven days
/// ahead, which six hours of values cannot do.
fn data(input: &Input<'_>, pool: &Pool<'_>) -> Said {
    let limits = &input.params.limits;
    let Some(used) = pool.volume.data_ratio else {
        return Said::Nothing;
    };
    if used <= limits.thin_data {
        let level = level(used, limits.thin_data - limits.thin_margin);
        let Some(storage) = pool.storage(input) else {
            return level;
        };
        return match forecast::forecast(input, storage, "", 1.0 - used) {
            Forecast::Far => level,
            Forecast::Near => Said::Recovering,
            Forecast::TooFew => Said::TooFew,
            Forecast::Full(filling) => Said::Wrong(pool.filling(used, &filling)),
        };
    }
    let (severity, hold) = if used > limits.thin_data_critical {
        (Severity::Critical, Duration::ZERO)
    } else {
        (Severity::Warning, Duration::from_secs(300))
    };
    let what = if used >= 1.0 {
        "is full: its guests get write errors".to_owned()
    } else {
        format!("is {} full", figure::percent(used))
    };
    let summary = format!(
        "Thin pool {} of {} {what}{}.",
        pool.name,
        untrusted::name(&pool.node.name),
        pool.room()
    );
    let mut failure = Failure::new(severity, summary).proof(pool.fill(used));
    failure.hold = Some(hold);
    Said::Wrong(failure)
}

fn metadata(input: &Input<'_>, pool: &Pool<'_>) -> Said {
    let limits = &input.params.limits;
    let Some((thin, used)) = pool
        .thin()
        .and_then(|thin| Some((thin, thin.metadata_ratio?)))
    else {
        return Said::Nothing;
    };
    if used <= limits.thin_metadata {
        return level(used, limits.thin_metadata - limits.thin_margin);
    }
    let severity = if used > limits.thin_metadata_critical {
        Severity::Critical
    } else {
        Severity::Warning
    };
    let summary = format!(
        "The metadata of thin pool {} of {} is {} full{}.",
        pool.name,
        untrusted::name(&pool.node.name),
        figure::percent(used),
        pool.room()
    );
    let snapshots = pool
        .own_volumes()
        .filter(|volume| !volume.origin.is_empty());
    let snapshots = u32::try_from(snapshots.count()).unwrap_or(u32::MAX);
    let evidence = [
        pool.proof("metadata used", used).unit("ratio"),
        pool.proof("metadata size", thin.metadata_size_bytes)
            .unit("bytes"),
        pool.proof("snapshots", snapshots),
    ];
    let evidence = evidence.into_iter().chain(pool.free_in_group());
    Said::Wrong(Failure::new(severity, summary).proof(evidence))
}

/// Below the trigger; an open finding ends only below the lower level.
fn level(used: f64, clear: f64) -> Said {
    if used < clear {
        Said::Fine
    } else {
        Said::Recovering
    }
}

fn stopped(_: &Input<'_>, pool: &Pool<'_>) -> Said {
    let volume = pool.volume;
    let status = pool.thin().and_then(|thin| thin.status.as_ref());
    let mode = status.map_or(ThinPoolMode::Unspecified, |status| status.mode());
    let needs_check = volume.state() == LogicalVolumeState::CheckNeeded
        || status.is_some_and(|status| status.needs_check);
    let (health, name) = (volume.health(), untrusted::name(&pool.node.name));
    let what = if health == Health::Failed || mode == ThinPoolMode::Failed {
        "has failed: nothing on it can be read or written"
    } else if needs_check {
        "needs a check: its metadata could not be written"
    } else if health == Health::MetadataReadOnly || mode == ThinPoolMode::ReadOnly {
        "is read-only: its metadata could not be written"
    } else if health == Health::OutOfDataSpace || mode == ThinPoolMode::OutOfDataSpace {
        "has no space left: writes of its guests wait or fail"
    } else if health == Health::Unspecified && status.is_none() {
        return Said::Nothing;
    } else {
        return Said::Fine;
    };
    let summary = format!("Thin pool {} of {name} {what}.", pool.name);
    let mut evidence = vec![
        pool.proof("needs check", needs_check),
        pool.proof("health", health_word(health)),
    ];
    if let Some(status) = status {
        let seen = |name: &str, value: String| {
            Evidence::new(name, value, "dmsetup status").seen(&pool.node.name, pool.lvm.at)
        };
        evidence.push(seen("mode", mode_word(mode).to_owned()));
        evidence.push(seen(
            "data blocks",
            format!(
                "{} of {}",
                status.used_data_blocks, status.total_data_blocks
            ),
        ));
        evidence.push(seen(
            "metadata blocks",
            format!(
                "{} of {}",
                status.used_metadata_blocks, status.total_metadata_blocks
            ),
        ));
    }
    Said::Wrong(Failure::new(Severity::Critical, summary).proof(evidence))
}

/// As `lvs` says it.
fn health_word(health: Health) -> &'static str {
    match health {
        Health::Unspecified => "unknown",
        Health::Good => "good",
        Health::Partial => "partial",
        Health::RefreshNeeded => "refresh needed",
        Health::Mismatches => "mismatches exist",
        Health::OutOfDataSpace => "out of data space",
        Health::MetadataReadOnly => "metadata read only",
        Health::Failed => "failed",
        Health::Other => "other",
    }
}

/// As `dmsetup status` says it.
fn mode_word(mode: ThinPoolMode) -> &'static str {
    match mode {
        ThinPoolMode::Unspecified => "unknown",
        ThinPoolMode::ReadWrite => "rw",
        ThinPoolMode::ReadOnly => "ro",
        ThinPoolMode::OutOfDataSpace => "out_of_data_space",
        ThinPoolMode::Failed => "Fail",
    }
}

#[cfg(test)]
mod tests;
