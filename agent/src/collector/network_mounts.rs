//! Mounts of other machines' file systems, and whether they answer.
//!
//! A dead mount blocks whoever touches it, so the cluster probe asks, one mount after
//! the other, each in a process that may hang. It sees storages alone, which are
//! below `/mnt/pve`.

use std::time::Duration;

use pvelens_proto::agent::v1::{
    CollectionClass, FailureKind, NetworkMount, NetworkMountState as State, NetworkMounts,
};

use super::{
    Answer, CollectError, Collector, KERNEL_FILE_LIMIT, Payload, Reading, asked::TOOK_TOO_LONG,
};
use crate::{
    format::FormatError,
    host::{FilesystemSize, SourceError},
    probe::{
        Request,
        request::{ClusterRequest, MountPoint},
    },
};

mod nfs;
mod table;

pub(crate) use table::hosts as source_hosts;

const MOUNTINFO: &str = "/proc/1/mountinfo";
/// Only for trees that were recorded without `/proc/1`.
const MOUNTS: &str = "/proc/mounts";
const MOUNTSTATS: &str = "/proc/1/mountstats";
/// Where PVE mounts storages, and all that the probe can see.
const STORAGES: &str = "/mnt/pve/";

const MOUNT_LIMIT: usize = 500;
/// Mounts that are asked.
const ASKED_LIMIT: usize = 16;
/// Mounts that may hang before the rest has to wait for the next run; each costs 5 s.
const HANGING_LIMIT: usize = 6;

pub(super) const COLLECTOR: Collector = Collector {
    name: "network_mounts",
    summary: "mounts of NFS, SMB, CephFS and the like: whether they answer, their options and counters",
    class: CollectionClass::State,
    interval: Duration::from_secs(60),
    deadline: Duration::from_secs(50),
    paths: &[MOUNTINFO, MOUNTS, MOUNTSTATS],
    probes: &["mount_liveness"],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut mounts = match reading.read(MOUNTINFO, KERNEL_FILE_LIMIT) {
        Ok(text) => table::mountinfo(&text).map_err(|error| error.at(MOUNTINFO))?,
        Err(error) if error.is_not_found() => {
            let text = reading.read(MOUNTS, KERNEL_FILE_LIMIT)?;
            table::mounts(&text).map_err(|error| error.at(MOUNTS))?
        }
        Err(error) => return Err(error.into()),
    };
    // Without NFS it names every mount and says nothing about any.
    let has_nfs = mounts.values().any(nfs::is_nfs);
    if let Some(text) = has_nfs
        .then(|| reading.read_optional(MOUNTSTATS, KERNEL_FILE_LIMIT))
        .flatten()
    {
        let found = nfs::parse(&text).map_err(|error| error.at(MOUNTSTATS));
        for (point, statistics) in reading.keep(found).unwrap_or_default() {
            if let Some(mount) = mounts.get_mut(&point) {
                mount.nfs = Some(statistics);
            }
        }
    }
    if mounts.is_empty() {
        return Err(CollectError::NoData("no network file system is mounted"));
    }
    if mounts.len() > MOUNT_LIMIT {
        let detail = format!("more than {MOUNT_LIMIT} network mounts; the rest is left out");
        reading.fail(SourceError::new(MOUNTINFO, FailureKind::TooLarge, detail));
    }
    let mut mounts: Vec<NetworkMount> = mounts.into_values().take(MOUNT_LIMIT).collect();
    ask_all(reading, &mut mounts);
    Ok(Payload::NetworkMounts(NetworkMounts { mounts }))
}

/// Asks each mount of a storage whether it answers, as far as there is time.
fn ask_all(reading: &mut Reading<'_>, mounts: &mut [NetworkMount]) {
    for mount in &mut *mounts {
        mount.set_state(State::NotAsked);
    }
    let (mut asked, mut hanging) = (0_usize, 0_usize);
    for mount in mounts {
        if !mount.mount_point.starts_with(STORAGES) {
            continue;
        }
        // A name with control characters, which PVE does not make.
        let Ok(mount_point) = MountPoint::try_from(mount.mount_point.clone()) else {
            continue;
        };
        if asked >= ASKED_LIMIT || hanging >= HANGING_LIMIT {
            let detail = format!(
                "after {asked} mounts, {hanging} of which hang, no more are asked whether they answer"
            );
            reading.fail(SourceError::new(MOUNTINFO, FailureKind::TooLarge, detail));
            return;
        }
        asked = asked.saturating_add(1);
        let request = Request::Cluster(ClusterRequest::MountLiveness { mount_point });
        let state = match reading.ask(&request) {
            Ok(answer) => answered(reading, mount, &answer),
            Err(error) => match error.kind {
                FailureKind::TimedOut if error.detail.starts_with(TOOK_TOO_LONG) => State::Hanging,
                // Unless an earlier request hangs, it is not a mount any more, or
                // not one that the probe sees.
                FailureKind::InProgress if error.detail.contains("still hangs") => State::Hanging,
                FailureKind::InProgress => State::NotAsked,
                // Without a probe, or with one that is out of order, the next
                // mount would fare no better.
                FailureKind::NotFound | FailureKind::TimedOut | FailureKind::Truncated => {
                    reading.fail(error);
                    return;
                }
                _ => {
                    reading.fail(error);
                    State::Failed
                }
            },
        };
        hanging = hanging.saturating_add(usize::from(state == State::Hanging));
        mount.set_state(state);
    }
}

fn answered(reading: &mut Reading<'_>, mount: &mut NetworkMount, answer: &Answer) -> State {
    let size = answer.text().and_then(|text| {
        serde_json::from_str::<FilesystemSize>(text)
            .map_err(|_| FormatError::malformed("not the size of a file system").at(&answer.source))
    });
    let Some(size) = reading.keep(size) else {
        return State::Failed;
    };
    mount.answered_in_seconds = Some(answer.took.as_secs_f64());
    mount.total_bytes = Some(size.total_bytes);
    mount.used_bytes = Some(size.total_bytes.saturating_sub(size.free_bytes));
    mount.available_bytes = Some(size.available_bytes);
    mount.inodes_total = Some(size.inodes_total);
    mount.inodes_free = Some(size.inodes_free);
    State::Answers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::tests::{kinds, sample};

    const ROOT: &str = "25 1 252:1 / / rw - ext4 /dev/root rw\n";
    const SIZE: &str = r#"{"total_bytes":100,"free_bytes":40,"available_bytes":30,"inodes_total":10,"inodes_free":5}"#;

    fn reply(outcome: &str, stdout: &str) -> String {
        format!(
            "{{\"outcome\":{outcome},\"program\":[],\"stdout_bytes\":{},\"stdout_truncated\":false,\"stderr\":\"\",\"stderr_truncated\":false,\"duration_milliseconds\":250}}\n{stdout}",
            stdout.len()
        )
    }

    fn table(points: &[&str]) -> String {
        let line = |point: &&str| format!("41 25 0:51 / {point} rw - nfs4 192.0.2.1:/x rw,hard\n");
        ROOT.to_owned() + &points.iter().map(line).collect::<String>()
    }

    fn states(points: &[&str], replies: &[(&str, &str)]) -> (Vec<State>, Vec<FailureKind>) {
        let table = table(points);
        let files: Vec<_> = [("proc/1/mountinfo", table.as_str())]
            .into_iter()
            .chain(replies.iter().copied())
            .collect();
        let node = sample(&COLLECTOR, &files);
        let failures = kinds(&node);
        let Some(Payload::NetworkMounts(found)) = node.payload else {
            panic!("{node:?}");
        };
        let states = found.mounts.iter().map(NetworkMount::state);
        (states.collect(), failures)
    }

    #[test]
    fn a_node_with_its_own_disks_has_nothing() {
        let node = sample(&COLLECTOR, &[("proc/1/mountinfo", ROOT)]);
        assert!(matches!(node.payload, Some(Payload::NoData(_))));
        assert_eq!(kinds(&node), []);
    }

    #[test]
    fn every_answer_is_a_state() {
        let answers = reply(r#"{"kind":"answered"}"#, SIZE);
        let hangs = reply(r#"{"kind":"timed_out","still_running":true}"#, "");
        let stale = reply(
            r#"{"kind":"failed","reason":"Stale file handle (os error 116)"}"#,
            "",
        );
        let unseen = reply(
            r#"{"kind":"refused","reason":"no file system of the network is mounted there"}"#,
            "",
        );
        let still = reply(
            r#"{"kind":"refused","reason":"an earlier request still hangs"}"#,
            "",
        );
        let at = |name: &str| format!(".pvelens/probe/cluster/mount_liveness.-mnt-pve-{name}");
        let (states, failures) = states(
            &[
                "/mnt/pve/a",
                "/mnt/pve/b",
                "/mnt/pve/c",
                "/mnt/pve/d",
                "/mnt/pve/e",
                "/srv/f",
            ],
            &[
                (&at("a"), &answers),
                (&at("b"), &hangs),
                (&at("c"), &stale),
                (&at("d"), &unseen),
                (&at("e"), &still),
            ],
        );
        assert_eq!(
            states,
            [
                State::Answers,
                State::Hanging,
                State::Failed,
                State::NotAsked,
                State::Hanging,
                State::NotAsked
            ]
        );
        assert_eq!(failures, [FailureKind::Io]);
    }

    #[test]
    fn a_missing_probe_is_named_once() {
        let (states, failures) = states(&["/mnt/pve/a", "/mnt/pve/b"], &[]);
        assert_eq!(states, [State::NotAsked; 2]);
        assert_eq!(failures, [FailureKind::NotFound]);
    }

    #[test]
    fn many_that_hang_do_not_use_up_the_time_of_the_run() {
        let hangs = reply(r#"{"kind":"timed_out","still_running":true}"#, "");
        let points: Vec<String> = (0..9).map(|n| format!("/mnt/pve/{n}")).collect();
        let points: Vec<&str> = points.iter().map(String::as_str).collect();
        let paths: Vec<String> = (0..9)
            .map(|n| format!(".pvelens/probe/cluster/mount_liveness.-mnt-pve-{n}"))
            .collect();
        let replies: Vec<_> = paths
            .iter()
            .map(|path| (path.as_str(), hangs.as_str()))
            .collect();
        let (states, failures) = states(&points, &replies);
        let asked = states.iter().filter(|state| **state == State::Hanging);
        assert_eq!((states.len(), asked.count()), (9, HANGING_LIMIT));
        assert_eq!(failures, [FailureKind::TooLarge]);
    }
}
