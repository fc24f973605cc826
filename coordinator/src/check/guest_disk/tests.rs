use pvelens_proto::agent::v1::VolumeKind;

use crate::{check::testing::Scene, view::GuestStatus};

const ID: &str = "guest.disk.cache_unsafe";
const VM: &str = "guest/100";

fn cache(mode: &str, tags: &[&str]) -> Scene {
    let mut scene = Scene::healthy();
    let settings = scene.settings(0);
    settings.volumes[0].cache = mode.to_owned();
    settings.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    scene
}

#[test]
fn modes_are_judged_by_what_the_disk_holds() {
    for (mode, tags, expected) in [
        ("", &[][..], "pass"),
        ("none", &[][..], "pass"),
        ("unsafe", &[][..], "critical scsi0"),
        ("unsafe", &["ephemeral"][..], "not applicable"),
        ("writeback", &[][..], "pass"),
        ("writeback", &["database"][..], "warning scsi0"),
    ] {
        assert_eq!(cache(mode, tags).judge(ID, VM), expected, "{mode} {tags:?}");
    }
    assert_eq!(Scene::healthy().judge(ID, "guest/101"), "not applicable");
}

#[test]
fn a_cd_rom_may_be_unsafe_and_a_stopped_guest_is_less_urgent() {
    let mut scene = cache("unsafe", &[]);
    scene.view.guests[0].status = GuestStatus::Stopped;
    assert_eq!(scene.judge(ID, VM), "warning scsi0");
    scene.settings(0).volumes[0].kind = VolumeKind::Cdrom.into();
    assert_eq!(scene.judge(ID, VM), "pass");
}

#[test]
fn configuration_must_be_known() {
    let mut scene = cache("unsafe", &[]);
    scene.view.guests[0].config = None;
    assert_eq!(scene.judge(ID, VM), "unknown");
    let mut scene = cache("unsafe", &[]);
    scene.view.clusters[0].guest_configs_at = Some(scene.minutes_ago(16));
    assert_eq!(scene.judge(ID, VM), "unknown");
}
