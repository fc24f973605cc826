use pvelens_proto::agent::v1 as wire;

use crate::{check::testing::Scene, view::GuestStatus};

const PRIVILEGED: &str = "ct.privileged";
const NESTING: &str = "ct.privileged_nesting";
const CONFINEMENT: &str = "ct.confinement_off";
const CT: &str = "guest/101";

fn container(unprivileged: Option<bool>, features: &[&str]) -> Scene {
    let mut scene = Scene::healthy();
    let settings = scene.settings(1);
    settings.unprivileged = unprivileged;
    settings.features = features
        .iter()
        .map(|feature| (*feature).to_owned())
        .collect();
    scene
}

#[test]
fn privilege_and_nesting_are_judged_together() {
    for (unprivileged, features, privileged, nesting) in [
        (Some(true), &["nesting"][..], "pass", "pass"),
        (Some(false), &[][..], "warning", "pass"),
        (None, &[][..], "warning", "pass"),
        (None, &["keyctl"][..], "warning", "pass"),
        (None, &["nesting"][..], "critical", "critical"),
        (None, &["mount=nfs"][..], "warning", "critical"),
    ] {
        let scene = container(unprivileged, features);
        assert_eq!(scene.judge(PRIVILEGED, CT), privileged, "{features:?}");
        assert_eq!(scene.judge(NESTING, CT), nesting, "{features:?}");
    }
}

#[test]
fn exposure_and_host_devices_make_it_critical() {
    let mut scene = container(None, &[]);
    scene.settings(1).tags = vec!["internet-facing".to_owned()];
    assert_eq!(scene.judge(PRIVILEGED, CT), "critical");
    let mut scene = container(None, &[]);
    scene.settings(1).volumes.push(wire::GuestVolume {
        kind: wire::VolumeKind::Device.into(),
        host_path: "/dev/ttyUSB0".to_owned(),
        ..wire::GuestVolume::default()
    });
    assert_eq!(scene.judge(PRIVILEGED, CT), "critical");
    scene.view.guests[1].status = GuestStatus::Stopped;
    assert_eq!(scene.judge(PRIVILEGED, CT), "warning");
}

#[test]
fn lines_that_take_a_barrier_away_are_found() {
    for (key, value, expected) in [
        ("lxc.apparmor.profile", "unconfined", "critical"),
        ("lxc.apparmor.profile", "generated", "pass"),
        ("lxc.cap.drop", "", "critical"),
        ("lxc.cap.drop", "sys_module", "pass"),
        ("lxc.cgroup2.devices.allow", "a", "critical"),
        ("lxc.cgroup2.devices.allow", "c 226:0 rwm", "pass"),
        ("lxc.idmap", "u 0 0 65536", "critical"),
        ("lxc.idmap", "u 0 100000 65536", "pass"),
        ("lxc.seccomp.profile", "/usr/share/none", "critical"),
    ] {
        let mut scene = Scene::healthy();
        scene.settings(1).confinement_lines = vec![wire::RawLxcLine {
            key: key.to_owned(),
            value: value.to_owned(),
        }];
        assert_eq!(scene.judge(CONFINEMENT, CT), expected, "{key} {value}");
    }
}

#[test]
fn only_containers_with_known_settings_are_judged() {
    let mut scene = container(None, &["nesting"]);
    for id in [PRIVILEGED, NESTING, CONFINEMENT] {
        assert_eq!(scene.judge(id, "guest/100"), "not applicable");
    }
    scene.view.guests[1].config = None;
    for id in [PRIVILEGED, NESTING, CONFINEMENT] {
        assert_eq!(scene.judge(id, CT), "unknown");
    }
}
