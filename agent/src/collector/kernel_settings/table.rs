//! Tables of the kernel.

use pvelens_proto::agent::v1::{KernelModule, SwapDevice};

use crate::format::{FormatError, plain::short, whole_lines};

pub(super) const SWAP_LIMIT: usize = 64;
pub(super) const MODULE_LIMIT: usize = 64;
const PATH_LIMIT: usize = 200;

/// Whether a check looks at a module.
fn is_known(module: &str) -> bool {
    const KNOWN: [&str; 7] = [
        "drbd",
        "i915",
        "ipmi_watchdog",
        "softdog",
        "spl",
        "vfio_pci",
        "zfs",
    ];
    KNOWN.contains(&module) || module.ends_with("_wdt") || module.starts_with("nvidia")
}

/// What `/proc/modules` says.
#[derive(Debug, Default)]
pub(super) struct Modules {
    /// Sorted.
    pub(super) known: Vec<KernelModule>,
    pub(super) out_of_tree: u32,
}

/// Lines `name size users by state address (taints)`; the last only where there
/// are some (kernel `kernel/module/procfs.c`).
pub(super) fn modules(text: &str) -> Result<Modules, FormatError> {
    let mut modules = Modules::default();
    for line in whole_lines(text)?.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [name, _, _, _, _, _, taints @ ..] = words.as_slice() else {
            return Err(FormatError::truncated("a line has too few columns"));
        };
        let is_tainted = |flag| taints.iter().any(|taint| taint.contains(flag));
        let is_out_of_tree = is_tainted('O');
        modules.out_of_tree = modules
            .out_of_tree
            .saturating_add(u32::from(is_out_of_tree));
        if is_known(name) {
            modules.known.push(KernelModule {
                name: short(name, PATH_LIMIT),
                is_out_of_tree,
                is_proprietary: is_tainted('P'),
            });
        }
    }
    modules.known.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(modules)
}

/// Lines `path type size used priority`, sizes in KiB, white space in the path as
/// `\040` (kernel `mm/swapfile.c`).
pub(super) fn swaps(text: &str) -> Result<Vec<SwapDevice>, FormatError> {
    let kibibytes = |text: &str| {
        let number = text.parse::<u64>();
        let number = number.map_err(|_| FormatError::malformed("a size is not a number"))?;
        Ok(number.saturating_mul(1024))
    };
    let mut swaps = Vec::new();
    for line in whole_lines(text)?.lines().skip(1) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [device, kind, size, used, ..] = words.as_slice() else {
            return Err(FormatError::truncated("a line has too few columns"));
        };
        swaps.push(SwapDevice {
            device: short(device, PATH_LIMIT),
            kind: short(kind, PATH_LIMIT),
            size_bytes: kibibytes(size)?,
            used_bytes: kibibytes(used)?,
            is_on_zvol: device.starts_with("/dev/zd") || device.starts_with("/dev/zvol/"),
        });
    }
    Ok(swaps)
}

/// One line per processor in hexadecimal; the number of all connections comes
/// first in each (kernel `net/netfilter/nf_conntrack_standalone.c`).
pub(super) fn connections(text: &str) -> Result<u64, FormatError> {
    let mut lines = whole_lines(text)?.lines();
    if !lines.next().is_some_and(|head| head.starts_with("entries")) {
        return Err(FormatError::malformed("the first column is not `entries`"));
    }
    let entries = lines
        .next()
        .and_then(|line| line.split_ascii_whitespace().next());
    let entries = entries.ok_or_else(|| FormatError::truncated("no line of a processor"))?;
    u64::from_str_radix(entries, 16)
        .map_err(|_| FormatError::malformed("a value is not hexadecimal"))
}

/// Whether `Ip:` has forwarding on: 1 is yes, 2 no (`net/ipv4/proc.c`). A line of
/// names and one of values.
pub(super) fn forwarding(text: &str) -> Result<bool, FormatError> {
    let mut lines = whole_lines(text)?
        .lines()
        .filter_map(|line| line.strip_prefix("Ip: "));
    let cut = || FormatError::truncated("no two lines of IP");
    let (names, values) = (lines.next().ok_or_else(cut)?, lines.next().ok_or_else(cut)?);
    let mut pairs = names
        .split_ascii_whitespace()
        .zip(values.split_ascii_whitespace());
    let value = pairs.find_map(|(name, value)| (name == "Forwarding").then_some(value));
    match value {
        Some("1") => Ok(true),
        Some("2") => Ok(false),
        _ => Err(FormatError::malformed("no word on forwarding")),
    }
}

/// Drops and squeezes of all processors: one line for each, in hexadecimal, the
/// second and third column (kernel `net/core/net-procfs.c`).
pub(super) fn backlog(text: &str) -> Result<(u64, u64), FormatError> {
    let mut totals = (0_u64, 0_u64);
    for line in whole_lines(text)?.lines() {
        let mut words = line.split_ascii_whitespace().skip(1);
        let mut next = || {
            let word = words.next();
            let word = word.ok_or_else(|| FormatError::truncated("a line has too few columns"))?;
            u64::from_str_radix(word, 16)
                .map_err(|_| FormatError::malformed("a value is not hexadecimal"))
        };
        totals.0 = totals.0.saturating_add(next()?);
        totals.1 = totals.1.saturating_add(next()?);
    }
    Ok(totals)
}

/// Open files, free ones (always 0), and their limit.
pub(super) fn open_files(text: &str) -> Result<(u64, u64), FormatError> {
    let mut words = whole_lines(text)?.split_ascii_whitespace();
    let mut number = |skip| {
        let word = words.nth(skip);
        let word = word.ok_or_else(|| FormatError::truncated("not three numbers"))?;
        let number = word.parse();
        number.map_err(|_| FormatError::malformed("a value is not a number"))
    };
    Ok((number(0)?, number(1)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn taints_belong_to_their_module() {
        let text = "zfs 6422528 6 - Live 0x0 (PO)\nspl 147456 1 zfs, Live 0x0 (O)\nsoftdog 12288 2 - Live 0x0\n\
            r8168 700416 0 - Live 0x0 (OE)\nPOPO 1 0 - Live 0x0\n";
        let modules = modules(text).unwrap();
        let names: Vec<&str> = modules.known.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["softdog", "spl", "zfs"]);
        assert!(modules.known[2].is_proprietary && modules.known[2].is_out_of_tree);
        assert!(!modules.known[1].is_proprietary && !modules.known[0].is_out_of_tree);
        assert_eq!(modules.out_of_tree, 3);
    }

    #[test]
    fn swap_on_a_zfs_volume_is_seen() {
        let text = "Filename Type Size Used Priority\n/dev/dm-0 partition 8388604 1024 -2\n/dev/zd16 partition 4 0 -3\n";
        let swaps = swaps(text).unwrap();
        assert_eq!(
            (swaps[0].size_bytes, swaps[0].used_bytes),
            (8_589_930_496, 1 << 20)
        );
        assert!(!swaps[0].is_on_zvol && swaps[1].is_on_zvol);
    }

    #[test]
    fn forwarding_and_backlog_are_of_all_processors() {
        let text = "Ip: Forwarding DefaultTTL\nIp: 1 64\nIcmp: InMsgs\nIcmp: 2\n";
        assert_eq!(forwarding(text), Ok(true));
        assert_eq!(forwarding(&text.replace("Ip: 1", "Ip: 2")), Ok(false));
        assert!(forwarding("Ip: Forwarding\n").is_err());
        assert!(forwarding(&text.replace("Ip: 1", "Ip: x")).is_err());
        assert_eq!(
            backlog("00000010 0000000a 1 0\n0 00000001 0f\n"),
            Ok((11, 16))
        );
        assert!(backlog("0 1\n").is_err());
        assert!(backlog("0 1 x\n").is_err());
        assert!(backlog("0 1 2").is_err());
    }

    #[test]
    fn a_node_without_swap_has_only_the_head() {
        assert!(swaps("Filename\tType\n").unwrap().is_empty());
    }

    #[test]
    fn numbers_are_read_in_their_base() {
        assert_eq!(
            connections("entries  clashres\n0000001f 0\n0000001f 0\n"),
            Ok(31)
        );
        assert_eq!(
            open_files("3872\t0\t9223372036854775807\n"),
            Ok((3872, i64::MAX.unsigned_abs()))
        );
    }

    #[test]
    fn cut_tables_are_named() {
        for text in ["", "x", "x\n", "entries\n"] {
            assert!(connections(text).is_err(), "{text:?}");
            assert!(open_files(text).is_err(), "{text:?}");
            assert!(modules(text).is_err(), "{text:?}");
        }
        assert!(swaps("").is_err());
        assert!(swaps("Filename\n/dev/dm-0 partition 8\n").is_err());
        assert!(swaps("Filename\n/dev/dm-0 partition 8 x\n").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "((entries|Filename)\n)?([a-z0-9/_]{1,9} [a-z0-9]{1,21} [0-9]{1,21} [0-9-]{1,21} Live 0x0( \\([A-Z]{1,3}\\))?\n|\\PC{0,20}\n?){0,5}") {
            drop(modules(&text));
            drop(swaps(&text));
            drop(connections(&text));
            drop(open_files(&text));
        }
    }
}
