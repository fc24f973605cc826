//! Who is one machine and who is two.

use super::*;

fn heard(live: &mut Live, feed: &mut Feed, address: &str, second: i64, payload: Payload) {
    live.connected(&feed.described, address, at(second));
    feed.send(live, second, vec![payload]);
}

fn nodes(live: &Live, second: i64) -> Vec<(String, String)> {
    let view = view(live, second);
    view.nodes
        .iter()
        .map(|node| {
            let cluster = &view.clusters[node.cluster.get()];
            (cluster.id.to_string(), node.name.to_string())
        })
        .collect()
}

fn pair(cluster: &str, node: &str) -> (String, String) {
    (cluster.to_owned(), node.to_owned())
}

#[test]
fn a_node_that_joins_a_cluster_leaves_no_ghost() {
    // The stream goes on; or the node was started again and dials from the same host.
    for (epoch, address) in [
        ("alone/pve3/1", "203.0.113.9:1000"),
        ("new", "192.0.2.3:50000"),
    ] {
        let mut live = Live::default();
        let mut alone = Feed::new("alone", "pve3");
        heard(
            &mut live,
            &mut alone,
            "192.0.2.3:40000",
            0,
            standalone("pve3"),
        );
        let mut other = Feed::new("c", "pve1");
        let both = [("pve1", true), ("pve3", true)];
        heard(
            &mut live,
            &mut other,
            "192.0.2.1:40000",
            0,
            members("pve1", true, &both),
        );
        live.disconnected("192.0.2.3:40000", "closed");
        let mut joined = Feed::new("c", "pve3");
        joined.restart(epoch);
        heard(
            &mut live,
            &mut joined,
            address,
            60,
            members("pve3", true, &both),
        );
        let expected = [pair("c", "pve1"), pair("c", "pve3")];
        assert_eq!(nodes(&live, 60), expected, "{epoch}");
        assert_eq!(live.agents().len(), 2);
    }
}

#[test]
fn a_renamed_node_leaves_no_ghost() {
    let mut live = Live::default();
    let mut before = Feed::new("c", "old");
    heard(
        &mut live,
        &mut before,
        "192.0.2.1:40000",
        0,
        standalone("old"),
    );
    live.disconnected("192.0.2.1:40000", "closed");
    let mut renamed = Feed::new("c", "new");
    heard(
        &mut live,
        &mut renamed,
        "192.0.2.1:40001",
        60,
        standalone("new"),
    );
    assert_eq!(nodes(&live, 60), [pair("c", "new")]);
}

#[test]
fn a_node_that_was_removed_from_its_cluster_is_no_silent_node() {
    let mut live = Live::default();
    let mut stays = Feed::new("c", "pve1");
    let mut leaves = Feed::new("c", "pve2");
    let both = [("pve1", true), ("pve2", true)];
    heard(&mut live, &mut stays, "a", 0, members("pve1", true, &both));
    heard(&mut live, &mut leaves, "b", 0, members("pve2", true, &both));
    live.disconnected("b", "closed");
    // Down, it is still a member.
    let down = [("pve1", true), ("pve2", false)];
    heard(
        &mut live,
        &mut stays,
        "a",
        300,
        members("pve1", true, &down),
    );
    assert_eq!(nodes(&live, 300).len(), 2);
    // Without quorum nobody removes a node.
    heard(
        &mut live,
        &mut stays,
        "a",
        400,
        members("pve1", false, &[("pve1", true)]),
    );
    assert_eq!(nodes(&live, 400).len(), 2);
    heard(
        &mut live,
        &mut stays,
        "a",
        500,
        members("pve1", true, &[("pve1", true)]),
    );
    assert_eq!(nodes(&live, 500), [pair("c", "pve1")]);
}

#[test]
fn machines_that_say_the_same_of_themselves_stay_apart() {
    let mut live = Live::default();
    // Copies of one image; its machine id is not even collected.
    let cloned = || {
        Payload::HostIdentity(wire::HostIdentity {
            operating_system: "debian".to_owned(),
            ..wire::HostIdentity::default()
        })
    };
    for (cluster, node) in [("c", "pve1"), ("c", "pve2"), ("d", "pve1"), ("", "backup")] {
        let mut feed = Feed::new(cluster, node);
        let address = format!("{cluster}/{node}");
        heard(&mut live, &mut feed, &address, 0, cloned());
    }
    assert_eq!(nodes(&live, 1).len(), 4);
    assert!(live.agents().iter().all(|agent| {
        agent.connected && agent.identity_problem.is_empty() && agent.updates_total == 1
    }));
}

#[test]
fn clusters_with_equal_names_of_nodes_and_equal_vmids_stay_apart() {
    let mut live = Live::default();
    for (cluster, name, busy) in [("c", "web", 2.0), ("d", "mail", 6.0)] {
        let mut feed = Feed::new(cluster, "pve1");
        let address = format!("of {cluster}");
        let known = members("pve1", true, &[("pve1", true)]);
        heard(&mut live, &mut feed, &address, 0, known);
        let payloads = |second: i64, busy| {
            vec![
                cpu(busy, 10.0),
                guest_list(&[(100, "pve1")]),
                guest_configs(&[(100, "pve1", name)]),
                Payload::PveStatus(pve_status(second, &[(100, "running")])),
                Payload::ClusterBroadcast(broadcast(second, &["pve1"], &[100])),
            ]
        };
        feed.send(&mut live, 0, payloads(0, 0.0));
        feed.send(&mut live, 10, payloads(10, busy));
    }
    let mut view = view(&live, 10);
    live.tell_guests_apart(&mut view);
    assert_eq!(
        (view.clusters.len(), view.nodes.len(), view.guests.len()),
        (2, 2, 2)
    );
    let names: Vec<&str> = view.guests.iter().map(|guest| &*guest.name).collect();
    assert_eq!(names, ["web", "mail"]);
    let values = |node: usize| {
        let cpu = view.nodes[node].facts.cpu.as_ref().unwrap();
        cpu.value.user_seconds_total
    };
    assert_eq!((values(0), values(1)), (2.0, 6.0));
    assert_ne!(view.nodes[0].key, view.nodes[1].key);
    assert_ne!(view.guests[0].key, view.guests[1].key);
}
