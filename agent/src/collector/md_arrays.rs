//! Arrays of the md driver, from `/proc/mdstat` and `/sys/block/md*/md`.
//!
//! PVE does not support md; nodes have it all the same, below the root file system
//! or below LVM. Both sources are files of the kernel (`drivers/md/md.c`), so no
//! probe is needed: mdstat names the members, sysfs has exact states.

use pvelens_proto::agent::v1::{CollectionClass, MdArray, MdArrays};

use super::{CollectError, Collector, FILE_DEADLINE, KERNEL_FILE_LIMIT, Payload, Reading, STATE};

mod mdstat;

const MDSTAT: &str = "/proc/mdstat";

pub(super) const COLLECTOR: Collector = Collector {
    name: "md_arrays",
    summary: "md arrays: members, missing ones, checks",
    class: CollectionClass::State,
    interval: STATE,
    deadline: FILE_DEADLINE,
    paths: &[
        MDSTAT,
        "/sys/block/md*/md/array_state",
        "/sys/block/md*/md/degraded",
        "/sys/block/md*/md/level",
        "/sys/block/md*/md/mismatch_cnt",
        "/sys/block/md*/md/raid_disks",
        "/sys/block/md*/md/sync_action",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let text = match reading.read(MDSTAT, KERNEL_FILE_LIMIT) {
        Err(error) if error.is_not_found() => {
            return Err(CollectError::NoData("no md driver in this kernel"));
        }
        text => text?,
    };
    let mut arrays = mdstat::parse(&text).map_err(|error| error.at(MDSTAT))?;
    if arrays.is_empty() {
        return Err(CollectError::NoData("no md arrays"));
    }
    for array in &mut arrays {
        add_state(reading, array);
    }
    arrays.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Payload::MdArrays(MdArrays { arrays }))
}

fn add_state(reading: &mut Reading<'_>, array: &mut MdArray) {
    let file = |name: &str| format!("/sys/block/{}/md/{name}", array.name);
    let number = |reading: &mut Reading<'_>, name: &str| {
        reading
            .read_number(&file(name))
            .and_then(|number| u32::try_from(number).ok())
    };
    let raid_devices = number(reading, "raid_disks");
    let missing_devices = number(reading, "degraded");
    let mismatched_sectors = reading.read_number(&file("mismatch_cnt"));
    let state = reading.read_word(&file("array_state"));
    let sync_action = reading.read_word(&file("sync_action"));
    // mdstat has none of an array that is not started.
    let level = reading.read_word(&file("level"));
    array.raid_devices = raid_devices;
    array.missing_devices = missing_devices;
    array.mismatched_sectors = mismatched_sectors;
    array.state = state.unwrap_or_default();
    array.sync_action = sync_action.unwrap_or_default();
    if let Some(level) = level {
        array.level = level;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::tests::{kinds, sample};

    const ONE: &str = "Personalities : [raid1]\nmd0 : active raid1 sdb1[1](F) sda1[0]\n      976630464 blocks super 1.2 [2/1] [U_]\n\nunused devices: <none>\n";

    #[test]
    fn a_node_without_arrays_has_nothing() {
        for files in [
            &[][..],
            &[("proc/mdstat", "Personalities : \nunused devices: <none>\n")],
        ] {
            let node = sample(&COLLECTOR, files);
            assert!(matches!(node.payload, Some(Payload::NoData(_))), "{node:?}");
            assert_eq!(kinds(&node), []);
        }
    }

    #[test]
    fn sysfs_adds_to_what_mdstat_says() {
        let node = sample(
            &COLLECTOR,
            &[
                ("proc/mdstat", ONE),
                ("sys/block/md0/md/degraded", "1\n"),
                ("sys/block/md0/md/array_state", "clean\n"),
                ("sys/block/md0/md/mismatch_cnt", "128\n"),
            ],
        );
        assert_eq!(kinds(&node), []);
        let Some(Payload::MdArrays(arrays)) = node.payload else {
            panic!("{node:?}");
        };
        let array = &arrays.arrays[0];
        assert_eq!((array.missing_devices, array.raid_devices), (Some(1), None));
        assert_eq!(
            (array.level.as_str(), array.state.as_str()),
            ("raid1", "clean")
        );
        assert_eq!(array.mismatched_sectors, Some(128));
    }
}
