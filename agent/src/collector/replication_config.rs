//! Replication jobs, from `/etc/pve/replication.cfg`.
//!
//! Options are those of `pve-guest-common@src/PVE/ReplicationConfig.pm`.

use pvelens_proto::agent::v1::{CollectionClass, ReplicationConfig, ReplicationJob};

use super::{
    CONFIG, CollectError, Collector, FILE_DEADLINE, Payload, Reading,
    pmxcfs::{self, SettingsFile},
};
use crate::format::{
    property_string::boolean,
    section_config::{self, Section},
};

const PATH: &str = "/etc/pve/replication.cfg";
/// What `rate` is given in.
const MIB: f64 = 1_048_576.0;

pub(super) const COLLECTOR: Collector = Collector {
    name: "replication_config",
    summary: "configured replication of guests between nodes",
    class: CollectionClass::Config,
    interval: CONFIG,
    deadline: FILE_DEADLINE,
    paths: &[PATH],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let file = SettingsFile::read(reading, PATH)?;
    let mut config = parse(&file.text);
    config.sha256 = file.digest(&config);
    pmxcfs::limit(reading, PATH, &mut config.jobs);
    Ok(Payload::ReplicationConfig(config))
}

/// Never fails: what does not fit is named by line number.
fn parse(text: &str) -> ReplicationConfig {
    let config = section_config::parse(text);
    let mut jobs: Vec<ReplicationJob> = config.sections.iter().map(job).collect();
    jobs.sort_by(|a, b| (a.vmid, a.number, &a.id).cmp(&(b.vmid, b.number, &b.id)));
    ReplicationConfig {
        jobs,
        sha256: String::new(),
        malformed_lines: pmxcfs::first_lines(config.malformed_lines),
    }
}

fn job(section: &Section<'_>) -> ReplicationJob {
    let text = |key: &str| section.get(key).unwrap_or_default().to_owned();
    let (vmid, number) = section.id.split_once('-').unwrap_or_default();
    ReplicationJob {
        id: section.id.to_owned(),
        vmid: vmid.parse().unwrap_or_default(),
        number: number.parse().unwrap_or_default(),
        job_type: section.kind.to_owned(),
        target: text("target"),
        source: text("source"),
        schedule: text("schedule"),
        rate_limit_bytes_per_second: section.get("rate").and_then(rate),
        disabled: section.get("disable").and_then(boolean).unwrap_or(false),
        removal: text("remove_job"),
    }
}

/// A number of MiB, perhaps with a fraction.
fn rate(text: &str) -> Option<u64> {
    let bytes = text.parse::<f64>().ok()? * MIB;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and negative rates are refused"
    )]
    (bytes.is_finite() && bytes >= 0.0).then_some(bytes.round() as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    #[test]
    fn jobs_are_sorted_by_guest_and_number() {
        let config = parse(
            "local: 110-0\n\ttarget pve2\n\tdisable 1\n\tcomment canary\n\n\
             local: 101-1\n\ttarget pve3\n\trate 1.5\n\tschedule */5\n\tsource pve1\n\n\
             local: 101-0\n\ttarget pve2\n\tremove_job full\n\trate nan\n",
        );
        let ids: Vec<_> = config.jobs.iter().map(|job| job.id.as_str()).collect();
        assert_eq!(ids, ["101-0", "101-1", "110-0"]);
        assert_eq!(config.jobs[0].rate_limit_bytes_per_second, None);
        assert_eq!(config.jobs[0].removal, "full");
        assert_eq!(config.jobs[1].rate_limit_bytes_per_second, Some(1_572_864));
        assert_eq!((config.jobs[1].vmid, config.jobs[1].number), (101, 1));
        assert!(config.jobs[2].disabled);
        assert!(!format!("{config:?}").contains("canary"));
    }

    #[test]
    fn an_empty_file_is_no_jobs() {
        let node = sample(
            &COLLECTOR,
            &[
                ("etc/pve/local@", "nodes/a"),
                ("etc/pve/replication.cfg", ""),
            ],
        );
        assert_eq!(kinds(&node), []);
        assert!(
            matches!(node.payload, Some(Payload::ReplicationConfig(config)) if config.jobs.is_empty())
        );
    }

    proptest! {
        #[test]
        fn any_text_gives_jobs(text in "((local|[a-z]{1,4}): ?[0-9a-z-]{0,9}\n|\t(rate|target|disable) ?\\PC{0,9}\n|\n){0,9}") {
            prop_assert!(parse(&text).jobs.len() <= text.lines().count());
        }
    }
}
