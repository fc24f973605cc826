use std::{collections::BTreeMap, sync::Arc};

use pvelens_proto::{
    agent::v1::{
        ClusterMember, ClusterMembers, ClusterSummary, FailureKind, HostIdentity, Load, NoData,
        Sample, SourceFailure, Unchanged, sample::Payload,
    },
    timestamp_from_millis,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::super::{
    reading::{Newest, Source},
    *,
};
use crate::{
    sampler::Sampler,
    service::{NodeAgent, serve},
    spool::Spool,
};

const AT_MILLIS: i64 = 1_795_349_087_000;

/// One source that read something a second ago.
fn reading(failures: &[(&str, FailureKind)], payload: Option<Payload>) -> Reading {
    let sample = Sample {
        collector: "load".to_owned(),
        observed_at: Some(timestamp_from_millis(AT_MILLIS - 1000)),
        failures: failures
            .iter()
            .map(|(path, kind)| SourceFailure {
                path: (*path).to_owned(),
                kind: (*kind).into(),
                detail: "refused".to_owned(),
            })
            .collect(),
        ..Sample::default()
    };
    Reading {
        sources: vec![Source {
            name: "load".to_owned(),
            interval_seconds: 10,
            path: "/etc/pve/x".to_owned(),
        }],
        newest: BTreeMap::from([("load".to_owned(), Newest { sample, payload })]),
        at: AT_MILLIS,
        started_at: AT_MILLIS - 3_600_000,
    }
}

fn load() -> Option<Payload> {
    Some(Payload::Load(Load::default()))
}

fn nothing() -> Option<Payload> {
    Some(Payload::NoData(NoData {
        reason: "no ZFS".to_owned(),
    }))
}

#[test]
fn failures_of_one_kind_are_one_item() {
    let schedstat = |process: usize| format!("/proc/{process}/task/1/schedstat");
    let paths: Vec<String> = (1..=40).map(schedstat).collect();
    let failures: Vec<_> = paths
        .iter()
        .map(|path| (path.as_str(), FailureKind::PermissionDenied))
        .chain([("/etc/pve/.members", FailureKind::Disconnected)])
        .collect();
    let items = source::look(&reading(&failures, load()), None);
    assert_eq!(items.len(), 2);
    assert_eq!(
        items[0].what,
        "load not read in part: /proc/1/task/1/schedstat: refused, and 39 more"
    );
    assert_eq!(items[0].state, State::Ok);
    assert_eq!(items[1].state, State::Problem);
    assert!(items[1].fix.contains("pve-cluster"));
}

#[test]
fn what_root_reads_and_the_agent_does_not_is_the_cage_or_a_fault() {
    let whole = reading(&[], load());
    for (path, kind, state, part) in [
        (
            "/proc/7/stat",
            FailureKind::PermissionDenied,
            State::Ok,
            "the cage closes this",
        ),
        (
            "/etc/pve/x",
            FailureKind::PermissionDenied,
            State::Problem,
            "unexpected",
        ),
        (
            "/etc/pve/x",
            FailureKind::Disconnected,
            State::Problem,
            "unexpected",
        ),
        ("", FailureKind::TimedOut, State::Warning, "may have passed"),
    ] {
        let caged = reading(&[(path, kind)], None);
        let items = source::look(&caged, Some(&whole));
        assert_eq!(items.len(), 1, "{items:?}");
        assert_eq!(items[0].state, state, "{items:?}");
        assert!(items[0].why.contains(part), "{items:?}");
        // What neither reads has the reason of its kind.
        let items = source::look(&caged, Some(&caged));
        assert!(!items[0].why.contains(part), "{items:?}");
    }
    let items = source::look(&reading(&[], nothing()), Some(&whole));
    assert!(items[0].what.contains("and root does"), "{items:?}");
    let items = source::look(&reading(&[], nothing()), Some(&reading(&[], nothing())));
    assert_eq!(items[0].what, "nothing to read for load: no ZFS");
}

#[test]
fn a_failure_without_a_path_is_explained_by_what_the_source_reads() {
    let items = source::look(&reading(&[("", FailureKind::TimedOut)], None), None);
    assert!(items[0].why.contains("pve-cluster hangs"), "{items:?}");
    assert_eq!(items[0].what, "load not read: refused");
}

#[test]
fn old_and_missing_sources_are_not_healthy() {
    let mut old = reading(&[], load());
    old.at += 300_000;
    let items = source::look(&old, None);
    assert_eq!(
        items[1].what,
        "load is overdue: 301 s old, to be read every 10 s"
    );
    let mut never = reading(&[], load());
    never.newest.clear();
    assert_eq!(source::look(&never, None)[0].state, State::Problem);
    never.started_at = AT_MILLIS - 5000;
    assert_eq!(source::look(&never, None)[0].state, State::Unknown);
}

fn node(identity: HostIdentity, failures: &[(&str, FailureKind)]) -> Vec<Item> {
    node::look(&reading(failures, Some(Payload::HostIdentity(identity))))
}

#[test]
fn what_the_node_is_is_told_from_a_dead_cluster_file_system() {
    let host = HostIdentity {
        node_name: "pve1".to_owned(),
        is_pve_node: true,
        ..HostIdentity::default()
    };
    assert_eq!(node(host.clone(), &[])[0].state, State::Ok);
    let host = HostIdentity {
        is_pve_node: false,
        ..host
    };
    let item = &node(host.clone(), &[("/etc/pve/local", FailureKind::NotFound)])[0];
    assert_eq!(item.state, State::Problem);
    assert!(item.why.contains("not mounted"), "{item:?}");
    let item = &node(host, &[])[0];
    assert_eq!(item.state, State::Warning);
    assert!(item.what.contains("not a Proxmox VE node"), "{item:?}");
    assert_eq!(node::look(&Reading::default())[0].state, State::Unknown);
}

#[test]
fn a_lost_quorum_is_said() {
    let quorum = |quorate| {
        let members = ClusterMembers {
            cluster: Some(ClusterSummary {
                name: "lab".to_owned(),
                quorate,
                ..ClusterSummary::default()
            }),
            members: vec![ClusterMember::default()],
            ..ClusterMembers::default()
        };
        let items = node::look(&reading(&[], Some(Payload::ClusterMembers(members))));
        items[1].state
    };
    assert_eq!(quorum(true), State::Ok);
    assert_eq!(quorum(false), State::Warning);
}

#[tokio::test]
async fn a_running_agent_tells_the_newest_of_every_source() {
    let directory = TempDir::new().unwrap();
    let host = Arc::new(Host::open(Path::new("/")).unwrap());
    let spool = Arc::new(Spool::new("first".to_owned()));
    let mut sampler = Sampler::new(Arc::clone(&host), Arc::clone(&spool));
    sampler.tick_blocking().unwrap();
    // Read again and found the same: the payload is that of before.
    spool.append(vec![Sample {
        collector: "host".to_owned(),
        payload: Some(Payload::Unchanged(Unchanged { since_sequence: 1 })),
        ..Sample::default()
    }]);
    let socket = directory.path().join("agent.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let shutdown = CancellationToken::new();
    let agent = NodeAgent::new(host, spool);
    let serving = tokio::spawn(serve(listener, agent, shutdown.clone()));
    let answer = ask(&socket).await.unwrap();
    assert_eq!(answer.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(answer.listener, Some(std::process::id()));
    let reading = answer.reading;
    assert!(reading.at > 0 && reading.started_at > 0);
    assert_eq!(reading.sources.len(), reading.newest.len());
    assert!(reading.identity().is_some());
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn something_else_on_the_socket_is_no_agent() {
    let directory = TempDir::new().unwrap();
    let socket = directory.path().join("agent.sock");
    assert!(matches!(ask(&socket).await, Err(AskError::Connect(_))));
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    let other = tokio::spawn(async move { drop(listener.accept().await) });
    let error = ask(&socket).await.unwrap_err();
    assert!(!matches!(error, AskError::Connect(_)), "{error}");
    other.await.unwrap();
}
