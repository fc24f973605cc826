//! Who this machine is: name, cluster, system, processor.

use std::time::Duration;

use base64::Engine;
use pvelens_proto::agent::v1::{CollectionClass, HostIdentity};
use sha2::{Digest, Sha256};

use super::{
    CollectError, Collector, FILE_DEADLINE, KERNEL_FILE_LIMIT, PMXCFS_FILE_LIMIT, Payload, Reading,
};
use crate::{
    format::{FormatError, whole_lines},
    host::Host,
};

const LOCAL: &str = "/etc/pve/local";
const ROOT_CA: &str = "/etc/pve/pve-root-ca.pem";
const CPUINFO: &str = "/proc/cpuinfo";
const OS_RELEASE: &str = "/etc/os-release";
const DPKG_STATUS: &str = "/var/lib/dpkg/status";
const DPKG_LIMIT: u64 = 64 << 20;
const NAMES: &[&str] = &["/proc/sys/kernel/hostname", "/etc/hostname"];

pub(super) const COLLECTOR: Collector = Collector {
    name: "host",
    summary: "name, cluster, kernel, processor and Proxmox VE version",
    class: CollectionClass::Slow,
    interval: Duration::from_secs(600),
    deadline: FILE_DEADLINE,
    paths: &[
        LOCAL,
        ROOT_CA,
        "/proc/sys/kernel/hostname",
        "/etc/hostname",
        "/proc/sys/kernel/osrelease",
        "/proc/sys/kernel/random/boot_id",
        CPUINFO,
        OS_RELEASE,
        DPKG_STATUS,
    ],
    probes: &[],
    collect,
};

/// Whether `/etc/pve` is pmxcfs: only there `local` is a link
/// (`pve-cluster@src/pmxcfs/cfs-plug-link.c`).
#[must_use]
pub fn is_pve_node(host: &Host) -> bool {
    host.link_target(LOCAL).is_ok()
}

/// Name of the node and fingerprint of its cluster; what the agent says of
/// itself before any collector ran.
#[must_use]
pub fn identify(host: &Host) -> (String, String) {
    let name = host
        .link_target(LOCAL)
        .ok()
        .and_then(|target| Some(target.strip_prefix("nodes/")?.to_owned()))
        .or_else(|| NAMES.iter().find_map(|path| host.read(path, 4096).ok()))
        .map(|name| first_label(&name))
        .unwrap_or_default();
    let cluster = host
        .read(ROOT_CA, PMXCFS_FILE_LIMIT)
        .ok()
        .and_then(|pem| certificate_sha256(&pem).ok())
        .unwrap_or_default();
    (name, cluster)
}

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let is_pve_node = reading.is_pve_node();
    let (node_name, _) = identify(reading.host());
    if !is_pve_node && reading.exists("/etc/pve") {
        // Proxmox VE is installed and pmxcfs is not there: not mounted, or dead.
        let mounted = reading.link_target(LOCAL);
        reading.keep(mounted);
    }
    // Read by `identify` already; here for the name of what is wrong with them.
    for path in NAMES {
        reading.read_optional(path, 4096);
    }
    let line = |reading: &mut Reading<'_>, path: &str| reading.read_word(path).unwrap_or_default();
    let mut identity = HostIdentity {
        node_name,
        is_pve_node,
        kernel_release: line(reading, "/proc/sys/kernel/osrelease"),
        boot_id: line(reading, "/proc/sys/kernel/random/boot_id"),
        ..HostIdentity::default()
    };
    if is_pve_node {
        let fingerprint = reading
            .read(ROOT_CA, PMXCFS_FILE_LIMIT)
            .and_then(|pem| certificate_sha256(&pem).map_err(|error| error.at(ROOT_CA)));
        identity.root_ca_sha256 = reading.keep(fingerprint).unwrap_or_default();
        if let Some(status) = reading.read_optional(DPKG_STATUS, DPKG_LIMIT) {
            let version = whole_lines(&status).map(|status| package_version(status, "pve-manager"));
            identity.pve_manager_version = reading
                .keep(version.map_err(|error| error.at(DPKG_STATUS)))
                .flatten()
                .unwrap_or_default();
        }
    }
    if let Some(text) = reading.read_optional(OS_RELEASE, KERNEL_FILE_LIMIT) {
        let parsed = parse_os_release(&text, &mut identity).map_err(|error| error.at(OS_RELEASE));
        reading.keep(parsed);
    }
    let cpuinfo = reading
        .read(CPUINFO, KERNEL_FILE_LIMIT)
        .and_then(|text| parse_cpuinfo(&text, &mut identity).map_err(|error| error.at(CPUINFO)));
    reading.keep(cpuinfo);
    Ok(Payload::HostIdentity(identity))
}

/// What PVE calls the node: `uname -n` up to the first dot.
fn first_label(name: &str) -> String {
    let name = name.trim();
    name.split_once('.')
        .map_or(name, |(label, _)| label)
        .to_owned()
}

/// Fingerprint of the first certificate of a PEM file.
fn certificate_sha256(pem: &str) -> Result<String, FormatError> {
    let truncated = || FormatError::truncated("no whole certificate");
    let body: String = pem
        .split_once("-----BEGIN CERTIFICATE-----")
        .ok_or_else(truncated)?
        .1
        .split_once("-----END CERTIFICATE-----")
        .ok_or_else(truncated)?
        .0
        .split_whitespace()
        .collect();
    let der = base64::engine::general_purpose::STANDARD
        .decode(body)
        .map_err(|_| FormatError::malformed("the certificate is not base64"))?;
    Ok(crate::hex(&Sha256::digest(der)))
}

/// Version of an installed package in dpkg's database.
fn package_version(status: &str, package: &str) -> Option<String> {
    let stanza = status.split("\n\n").find(|stanza| {
        stanza
            .lines()
            .next()
            .and_then(|l| l.strip_prefix("Package: "))
            == Some(package)
    })?;
    stanza
        .lines()
        .any(|line| line.starts_with("Status: ") && line.ends_with(" installed"))
        .then(|| {
            stanza
                .lines()
                .find_map(|line| line.strip_prefix("Version: "))
                .map(str::to_owned)
        })?
}

fn parse_os_release(text: &str, identity: &mut HostIdentity) -> Result<(), FormatError> {
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(|value| value.trim_matches('"').to_owned())
            .ok_or_else(|| FormatError::truncated(format!("{key} is missing")))
    };
    whole_lines(text)?;
    identity.operating_system = value("PRETTY_NAME")?;
    identity.operating_system_version = value("VERSION_ID").unwrap_or_default();
    Ok(())
}

/// Blocks of `key : value` lines, one block per thread.
fn parse_cpuinfo(text: &str, identity: &mut HostIdentity) -> Result<(), FormatError> {
    let fields = || {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(key, value)| (key.trim(), value.trim()))
    };
    let first = |wanted: &str| {
        fields()
            .find(|(key, _)| *key == wanted)
            .map(|(_, value)| value)
    };
    whole_lines(text)?;
    let threads = fields().filter(|(key, _)| *key == "processor").count();
    if threads == 0 {
        return Err(FormatError::truncated("no processor"));
    }
    let mut sockets: Vec<&str> = fields()
        .filter(|(key, _)| *key == "physical id")
        .map(|(_, value)| value)
        .collect();
    sockets.sort_unstable();
    sockets.dedup();
    let mut flags: Vec<String> = first("flags")
        .unwrap_or_default()
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect();
    flags.sort_unstable();
    identity.cpu_model = first("model name").unwrap_or_default().to_owned();
    identity.cpu_vendor = first("vendor_id").unwrap_or_default().to_owned();
    identity.cpu_threads = u32::try_from(threads).unwrap_or(u32::MAX);
    identity.cpu_sockets = u32::try_from(sockets.len().max(1)).unwrap_or(u32::MAX);
    identity.cpu_flags = flags;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fingerprint_is_that_of_the_der() {
        let pem = "x\n-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";
        assert_eq!(
            certificate_sha256(pem).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(certificate_sha256("-----BEGIN CERTIFICATE-----\nYWJj").is_err());
        assert!(certificate_sha256(&pem.replace("YWJj", "Y%J")).is_err());
    }

    #[test]
    fn a_removed_package_has_no_version() {
        let status = "Package: a\nStatus: install ok installed\nVersion: 1\n\n\
            Package: pve-manager\nStatus: deinstall ok config-files\nVersion: 8.1\n\n";
        assert_eq!(package_version(status, "pve-manager"), None);
        assert_eq!(package_version(status, "a").as_deref(), Some("1"));
    }

    #[test]
    fn processors_are_counted_by_thread_and_socket() {
        let text = "processor : 0\nvendor_id : AuthenticAMD\nmodel name : X 1\nphysical id : 0\nflags : sse avx\n\n\
            processor : 1\nphysical id : 1\n\n";
        let mut identity = HostIdentity::default();
        parse_cpuinfo(text, &mut identity).unwrap();
        assert_eq!((identity.cpu_threads, identity.cpu_sockets), (2, 2));
        assert_eq!(identity.cpu_flags, ["avx", "sse"]);
        assert!(parse_cpuinfo("", &mut identity).is_err());
        assert!(parse_cpuinfo("processor : 0", &mut identity).is_err());
    }

    #[test]
    fn the_node_name_is_the_first_label() {
        assert_eq!(first_label("pve1.example.test\n"), "pve1");
        assert_eq!(first_label(" pve1 "), "pve1");
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "((processor|flags|physical id)\t?: ?[a-z0-9 ]{0,9}\n|(PRETTY_NAME|VERSION_ID)=\"?\\PC{0,9}\n|\\PC{0,20}\n?){0,6}") {
            let mut identity = HostIdentity::default();
            drop(parse_cpuinfo(&text, &mut identity));
            drop(parse_os_release(&text, &mut identity));
            drop(certificate_sha256(&text));
            let _ = package_version(&text, "a");
        }
    }
}
