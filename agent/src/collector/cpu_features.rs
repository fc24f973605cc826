//! Weaknesses, microcode, frequency scaling and memory nodes of the processor.
//!
//! Its model and flags are in the host's identity.

use pvelens_proto::agent::v1::{CollectionClass, CpuFeatures, CpuVulnerability, NumaNode};

use super::{CollectError, Collector, FILE_DEADLINE, KERNEL_FILE_LIMIT, Payload, Reading, SLOW};
use crate::format::{FormatError, whole_lines};

mod microcode;

const CPUINFO: &str = "/proc/cpuinfo";
const VULNERABILITIES: &str = "/sys/devices/system/cpu/vulnerabilities";
const NODES: &str = "/sys/devices/system/node";
const FREQUENCY: &str = "/sys/devices/system/cpu/cpu0/cpufreq";
const INTEL: &str = "/usr/lib/firmware/intel-ucode";
const AMD: &str = "/usr/lib/firmware/amd-ucode";
const PLATFORM: &str = "/sys/devices/system/cpu/cpu0/microcode/processor_flags";
/// The largest of Intel has some 600 KiB.
const MICROCODE_LIMIT: u64 = 4 << 20;
/// A line of the kernel lists some ten mitigations.
const STATUS_LIMIT: u64 = 4096;
const VULNERABILITY_LIMIT: usize = 128;
const NODE_LIMIT: usize = 128;

pub(super) const COLLECTOR: Collector = Collector {
    name: "cpu_features",
    summary: "weaknesses, microcode, frequency scaling and memory nodes of the processor",
    class: CollectionClass::Slow,
    interval: SLOW,
    deadline: FILE_DEADLINE,
    paths: &[
        CPUINFO,
        "/sys/devices/system/cpu/vulnerabilities/*",
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
        "/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver",
        "/sys/devices/system/cpu/cpu0/cpufreq/energy_performance_preference",
        "/sys/devices/system/cpu/smt/active",
        "/sys/devices/system/cpu/smt/control",
        "/sys/devices/system/cpu/online",
        "/sys/devices/system/node/node*/meminfo",
        "/sys/devices/system/node/node*/cpulist",
        PLATFORM,
        "/usr/lib/firmware/intel-ucode/*",
        "/usr/lib/firmware/amd-ucode/*",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut features = CpuFeatures {
        vulnerabilities: vulnerabilities(reading),
        governor: reading.read_word(&format!("{FREQUENCY}/scaling_governor")),
        scaling_driver: reading.read_word(&format!("{FREQUENCY}/scaling_driver")),
        energy_preference: reading.read_word(&format!("{FREQUENCY}/energy_performance_preference")),
        smt_active: reading
            .read_number("/sys/devices/system/cpu/smt/active")
            .map(|flag| flag != 0),
        smt_control: reading.read_word("/sys/devices/system/cpu/smt/control"),
        numa_nodes: numa_nodes(reading),
        online_cpus: reading.read_word("/sys/devices/system/cpu/online"),
        ..CpuFeatures::default()
    };
    let cpuinfo = reading
        .read(CPUINFO, KERNEL_FILE_LIMIT)
        .and_then(|text| parse_cpuinfo(&text, &mut features).map_err(|error| error.at(CPUINFO)));
    reading.keep(cpuinfo);
    features.packaged_microcode = packaged(reading, &features);
    Ok(Payload::CpuFeatures(features))
}

/// The microcode that a package holds for the processor; both makers have one, and a
/// file for processors of the other does not name this one.
fn packaged(reading: &mut Reading<'_>, features: &CpuFeatures) -> Option<String> {
    let processor = microcode::Processor {
        family: features.family?,
        model: features.model?,
        stepping: features.stepping?,
    };
    let platform = reading.read_word(PLATFORM).and_then(|word| {
        let digits = word.strip_prefix("0x")?;
        u32::from_str_radix(digits, 16).ok()
    });
    let intel = newest(reading, INTEL, &processor.intel_file(), |bytes| {
        microcode::intel(bytes, processor, platform)
    });
    let amd = newest(reading, AMD, &processor.amd_file(), |bytes| {
        microcode::amd(bytes, processor)
    });
    let revision = intel.or(amd)?;
    Some(format!("{revision:#x}"))
}

fn newest(
    reading: &mut Reading<'_>,
    directory: &str,
    file: &str,
    parse: impl FnOnce(&[u8]) -> Result<Option<u32>, FormatError>,
) -> Option<u32> {
    let path = format!("{directory}/{file}");
    let bytes = match reading.read_bytes(&path, MICROCODE_LIMIT) {
        // No package, or none for this processor.
        Err(error) if error.is_not_found() => return None,
        bytes => reading.keep(bytes)?,
    };
    reading.keep(parse(&bytes).map_err(|error| error.at(&path)))?
}

/// Names below a directory that may be absent, sorted.
fn names(reading: &mut Reading<'_>, directory: &str) -> Vec<String> {
    let mut names = match reading.list(directory) {
        Ok(names) => names,
        Err(error) => {
            if !error.is_not_found() {
                reading.fail(error);
            }
            Vec::new()
        }
    };
    names.sort_unstable();
    names
}

fn vulnerabilities(reading: &mut Reading<'_>) -> Vec<CpuVulnerability> {
    let mut found = Vec::new();
    for name in names(reading, VULNERABILITIES)
        .into_iter()
        .take(VULNERABILITY_LIMIT)
    {
        let path = format!("{VULNERABILITIES}/{name}");
        let Some(text) = reading.read_optional(&path, STATUS_LIMIT) else {
            continue;
        };
        let status = whole_lines(&text).map(|line| line.trim().to_owned());
        if let Some(status) = reading.keep(status.map_err(|error| error.at(&path))) {
            found.push(CpuVulnerability { name, status });
        }
    }
    found
}

fn numa_nodes(reading: &mut Reading<'_>) -> Vec<NumaNode> {
    let mut ids: Vec<u32> = names(reading, NODES)
        .iter()
        .filter_map(|name| name.strip_prefix("node")?.parse().ok())
        .collect();
    ids.sort_unstable();
    let mut nodes = Vec::new();
    for id in ids.into_iter().take(NODE_LIMIT) {
        let mut node = NumaNode {
            id,
            cpus: reading
                .read_word(&format!("{NODES}/node{id}/cpulist"))
                .unwrap_or_default(),
            ..NumaNode::default()
        };
        let path = format!("{NODES}/node{id}/meminfo");
        if let Some(text) = reading.read_optional(&path, KERNEL_FILE_LIMIT) {
            let parsed = parse_meminfo(&text, &mut node).map_err(|error| error.at(&path));
            reading.keep(parsed);
        }
        nodes.push(node);
    }
    nodes
}

/// Lines `Node 0 MemTotal: 16334332 kB`.
fn parse_meminfo(text: &str, node: &mut NumaNode) -> Result<(), FormatError> {
    for line in whole_lines(text)?.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (target, number) = match words.as_slice() {
            [_, _, "MemTotal:", number, "kB"] => (&mut node.total_bytes, number),
            [_, _, "MemFree:", number, "kB"] => (&mut node.free_bytes, number),
            _ => continue,
        };
        let kib: u64 = number
            .parse()
            .map_err(|_| FormatError::malformed("a size is not a number"))?;
        *target = Some(kib.saturating_mul(1024));
    }
    if node.total_bytes.is_none() {
        return Err(FormatError::truncated("MemTotal is missing"));
    }
    Ok(())
}

/// Blocks of `key : value` lines, one block per thread.
fn parse_cpuinfo(text: &str, features: &mut CpuFeatures) -> Result<(), FormatError> {
    let mut threads = 0_usize;
    for line in whole_lines(text)?.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        let number = || value.parse().ok();
        match key.trim() {
            "processor" => threads = threads.saturating_add(1),
            "microcode" => match &features.microcode {
                None => features.microcode = Some(value.to_owned()),
                Some(first) => features.mixed_microcode |= first != value,
            },
            "cpu family" if threads == 1 => features.family = number(),
            "model" if threads == 1 => features.model = number(),
            "stepping" if threads == 1 => features.stepping = number(),
            _ => {}
        }
    }
    if threads == 0 {
        return Err(FormatError::truncated("no processor"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mixed_microcode_is_seen() {
        let text = "processor\t: 0\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: X\nstepping\t: 7\nmicrocode\t: 0x1\n\n\
            processor\t: 1\nmodel\t\t: 86\nmicrocode\t: 0x2\n\n";
        let mut features = CpuFeatures::default();
        parse_cpuinfo(text, &mut features).unwrap();
        assert_eq!(features.microcode.as_deref(), Some("0x1"));
        assert!(features.mixed_microcode);
        assert_eq!((features.family, features.model), (Some(6), Some(85)));
        assert_eq!(features.stepping, Some(7));
        assert!(parse_cpuinfo("", &mut features).is_err());
        assert!(parse_cpuinfo("vendor_id : X\n", &mut features).is_err());
    }

    #[test]
    fn memory_of_a_node_is_in_bytes() {
        let mut node = NumaNode::default();
        parse_meminfo("Node 0 MemTotal: 2 kB\nNode 0 MemFree: 1 kB\n", &mut node).unwrap();
        assert_eq!(
            (node.total_bytes, node.free_bytes),
            (Some(2048), Some(1024))
        );
        assert!(parse_meminfo("Node 0 MemTotal: 2", &mut node).is_err());
        assert!(parse_meminfo("Node 0 MemTotal: x kB\n", &mut node).is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "((processor|microcode|model)\t?: ?[a-z0-9 ]{0,9}\n|Node 0 (MemTotal|MemFree): [0-9a-z]{0,21} kB\n|\\PC{0,20}\n?){0,6}") {
            drop(parse_cpuinfo(&text, &mut CpuFeatures::default()));
            drop(parse_meminfo(&text, &mut NumaNode::default()));
        }
    }
}
