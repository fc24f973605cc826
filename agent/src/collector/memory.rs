//! Memory of the node: `/proc/meminfo`, the swap and OOM counters of
//! `/proc/vmstat`, KSM and the ZFS ARC.
//!
//! Read directly: "used" has several definitions, and the ARC, which sysinfo
//! does not know, decides between them on a Proxmox VE node.

use pvelens_proto::agent::v1::{CollectionClass, Memory, ZfsArc};

use super::{CollectError, Collector, FAST, FILE_DEADLINE, KERNEL_FILE_LIMIT, Payload, Reading};
use crate::format::{FormatError, KeyValues, whole_lines};

const MEMINFO: &str = "/proc/meminfo";
const VMSTAT: &str = "/proc/vmstat";
const KSM: &str = "/sys/kernel/mm/ksm/pages_sharing";
const ARC: &str = "/proc/spl/kstat/zfs/arcstats";

/// Proxmox VE runs on amd64 only, with pages of 4 KiB.
pub(super) const PAGE_BYTES: u64 = 4096;

pub(super) const COLLECTOR: Collector = Collector {
    name: "memory",
    summary: "memory, swap, KSM and ZFS ARC of the node, and OOM kills",
    class: CollectionClass::Fast,
    interval: FAST,
    deadline: FILE_DEADLINE,
    paths: &[MEMINFO, VMSTAT, KSM, ARC],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let text = reading.read(MEMINFO, KERNEL_FILE_LIMIT)?;
    let mut memory = parse_meminfo(&text).map_err(|error| error.at(MEMINFO))?;
    let vmstat = reading
        .read(VMSTAT, KERNEL_FILE_LIMIT)
        .and_then(|text| parse_vmstat(&text, &mut memory).map_err(|error| error.at(VMSTAT)));
    reading.keep(vmstat);
    memory.ksm_sharing_bytes = reading
        .read_number(KSM)
        .map(|pages| pages.saturating_mul(PAGE_BYTES));
    memory.arc = reading
        .read_optional(ARC, KERNEL_FILE_LIMIT)
        .and_then(|text| reading.keep(parse_arc(&text).map_err(|error| error.at(ARC))));
    Ok(Payload::Memory(memory))
}

/// The unit `kB` of the kernel is 1024 bytes.
fn parse_meminfo(text: &str) -> Result<Memory, FormatError> {
    let values = KeyValues::parse(text)?;
    let bytes = |key: &str| Ok(values.required(key)?.saturating_mul(1024));
    let huge_pages = values.optional("HugePages_Total")?.unwrap_or(0);
    let huge_page_kibibytes = values.optional("Hugepagesize")?.unwrap_or(0);
    Ok(Memory {
        total_bytes: bytes("MemTotal")?,
        free_bytes: bytes("MemFree")?,
        available_bytes: bytes("MemAvailable")?,
        buffers_bytes: bytes("Buffers")?,
        cached_bytes: bytes("Cached")?,
        shared_bytes: bytes("Shmem")?,
        slab_reclaimable_bytes: bytes("SReclaimable")?,
        swap_total_bytes: bytes("SwapTotal")?,
        swap_free_bytes: bytes("SwapFree")?,
        dirty_bytes: bytes("Dirty")?,
        hugepages_total_bytes: huge_pages
            .saturating_mul(huge_page_kibibytes)
            .saturating_mul(1024),
        ..Memory::default()
    })
}

fn parse_vmstat(text: &str, memory: &mut Memory) -> Result<(), FormatError> {
    let values = KeyValues::parse(text)?;
    memory.swapped_in_pages_total = Some(values.required("pswpin")?);
    memory.swapped_out_pages_total = Some(values.required("pswpout")?);
    memory.major_faults_total = Some(values.required("pgmajfault")?);
    memory.oom_kills_total = Some(values.required("oom_kill")?);
    Ok(())
}

/// Lines `name type data` after two header lines (`openzfs/zfs@module/os/linux/spl`).
fn parse_arc(text: &str) -> Result<ZfsArc, FormatError> {
    let value = |name: &str| {
        whole_lines(text)?
            .lines()
            .find_map(|line| {
                let mut words = line.split_ascii_whitespace();
                (words.next()? == name).then(|| words.nth(1))?
            })
            .ok_or_else(|| FormatError::truncated(format!("{name} is missing")))?
            .parse()
            .map_err(|_| FormatError::malformed(format!("{name} is not a number")))
    };
    Ok(ZfsArc {
        size_bytes: value("size")?,
        min_bytes: value("c_min")?,
        max_bytes: value("c_max")?,
        hits_total: value("hits").ok(),
        misses_total: value("misses").ok(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MEMINFO_TEXT: &str = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\n\
        Buffers: 1 kB\nCached: 2 kB\nSwapTotal: 8 kB\nSwapFree: 7 kB\nDirty: 3 kB\nShmem: 4 kB\n\
        SReclaimable: 5 kB\nHugePages_Total: 2\nHugepagesize: 2048 kB\n";

    #[test]
    fn kibibytes_become_bytes() {
        let memory = parse_meminfo(MEMINFO_TEXT).unwrap();
        assert_eq!(memory.available_bytes, 400 * 1024);
        assert_eq!(memory.hugepages_total_bytes, 2 * 2048 * 1024);
    }

    #[test]
    fn a_file_cut_between_two_lines_is_truncated() {
        let cut = MEMINFO_TEXT.split_once("Dirty").unwrap().0;
        assert!(parse_meminfo(cut).is_err());
        assert!(parse_vmstat("pswpin 1\n", &mut Memory::default()).is_err());
    }

    #[test]
    fn the_arc_is_found_by_name() {
        let text = "13 1 0x01 147 39984 1 2\nname type data\nhits 4 1\nc_min 4 10\nc_max 4 30\nsize 4 20\n";
        let arc = parse_arc(text).unwrap();
        assert_eq!((arc.size_bytes, arc.min_bytes, arc.max_bytes), (20, 10, 30));
        assert!(parse_arc("name type data\nsize 4 20\n").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "(MemTotal: [0-9]{0,21} kB\n|(size|c_min|pswpin) [a-z0-9]{0,3} [0-9]{0,21}\n|\\PC{0,20}\n?){0,8}") {
            drop(parse_meminfo(&text));
            drop(parse_vmstat(&text, &mut Memory::default()));
            drop(parse_arc(&text));
        }
    }
}
