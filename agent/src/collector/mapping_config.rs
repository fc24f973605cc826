//! Mapped devices of the cluster, from `/etc/pve/mapping`.
//!
//! A header in these files is the bare name of the mapping
//! (`pve-guest-common@src/PVE/Mapping/{PCI,USB,Dir}.pm`), and each `map` line says
//! what it is on one node.

use pvelens_proto::agent::v1::{
    CollectionClass, MappedDevice, Mapping, MappingConfig, MappingKind,
};

use super::{
    CONFIG, CollectError, Collector, FILE_DEADLINE, Payload, Reading,
    section_file::{self, bound, name_malformed, short, short_or_empty},
};
use crate::format::property_string::{Properties, boolean};

const FILES: &[(&str, MappingKind)] = &[
    ("/etc/pve/mapping/pci.cfg", MappingKind::Pci),
    ("/etc/pve/mapping/usb.cfg", MappingKind::Usb),
    ("/etc/pve/mapping/directory.cfg", MappingKind::Directory),
];
/// Mappings of one file.
const MAPPING_LIMIT: usize = 2000;
/// `map` lines of one mapping.
const DEVICE_LIMIT: usize = 1000;

pub(super) const COLLECTOR: Collector = Collector {
    name: "mapping_config",
    summary: "PCI devices, USB devices and directories mapped for guests",
    class: CollectionClass::Config,
    interval: CONFIG,
    deadline: FILE_DEADLINE,
    paths: &[
        "/etc/pve/mapping/pci.cfg",
        "/etc/pve/mapping/usb.cfg",
        "/etc/pve/mapping/directory.cfg",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    section_file::nodes(reading)?;
    let mut found = false;
    let mut mappings = Vec::new();
    for (path, kind) in FILES {
        if let Some(text) = section_file::text(reading, path, &mut found) {
            let (mut of_file, malformed) = parse(*kind, &text);
            name_malformed(reading, path, &malformed);
            bound(reading, path, &mut of_file, MAPPING_LIMIT);
            for mapping in &mut of_file {
                bound(reading, path, &mut mapping.devices, DEVICE_LIMIT);
            }
            mappings.append(&mut of_file);
        }
    }
    if !found {
        return Err(CollectError::NoData("no mapped devices"));
    }
    mappings.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
    Ok(Payload::MappingConfig(MappingConfig { mappings }))
}

/// The mappings, and numbers of lines that are none.
fn parse(kind: MappingKind, text: &str) -> (Vec<Mapping>, Vec<u32>) {
    let mut mappings: Vec<Mapping> = Vec::new();
    let mut malformed = Vec::new();
    let mut open = false;
    for (number, line) in (1..).zip(text.lines()) {
        let content = line.trim();
        if content.starts_with('#') {
            continue;
        }
        if content.is_empty() {
            open = false;
        } else if line.starts_with([' ', '\t']) {
            match mappings.last_mut().filter(|_| open) {
                Some(mapping) => property(mapping, content),
                None => malformed.push(number),
            }
        } else if content.contains(char::is_whitespace) || content.contains(':') {
            open = false;
            malformed.push(number);
        } else {
            open = true;
            mappings.push(Mapping {
                kind: kind.into(),
                id: short(content),
                ..Mapping::default()
            });
        }
    }
    (mappings, malformed)
}

fn property(mapping: &mut Mapping, line: &str) {
    let (key, value) = line
        .split_once(char::is_whitespace)
        .map_or((line, "1"), |(key, value)| (key, value.trim()));
    let flag = || boolean(value).unwrap_or(false);
    match key {
        "map" => mapping.devices.push(device(value)),
        "mdev" => mapping.mediated = flag(),
        "live-migration-capable" => mapping.live_migration_capable = flag(),
        _ => {}
    }
}

fn device(text: &str) -> MappedDevice {
    let properties = Properties::new(text, "");
    let text = |key| short_or_empty(properties.get(key));
    MappedDevice {
        node: text("node"),
        path: text("path"),
        device_id: text("id"),
        iommu_group: properties.number("iommugroup"),
        subsystem_id: text("subsystem-id"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::FailureKind;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const NODE: (&str, &str) = ("etc/pve/nodes/a/host.fw", "");

    #[test]
    fn mappings_of_every_kind_are_read() {
        let sweep = sample(
            &COLLECTOR,
            &[
                NODE,
                (
                    "etc/pve/mapping/pci.cfg",
                    "gpu\n\tdescription canary-text\n\tlive-migration-capable 1\n\tmap id=10de:1eb8,iommugroup=14,node=a,path=0000:01:00.0;0000:01:00.1,subsystem-id=10de:12a2\n\tmap id=10de:1eb8,iommugroup=-1,node=b,path=0000:02:00.0\n\tmdev\n",
                ),
                (
                    "etc/pve/mapping/usb.cfg",
                    "key\n\tmap id=1050:0407,node=a,path=1-2\n",
                ),
                (
                    "etc/pve/mapping/directory.cfg",
                    "share\n\tmap node=a,path=/srv/x\n",
                ),
            ],
        );
        assert_eq!(kinds(&sweep), []);
        assert!(!format!("{sweep:?}").contains("canary"));
        let Some(Payload::MappingConfig(config)) = sweep.payload else {
            panic!("{sweep:?}");
        };
        let [gpu, key, share] = config.mappings.as_slice() else {
            panic!("{config:?}");
        };
        assert!(gpu.mediated && gpu.live_migration_capable);
        assert_eq!(gpu.devices[0].iommu_group, Some(14));
        assert_eq!(gpu.devices[0].path, "0000:01:00.0;0000:01:00.1");
        assert_eq!(gpu.devices[1].iommu_group, None);
        assert_eq!(key.devices[0].device_id, "1050:0407");
        assert_eq!(
            (share.kind(), share.devices[0].path.as_str()),
            (MappingKind::Directory, "/srv/x")
        );
    }

    #[test]
    fn no_file_is_no_mapping_and_a_broken_line_is_named() {
        let none = sample(&COLLECTOR, &[NODE]);
        assert!(matches!(none.payload, Some(Payload::NoData(_))));
        let broken = sample(
            &COLLECTOR,
            &[NODE, ("etc/pve/mapping/usb.cfg", "\tmap x\nusb: y\n")],
        );
        assert_eq!(kinds(&broken), [FailureKind::Malformed]);
    }

    proptest! {
        #[test]
        fn any_text_is_split(text in "([a-z]{1,4}:?\n|\t(map|mdev|[a-z]{1,5}) ?(node=|path=|iommugroup=)?\\PC{0,9}\n|\n){0,9}") {
            let (mappings, malformed) = parse(MappingKind::Pci, &text);
            prop_assert!(mappings.len() + malformed.len() <= text.lines().count());
        }
    }
}
