//! Scheduled jobs and the defaults of backups, from `/etc/pve/jobs.cfg`,
//! `/etc/pve/vzdump.cron` and `/etc/vzdump.conf`.
//!
//! Backups before PVE 7.1 were lines of a crontab; those that were never edited
//! since are still there, and still run.

use std::collections::BTreeSet;

use pvelens_proto::agent::v1::{
    BackupDefaults, BackupJob, CollectionClass, CronJobs, JobConfig, RealmSyncJob, ScheduledJobs,
};

use super::{
    CONFIG, CollectError, Collector, FILE_DEADLINE, PMXCFS_FILE_LIMIT, Payload, Reading,
    access_config,
    pmxcfs::{self, SettingsFile},
};
use crate::format::{
    property_string::boolean,
    section_config::{self, Section},
    settings,
};

mod cron;
mod options;

const JOBS: &str = "/etc/pve/jobs.cfg";
const CRON: &str = "/etc/pve/vzdump.cron";
const DEFAULTS: &str = "/etc/vzdump.conf";

pub(super) const COLLECTOR: Collector = Collector {
    name: "job_config",
    summary: "scheduled backups and directory synchronisations",
    class: CollectionClass::Config,
    interval: CONFIG,
    deadline: FILE_DEADLINE,
    paths: &[JOBS, CRON, DEFAULTS],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let jobs = SettingsFile::read_one(reading, JOBS)?;
    let cron = SettingsFile::read_one(reading, CRON)?;
    Ok(Payload::JobConfig(JobConfig {
        jobs: jobs.map(|file| scheduled_jobs(reading, file)),
        cron: cron.and_then(|file| cron_jobs(reading, file)),
        backup_defaults: backup_defaults(reading),
    }))
}

fn scheduled_jobs(reading: &mut Reading<'_>, file: SettingsFile) -> ScheduledJobs {
    let mut jobs = parse(&file.text);
    jobs.sha256 = file.digest(&jobs);
    pmxcfs::limit(reading, JOBS, &mut jobs.backups);
    pmxcfs::limit(reading, JOBS, &mut jobs.realm_syncs);
    pmxcfs::limit(reading, JOBS, &mut jobs.other_types);
    jobs
}

fn cron_jobs(reading: &mut Reading<'_>, file: SettingsFile) -> Option<CronJobs> {
    // PVE always writes a head.
    if file.text.is_empty() && file.exists {
        reading.fail(crate::format::FormatError::truncated("empty").at(CRON));
        return None;
    }
    let mut jobs = cron::parse(&file.text);
    jobs.sha256 = file.digest(&jobs);
    pmxcfs::limit(reading, CRON, &mut jobs.backups);
    Some(jobs)
}

/// Written by people, who may leave out the last newline.
fn backup_defaults(reading: &mut Reading<'_>) -> Option<BackupDefaults> {
    let text = match reading.read(DEFAULTS, PMXCFS_FILE_LIMIT) {
        Err(error) if error.is_not_found() => return Some(BackupDefaults::default()),
        result => reading.keep(result)?,
    };
    let settings = settings::parse(&text);
    let mut options = options::parse(&settings.pairs);
    // Several on one line, in quotes.
    let lines = options.exclude_paths.iter();
    options.exclude_paths = lines.flat_map(|line| cron::words(line)).collect();
    let mut defaults = BackupDefaults {
        options: Some(options),
        sha256: String::new(),
        malformed_lines: pmxcfs::first_lines(settings.malformed_lines),
    };
    defaults.sha256 = pmxcfs::digest(&defaults);
    Some(defaults)
}

/// Never fails: what does not fit is named by line number.
fn parse(text: &str) -> ScheduledJobs {
    let config = section_config::parse(text);
    let mut jobs = ScheduledJobs {
        malformed_lines: pmxcfs::first_lines(config.malformed_lines),
        ..ScheduledJobs::default()
    };
    let mut other_types = BTreeSet::new();
    for section in &config.sections {
        match section.kind {
            "vzdump" => jobs.backups.push(backup(section)),
            "realm-sync" => jobs.realm_syncs.push(realm_sync(section)),
            other => {
                other_types.insert(other.to_owned());
            }
        }
    }
    jobs.backups.sort_by(|a, b| a.id.cmp(&b.id));
    jobs.realm_syncs.sort_by(|a, b| a.id.cmp(&b.id));
    jobs.other_types = other_types.into_iter().collect();
    jobs
}

fn backup(section: &Section<'_>) -> BackupJob {
    BackupJob {
        id: section.id.to_owned(),
        enabled: is_enabled(section),
        schedule: schedule(section),
        repeat_missed: section.get("repeat-missed").and_then(boolean),
        options: Some(options::parse(&section.properties)),
    }
}

fn realm_sync(section: &Section<'_>) -> RealmSyncJob {
    RealmSyncJob {
        id: section.id.to_owned(),
        enabled: is_enabled(section),
        schedule: schedule(section),
        realm: section.get("realm").unwrap_or_default().to_owned(),
        options: Some(access_config::realm_sync(|key| section.get(key))),
    }
}

fn is_enabled(section: &Section<'_>) -> bool {
    section.get("enabled").and_then(boolean).unwrap_or(true)
}

/// The calendar event. Jobs of early PVE 7 give a time and days instead.
fn schedule(section: &Section<'_>) -> String {
    if let Some(schedule) = section.get("schedule") {
        return schedule.to_owned();
    }
    match (section.get("dow"), section.get("starttime")) {
        (Some(days), Some(time)) => format!("{days} {time}"),
        (_, time) => time.unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::FailureKind;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const LOCAL: (&str, &str) = ("etc/pve/local@", "nodes/a");

    #[test]
    fn jobs_have_defaults_and_types() {
        let jobs = parse(
            "vzdump: b-2\n\tschedule sat 04:00\n\tenabled 0\n\tvmid 210,201\n\tstorage local\n\n\
             vzdump: b-1\n\tstarttime 02:30\n\tdow mon,tue\n\tall 1\n\trepeat-missed 1\n\n\
             realm-sync: r\n\trealm dir\n\tschedule daily\n\tremove-vanished acl;entry\n\tenable-new 0\n\n\
             future: f\n\tx y\n",
        );
        let [one, two] = jobs.backups.as_slice() else {
            panic!("{jobs:?}");
        };
        assert_eq!(
            (one.enabled, one.schedule.as_str()),
            (true, "mon,tue 02:30")
        );
        assert_eq!(one.repeat_missed, Some(true));
        assert_eq!((two.enabled, two.repeat_missed), (false, None));
        assert_eq!(two.options.as_ref().unwrap().vmids, [201, 210]);
        let sync = &jobs.realm_syncs[0];
        assert_eq!((sync.realm.as_str(), sync.enabled), ("dir", true));
        let options = sync.options.as_ref().unwrap();
        assert_eq!(options.remove_vanished, ["acl", "entry"]);
        assert_eq!(options.enable_new, Some(false));
        assert_eq!(jobs.other_types, ["future"]);
    }

    #[test]
    fn what_cannot_be_read_is_unknown_and_the_rest_is_kept() {
        let node = sample(
            &COLLECTOR,
            &[
                LOCAL,
                ("etc/pve/jobs.cfg/", ""),
                ("etc/pve/vzdump.cron", ""),
                (
                    "etc/vzdump.conf",
                    "#tmpdir: DIR\nexclude-path: \"/a b\" /c\nmaxfiles: 3",
                ),
            ],
        );
        assert_eq!(
            kinds(&node),
            [FailureKind::NotAFile, FailureKind::Truncated]
        );
        let Some(Payload::JobConfig(config)) = node.payload else {
            panic!("{node:?}");
        };
        assert_eq!((config.jobs, config.cron), (None, None));
        let options = config.backup_defaults.unwrap().options.unwrap();
        assert_eq!(options.max_files, Some(3));
        assert_eq!(options.exclude_paths, ["/a b", "/c"]);
    }

    #[test]
    fn a_node_without_the_files_has_no_jobs() {
        let node = sample(&COLLECTOR, &[LOCAL]);
        assert_eq!(kinds(&node), []);
        let config = JobConfig {
            jobs: Some(ScheduledJobs::default()),
            cron: Some(CronJobs::default()),
            backup_defaults: Some(BackupDefaults::default()),
        };
        assert_eq!(node.payload, Some(Payload::JobConfig(config)));
    }

    #[test]
    fn no_address_and_no_note_leaves_the_node() {
        let node = sample(
            &COLLECTOR,
            &[
                LOCAL,
                (
                    "etc/pve/jobs.cfg",
                    "vzdump: b\n\tcomment canary\n\tnotes-template canary\n\tmailto canary@example.test,x@y\n\tscript /canary\n\tnotification-target canary\n\tcanary canary\n",
                ),
                (
                    "etc/pve/vzdump.cron",
                    "0 2 * * * root vzdump 100 --mailto canary@example.test --script /canary --canary canary\ncanary\n",
                ),
                (
                    "etc/vzdump.conf",
                    "script: /canary\nmailto: canary\ncanary\n",
                ),
            ],
        );
        assert_eq!(kinds(&node), []);
        assert!(!format!("{node:?}").contains("canary"));
    }

    proptest! {
        #[test]
        fn any_text_gives_jobs(text in "((vzdump|realm-sync|[a-z]{1,4}): ?[a-z0-9]{0,4}\n|\t(vmid|prune-backups|fleecing|dow|bwlimit) ?\\PC{0,12}\n|\n){0,9}") {
            let jobs = parse(&text);
            prop_assert!(jobs.backups.len() + jobs.realm_syncs.len() <= text.lines().count());
        }
    }
}
