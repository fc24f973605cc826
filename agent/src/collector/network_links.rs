//! What the node's interfaces lie on: ports of bridges, links of bonds, VLANs and
//! hardware.
//!
//! Interfaces of guests are left out: a bridge has hundreds of them, and their
//! configurations say where they are. In the sandbox `/sys/class/net` is still that
//! of the node: it was mounted in its network namespace.

use std::{collections::BTreeMap, time::Duration};

use pvelens_proto::agent::v1::{CollectionClass, FailureKind, NetworkLink, NetworkLinks};

use super::{
    CollectError, Collector, FILE_DEADLINE, KERNEL_FILE_LIMIT, Payload, Reading, WORD_LIMIT,
    network::guest_of,
};
use crate::format::{
    FormatError,
    plain::{name, pci_address},
    whole_lines,
};

const DIRECTORY: &str = "/sys/class/net";
const VLANS: &str = "/proc/1/net/vlan/config";
const LINK_LIMIT: usize = 512;
const LOWER_LIMIT: usize = 64;

pub(super) const COLLECTOR: Collector = Collector {
    name: "network_links",
    summary: "what interfaces lie on: ports, links of bonds, VLANs, hardware",
    class: CollectionClass::Slow,
    interval: Duration::from_secs(300),
    deadline: FILE_DEADLINE,
    paths: &[
        "/sys/class/net/*/lower_*",
        "/sys/class/net/*/bridge/vlan_filtering",
        "/sys/class/net/*/bridge/stp_state",
        "/sys/class/net/*/device",
        "/sys/class/net/*/duplex",
        VLANS,
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut names = match reading.list(DIRECTORY) {
        Err(error) if error.is_not_found() => {
            return Err(CollectError::NoData("the kernel shows no interfaces"));
        }
        result => result?,
    };
    // `bonding_masters` is a file beside them.
    names.retain(|name| guest_of(name).is_none() && name != "bonding_masters");
    let truncated = names.len() > LINK_LIMIT;
    names.truncate(LINK_LIMIT);
    let text = reading.read_optional(VLANS, KERNEL_FILE_LIMIT);
    let vlans = text.and_then(|text| reading.keep(vlans(&text).map_err(|error| error.at(VLANS))));
    let vlans = vlans.unwrap_or_default();
    let links = names
        .into_iter()
        .filter_map(|name| link(reading, name, &vlans))
        .collect();
    Ok(Payload::NetworkLinks(NetworkLinks { links, truncated }))
}

/// An interface that vanished meanwhile is none.
fn link(
    reading: &mut Reading<'_>,
    name: String,
    vlans: &BTreeMap<String, u32>,
) -> Option<NetworkLink> {
    let directory = format!("{DIRECTORY}/{name}");
    let entries = match reading.list(&directory) {
        Err(error) if error.is_not_found() => return None,
        result => reading.keep(result)?,
    };
    let has = |entry: &str| entries.iter().any(|one| one == entry);
    let mut link = NetworkLink {
        lower: lower(&entries),
        vlan_id: vlans.get(&name).copied(),
        name,
        ..NetworkLink::default()
    };
    if has("bridge") {
        link.vlan_filtering = flag(reading, &format!("{directory}/bridge/vlan_filtering"));
        // 2 = the user's own daemon speaks it.
        link.spanning_tree = flag(reading, &format!("{directory}/bridge/stp_state"));
    }
    if has("device") {
        let device = format!("{directory}/device");
        let target = reading.link_target(&device);
        link.pci_address = reading
            .keep(target)
            .and_then(|target| pci_address(&target).map(str::to_owned));
        link.duplex = duplex(reading, &format!("{directory}/duplex"));
    }
    Some(link)
}

/// The kernel links `lower_NAME` for each interface below.
fn lower(entries: &[String]) -> Vec<String> {
    let below = entries
        .iter()
        .filter_map(|entry| entry.strip_prefix("lower_"))
        .filter(|name| guest_of(name).is_none());
    below.take(LOWER_LIMIT).map(str::to_owned).collect()
}

fn flag(reading: &mut Reading<'_>, path: &str) -> Option<bool> {
    reading.read_number(path).map(|number| number != 0)
}

/// The kernel refuses it with EINVAL for an interface that is down.
fn duplex(reading: &mut Reading<'_>, path: &str) -> Option<String> {
    let text = match reading.read(path, WORD_LIMIT) {
        Err(error) if matches!(error.kind, FailureKind::NotFound | FailureKind::Io) => return None,
        result => reading.keep(result)?,
    };
    let word = whole_lines(&text).map(|text| text.trim().to_owned());
    let word = reading.keep(word.map_err(|error| error.at(path)))?;
    matches!(word.as_str(), "full" | "half").then_some(word)
}

/// After two lines of head `vmbr0.100 | 100 | vmbr0` (kernel `net/8021q/vlanproc.c`).
fn vlans(text: &str) -> Result<BTreeMap<String, u32>, FormatError> {
    let mut vlans = BTreeMap::new();
    for line in whole_lines(text)?.lines().skip(2) {
        let mut words = line.split('|').map(str::trim);
        let (Some(interface), Some(id)) = (words.next().and_then(name), words.next()) else {
            return Err(FormatError::malformed("a line has too few columns"));
        };
        let id = id
            .parse()
            .map_err(|_| FormatError::malformed("a VLAN is not a number"))?;
        vlans.insert(interface.to_owned(), id);
    }
    Ok(vlans)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const HEAD: &str = "VLAN Dev name\t | VLAN ID\nName-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD\n";

    #[test]
    fn a_vlan_over_a_bridge_over_a_bond_is_followed_to_the_hardware() {
        let vlans = format!("{HEAD}mgmt           | 100  | vmbr0\n");
        let node = sample(
            &COLLECTOR,
            &[
                ("proc/1/net/vlan/config", &vlans),
                ("sys/class/net/bonding_masters", "bond0\n"),
                ("sys/class/net/mgmt/lower_vmbr0@", "../vmbr0"),
                ("sys/class/net/vmbr0/lower_bond0@", "../bond0"),
                ("sys/class/net/vmbr0/lower_tap100i0@", "../tap100i0"),
                ("sys/class/net/vmbr0/bridge/vlan_filtering", "1\n"),
                ("sys/class/net/vmbr0/bridge/stp_state", "0\n"),
                ("sys/class/net/bond0/lower_eno1@", "../eno1"),
                ("sys/class/net/eno1/device@", "../../../0000:01:00.0"),
                ("sys/class/net/eno1/duplex", "full\n"),
                ("sys/class/net/eno2/device@", "../../../virtio0"),
                ("sys/class/net/eno2/duplex", "unknown\n"),
                ("sys/class/net/tap100i0/mtu", "1500\n"),
            ],
        );
        assert_eq!(kinds(&node), []);
        let Some(Payload::NetworkLinks(all)) = node.payload else {
            panic!("{node:?}");
        };
        let names: Vec<&str> = all.links.iter().map(|link| link.name.as_str()).collect();
        assert_eq!(names, ["bond0", "eno1", "eno2", "mgmt", "vmbr0"]);
        let [bond, port, virtio, vlan, bridge] = all.links.as_slice() else {
            panic!("{all:?}");
        };
        assert_eq!(bond.lower, ["eno1"]);
        assert_eq!(port.pci_address.as_deref(), Some("0000:01:00.0"));
        assert_eq!(port.duplex.as_deref(), Some("full"));
        assert_eq!((&virtio.pci_address, &virtio.duplex), (&None, &None));
        assert_eq!(
            (vlan.vlan_id, vlan.lower.as_slice()),
            (Some(100), &["vmbr0".to_owned()][..])
        );
        assert_eq!(bridge.lower, ["bond0"]);
        assert_eq!(
            (bridge.vlan_filtering, bridge.spanning_tree),
            (Some(true), Some(false))
        );
    }

    #[test]
    fn a_tree_without_interfaces_has_no_data() {
        let node = sample(&COLLECTOR, &[("proc/1/net/dev", "")]);
        assert!(matches!(node.payload, Some(Payload::NoData(_))));
        assert_eq!(kinds(&node), []);
    }

    #[test]
    fn a_cut_table_of_vlans_is_named() {
        assert!(vlans("").is_err());
        assert!(vlans(&format!("{HEAD}vmbr0.100 | 100 | vmb")).is_err());
        assert!(vlans(&format!("{HEAD}vmbr0.100\n")).is_err());
        assert!(vlans(&format!("{HEAD}vmbr0.100 | x | vmbr0\n")).is_err());
        assert!(vlans(HEAD).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "(\\PC{0,9}\n){2}([a-z0-9.]{0,9} ?\\| ?[0-9]{0,11} ?\\| [a-z]{0,5}\n|\\PC{0,20}\n?){0,4}") {
            drop(vlans(&text));
        }
    }
}
