//! What the raw arguments of a VM are about. Their text never leaves the node: it
//! can hold passwords.

/// Options of QEMU that are named (`qemu@qemu-options.hx`); others are `other`.
const OPTIONS: &[&str] = &[
    "M",
    "acpitable",
    "append",
    "audiodev",
    "blockdev",
    "boot",
    "cdrom",
    "chardev",
    "cpu",
    "device",
    "display",
    "drive",
    "fsdev",
    "fw_cfg",
    "gdb",
    "global",
    "incoming",
    "initrd",
    "kernel",
    "machine",
    "mem-path",
    "mon",
    "monitor",
    "net",
    "netdev",
    "nic",
    "object",
    "overcommit",
    "qmp",
    "readconfig",
    "rtc",
    "s",
    "sandbox",
    "serial",
    "set",
    "smbios",
    "spice",
    "trace",
    "usb",
    "vga",
    "virtfs",
    "vnc",
];
const OTHER: &str = "other";
const HOST_FORWARD: &str = "hostfwd";

/// Names of the options, sorted; at least one of what is not empty.
pub(super) fn kinds(text: &str) -> Vec<String> {
    let words = || {
        text.split_whitespace()
            .map(|word| word.trim_matches(['"', '\'']))
    };
    let options = words()
        .filter_map(|word| word.strip_prefix('-'))
        .map(|word| {
            let name = word.strip_prefix('-').unwrap_or(word);
            let known = OPTIONS.iter().find(|option| **option == name);
            known.copied().unwrap_or(OTHER)
        });
    let forward = words()
        .any(|word| word.split(',').any(|part| part.starts_with("hostfwd=")))
        .then_some(HOST_FORWARD);
    let mut kinds: Vec<String> = options.chain(forward).map(str::to_owned).collect();
    if kinds.is_empty() && !text.trim().is_empty() {
        kinds.push(OTHER.to_owned());
    }
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn options_are_named_and_their_values_are_not() {
        let text = "-netdev user,id=n,hostfwd=tcp::2222-:22 --device 'e1000,netdev=n' -vnc :7,password=canary -canary -device x";
        assert_eq!(kinds(text), ["device", "hostfwd", "netdev", "other", "vnc"]);
        assert_eq!(kinds("canary"), ["other"]);
        assert_eq!(kinds(" "), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_text_gives_names_of_the_list(text in "(-{0,2}[a-z_]{0,8}[ ,=\"']\\PC{0,5} ?){0,6}") {
            for kind in kinds(&text) {
                prop_assert!(kind == OTHER || kind == HOST_FORWARD || OPTIONS.contains(&kind.as_str()));
            }
        }
    }
}
