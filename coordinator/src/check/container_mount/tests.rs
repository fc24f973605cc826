use pvelens_proto::agent::v1::{GuestVolume, VolumeKind};

use super::*;
use crate::check::testing::Scene;

const SYSTEM_ID: &str = "ct.bind_mount_system";
const DATA_ID: &str = "ct.data_not_backed_up";
const CT: &str = "guest/101";

fn with(volume: GuestVolume) -> Scene {
    let mut scene = Scene::healthy();
    scene.settings(1).volumes.push(GuestVolume {
        key: "mp0".to_owned(),
        mount_point: "/data".to_owned(),
        ..volume
    });
    scene
}

fn bind(path: &str) -> GuestVolume {
    GuestVolume {
        kind: VolumeKind::BindMount.into(),
        host_path: path.to_owned(),
        ..GuestVolume::default()
    }
}

#[test]
fn system_directories_and_control_sockets_are_the_nodes() {
    for path in [
        "/",
        "/etc",
        "/etc/",
        "//etc",
        "/srv/../etc",
        "/root",
        "/etc/pve",
        "/etc/pve/nodes",
        "/var/run",
        "/run/docker.sock",
        "/var/run/docker.sock",
        "/run/containerd/containerd.sock",
    ] {
        assert!(is_system(path), "{path}");
    }
    for path in [
        "",
        "etc",
        "/mnt/data",
        "/var/lib/data",
        "/etcetera",
        "/home",
        "/rpool/data",
    ] {
        assert!(!is_system(path), "{path}");
    }
}

#[test]
fn a_system_mount_is_critical_while_it_can_be_written() {
    assert_eq!(with(bind("/etc")).judge(SYSTEM_ID, CT), "critical mp0");
    let read_only = GuestVolume {
        read_only: true,
        ..bind("/etc")
    };
    assert_eq!(with(read_only).judge(SYSTEM_ID, CT), "warning mp0");
    assert_eq!(with(bind("/mnt/bindmounts/a")).judge(SYSTEM_ID, CT), "pass");
    assert_eq!(
        Scene::healthy().judge(SYSTEM_ID, "guest/100"),
        "not applicable"
    );
}

#[test]
fn data_outside_backups_is_found() {
    let volume = |size, backup| GuestVolume {
        kind: VolumeKind::MountPoint.into(),
        size_bytes: Some(size),
        backup,
        ..GuestVolume::default()
    };
    for (volume, expected) in [
        (volume(1 << 30, false), "warning"),
        (volume((1 << 30) - 1, false), "pass"),
        (volume(1 << 40, true), "pass"),
        (
            GuestVolume {
                read_only: true,
                ..volume(1 << 40, false)
            },
            "pass",
        ),
        (bind("/mnt/bindmounts/a"), "warning"),
    ] {
        assert_eq!(
            with(volume.clone()).judge(DATA_ID, CT),
            expected,
            "{volume:?}"
        );
    }
    let mut scene = with(volume(1 << 40, false));
    assert_eq!(
        scene.summary(DATA_ID),
        "Backups of container 101 (dns) leave out /data (1.0 TiB)."
    );
    scene.settings(1).tags = vec!["scratch".to_owned()];
    assert_eq!(scene.judge(DATA_ID, CT), "pass");
    assert_eq!(scene.judge(DATA_ID, "guest/100"), "not applicable");
    scene.view.guests[1].config = None;
    assert_eq!(scene.judge(DATA_ID, CT), "unknown");
    assert_eq!(scene.judge(SYSTEM_ID, CT), "unknown");
}
