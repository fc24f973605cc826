use crate::check::testing::{Scene, outages::edit};
use pvelens_proto::agent::v1::FailureKind;

const ID: &str = "cluster.pmxcfs.unresponsive";
const NODE: &str = "node/pve1";

#[test]
fn a_read_that_hangs_or_fails_as_a_whole_is_the_file_system() {
    for (path, kind) in [
        ("", FailureKind::TimedOut),
        ("", FailureKind::InProgress),
        ("/etc/pve/.version", FailureKind::Disconnected),
        ("/etc/pve/.version", FailureKind::NotFound),
        ("/etc/pve/.version", FailureKind::Io),
    ] {
        let mut scene = Scene::healthy();
        scene.fail(0, "config_versions", path, kind);
        assert_eq!(scene.judge(ID, NODE), "critical", "{kind:?}");
        assert_eq!(scene.judge(ID, "node/pve2"), "pass");
    }
}

#[test]
fn a_file_that_is_torn_or_not_readable_is_not() {
    for kind in [FailureKind::Truncated, FailureKind::PermissionDenied] {
        let mut scene = Scene::healthy();
        scene.fail(0, "config_versions", "/etc/pve/.version", kind);
        assert_eq!(scene.judge(ID, NODE), "pass");
        // The other reader says nothing either.
        let old = scene.minutes_ago(5);
        let facts = &mut scene.node(0).facts;
        facts.members.as_mut().unwrap().at = old;
        facts.config_versions.as_mut().unwrap().at = old;
        assert_eq!(scene.judge(ID, NODE), "unknown");
    }
    let mut scene = Scene::healthy();
    scene.fail(0, "storage_config", "", FailureKind::TimedOut);
    scene.fail(0, "members", "/proc/other", FailureKind::TimedOut);
    assert_eq!(scene.judge(ID, NODE), "pass");
}

#[test]
fn the_service_is_named_when_it_does_not_run() {
    let mut scene = Scene::healthy();
    scene.fail(0, "members", "/etc/pve/.members", FailureKind::Disconnected);
    insta::assert_snapshot!(scene.summary(ID), @"The cluster file system /etc/pve of pve1 is dead: nothing can be configured or started there.");
    edit(&mut scene.node(0).facts.units).units[0].active_state = "failed".to_owned();
    insta::assert_snapshot!(scene.summary(ID), @"The cluster file system /etc/pve of pve1 is dead (pve-cluster.service is failed): nothing can be configured or started there.");
}

#[test]
fn a_silent_agent_and_another_machine_say_nothing() {
    let mut scene = Scene::healthy();
    scene.fail(0, "members", "", FailureKind::TimedOut);
    scene.silence(0, 5);
    assert_eq!(scene.judge(ID, NODE), "unknown");
    scene.silence(0, 0);
    scene.node(0).agent.as_mut().unwrap().is_pve_node = false;
    assert_eq!(scene.judge(ID, NODE), "not applicable");
}
