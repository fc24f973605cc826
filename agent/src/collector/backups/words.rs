//! Words and figures in the logs of vzdump.

use pvelens_proto::agent::v1::{BackupErrorClass, BitmapStatus, DirtyBitmap};

use super::NAME_LIMIT;
use crate::format::{figure::Figure, free_text};

pub(super) fn is_out_of_space(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    ["no space left", "quota exceeded", "err -28", "wrote only"]
        .iter()
        .any(|words| line.contains(words))
}

/// By the words of the error. Of a command only how it ended counts: its
/// arguments contain anything.
pub(super) fn error_class(error: &str) -> BackupErrorClass {
    use BackupErrorClass as Class;
    const WORDS: &[(Class, &[&str])] = &[
        (
            Class::Interrupted,
            &["interrupt", "aborted", "canceled", "cancelled"],
        ),
        (Class::Freeze, &["fsfreeze", "fs-freeze", "fs-thaw"]),
        (
            Class::Lock,
            &["lock file", "acquire lock", "is locked", "can't lock"],
        ),
        (Class::Snapshot, &["snapshot"]),
        (
            Class::Storage,
            &["storage", "not mounted", "mountpoint", "mount point"],
        ),
        (
            Class::Network,
            &[
                "connect",
                "network",
                "no route",
                "host",
                "resolve",
                "tls",
                "certificate",
                "broken pipe",
                "http",
            ],
        ),
        (Class::Timeout, &["timeout", "timed out"]),
    ];
    if is_out_of_space(error) {
        return Class::Space;
    }
    let end = if error.starts_with("command '") {
        error.rsplit_once("' failed: ").map_or("", |(_, end)| end)
    } else {
        error
    };
    let end = end.to_ascii_lowercase();
    WORDS
        .iter()
        .find(|(_, words)| words.iter().any(|word| end.contains(word)))
        .map_or(Class::Other, |(class, _)| *class)
}

/// `created new`, `OK (1.2 GiB of 32.0 GiB dirty)`, `OK (drive clean)`.
pub(super) fn bitmap(disk: &str, text: &str) -> DirtyBitmap {
    let mut bitmap = DirtyBitmap {
        disk: free_text::bounded(disk, NAME_LIMIT),
        ..DirtyBitmap::default()
    };
    if let Some(rest) = text.strip_prefix("OK (") {
        bitmap.set_status(BitmapStatus::Used);
        match rest.split_once(" of ") {
            Some((dirty, total)) => {
                bitmap.dirty_bytes = size(dirty);
                bitmap.total_bytes = size(total);
            }
            None => bitmap.dirty_bytes = rest.starts_with("drive clean").then_some(0),
        }
    } else if text.contains("invalid") || text.contains("cleared") {
        bitmap.set_status(BitmapStatus::Invalid);
    } else if text.starts_with("created") {
        bitmap.set_status(BitmapStatus::Created);
    }
    bitmap
}

/// `152MB`, `156.77M`, `1.2 GiB`, `160030720`; units are binary, however they
/// are written.
pub(super) fn size(text: &str) -> Option<u64> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let factor = match unit.trim_start().chars().next() {
        Some('K' | 'k') => 1024.0,
        Some('M') => 1_048_576.0,
        Some('G') => 1_073_741_824.0,
        Some('T') => 1_099_511_627_776.0,
        _ => 1.0,
    };
    let bytes = number.parse::<f64>().ok()? * factor;
    Figure::parse(&bytes.to_string()).whole()
}

/// `00:03:32)`.
pub(super) fn duration(text: &str) -> Option<u64> {
    let mut seconds = 0_u64;
    for part in text.strip_suffix(')')?.split(':') {
        seconds = seconds
            .checked_mul(60)?
            .checked_add(part.parse::<u32>().ok()?.into())?;
    }
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errors_have_classes() {
        use BackupErrorClass as Class;
        for (error, class) in [
            (
                "job failed with err -28 - No space left on device",
                Class::Space,
            ),
            (
                "can't acquire lock '/var/run/vzdump.lock' - got timeout",
                Class::Lock,
            ),
            ("VM is locked (snapshot)", Class::Lock),
            (
                "can't lock file '/run/lock/qemu-server/lock-101.conf' - got timeout",
                Class::Lock,
            ),
            (
                "VM 101 qmp command 'backup' failed - got timeout",
                Class::Timeout,
            ),
            (
                "VM 101 qmp command 'backup' failed - backup connect failed: command error: Connection refused",
                Class::Network,
            ),
            ("snapshot 'vzdump' needed by x", Class::Snapshot),
            (
                "VM 101 qmp command 'guest-fsfreeze-freeze' failed - got timeout",
                Class::Freeze,
            ),
            ("interrupted by signal", Class::Interrupted),
            ("storage 'x' is not online", Class::Storage),
            (
                "command 'x --snapshot host' failed: exit code 1",
                Class::Other,
            ),
            ("The command query-backup has not been found", Class::Other),
        ] {
            assert_eq!(error_class(error), class, "{error}");
        }
    }

    #[test]
    fn sizes_are_binary_however_they_are_written() {
        assert_eq!(size("152MB"), Some(152 << 20));
        assert_eq!(size("1.5 GiB (75%)"), Some(3 << 29));
        assert_eq!(size("160030720 (153MiB)"), Some(160_030_720));
        assert_eq!((size("MB"), size("1.2.3G")), (None, None));
        assert_eq!((duration("01:00:05)"), duration("x)")), (Some(3605), None));
    }

    proptest! {
        #[test]
        fn any_text_is_a_figure_or_none(text in "[0-9.:é]{0,30} ?[KMGTé)]?\\PC{0,4}") {
            let _ = (size(&text), duration(&text), bitmap("scsi0", &text), error_class(&text));
        }
    }
}
