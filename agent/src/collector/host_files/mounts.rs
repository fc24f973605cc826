//! `/etc/fstab`: what is mounted where, and whether the boot waits for it.
//!
//! Options may hold passwords, and sources user names: neither is carried.

use pvelens_proto::agent::v1::{FstabEntry, FstabSource};

use crate::format::{
    plain,
    url_host::{UrlHost, plain_host},
};

/// Characters of a mount point.
const PATH_LIMIT: usize = 256;
/// Types whose source begins with the server.
const NETWORK_TYPES: &[&str] = &["ceph", "cifs", "glusterfs", "nfs", "nfs4", "smb3"];
const STABLE: &[&str] = &["/dev/disk/", "/dev/mapper/", "/dev/zvol/", "/dev/md/"];

/// Lines `source mount-point type options` (`fstab(5)`).
pub(super) fn parse(text: &str) -> Vec<FstabEntry> {
    text.lines().filter_map(entry).collect()
}

/// The mount point of a unit: `mnt-my\x2ddisk.mount` is of `/mnt/my-disk`
/// (systemd-escape(1)).
pub(super) fn unit(name: &str) -> Option<String> {
    let name = name
        .strip_suffix(".mount")
        .filter(|name| !name.is_empty())?;
    if name == "-" {
        return Some("/".to_owned());
    }
    let mut bytes = vec![b'/'];
    let mut rest = name.replace('-', "/");
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let digits = after.get(..2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        // The two digits are ASCII, so this is a boundary.
        rest = after.get(2..)?.to_owned();
    }
    bytes.extend_from_slice(rest.as_bytes());
    let path = String::from_utf8(bytes).ok()?;
    Some(plain::short(&path, PATH_LIMIT))
}

fn entry(line: &str) -> Option<FstabEntry> {
    let mut words = line.split_whitespace();
    let source = words.next().filter(|word| !word.starts_with('#'))?;
    let place = words.next()?;
    // Anything else is a part of a line whose spaces are not written as `\040`.
    let is_place = place.starts_with('/') || matches!(place, "none" | "swap");
    if !is_place {
        return None;
    }
    let kind = words.next().and_then(plain::name).unwrap_or_default();
    let options: Vec<&str> = words.next().unwrap_or_default().split(',').collect();
    let (source, server_host) = source_of(source, kind);
    Some(FstabEntry {
        source: source.into(),
        server_host,
        mount_point: plain::short(&unescaped(place), PATH_LIMIT),
        r#type: kind.to_owned(),
        noauto: options.contains(&"noauto"),
        nofail: options.contains(&"nofail"),
        network_device: options.contains(&"_netdev"),
        read_only: options.contains(&"ro"),
        automount: options.contains(&"x-systemd.automount"),
    })
}

fn source_of(source: &str, kind: &str) -> (FstabSource, String) {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| source.starts_with(prefix));
    let source_kind = if begins(&[
        "UUID=",
        "PARTUUID=",
        "/dev/disk/by-uuid/",
        "/dev/disk/by-partuuid/",
    ]) {
        FstabSource::Uuid
    } else if begins(&[
        "LABEL=",
        "PARTLABEL=",
        "/dev/disk/by-label/",
        "/dev/disk/by-partlabel/",
    ]) {
        FstabSource::Label
    } else if let Some(path) = source.strip_prefix("/dev/") {
        // Logical volumes are in a directory of their group.
        if begins(STABLE) || path.contains('/') {
            FstabSource::StableDevice
        } else {
            FstabSource::KernelDevice
        }
    } else if is_network(source, kind) {
        return (FstabSource::Network, server(source).unwrap_or_default());
    } else {
        FstabSource::Other
    };
    (source_kind, String::new())
}

fn is_network(source: &str, kind: &str) -> bool {
    NETWORK_TYPES.contains(&kind)
        || source.starts_with("//")
        || source.contains("://")
        // `host:/path` and `user@host:/path`, of sshfs and others.
        || (!source.starts_with('/') && source.contains(":/"))
}

/// The server in `//server/share`, `scheme://server/path`, `server:/path`. The first
/// monitor of Ceph's `a,b,c:/`.
fn server(source: &str) -> Option<String> {
    if source.contains("://") {
        return plain_host(UrlHost::of(source).host).map(str::to_owned);
    }
    let (host, path) = match source.strip_prefix("//") {
        Some(rest) => rest.split_once(['/', '\\']).unwrap_or((rest, "")),
        None => source.split_once(":/")?,
    };
    // A password with a slash in it looks like this, and the host like its start.
    if path.contains('@') {
        return None;
    }
    // Behind the user, who may have a password with him.
    let host = host.rsplit('@').next()?.split(',').next()?;
    let host = match host.strip_prefix('[') {
        Some(literal) => literal.split(']').next()?,
        // Monitors may have a port.
        None => host.split(':').next()?,
    };
    plain_host(host).map(str::to_owned)
}

/// Undoes `\040` and the like.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (code, part.get(3..)) {
            (Some(code), Some(rest)) if code.is_ascii() => {
                plain.push(char::from(code));
                plain.push_str(rest);
            }
            _ => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_source_is_known_by_how_it_is_named() {
        for (source, kind, wanted, host) in [
            ("UUID=1234-ABCD", "vfat", FstabSource::Uuid, ""),
            ("/dev/disk/by-label/x", "ext4", FstabSource::Label, ""),
            ("/dev/pve/root", "ext4", FstabSource::StableDevice, ""),
            (
                "/dev/mapper/pve-swap",
                "swap",
                FstabSource::StableDevice,
                "",
            ),
            ("/dev/sdb1", "ext4", FstabSource::KernelDevice, ""),
            ("proc", "proc", FstabSource::Other, ""),
            ("/mnt/a", "none", FstabSource::Other, ""),
            (
                "nas.example.test:/export",
                "nfs4",
                FstabSource::Network,
                "nas.example.test",
            ),
            (
                "[2001:db8::1]:/export",
                "nfs",
                FstabSource::Network,
                "2001:db8::1",
            ),
            ("//10.0.0.5/share", "cifs", FstabSource::Network, "10.0.0.5"),
            (
                "canary:canary@10.0.0.6:/x",
                "fuse.sshfs",
                FstabSource::Network,
                "10.0.0.6",
            ),
            (
                "https://canary:canary@dav.example.test/x",
                "davfs",
                FstabSource::Network,
                "dav.example.test",
            ),
            (
                "10.0.0.1,10.0.0.2:/",
                "ceph",
                FstabSource::Network,
                "10.0.0.1",
            ),
            (
                "10.0.0.3:6789,10.0.0.4:6789:/",
                "ceph",
                FstabSource::Network,
                "10.0.0.3",
            ),
            ("//canary:can/ary@nas/x", "cifs", FstabSource::Network, ""),
            (
                "canary:can:/ary@nas:/x",
                "fuse.sshfs",
                FstabSource::Network,
                "",
            ),
            ("volume", "glusterfs", FstabSource::Network, ""),
        ] {
            let (found, server) = source_of(source, kind);
            assert_eq!((found, server.as_str()), (wanted, host), "{source}");
        }
    }

    #[test]
    fn of_the_options_only_flags_are_left() {
        let text = "# canary\n//nas/x /mnt/a\\040b cifs username=canary,password=canary,noauto,_netdev,nofail 0 0\n\
            //nas/my share /mnt/c cifs password=canary 0 0\n/dev/sr0 /media/cd password=canary ro\nshort\n";
        let entries = parse(text);
        let [share, disc] = &entries[..] else {
            panic!("{entries:?}");
        };
        assert_eq!(share.mount_point, "/mnt/a b");
        assert!(share.noauto && share.nofail && share.network_device && !share.read_only);
        assert_eq!(disc.r#type, "");
        assert!(disc.read_only && !disc.automount);
        assert!(!format!("{entries:?}").contains("canary"));
    }

    #[test]
    fn a_unit_is_named_for_its_mount_point() {
        for (name, wanted) in [
            ("mnt-my\\x2ddisk.mount", Some("/mnt/my-disk")),
            ("-.mount", Some("/")),
            ("srv-d\\xc3\\xa4ta.mount", Some("/srv/däta")),
            ("srv-\\x.mount", None),
            ("srv-\\xff.mount", None),
            ("srv.service", None),
            (".mount", None),
        ] {
            assert_eq!(unit(name).as_deref(), wanted, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses(text in "((//|UUID=|[a-z@:]{0,5}:/)\\PC{0,9} (/|none)\\PC{0,9}(\\\\[0-9]{0,4})? [a-z]{0,4} \\PC{0,9}\n?){0,9}") {
            drop(parse(&text));
        }
    }
}
