//! `/proc/PID/mountstats`: what an NFS client counts for each mount (kernel
//! `fs/nfs/super.c`, `nfs_show_stats`; `net/sunrpc/stats.c`).

use std::collections::BTreeMap;

use pvelens_proto::agent::v1::{NetworkMount, NfsOperation, NfsStatistics};

use crate::{
    collector::filesystem::unescape,
    format::{FormatError, whole_lines},
};

/// Operations that are carried one by one: data, and whether it has changed.
const OPERATIONS: &[&str] = &["GETATTR", "READ", "WRITE"];
const MOUNT_LIMIT: usize = 5_000;

pub(super) fn is_nfs(mount: &NetworkMount) -> bool {
    matches!(mount.filesystem_type.as_str(), "nfs" | "nfs4")
}

/// The counters of each NFS mount, by mount point.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, NfsStatistics>, FormatError> {
    let mut found = BTreeMap::new();
    let mut current: Option<(String, NfsStatistics)> = None;
    let mut in_operations = false;
    for line in whole_lines(text)?.lines() {
        if let Some(mount) = header(line) {
            in_operations = false;
            found.extend(current.take());
            // A later mount hides the earlier one on the same point.
            found.remove(&mount.point);
            if mount.has_statistics && found.len() < MOUNT_LIMIT {
                current = Some((mount.point, NfsStatistics::default()));
            }
            continue;
        }
        let Some((_, statistics)) = &mut current else {
            continue;
        };
        let line = line.trim();
        if line == "per-op statistics" {
            in_operations = true;
        } else if let Some((key, values)) = line.split_once(':') {
            if in_operations {
                add_operation(statistics, key, values)?;
            } else {
                add(statistics, key, values)?;
            }
        }
    }
    found.extend(current);
    Ok(found)
}

struct Header {
    point: String,
    has_statistics: bool,
}

/// `device 192.0.2.1:/x mounted on /mnt/pve/nas with fstype nfs4 statvers=1.1`.
fn header(line: &str) -> Option<Header> {
    let device = line
        .strip_prefix("device ")
        .or_else(|| line.strip_prefix("no device "))?;
    // Blanks in names are escaped.
    let (_, rest) = device.split_once("mounted on ")?;
    let (point, rest) = rest.split_once(" with fstype ")?;
    let mut words = rest.split(' ');
    let is_nfs = matches!(words.next(), Some("nfs" | "nfs4"));
    Some(Header {
        point: unescape(point),
        has_statistics: is_nfs && words.any(|word| word.starts_with("statvers=")),
    })
}

fn add(statistics: &mut NfsStatistics, key: &str, values: &str) -> Result<(), FormatError> {
    match key {
        "age" => statistics.age_seconds = Some(numbers(values)?.at(0)?),
        "bytes" => {
            // Of programs without and with O_DIRECT, then of the server.
            let bytes = numbers(values)?;
            statistics.read_bytes_total = Some(bytes.at(4)?);
            statistics.written_bytes_total = Some(bytes.at(5)?);
        }
        // One line for each connection of `nconnect`.
        "xprt" => {
            let (kind, values) = values.trim().split_once(' ').ok_or_else(cut)?;
            // Of UDP there are no connections.
            if matches!(kind, "tcp" | "rdma" | "tcp-tls") {
                let connects = numbers(values)?.at(2)?;
                let total = statistics.connects_total.unwrap_or_default();
                statistics.connects_total = Some(total.saturating_add(connects));
            }
        }
        _ => {}
    }
    Ok(())
}

/// `READ: operations transmissions timeouts sent received queued round-trip
/// execution [errors]`, the last times in milliseconds.
fn add_operation(
    statistics: &mut NfsStatistics,
    name: &str,
    values: &str,
) -> Result<(), FormatError> {
    let values = numbers(values)?;
    let operation = NfsOperation {
        name: name.to_owned(),
        operations_total: values.at(0)?,
        transmissions_total: values.at(1)?,
        timeouts_total: values.at(2)?,
        round_trip_milliseconds_total: values.at(6)?,
        execution_milliseconds_total: values.at(7)?,
        errors_total: values.at(8).ok(),
    };
    for (total, one) in [
        (&mut statistics.operations_total, operation.operations_total),
        (
            &mut statistics.transmissions_total,
            operation.transmissions_total,
        ),
        (&mut statistics.timeouts_total, operation.timeouts_total),
    ] {
        *total = total.saturating_add(one);
    }
    let is_known = statistics.operations.iter().any(|known| known.name == name);
    if OPERATIONS.contains(&name) && !is_known {
        statistics.operations.push(operation);
    }
    Ok(())
}

struct Numbers(Vec<u64>);

impl Numbers {
    fn at(&self, place: usize) -> Result<u64, FormatError> {
        self.0.get(place).copied().ok_or_else(cut)
    }
}

/// Numbers that a line may have; the longest of the kernel's, `events`, has 27.
const NUMBER_LIMIT: usize = 64;

fn numbers(values: &str) -> Result<Numbers, FormatError> {
    let words = values.split_whitespace().take(NUMBER_LIMIT);
    words
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map(Numbers)
        .map_err(|_| FormatError::malformed("a counter is not a number"))
}

fn cut() -> FormatError {
    FormatError::malformed("a counter is missing")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "device proc mounted on /proc with fstype proc\n\
        device 192.0.2.1:/x mounted on /mnt/pve/my\\040nas with fstype nfs4 statvers=1.1\n\
        \topts:\trw,vers=4.2,hard\n\
        \tage:\t3600\n\
        \timpl_id:\tname='',domain='',date='0,0'\n\
        \tsec:\tflavor=1,pseudoflavor=1\n\
        \tevents:\t1 2 3\n\
        \tbytes:\t1 2 3 4 5000 6000 7 8\n\
        \tRPC iostats version: 1.1  p/v: 100003/4 (nfs)\n\
        \txprt:\ttcp 783 1 2 0 11 500 499 0 500 0 2 5 6\n\
        \txprt:\ttcp 784 1 3 0 11 500 499 0 500 0 2 5 6\n\
        \tper-op statistics\n\
        \t        NULL: 1 1 0 44 24 5 10 16 0\n\
        \t        READ: 100 103 2 10 20 30 4000 4500 1\n\
        \t       WRITE: 10 10 0 10 20 30 40 45\n\
        \n\
        device /dev/sda1 mounted on /data with fstype ext4\n";

    #[test]
    fn counters_of_nfs_mounts_are_read() {
        let found = parse(TEXT).unwrap();
        assert_eq!(found.len(), 1);
        let mount = &found["/mnt/pve/my nas"];
        assert_eq!(mount.age_seconds, Some(3600));
        assert_eq!(
            (mount.read_bytes_total, mount.written_bytes_total),
            (Some(5000), Some(6000))
        );
        assert_eq!(mount.connects_total, Some(5));
        assert_eq!(
            (
                mount.operations_total,
                mount.transmissions_total,
                mount.timeouts_total
            ),
            (111, 114, 2)
        );
        let [read, write] = mount.operations.as_slice() else {
            panic!("{mount:?}");
        };
        assert_eq!(read.name, "READ");
        assert_eq!(
            (
                read.round_trip_milliseconds_total,
                read.execution_milliseconds_total
            ),
            (4000, 4500)
        );
        assert_eq!((read.errors_total, write.errors_total), (Some(1), None));
    }

    #[test]
    fn cut_and_changed_texts_are_named() {
        parse("").unwrap_err();
        parse(TEXT.trim_end()).unwrap_err();
        parse(&TEXT.replace("READ: 100", "READ: x")).unwrap_err();
        parse(&TEXT.replace("4 5000 6000 7 8", "4")).unwrap_err();
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "(device \\PC{0,3} mounted on /[a-z\\\\0-9]{0,5} with fstype nfs statvers=1.1\n|\tper-op statistics\n|\t(age|bytes|xprt|READ):( [0-9]{1,21}| tcp){0,9}\n|\\PC{0,20}\n){0,6}") {
            drop(parse(&text));
        }
    }
}
