use pvelens_proto::agent::v1::Filesystem;

use crate::check::testing::Scene;

const ID: &str = "storage.dir.not_mountpoint";
const SUBJECT: &str = "storage/local@pve1";

fn at_path(path: &str, mounts: &[&str]) -> Scene {
    let mut scene = Scene::healthy();
    scene.storage(0).path = path.to_owned();
    for mount in mounts {
        scene.mounts(0).push(Filesystem {
            mount_point: (*mount).to_owned(),
            ..Filesystem::default()
        });
    }
    scene
}

#[test]
fn a_path_is_judged_by_what_it_lies_on() {
    for (path, mounts, expected) in [
        ("/var/lib/vz", &[][..], "not applicable"),
        ("/mnt/backup", &["/mnt/backup"][..], "warning"),
        ("/mnt/backup/vm", &["/mnt/backup"][..], "warning"),
        ("/mnt/backup", &[][..], "critical"),
        ("/media/usb", &[][..], "critical"),
        ("/srv/data", &[][..], "warning"),
        ("/var/lib/vz", &["/var/lib/vz"][..], "warning"),
    ] {
        let scene = at_path(path, mounts);
        assert_eq!(scene.judge(ID, SUBJECT), expected, "{path} {mounts:?}");
    }
}

#[test]
fn another_node_shows_that_it_is_meant_to_be_a_mount() {
    let mut scene = at_path("/tank", &[]);
    assert_eq!(scene.judge(ID, SUBJECT), "not applicable");
    scene.mounts(1).push(Filesystem {
        mount_point: "/tank".to_owned(),
        ..Filesystem::default()
    });
    assert_eq!(scene.judge(ID, SUBJECT), "critical");
    assert_eq!(scene.judge(ID, "storage/local@pve2"), "warning");
    let result = scene.run(ID);
    let crate::check::Outcome::Fail(failure) = &result.verdicts[0].outcome else {
        panic!("{result:?}");
    };
    assert_eq!(failure.lane, Some(crate::finding::Lane::Health));
}

#[test]
fn a_storage_that_demands_its_mount_passes() {
    let mut scene = at_path("/mnt/backup", &[]);
    scene.storage(0).required_mount_point = "yes".to_owned();
    assert_eq!(scene.judge(ID, SUBJECT), "pass");
    scene.storage(0).disabled = true;
    assert_eq!(scene.judge(ID, SUBJECT), "not applicable");
}

#[test]
fn mounts_and_configuration_must_be_known() {
    let mut scene = at_path("/mnt/backup", &[]);
    scene.mounts(0).clear();
    assert_eq!(scene.judge(ID, SUBJECT), "unknown");
    let mut scene = at_path("/mnt/backup", &[]);
    scene.view.clusters[0].storage_config_at = Some(scene.minutes_ago(16));
    assert_eq!(scene.judge(ID, SUBJECT), "unknown");
}
