//! What the files of `sysctl.d(5)` set. Any key may stand there; only known ones
//! are carried, and of those only numbers.

use std::collections::BTreeMap;

use pvelens_proto::agent::v1::{ConfiguredKernelValue, KernelSettings};

use super::{NUMBERS, Reading, key_of};

pub(super) const SYSCTL_CONF: &str = "/etc/sysctl.conf";
/// The first one hides files of the same name in the second.
const DIRECTORIES: [&str; 2] = ["/etc/sysctl.d", "/usr/lib/sysctl.d"];
const FILE_LIMIT: usize = 100;
const VALUE_LIMIT: usize = 500;
const SIZE_LIMIT: u64 = 256 << 10;
const KEY_LIMIT: usize = 100;

/// Of one interface, of all, or of those to come.
const OF_INTERFACE: [(&str, &[&str]); 2] = [
    (
        "net.ipv4.conf.",
        &[
            "accept_redirects",
            "forwarding",
            "rp_filter",
            "send_redirects",
        ],
    ),
    (
        "net.ipv6.conf.",
        &["accept_ra", "accept_redirects", "forwarding"],
    ),
];
const NETWORK: [&str; 4] = [
    "net.ipv4.ip_forward",
    "net.ipv4.tcp_syncookies",
    "net.netfilter.nf_conntrack_max",
    "net.nf_conntrack_max",
];

/// All files by name, whatever their directory, as `systemd-sysctl` reads them.
pub(super) fn collect(reading: &mut Reading<'_>, settings: &mut KernelSettings) {
    let mut files = BTreeMap::new();
    for directory in DIRECTORIES {
        for name in reading.list_optional(directory) {
            if name.ends_with(".conf") && !name.starts_with('.') {
                let path = format!("{directory}/{name}");
                files.entry(name).or_insert(path);
            }
        }
    }
    settings.truncated |= files.len() > FILE_LIMIT;
    for path in files.into_values().take(FILE_LIMIT) {
        match reading.link_target(&path).as_deref() {
            // Switched off.
            Ok("/dev/null") => {}
            Ok("../sysctl.conf" | SYSCTL_CONF) => {
                settings.is_sysctl_conf_applied = true;
                read(reading, SYSCTL_CONF, settings);
            }
            _ => read(reading, &path, settings),
        }
    }
    if !settings.is_sysctl_conf_applied {
        read(reading, SYSCTL_CONF, settings);
    }
}

fn read(reading: &mut Reading<'_>, path: &str, settings: &mut KernelSettings) {
    let Some(text) = reading.read_optional(path, SIZE_LIMIT) else {
        return;
    };
    for (key, value) in parse(&text) {
        if settings.configured.len() >= VALUE_LIMIT {
            settings.truncated = true;
            return;
        }
        settings.configured.push(ConfiguredKernelValue {
            key,
            value,
            file: path.to_owned(),
        });
    }
}

/// Lines `key = value`; a `-` before the key means that a failure does not matter,
/// and without a value that a pattern leaves this key out.
fn parse(text: &str) -> impl Iterator<Item = (String, Option<i64>)> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            return None;
        }
        let (key, value) = line.split_once('=')?;
        let key = key.trim_start_matches('-').trim();
        if key.len() > KEY_LIMIT {
            return None;
        }
        let key = dotted(key);
        is_known(&key).then(|| (key, value.trim().parse().ok()))
    })
}

/// Either separator may be used; what the first one is decides, and then the
/// other one stands for itself.
fn dotted(key: &str) -> String {
    if key
        .find(['.', '/'])
        .and_then(|at| key.get(at..)?.chars().next())
        != Some('/')
    {
        return key.to_owned();
    }
    let swap = |character| match character {
        '/' => '.',
        '.' => '/',
        other => other,
    };
    key.chars().map(swap).collect()
}

fn is_known(key: &str) -> bool {
    NETWORK.contains(&key)
        || NUMBERS.iter().any(|path| key_of(path) == key)
        || OF_INTERFACE.iter().any(|(prefix, settings)| {
            let rest = key.strip_prefix(prefix);
            rest.and_then(|rest| rest.rsplit_once('.'))
                .is_some_and(|(interface, setting)| {
                    settings.contains(&setting) && is_interface(interface)
                })
        })
}

/// Or a pattern of such names.
fn is_interface(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"*?_-./:@".contains(&byte);
    !text.is_empty() && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::sample::Payload;

    use super::*;
    use crate::collector::{
        kernel_settings::COLLECTOR,
        tests::{kinds, sample},
    };

    fn parsed(text: &str) -> Vec<(String, Option<i64>)> {
        parse(text).collect()
    }

    #[test]
    fn only_numbers_of_known_keys_are_taken() {
        let text = "# vm.swappiness = 1 canary\n; vm.swappiness=2\nvm.swappiness = 10\n-kernel.panic=-1\n\
            kernel.hostname = canary\nkernel.core_pattern = |canary\nvm.overcommit_memory = canary\n-net.ipv4.conf.eth0.rp_filter\n";
        let values = parsed(text);
        assert_eq!(
            values,
            [
                ("vm.swappiness".to_owned(), Some(10)),
                ("kernel.panic".to_owned(), Some(-1)),
                ("vm.overcommit_memory".to_owned(), None),
            ]
        );
    }

    #[test]
    fn either_separator_names_a_key() {
        for (text, key) in [
            (
                "net/ipv4/conf/eth0.7/rp_filter=0",
                "net.ipv4.conf.eth0/7.rp_filter",
            ),
            (
                "net.ipv4.conf.eth0/7.rp_filter=0",
                "net.ipv4.conf.eth0/7.rp_filter",
            ),
            ("net.ipv6.conf.*.accept_ra=0", "net.ipv6.conf.*.accept_ra"),
        ] {
            assert_eq!(parsed(text), [(key.to_owned(), Some(0))], "{text}");
        }
        assert!(parsed("net.ipv4.conf.a b.rp_filter=0").is_empty());
        assert!(parsed("net.ipv4.conf.rp_filter=0").is_empty());
    }

    fn configured(files: &[(&str, &str)]) -> (bool, Vec<(String, Option<i64>)>) {
        let sample = sample(&COLLECTOR, files);
        assert_eq!(kinds(&sample), []);
        let Some(Payload::KernelSettings(settings)) = sample.payload else {
            panic!("no settings");
        };
        let values = settings.configured.into_iter();
        let values = values.map(|one| (one.file, one.value)).collect();
        (settings.is_sysctl_conf_applied, values)
    }

    #[test]
    fn files_are_in_the_order_of_their_names() {
        let (is_applied, values) = configured(&[
            ("etc/sysctl.d/90-local.conf", "vm.swappiness=2"),
            ("etc/sysctl.d/99-sysctl.conf@", "../sysctl.conf"),
            ("etc/sysctl.d/README", "vm.swappiness=9"),
            ("etc/sysctl.conf", "vm.swappiness=3"),
            ("usr/lib/sysctl.d/10-pve.conf", "vm.swappiness=1"),
            ("usr/lib/sysctl.d/90-local.conf", "vm.swappiness=9"),
        ]);
        assert!(is_applied);
        let expected = [
            ("/usr/lib/sysctl.d/10-pve.conf", 1),
            ("/etc/sysctl.d/90-local.conf", 2),
            ("/etc/sysctl.conf", 3),
        ];
        assert_eq!(
            values,
            expected.map(|(file, value)| (file.to_owned(), Some(value)))
        );
    }

    #[test]
    fn a_file_that_is_switched_off_says_nothing() {
        let (is_applied, values) = configured(&[
            ("etc/sysctl.d/10-pve.conf@", "/dev/null"),
            ("usr/lib/sysctl.d/10-pve.conf", "vm.swappiness=1"),
        ]);
        assert!(!is_applied);
        assert!(values.is_empty());
    }

    proptest! {
        #[test]
        fn any_text_parses(text in "(-?(net[./]ipv4[./]conf[./][a-z0-9./ü]{0,9}[./]rp_filter|vm.swappiness) ?= ?[0-9-]{0,21}\n|\\PC{0,200}\n){0,5}") {
            prop_assert!(parse(&text).all(|(key, _)| key.is_ascii()));
        }
    }
}
