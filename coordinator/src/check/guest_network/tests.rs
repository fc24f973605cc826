use crate::{check::testing::Scene, view::GuestStatus};

const ID: &str = "guest.mac_duplicate";
const MAC: &str = "BC:24:11:00:00:64";

fn twins() -> Scene {
    let mut scene = Scene::healthy();
    // Upper and lower case are the same address.
    scene.settings(1).nics[0].mac_address = MAC.to_lowercase();
    scene
}

#[test]
fn the_same_address_twice_is_one_finding_of_the_lowest_vmid() {
    let mut scene = twins();
    assert_eq!(scene.judge(ID, "guest/100"), format!("critical {MAC}"));
    assert_eq!(scene.judge(ID, "guest/101"), "pass");
    scene.view.guests[1].status = GuestStatus::Stopped;
    assert_eq!(scene.judge(ID, "guest/100"), format!("warning {MAC}"));
    scene.settings(1).nics[0].vlan_tag = Some(7);
    assert_eq!(scene.judge(ID, "guest/100"), format!("info {MAC}"));
    assert_eq!(Scene::healthy().judge(ID, "guest/100"), "pass");
}

#[test]
fn a_template_and_what_is_not_an_address_do_not_count() {
    let mut scene = twins();
    scene.view.guests[1].template = true;
    assert_eq!(scene.judge(ID, "guest/100"), "pass");
    assert_eq!(scene.judge(ID, "guest/101"), "not applicable");
    for junk in [
        "",
        "00:00:00:00:00:00",
        "auto",
        "1:2:3:4:5:6",
        "BC:24:11:00:00",
    ] {
        let mut scene = Scene::healthy();
        for guest in [0, 1] {
            scene.settings(guest).nics[0].mac_address = junk.to_owned();
        }
        assert_eq!(scene.judge(ID, "guest/100"), "pass", "{junk}");
    }
}

#[test]
fn addresses_must_be_known() {
    let mut scene = twins();
    scene.view.clusters[0].guest_configs_at = None;
    assert_eq!(scene.judge(ID, "guest/100"), "unknown");
    let mut scene = twins();
    scene.view.guests[1].config = None;
    assert_eq!(scene.judge(ID, "guest/101"), "unknown");
}
