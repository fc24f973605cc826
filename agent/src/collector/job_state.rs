//! When scheduled jobs ran on this node, from `/var/lib/pve-manager/jobs`.
//!
//! The files repeat the job's configuration; of it nothing is carried
//! (`pve-manager@PVE/Jobs.pm`).

use pvelens_proto::{
    Timestamp,
    agent::v1::{CollectionClass, FailureKind, JobRunState, JobState, JobStates},
    timestamp_from_millis,
};
use serde::Deserialize;

use super::{CollectError, Collector, FILE_DEADLINE, Payload, Reading, STATE, pmxcfs};
use crate::{
    format::{
        FormatError,
        figure::{Figure, Word},
        upid::Upid,
    },
    host::SourceError,
};

const DIRECTORY: &str = "/var/lib/pve-manager/jobs";
const LIMIT: u64 = 64 << 10;
const JOB_LIMIT: usize = 200;
/// Types with a dash in their name; others end at the first dash.
const DASHED_TYPES: &[&str] = &["realm-sync"];

pub(super) const COLLECTOR: Collector = Collector {
    name: "job_state",
    summary: "last runs of scheduled jobs on this node",
    class: CollectionClass::State,
    interval: STATE,
    deadline: FILE_DEADLINE,
    paths: &["/var/lib/pve-manager/jobs/*.json"],
    probes: &[],
    collect,
};

#[derive(Deserialize, Default)]
#[serde(default)]
struct State {
    state: Word,
    upid: Word,
    time: Figure,
    updated: Figure,
}

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let names = match reading.list(DIRECTORY) {
        Err(error) if error.is_not_found() => {
            return Err(CollectError::NoData("no scheduled jobs on this node"));
        }
        other => other?,
    };
    let mut jobs: Vec<(&str, &str, &String)> = names
        .iter()
        .filter_map(|name| {
            let (kind, id) = job(name)?;
            Some((kind, id, name))
        })
        .collect();
    if jobs.len() > JOB_LIMIT {
        jobs.truncate(JOB_LIMIT);
        let detail = format!("more than {JOB_LIMIT} jobs");
        reading.fail(SourceError::new(DIRECTORY, FailureKind::TooLarge, detail));
    }
    let mut states = JobStates::default();
    for (kind, id, name) in jobs {
        let path = format!("{DIRECTORY}/{name}");
        let Some(text) = reading.read_optional(&path, LIMIT) else {
            continue;
        };
        let state = parse(kind, id, &text).map_err(|error| error.at(&path));
        states.jobs.extend(reading.keep(state));
    }
    states
        .jobs
        .sort_by(|a, b| (&a.job_type, &a.id).cmp(&(&b.job_type, &b.id)));
    Ok(Payload::JobStates(states))
}

/// Type and identifier in `vzdump-backup-5f1c2d3e-0001.json`.
fn job(name: &str) -> Option<(&str, &str)> {
    let name = name.strip_suffix(".json")?;
    let dashed = DASHED_TYPES.iter().find_map(|kind| {
        let id = name.strip_prefix(kind)?.strip_prefix('-')?;
        Some((*kind, id))
    });
    dashed
        .or_else(|| name.split_once('-'))
        .filter(|(kind, id)| !kind.is_empty() && !id.is_empty())
}

fn parse(job_type: &str, id: &str, text: &str) -> Result<JobState, FormatError> {
    let state: State = serde_json::from_str(text).map_err(|error| pmxcfs::json_error(&error))?;
    let run_state = match state.state.0.as_str() {
        "created" => JobRunState::Created,
        "starting" => JobRunState::Starting,
        "started" => JobRunState::Started,
        "stopped" => JobRunState::Stopped,
        _ => JobRunState::Unspecified,
    };
    Ok(JobState {
        job_type: job_type.to_owned(),
        id: id.to_owned(),
        state: run_state.into(),
        upid: Some(state.upid.0)
            .filter(|upid| Upid::parse(upid).is_some())
            .unwrap_or_default(),
        run_at: time(state.time),
        updated_at: time(state.updated),
    })
}

fn time(figure: Figure) -> Option<Timestamp> {
    let seconds = i64::try_from(figure.whole().filter(|seconds| *seconds > 0)?).ok()?;
    seconds.checked_mul(1000).map(timestamp_from_millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    #[test]
    fn states_are_read_and_configuration_is_not() {
        let upid = "UPID:a:0000000A:00000001:6B02DE10:vzdump::root@pam:";
        let text = format!(
            "{{\"state\":\"stopped\",\"upid\":\"{upid}\",\"time\":1795346244,\"updated\":\"7\",\"msg\":\"canary-m\",\"config\":{{\"comment\":\"canary-c\"}}}}"
        );
        let read = sample(
            &COLLECTOR,
            &[
                (
                    "var/lib/pve-manager/jobs/vzdump-backup-1-2.json",
                    text.as_str(),
                ),
                (
                    "var/lib/pve-manager/jobs/realm-sync-ad.json",
                    "{\"state\":\"created\",\"upid\":\"canary-u\"}",
                ),
                ("var/lib/pve-manager/jobs/x.lck", "canary"),
            ],
        );
        assert_eq!(kinds(&read), []);
        assert!(!format!("{read:?}").contains("canary"));
        let Some(Payload::JobStates(states)) = read.payload else {
            panic!("{read:?}");
        };
        let [sync, backup] = states.jobs.as_slice() else {
            panic!("{states:?}");
        };
        assert_eq!(
            (sync.job_type.as_str(), sync.id.as_str()),
            ("realm-sync", "ad")
        );
        assert_eq!(
            (backup.job_type.as_str(), backup.id.as_str()),
            ("vzdump", "backup-1-2")
        );
        assert_eq!(
            (backup.state(), backup.upid.as_str()),
            (JobRunState::Stopped, upid)
        );
        assert_eq!(backup.updated_at.unwrap().seconds, 7);
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "\\{?(\"(state|upid|time)\":|[{}\\[\\],:0-9\"a-z]){0,14}\\}?", name in "[a-z-]{0,9}(\\.json)?") {
            drop(parse("a", "b", &text));
            let _ = job(&name);
        }
    }
}
