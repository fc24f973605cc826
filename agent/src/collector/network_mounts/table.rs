//! Network mounts in the mount table, and the options of theirs that matter.
//!
//! Options also hold names of users: only those named here are looked at.

use std::{collections::BTreeMap, net::IpAddr};

use pvelens_proto::agent::v1::{NetworkMount, NetworkMountPatience};

use crate::{
    collector::filesystem::unescape,
    format::{FormatError, url_host::plain_host, whole_lines},
};

/// Types with another machine behind them.
const NETWORK: &[&str] = &[
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "fuse.ceph",
    "fuse.ceph-fuse",
    "fuse.glusterfs",
    "fuse.juicefs",
    "fuse.mfs",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.sshfs",
    "glusterfs",
    "lustre",
    "nfs",
    "nfs4",
    "smb3",
];
/// Mounts that are kept; more are not looked at.
const MOUNT_LIMIT: usize = 5_000;
/// Hosts of one source.
const HOST_LIMIT: usize = 16;
/// Bytes of a version or a kind of security.
const WORD_LIMIT: usize = 32;

type Mounts = BTreeMap<String, NetworkMount>;

/// `36 35 98:0 / /mnt rw,noatime master:1 - nfs4 192.0.2.1:/x rw,hard`
/// (kernel `Documentation/filesystems/proc.rst`, 3.5).
pub(super) fn mountinfo(text: &str) -> Result<Mounts, FormatError> {
    let mut mounts = Mounts::new();
    for line in whole_lines(text)?.lines() {
        let (mount, store) = line.split_once(" - ").ok_or_else(malformed)?;
        let mut mount = mount.split(' ').skip(4);
        let point = mount.next().ok_or_else(malformed)?;
        let mut store = store.split(' ');
        let kind = store.next().ok_or_else(malformed)?;
        let source = store.next().unwrap_or_default();
        // Those of the mount, and those of the file system.
        let options = [
            mount.next().unwrap_or_default(),
            store.next().unwrap_or_default(),
        ];
        keep(&mut mounts, point, kind, source, &options);
    }
    Ok(mounts)
}

/// `source point type options 0 0`.
pub(super) fn mounts(text: &str) -> Result<Mounts, FormatError> {
    let mut mounts = Mounts::new();
    for line in whole_lines(text)?.lines() {
        let mut words = line.split(' ');
        let mut next = || words.next().ok_or_else(malformed);
        let (source, point, kind, options) = (next()?, next()?, next()?, next()?);
        keep(&mut mounts, point, kind, source, &[options]);
    }
    Ok(mounts)
}

fn malformed() -> FormatError {
    FormatError::malformed("not a mount table")
}

/// A later mount hides the earlier one on the same point.
fn keep(mounts: &mut Mounts, point: &str, kind: &str, source: &str, options: &[&str]) {
    let point = unescape(point);
    mounts.remove(&point);
    if NETWORK.contains(&kind) && mounts.len() < MOUNT_LIMIT {
        let mount = mount(&point, kind, &unescape(source), options);
        mounts.insert(point, mount);
    }
}

fn mount(point: &str, kind: &str, source: &str, options: &[&str]) -> NetworkMount {
    let mut mount = NetworkMount {
        mount_point: point.to_owned(),
        filesystem_type: kind.to_owned(),
        server: hosts(kind, source),
        ..NetworkMount::default()
    };
    for option in options.iter().flat_map(|options| options.split(',')) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key {
            "ro" => mount.is_read_only = true,
            "hard" => mount.set_patience(NetworkMountPatience::Hard),
            "soft" => mount.set_patience(NetworkMountPatience::Soft),
            "softerr" => mount.set_patience(NetworkMountPatience::SoftError),
            "vers" => mount.protocol_version = word(value),
            "sec" => mount.security = word(value),
            "seal" => mount.is_encrypted = true,
            "xprtsec" => mount.is_encrypted = value != "none",
            // Tenths of a second (`nfs(5)`).
            "timeo" => {
                let tenths: Option<u32> = value.parse().ok();
                mount.request_timeout_seconds = tenths.map(|tenths| f64::from(tenths) / 10.0);
            }
            "retrans" => mount.retransmissions = value.parse().ok(),
            "addr" => mount.server_address = address(value),
            // The monitors, where the source has none: `a:3300/b:3300`.
            "mon_addr" if mount.server.is_empty() => {
                let hosts = value.split('/').map(|host| host.trim_start_matches("v2:"));
                mount.server = joined(hosts.map(without_port));
            }
            _ => {}
        }
    }
    mount
}

/// An address as the kernel writes it; one of a link has its interface behind `%`.
fn address(value: &str) -> String {
    let address = value.split('%').next().unwrap_or_default();
    let address: Option<IpAddr> = address.parse().ok();
    address.map_or_else(String::new, |address| address.to_string())
}

/// A value of letters, digits and signs of versions.
fn word(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+:".contains(&byte);
    if value.len() <= WORD_LIMIT && value.bytes().all(is_plain) {
        value.to_owned()
    } else {
        String::new()
    }
}

/// The hosts in a source, without user, share and path.
pub(crate) fn hosts(kind: &str, source: &str) -> String {
    match kind {
        "cifs" | "smb3" => {
            let share = source.replace('\\', "/");
            let host = share
                .strip_prefix("//")
                .and_then(|rest| rest.split('/').next());
            joined(host.into_iter())
        }
        "nfs" | "nfs4" | "fuse.sshfs" => {
            let host = source.split_once(":/").map(|(host, _)| host);
            let host = host.or_else(|| Some(source.rsplit_once(':')?.0));
            joined(host.map(without_user).into_iter())
        }
        // `a:6789,b:/path`; with a user in it, the monitors are among the options.
        "ceph" | "glusterfs" | "fuse.glusterfs" if !source.contains('@') => {
            let hosts = source.split_once(":/").map(|(hosts, _)| hosts);
            joined(hosts.unwrap_or_default().split(',').map(without_port))
        }
        _ => String::new(),
    }
}

fn without_user(host: &str) -> &str {
    host.rsplit_once('@').map_or(host, |(_, host)| host)
}

/// `192.0.2.1:6789`, `[2001:db8::1]:6789`.
fn without_port(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        // More than one colon without brackets is an address.
        None => match host.split_once(':') {
            Some((name, port)) if !port.contains(':') => name,
            _ => host,
        },
    }
}

fn joined<'a>(hosts: impl Iterator<Item = &'a str>) -> String {
    let plain = hosts
        .map(|host| host.trim_start_matches('[').trim_end_matches(']'))
        .filter_map(plain_host)
        .take(HOST_LIMIT);
    plain.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_network_mounts_are_kept_and_the_last_on_a_point_counts() {
        let table = "25 1 252:1 / / rw - ext4 /dev/root rw\n\
             40 25 0:50 / /etc/pve rw - fuse /dev/fuse rw\n\
             41 25 0:51 / /mnt/pve/my\\040nas rw,relatime shared:9 - nfs4 [2001:db8::1]:/x rw,vers=4.2,softerr,timeo=105,retrans=2,sec=krb5p,clientaddr=192.0.2.2,addr=2001:db8::1\n\
             42 25 0:52 / /mnt/pve/win ro - cifs //files.example/share rw,vers=3.1.1,sec=ntlmssp,username=canary,domain=canary,hard,seal,addr=192.0.2.7\n\
             43 25 0:53 / /mnt/pve/over rw - nfs 192.0.2.1:/x rw\n\
             44 25 8:1 / /mnt/pve/over rw - ext4 /dev/sda1 rw\n";
        let mounts = mountinfo(table).unwrap();
        assert!(!format!("{mounts:?}").contains("canary"));
        let [nas, win] = mounts.values().collect::<Vec<_>>()[..] else {
            panic!("{mounts:?}");
        };
        assert_eq!(nas.mount_point, "/mnt/pve/my nas");
        assert_eq!(nas.server, "2001:db8::1");
        assert_eq!(nas.server_address, "2001:db8::1");
        assert_eq!(win.server_address, "192.0.2.7");
        assert_eq!(address("canary"), "");
        assert_eq!(nas.protocol_version, "4.2");
        assert_eq!(nas.security, "krb5p");
        assert_eq!(nas.patience(), NetworkMountPatience::SoftError);
        assert_eq!(nas.request_timeout_seconds, Some(10.5));
        assert_eq!(nas.retransmissions, Some(2));
        assert_eq!(win.server, "files.example");
        assert!(win.is_read_only && win.is_encrypted && !nas.is_encrypted);
        assert_eq!(win.patience(), NetworkMountPatience::Hard);
    }

    #[test]
    fn sources_lose_all_but_their_hosts() {
        for (kind, source, server) in [
            ("nfs", "nas.example:/export/a:b", "nas.example"),
            ("cifs", "//192.0.2.5/c$/dir", "192.0.2.5"),
            (
                "ceph",
                "192.0.2.1:6789,[2001:db8::2]:6789:/",
                "192.0.2.1,2001:db8::2",
            ),
            ("ceph", "192.0.2.1,mon2:/volumes", "192.0.2.1,mon2"),
            ("ceph", "canary@6f1b.cephfs=/", ""),
            ("fuse.sshfs", "canary@backup:dir", "backup"),
            ("fuse.sshfs", "canary@backup:/dir", "backup"),
            ("fuse.glusterfs", "gluster1:/vol", "gluster1"),
            ("fuse.s3fs", "canary-bucket", ""),
            ("nfs", "canary canary:/x", ""),
        ] {
            assert_eq!(hosts(kind, source), server, "{source}");
        }
    }

    #[test]
    fn cephs_monitors_may_be_an_option() {
        let line = "a@6f1b.cephfs=/ /mnt/pve/fs ceph rw,name=canary,secret=<hidden>,mon_addr=192.0.2.1:3300/[2001:db8::2]:3300 0 0\n";
        let mounts = mounts(line).unwrap();
        assert_eq!(mounts["/mnt/pve/fs"].server, "192.0.2.1,2001:db8::2");
        assert!(!format!("{mounts:?}").contains("canary"));
    }

    #[test]
    fn a_cut_table_is_named() {
        mountinfo("").unwrap_err();
        mountinfo("25 1 252:1 / / rw\n").unwrap_err();
        mountinfo("25 1 252:1 / / rw - nfs a:/x rw").unwrap_err();
        mounts("a /x nfs\n").unwrap_err();
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "([0-9] [0-9] 0:1 / /[a-z\\\\0-9é]{0,5} rw - (nfs|cifs|ceph|fuse.sshfs) \\PC{0,12} (timeo|vers|mon_addr|sec)=\\PC{0,9}\n|\\PC{0,30}\n?){0,4}") {
            drop(mountinfo(&text));
            drop(mounts(&text));
        }
    }
}
