//! File systems inside running containers, as the container probe sees them.
//!
//! Most administrators leave that probe off: then there is nothing here, and that
//! is no failure. What the probe answers is in part the containers' own word; its
//! lengths are checked here once more.

use std::time::Duration;

use pvelens_proto::agent::v1::{
    CollectionClass, ContainerFilesystem, ContainerFilesystemState as State, ContainerFilesystems,
    ContainerMounts, FailureKind,
};

use super::{Answer, CollectError, Collector, Payload, Reading, pmxcfs::json_error};
use crate::{
    format::{FormatError, plain::short, whole_lines},
    host::SourceError,
    probe::{ContainerLine, ContainerRequest, Request, Seen, SeenFilesystem, SeenState},
};

/// As the probe has them.
const CONTAINER_LIMIT: usize = 1_000;
const FILESYSTEM_LIMIT: usize = 32;
const DRIVER_LIMIT: usize = 8;
const TEXT_LIMIT: usize = 128;

pub(super) const COLLECTOR: Collector = Collector {
    name: "container_filesystems",
    summary: "file systems inside running containers, and traces of Docker; with the container probe enabled",
    class: CollectionClass::State,
    interval: Duration::from_secs(300),
    // The entry has 25 s.
    deadline: Duration::from_secs(50),
    paths: &[],
    probes: &["filesystems"],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let request = Request::Container(ContainerRequest::Filesystems { vmid: None });
    let answer = match reading.ask(&request) {
        Ok(answer) => answer,
        Err(error) if error.kind == FailureKind::NotFound => {
            return Err(CollectError::NoData("the container probe is not enabled"));
        }
        Err(error) => return Err(error.into()),
    };
    let (all, left_out) = parse(answer.success()?).map_err(|error| error.at(&answer.source))?;
    if all.is_empty() && left_out == 0 {
        return Err(CollectError::NoData("no container runs on this node"));
    }
    Ok(Payload::ContainerFilesystems(told(
        reading, &answer, all, left_out,
    )))
}

/// The containers, and how many are left out. The last line is the end: without it
/// the answer is a part of one.
fn parse(text: &str) -> Result<(Vec<Seen>, u32), FormatError> {
    let mut all = Vec::new();
    let mut end = None;
    for line in whole_lines(text)?.lines() {
        let line = serde_json::from_str(line).map_err(|error| json_error(&error))?;
        match line {
            _ if end.is_some() => return Err(FormatError::malformed("goes on after its end")),
            ContainerLine::End { left_out } => end = Some(left_out),
            ContainerLine::Container(_) if all.len() >= CONTAINER_LIMIT => {
                return Err(FormatError::malformed("too many containers"));
            }
            ContainerLine::Container(seen) => all.push(seen),
        }
    }
    match end {
        Some(left_out) => Ok((all, left_out)),
        None => Err(FormatError::malformed("has no end")),
    }
}

/// The message, with a failure for every container that is not told whole.
fn told(
    reading: &mut Reading<'_>,
    answer: &Answer,
    all: Vec<Seen>,
    left_out: u32,
) -> ContainerFilesystems {
    let mut message = ContainerFilesystems {
        containers_left_out: left_out,
        ..ContainerFilesystems::default()
    };
    let mut fail = |kind, detail: String| {
        reading.fail(SourceError::new(&answer.source, kind, detail));
    };
    if left_out > 0 {
        let detail = format!("{left_out} containers had no room in the answer");
        fail(FailureKind::TooLarge, detail);
    }
    for seen in all {
        let vmid = seen.vmid;
        if seen.problem.is_empty() {
            if !seen.table_is_whole {
                let detail = format!("the mount table of container {vmid} is longer than is read");
                fail(FailureKind::TooLarge, detail);
            }
            message.containers.push(mounts(seen));
        } else {
            let detail = format!("container {vmid}: {}", short(&seen.problem, TEXT_LIMIT));
            fail(FailureKind::Io, detail);
            message.unread_vmids.push(vmid);
        }
    }
    message
}

fn mounts(seen: Seen) -> ContainerMounts {
    let beyond = seen.filesystems.len().saturating_sub(FILESYSTEM_LIMIT);
    let beyond = u32::try_from(beyond).unwrap_or(u32::MAX);
    let drivers = seen.docker_drivers.iter().take(DRIVER_LIMIT);
    let filesystems = seen.filesystems.into_iter().take(FILESYSTEM_LIMIT);
    ContainerMounts {
        vmid: seen.vmid,
        filesystems: filesystems.map(filesystem).collect(),
        filesystems_left_out: seen.left_out.saturating_add(beyond),
        is_table_cut: !seen.table_is_whole,
        overlay_mounts: seen.overlays,
        fuse_overlay_mounts: seen.fuse_overlays,
        has_docker_directory: seen.has_docker,
        docker_storage_drivers: drivers.map(|name| short(name, TEXT_LIMIT)).collect(),
    }
}

fn filesystem(seen: SeenFilesystem) -> ContainerFilesystem {
    let size = seen.size.filter(|_| seen.state == SeenState::Measured);
    ContainerFilesystem {
        mount_point: short(&seen.mount_point, TEXT_LIMIT),
        source: short(&seen.source, TEXT_LIMIT),
        filesystem_type: short(&seen.kind, TEXT_LIMIT),
        device: short(&seen.device, TEXT_LIMIT),
        is_read_only: seen.is_read_only,
        is_part: seen.is_part,
        state: match seen.state {
            SeenState::Measured => State::Measured,
            SeenState::NotTouched => State::NotTouched,
            SeenState::Hangs => State::Hanging,
            SeenState::Failed => State::Failed,
            SeenState::NotAsked => State::NotAsked,
        }
        .into(),
        total_bytes: size.map(|size| size.total_bytes),
        used_bytes: size.map(|size| size.total_bytes.saturating_sub(size.free_bytes)),
        available_bytes: size.map(|size| size.available_bytes),
        inodes_total: size.map(|size| size.inodes_total),
        inodes_free: size.map(|size| size.inodes_free),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const REPLY: &str = ".pvelens/probe/container/filesystems";
    const END: &str = "{\"end\":{\"left_out\":0}}\n";
    const CONTAINER: &str = "{\"container\":{\"vmid\":110,\"problem\":\"\",\"table_is_whole\":true,\"filesystems\":[\
        {\"mount_point\":\"/\",\"source\":\"rpool/data/subvol-110-disk-0\",\"kind\":\"zfs\",\"device\":\"0:60\",\
        \"is_read_only\":false,\"is_part\":false,\"state\":\"measured\",\"size\":{\"total_bytes\":100,\"free_bytes\":40,\
        \"available_bytes\":30,\"inodes_total\":10,\"inodes_free\":5}},\
        {\"mount_point\":\"/mnt/nas\",\"source\":\"192.0.2.1\",\"kind\":\"nfs4\",\"device\":\"0:61\",\
        \"is_read_only\":false,\"is_part\":false,\"state\":\"not_touched\",\"size\":null}],\
        \"left_out\":2,\"overlays\":3,\"fuse_overlays\":1,\"has_docker\":true,\"docker_drivers\":[\"vfs\"]}}\n";

    fn reply(stdout: &str) -> String {
        format!(
            "{{\"outcome\":{{\"kind\":\"answered\"}},\"program\":[],\"stdout_bytes\":{},\"stdout_truncated\":false,\"stderr\":\"\",\"stderr_truncated\":false,\"duration_milliseconds\":9}}\n{stdout}",
            stdout.len()
        )
    }

    fn seen(stdout: &str) -> (ContainerFilesystems, Vec<FailureKind>) {
        let sample = sample(&COLLECTOR, &[(REPLY, &reply(stdout))]);
        let failures = kinds(&sample);
        match sample.payload {
            Some(Payload::ContainerFilesystems(all)) => (all, failures),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_probe_that_is_off_is_no_failure() {
        let sample = sample(&COLLECTOR, &[]);
        assert_eq!(kinds(&sample), []);
        match sample.payload {
            Some(Payload::NoData(none)) => {
                assert_eq!(none.reason, "the container probe is not enabled");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn no_container_is_nothing() {
        let sample = sample(&COLLECTOR, &[(REPLY, &reply(END))]);
        assert!(matches!(sample.payload, Some(Payload::NoData(_))));
        assert_eq!(kinds(&sample), []);
    }

    #[test]
    fn an_answer_is_file_systems() {
        let (all, failures) = seen(&format!("{CONTAINER}{END}"));
        assert_eq!(failures, []);
        let container = &all.containers[0];
        assert_eq!((container.vmid, container.filesystems_left_out), (110, 2));
        assert_eq!(
            (container.overlay_mounts, container.fuse_overlay_mounts),
            (3, 1)
        );
        assert_eq!(container.has_docker_directory, Some(true));
        assert_eq!(container.docker_storage_drivers, ["vfs"]);
        let [root, nas] = container.filesystems.as_slice() else {
            panic!("{container:?}");
        };
        assert_eq!(root.state(), State::Measured);
        assert_eq!(
            (root.used_bytes, root.available_bytes),
            (Some(60), Some(30))
        );
        assert_eq!(nas.state(), State::NotTouched);
        assert_eq!(nas.total_bytes, None);
    }

    #[test]
    fn what_could_not_be_read_is_named() {
        let broken = CONTAINER.replace("\"problem\":\"\"", "\"problem\":\"no process\"");
        let cut = CONTAINER.replace("\"table_is_whole\":true", "\"table_is_whole\":false");
        let end = END.replace('0', "7");
        let (all, failures) = seen(&format!("{broken}{cut}{end}"));
        assert_eq!(all.unread_vmids, [110]);
        assert!(all.containers[0].is_table_cut);
        assert_eq!(all.containers_left_out, 7);
        let too_large = FailureKind::TooLarge;
        assert_eq!(failures, [too_large, FailureKind::Io, too_large]);
    }

    #[test]
    fn a_part_of_an_answer_is_none() {
        for text in [
            "",
            CONTAINER,
            END.trim_end(),
            &format!("{END}{CONTAINER}"),
            &CONTAINER.replace("vmid", "vmjd"),
            &format!("{}{END}", CONTAINER.replace("\"vmid\":110", "\"vmid\":-1")),
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "(\\{?\"(container|end)\":(\\{\"left_out\":[0-9]\\}|\"\\PC{0,3}\")\\}?\n|\\PC{0,9}\n?){0,4}") {
            drop(parse(&text));
        }
    }
}
