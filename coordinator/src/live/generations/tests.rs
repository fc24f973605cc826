use std::time::Duration;

use pvelens_proto::agent::v1::{GuestKind, sample::Payload};

use super::*;
use crate::{
    check::Params,
    coordinator::Coordinator,
    live::{Live, fixture::*},
    metric::Metric,
    store::Store,
    view::{self, View},
};

/// A cluster of one member that may speak for it.
struct Site {
    live: Live,
    feed: Feed,
}

#[derive(Clone)]
struct Made {
    vmid: u32,
    kind: GuestKind,
    node: &'static str,
    settings: wire::GuestSettings,
}

fn vm(created: i64, uuid: &str, id: &str) -> Made {
    Made {
        vmid: 100,
        kind: GuestKind::Qemu,
        node: "pve1",
        settings: wire::GuestSettings {
            created_at: (created > 0).then(|| wire_at(created)),
            smbios_uuid: uuid.to_owned(),
            vm_generation_id: id.to_owned(),
            ..wire::GuestSettings::default()
        },
    }
}

fn container(root: &str, macs: &[&str]) -> Made {
    let volume = wire::GuestVolume {
        kind: wire::VolumeKind::Rootfs.into(),
        storage: "local-zfs".to_owned(),
        volume: root.to_owned(),
        ..wire::GuestVolume::default()
    };
    let nics = macs.iter().map(|mac| wire::GuestNic {
        mac_address: (*mac).to_owned(),
        ..wire::GuestNic::default()
    });
    Made {
        vmid: 100,
        kind: GuestKind::Lxc,
        node: "pve1",
        settings: wire::GuestSettings {
            volumes: vec![volume],
            nics: nics.collect(),
            ..wire::GuestSettings::default()
        },
    }
}

impl Site {
    fn new() -> Self {
        Self {
            live: Live::default(),
            feed: Feed::new("c", "pve1"),
        }
    }

    /// The member lists the guest, or none; whether it is quorate.
    fn list(&mut self, second: i64, guest: Option<&Made>, quorate: bool) -> View {
        let entry = |made: &Made| wire::GuestListEntry {
            vmid: made.vmid,
            kind: made.kind.into(),
            node: made.node.to_owned(),
            version: 1,
        };
        let config = |made: &Made| wire::GuestConfig {
            vmid: made.vmid,
            kind: made.kind.into(),
            node: made.node.to_owned(),
            settings: Some(made.settings.clone()),
            ..wire::GuestConfig::default()
        };
        let payloads = vec![
            members("pve1", quorate, &[("pve1", true), ("pve2", true)]),
            Payload::GuestList(wire::GuestList {
                version: 1,
                guests: guest.map(entry).into_iter().collect(),
            }),
            Payload::GuestConfigs(wire::GuestConfigs {
                guests: guest.map(config).into_iter().collect(),
            }),
        ];
        self.feed.send(&mut self.live, second, payloads);
        self.look(second)
    }

    fn look(&mut self, second: i64) -> View {
        let mut view = view::build(&self.live, at(second));
        self.live.tell_guests_apart(&mut view);
        view
    }

    /// The generation of the guest after these configurations, one each minute.
    fn after(guests: &[Option<&Made>]) -> u32 {
        let mut site = Self::new();
        let seconds = (0..).step_by(60);
        let views: Vec<View> = seconds
            .zip(guests)
            .map(|(second, guest)| site.list(second, *guest, true))
            .collect();
        views.last().unwrap().guests[0].generation
    }
}

#[test]
fn a_vmid_that_is_given_again_is_another_guest() {
    let made = vm(-5, "", "");
    assert_eq!(Site::after(&[Some(&made), None, None, Some(&made)]), 2);
    // One list that does not name it proves nothing.
    assert_eq!(Site::after(&[Some(&made), None, Some(&made)]), 1);
    let twice = [
        Some(&made),
        None,
        None,
        Some(&made),
        None,
        None,
        Some(&made),
    ];
    assert_eq!(Site::after(&twice), 3);
}

#[test]
fn a_vmid_that_was_given_again_while_no_coordinator_ran_is_another_guests() {
    let directory = tempfile::TempDir::new().unwrap();
    // What each coordinator, a minute after the other, finds.
    let found = |second: i64, made: Option<&Made>| {
        let store = Store::open(directory.path(), 1 << 30, at(second)).unwrap();
        let coordinator = Coordinator::new(Params::default());
        coordinator.keep_in(Arc::new(store), at(second)).unwrap();
        let mut site = Site::new();
        std::mem::swap(&mut *coordinator.live(), &mut site.live);
        site.feed.restart(&format!("epoch {second}"));
        site.list(second, made, true);
        std::mem::swap(&mut *coordinator.live(), &mut site.live);
        let current = coordinator.evaluate(at(second));
        coordinator.write_down(at(second)).unwrap();
        let guest = current.view.guests.first();
        guest.map(|guest| (guest.generation, guest.generation_since))
    };
    let (first, second) = (vm(1, "aa", "x"), vm(50, "bb", "y"));
    assert_eq!(found(0, Some(&first)), Some((1, Some(at(0)))));
    assert_eq!(found(120, Some(&first)), Some((1, None)));
    assert_eq!(found(240, Some(&second)), Some((2, Some(at(240)))));
    assert_eq!(found(360, Some(&second)), Some((2, None)));
    // It is gone, and long after that somebody has the VMID again.
    assert_eq!(found(480, None), None);
    assert_eq!(found(600, Some(&second)), Some((3, Some(at(600)))));
}

#[test]
fn marks_of_a_vm_tell_who_it_is() {
    let first = vm(1, "aa", "x");
    // Removed and made anew between two lists.
    assert_eq!(Site::after(&[Some(&first), Some(&vm(50, "bb", "y"))]), 2);
    // Restored or rolled back: all but the generation id is kept.
    assert_eq!(Site::after(&[Some(&first), Some(&vm(1, "AA", "y"))]), 1);
    // Given another UUID by hand.
    assert_eq!(Site::after(&[Some(&first), Some(&vm(1, "cc", "x"))]), 1);
    // Made by a version of PVE that wrote no time.
    let (old, new) = (vm(0, "aa", "x"), vm(0, "bb", "y"));
    assert_eq!(Site::after(&[Some(&old), Some(&new)]), 2);
    assert_eq!(Site::after(&[Some(&old), Some(&vm(0, "bb", "x"))]), 1);
    // Marks that are not there say nothing.
    assert_eq!(Site::after(&[Some(&first), Some(&vm(0, "", ""))]), 1);
}

#[test]
fn marks_of_a_container_tell_who_it_is() {
    let first = container("subvol-100-disk-0", &["BC:24:11:00:00:01"]);
    let moved = container("subvol-100-disk-1", &["bc:24:11:00:00:01"]);
    let edited = container("subvol-100-disk-0", &["BC:24:11:00:00:02"]);
    let other = container("subvol-100-disk-1", &["BC:24:11:00:00:02"]);
    assert_eq!(Site::after(&[Some(&first), Some(&moved)]), 1);
    assert_eq!(Site::after(&[Some(&first), Some(&edited)]), 1);
    assert_eq!(Site::after(&[Some(&first), Some(&other)]), 2);
    // Missed once and back with other addresses: made anew.
    assert_eq!(Site::after(&[Some(&first), None, Some(&edited)]), 2);
    // A VM in place of a container.
    assert_eq!(Site::after(&[Some(&first), Some(&vm(1, "a", "x"))]), 2);
}

#[test]
fn a_guest_stays_the_same_when_it_is_renamed_moved_or_its_node_starts_again() {
    let mut site = Site::new();
    let mut made = vm(1, "aa", "x");
    site.list(0, Some(&made), true);
    made.settings.name = "renamed".to_owned();
    site.list(60, Some(&made), true);
    made.node = "pve2";
    let view = site.list(120, Some(&made), true);
    assert_eq!(view.guests[0].generation, 1);
    site.feed.restart("after the reboot");
    let view = site.list(600, Some(&made), true);
    let guest = &view.guests[0];
    assert_eq!((guest.generation, guest.generation_since), (1, Some(at(0))));
}

#[test]
fn a_member_that_may_not_speak_for_the_cluster_removes_no_guest() {
    let mut site = Site::new();
    let made = vm(1, "aa", "x");
    site.list(0, Some(&made), true);
    for second in [60, 120, 180] {
        site.list(second, None, false);
    }
    let view = site.list(240, Some(&made), true);
    assert_eq!(view.guests[0].generation, 1);
    // The cluster file system is not mounted: nothing was read.
    for second in [300, 360, 420] {
        let none = Payload::NoData(wire::NoData::default());
        let update = site
            .feed
            .update(vec![named("guest_list", second, Some(none))]);
        site.live.append(&site.feed.described, update, at(second));
        site.look(second);
    }
    let view = site.list(480, Some(&made), true);
    assert_eq!(view.guests[0].generation, 1);
}

#[test]
fn the_series_of_a_guest_end_with_it() {
    let mut site = Site::new();
    let made = vm(1, "aa", "x");
    let status = |second| Payload::PveStatus(pve_status(second, &[(100, "running")]));
    site.list(0, Some(&made), true);
    site.feed.send(&mut site.live, 5, vec![status(5)]);
    let before = site.look(6).guests[0].key;
    assert_ne!(before, NO_SERIES);
    site.list(60, Some(&vm(50, "bb", "y")), true);
    site.feed.send(&mut site.live, 65, vec![status(65)]);
    let view = site.look(66);
    let guest = &view.guests[0];
    assert_eq!(
        (guest.generation, guest.generation_since),
        (2, Some(at(60)))
    );
    assert!(guest.key != before && guest.key != NO_SERIES);
    let window = site.live.history().window(
        guest.key,
        Metric::CpuRatio,
        at(66),
        Duration::from_secs(600),
    );
    assert!(window.latest().is_some() && !window.is_covered());
}

#[test]
fn a_guest_that_is_gone_has_no_series() {
    let mut site = Site::new();
    site.list(0, Some(&vm(1, "aa", "x")), true);
    let status = Payload::PveStatus(pve_status(5, &[(100, "running")]));
    site.feed.send(&mut site.live, 5, vec![status]);
    assert_eq!(site.live.clusters["c"].keys.guests().count(), 1);
    site.list(60, None, true);
    site.list(120, None, true);
    assert_eq!(site.live.clusters["c"].keys.guests().count(), 0);
}
