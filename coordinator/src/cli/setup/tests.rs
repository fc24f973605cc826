//! The text of `setup` as it is read.

use super::plan::{Coordinator, Host, HostAgent, Line, Node, NodeAgent, Seen};

fn seen(agent: HostAgent, coordinator: Coordinator) -> Seen {
    Seen {
        host: Host {
            name: "pve1".to_owned(),
            is_pve_node: true,
            agent,
        },
        coordinator,
        is_closed: false,
    }
}

fn node(name: &str, agent: NodeAgent) -> Node {
    Node {
        cluster_id: "ab12".to_owned(),
        cluster: "lab".to_owned(),
        name: name.to_owned(),
        agent,
    }
}

fn text(seen: &Seen, line: &Line) -> String {
    let elsewhere: String = seen
        .missing()
        .iter()
        .map(|missing| seen.elsewhere(missing, line))
        .collect();
    format!("{}{}{elsewhere}{}", seen.state(), seen.here(), seen.end())
}

fn made() -> Line {
    Line::Made {
        text: "pvelens-join-1.EXAMPLE".to_owned(),
        until: "18:30 UTC".to_owned(),
    }
}

fn three() -> Seen {
    let nodes = vec![
        node("pve1", NodeAgent::Connected),
        node("pve2", NodeAgent::None),
        node("pve3", NodeAgent::None),
    ];
    seen(HostAgent::Running, Coordinator::Answers(nodes))
}

#[test]
fn nothing_runs_yet() {
    let seen = seen(HostAgent::Absent, Coordinator::Stopped);
    insta::assert_snapshot!(text(&seen, &Line::NotAsked));
}

#[test]
fn a_single_node_is_done_at_once() {
    let nodes = vec![node("pve1", NodeAgent::Connected)];
    let seen = seen(HostAgent::Running, Coordinator::Answers(nodes));
    insta::assert_snapshot!(text(&seen, &Line::NotAsked));
}

#[test]
fn two_of_three_nodes_are_missing() {
    insta::assert_snapshot!(text(&three(), &made()));
}

#[test]
fn without_a_terminal_it_says_what_it_would_make() {
    let told = text(&three(), &Line::NotAsked);
    assert!(
        told.contains("`pvelens setup --yes` makes one for 2 nodes of lab"),
        "{told}"
    );
    let told = text(&three(), &Line::Declined);
    assert!(told.contains("`pvelens agents token` makes one"), "{told}");
}

#[test]
fn everything_is_done() {
    let nodes = ["pve1", "pve2", "pve3"].map(|name| node(name, NodeAgent::Connected));
    let seen = seen(HostAgent::Running, Coordinator::Answers(nodes.into()));
    insta::assert_snapshot!(text(&seen, &made()));
}

#[test]
fn a_node_that_was_there_before_needs_no_new_line() {
    let nodes = vec![
        node("pve1", NodeAgent::Connected),
        node("pve2", NodeAgent::Lost),
    ];
    let seen = seen(HostAgent::Running, Coordinator::Answers(nodes));
    assert!(seen.missing().is_empty());
    assert!(seen.state().contains("`pvelens doctor` says why"));
}

#[test]
fn a_coordinator_beside_the_cluster_invites_the_first_node() {
    let mut seen = seen(HostAgent::Absent, Coordinator::Answers(Vec::new()));
    seen.host.is_pve_node = false;
    insta::assert_snapshot!(text(&seen, &made()));
    seen.is_closed = true;
    let told = text(&seen, &Line::NotAsked);
    assert!(told.contains("`link.enabled` is \"off\""), "{told}");
}

#[test]
fn the_own_node_needs_no_line() {
    let nodes = vec![node("pve1", NodeAgent::None)];
    let seen = seen(HostAgent::Absent, Coordinator::Answers(nodes));
    assert!(seen.missing().is_empty());
    assert!(seen.here().contains("apt install"));
}
