//! What is put in the place of facts of the machine that records.
//!
//! The test systems share its kernel and processor. Figures stay as they were: they
//! tell nobody apart. Names do not: of the processor, the kernel, the boot, the node
//! and its network cards, of the file that a system lies in and of the files that
//! the machine lends it.

use anyhow::{Context, Result};
use pvelens_agent::probe::Header;

/// A model, a kernel and an identity that no machine has.
const PROCESSOR: &[(&str, &str)] = &[
    ("vendor_id", "GenuineIntel"),
    ("cpu family", "6"),
    ("model", "1"),
    ("model name", "Recorded Processor"),
    ("stepping", "1"),
    ("microcode", "0x1"),
    ("flags", "fpu vme de pse tsc msr aes lm sse4_2 vmx"),
    ("vmx flags", "vnmi ept vpid"),
    ("bugs", ""),
];
const KERNEL: &str = "6.17.2-1-pve\n";
const VERSION: &str = "Linux version 6.17.2-1-pve (build@proxmox) (gcc (Debian 14.2.0-19) 14.2.0) #1 SMP PREEMPT_DYNAMIC PMX 6.17.2-1\n";
const COMMAND_LINE: &str =
    "BOOT_IMAGE=/boot/vmlinuz-6.17.2-1-pve root=/dev/mapper/pve-root ro quiet\n";
const FIRMWARE: &str = "Recorded\n";
const BOOT_ID: &str = "11111111-2222-3333-4444-555555555555\n";
const NODE: &str = "pve1\n";
const MAC: &str = "02:00:00:00:00:01\n";
const NO_MAC: &str = "00:00:00:00:00:00\n";
/// What a node has where a test system has a file of the machine.
const ROOT: &str = "/dev/mapper/pve-root";
/// Where systemd-nspawn mounts what the machine lends.
const LENT: &str = " /run/host/";

/// The content of a file as it is kept.
pub(super) fn content(path: &str, bytes: Vec<u8>) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return bytes;
    };
    match path {
        "/proc/cpuinfo" => processor(text).into_bytes(),
        "/proc/sys/kernel/osrelease" => KERNEL.into(),
        "/proc/sys/kernel/random/boot_id" => BOOT_ID.into(),
        "/proc/sys/kernel/hostname" | "/etc/hostname" => NODE.into(),
        "/proc/version" => VERSION.into(),
        "/proc/cmdline" => COMMAND_LINE.into(),
        _ if path.starts_with("/sys/class/dmi/id/") && !path.ends_with("/chassis_type") => {
            FIRMWARE.into()
        }
        "/proc/1/mountinfo" | "/proc/mounts" => mounts(text).into_bytes(),
        _ if path.starts_with("/sys/class/net/")
            && path.ends_with("/address")
            && text != NO_MAC =>
        {
            MAC.into()
        }
        _ => bytes,
    }
}

fn processor(text: &str) -> String {
    let line = |line: &str| {
        let Some((key, _)) = line.split_once(':') else {
            return format!("{line}\n");
        };
        match PROCESSOR.iter().find(|(name, _)| *name == key.trim()) {
            Some((_, value)) => format!("{key}: {value}\n"),
            None => format!("{line}\n"),
        }
    };
    text.lines().map(line).collect()
}

fn mounts(text: &str) -> String {
    let word = |word: &str| {
        let is_root = word
            .strip_prefix("/dev/loop")
            .is_some_and(super::probe::is_number);
        if is_root { ROOT } else { word }.to_owned()
    };
    let line = |line: &str| {
        let words: Vec<String> = line.split(' ').map(word).collect();
        words.join(" ") + "\n"
    };
    let own = text.lines().filter(|line| !line.contains(LENT));
    own.map(line).collect()
}

/// A reply without the time that it took.
pub(super) fn reply(bytes: Vec<u8>) -> Result<Vec<u8>> {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (line, rest) = bytes.split_at(end.context("a reply without its end")?);
    let mut header: Header = serde_json::from_slice(line)?;
    header.duration_milliseconds = 0;
    let mut reply = serde_json::to_vec(&header)?;
    reply.extend(rest);
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(path: &str, text: &str) -> String {
        String::from_utf8(content(path, text.into())).unwrap()
    }

    #[test]
    fn a_processor_loses_its_name_and_keeps_its_threads() {
        let text =
            "processor\t: 0\nmodel name\t: Secret 9000\ncpu MHz\t\t: 2.5\n\nprocessor\t: 1\n";
        assert_eq!(
            kept("/proc/cpuinfo", text),
            "processor\t: 0\nmodel name\t: Recorded Processor\ncpu MHz\t\t: 2.5\n\nprocessor\t: 1\n"
        );
    }

    #[test]
    fn the_machine_is_named_nowhere() {
        assert_eq!(kept("/etc/hostname", "build-7.example\n"), NODE);
        assert_eq!(
            kept("/sys/class/net/host0/address", "aa:bb:cc:dd:ee:ff\n"),
            MAC
        );
        assert_eq!(kept("/sys/class/net/lo/address", NO_MAC), NO_MAC);
        assert_eq!(
            kept(
                "/proc/1/mountinfo",
                "9 1 7:8 / / rw - ext4 /dev/loop8 rw\n8 9 8:0 /lib/x /run/host/x ro - ext4 /dev/sda rw\n"
            ),
            "9 1 7:8 / / rw - ext4 /dev/mapper/pve-root rw\n"
        );
        assert_eq!(kept("/proc/stat", "cpu 1\n"), "cpu 1\n");
    }
}
