use std::{collections::BTreeMap, sync::Arc};

use pvelens_proto::{agent::v1 as wire, timestamp_from_millis};

use super::*;
use crate::{
    store::row::{RecordKind, StateKind},
    view::{GuestStatus, NodeStatus, fixture},
};

fn now() -> Timestamp {
    fixture::at()
}

fn ago(seconds: i64) -> Option<pvelens_proto::Timestamp> {
    let at = now() - SignedDuration::from_secs(seconds);
    Some(timestamp_from_millis(at.as_millisecond()))
}

fn seen(what: What) -> Seen {
    Seen {
        cluster: "c".into(),
        node: "pve1".into(),
        at: now(),
        before: None,
        reader: "0.2.0".into(),
        is_whole: true,
        is_quorate: true,
        what,
    }
}

fn task(number: u32) -> wire::Task {
    wire::Task {
        upid: format!("UPID:pve1:{number:08X}:0:0:qmconfig:101:root@pam:"),
        node: "pve1".to_owned(),
        started_at: ago(60),
        ended_at: ago(58),
        task_type: "qmconfig".to_owned(),
        id: "101".to_owned(),
        user: "root@pam".to_owned(),
        status: wire::TaskStatus::Ok.into(),
        ..wire::Task::default()
    }
}

fn tasks(tasks: Vec<wire::Task>) -> Seen {
    seen(What::Tasks(Arc::new(wire::Tasks {
        tasks,
        truncated: false,
    })))
}

fn log(message: &str, user: &str) -> Seen {
    seen(What::ClusterLog(Arc::new(wire::ClusterLog {
        entries: vec![wire::ClusterLogEntry {
            logged_at: ago(30),
            node: "pve1".to_owned(),
            priority: 6,
            user: user.to_owned(),
            message: message.to_owned(),
            ..wire::ClusterLogEntry::default()
        }],
    })))
}

fn kept() -> Chronicle {
    let mut chronicle = Chronicle::default();
    chronicle.load(Vec::new(), Vec::new());
    chronicle
}

fn told(chronicle: &mut Chronicle) -> Vec<(String, Event)> {
    let of = |change: Change| match change {
        Change::AddRecord(record) if record.kind == RecordKind::Event => {
            let event = serde_json::from_slice(&record.body).unwrap();
            Some((record.subject.to_string(), event))
        }
        _ => None,
    };
    let told = chronicle.take().into_iter().filter_map(of).collect();
    chronicle.confirm();
    told
}

#[test]
fn a_task_is_told_when_it_runs_and_when_it_has_ended_and_not_again() {
    let mut chronicle = kept();
    let running = wire::Task {
        ended_at: None,
        status: wire::TaskStatus::Running.into(),
        ..task(1)
    };
    chronicle.note(
        vec![tasks(vec![running.clone()]), tasks(vec![running])],
        now(),
    );
    let begun = told(&mut chronicle);
    assert_eq!(begun.len(), 1);
    assert_eq!(begun[0].1.text, "configure VM 101: running");
    chronicle.note(
        vec![tasks(vec![task(1)]), tasks(vec![task(1), task(2)])],
        now(),
    );
    let ended = told(&mut chronicle);
    assert_eq!(ended.len(), 2);
    let (subject, event) = &ended[0];
    assert_eq!((&**subject, &*event.user), ("guest/101", "root@pam"));
    assert_eq!(event.text, "configure VM 101: ok");
    let failed = wire::Task {
        status: wire::TaskStatus::Error.into(),
        error: "no space\u{1b}[2J".to_owned(),
        ..task(3)
    };
    chronicle.note(vec![tasks(vec![failed])], now());
    let failed = told(&mut chronicle);
    assert_eq!(failed[0].1.level, Level::Error);
    assert_eq!(
        failed[0].1.text,
        "configure VM 101: failed: no space\u{fffd}[2J"
    );
}

#[test]
fn the_log_names_guests_and_hides_what_was_typed_at_a_login() {
    let mut chronicle = kept();
    chronicle.note(
        vec![log("update VM 101: -cores 2 -memory 512", "deploy@pve!ci")],
        now(),
    );
    chronicle.note(
        vec![log(
            "starting task UPID:pve1:0:0:0:qmstart:101:root@pam:",
            "",
        )],
        now(),
    );
    let said = told(&mut chronicle);
    assert_eq!(said.len(), 1);
    assert_eq!((&*said[0].0, said[0].1.kind), ("guest/101", EventKind::Log));
    let settings = event::cluster_log::changed_settings(&said[0].1.text).unwrap();
    assert_eq!(settings, ["cores", "memory"]);

    let mut chronicle = kept();
    let failure = "authentication failure; rhost=::ffff:192.0.2.9 user=hunter2@pam msg=no";
    chronicle.note(vec![log(failure, "hunter2@pam")], now());
    let said = told(&mut chronicle);
    assert_eq!(said[0].1.text, "a login from 192.0.2.9 failed");
    assert!(!format!("{said:?}").contains("hunter2"));
}

#[test]
fn the_journal_tells_trouble_once_in_a_while() {
    let minute = |seconds| wire::JournalMinute {
        at: ago(seconds),
        count: 40,
    };
    let journal = wire::JournalEvents {
        groups: vec![wire::JournalGroup {
            class: wire::JournalClass::OomKill.into(),
            boot_id: "b".to_owned(),
            minutes: vec![minute(1800), minute(1740), minute(600)],
            samples: vec![wire::JournalLine {
                text: "Killed process 4711 (kvm)".to_owned(),
                ..wire::JournalLine::default()
            }],
            ..wire::JournalGroup::default()
        }],
        ..wire::JournalEvents::default()
    };
    let mut chronicle = kept();
    let journal = seen(What::Journal(Arc::new(journal)));
    chronicle.note(vec![journal.clone(), journal], now());
    let said = told(&mut chronicle);
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(
        (said[0].1.kind, said[0].1.level),
        (EventKind::Kernel, Level::Error)
    );
    assert!(said[0].1.text.contains("Killed process 4711"), "{said:?}");
}

#[test]
fn a_node_that_says_too_much_is_not_listened_to_for_an_hour() {
    let mut chronicle = kept();
    let flood = (0..20_000).map(task).collect();
    chronicle.note(vec![tasks(flood)], now());
    assert!(told(&mut chronicle).len() <= RECORDS_AN_HOUR + 1);
    chronicle.note(vec![tasks(vec![task(77_777)])], now());
    chronicle.note(vec![tasks(vec![task(77_778)])], now());
    // The gap is told, once, and nothing else.
    let gap = told(&mut chronicle);
    assert_eq!(gap.len(), 1, "{gap:?}");
    assert_eq!((&*gap[0].0, gap[0].1.kind), ("node/pve1", EventKind::Agent));
    // Others are.
    let other = Seen {
        node: "pve2".into(),
        ..tasks(vec![task(88_888)])
    };
    chronicle.note(vec![other], now());
    assert_eq!(told(&mut chronicle).len(), 1);
    chronicle.note(vec![tasks(vec![task(77_777)])], now() + HOUR);
    assert_eq!(told(&mut chronicle).len(), 1);
}

#[test]
fn what_is_on_its_way_can_be_read_until_it_is_on_the_disk() {
    let mut chronicle = kept();
    chronicle.note(vec![tasks(vec![task(1)])], now());
    let all = RecordQuery {
        kind: RecordKind::Event,
        from: None,
        until: None,
        cluster: None,
        subject: None,
        before: None,
        limit: 9,
    };
    assert_eq!(chronicle.take().len(), 1);
    assert_eq!(chronicle.waiting(&all).len(), 1);
    chronicle.note(vec![tasks(vec![task(2)])], now());
    // The first time it could not be written.
    assert_eq!(chronicle.take().len(), 2);
    chronicle.note(vec![tasks(vec![task(3)])], now());
    chronicle.confirm();
    assert_eq!(chronicle.waiting(&all).len(), 1);
    let elsewhere = RecordQuery {
        subject: Some("guest/7".into()),
        ..all
    };
    assert!(chronicle.waiting(&elsewhere).is_empty());
}

#[test]
fn without_a_store_nothing_is_written_down() {
    let mut chronicle = Chronicle::default();
    chronicle.note(vec![tasks(vec![task(1)])], now());
    chronicle.compare(&fixture::healthy());
    assert!(chronicle.take().is_empty());
}

#[test]
fn what_differs_between_two_views_has_happened() {
    let mut chronicle = kept();
    let mut view = fixture::healthy();
    chronicle.compare(&view);
    assert!(
        told(&mut chronicle).is_empty(),
        "the first view tells nothing"
    );
    view.at += SignedDuration::from_secs(10);
    view.nodes[1].status = NodeStatus::Offline;
    view.guests[0].status = GuestStatus::Stopped;
    chronicle.compare(&view);
    view.at += SignedDuration::from_secs(10);
    // Nothing is heard, which is no news of the guest.
    view.guests[0].status = GuestStatus::Unknown;
    view.nodes[1].status = NodeStatus::Unknown;
    chronicle.compare(&view);
    view.at += SignedDuration::from_secs(10);
    view.guests[0].status = GuestStatus::Running;
    view.guests[0].node = crate::view::NodeIndex(1);
    view.nodes[1].status = NodeStatus::Online;
    for membership in view
        .clusters
        .iter_mut()
        .flat_map(|one| &mut one.memberships)
    {
        membership.quorate = Some(false);
    }
    chronicle.compare(&view);
    let said: Vec<(String, String)> = told(&mut chronicle)
        .into_iter()
        .map(|(subject, event)| (subject, event.text))
        .collect();
    insta::assert_debug_snapshot!(said);
}

#[test]
fn what_became_otherwise_while_none_ran_is_told_by_the_next() {
    let mut chronicle = kept();
    let mut view = fixture::healthy();
    chronicle.compare(&view);
    view.at += SignedDuration::from_secs(10);
    view.nodes[1].status = NodeStatus::Offline;
    chronicle.compare(&view);
    let rows = |changes: Vec<Change>| -> BTreeMap<String, StateRow> {
        let row = |change| match change {
            Change::PutState(row) if row.kind == StateKind::Last => Some((row.key.clone(), row)),
            _ => None,
        };
        changes.into_iter().filter_map(row).collect()
    };
    let first = rows(chronicle.take());
    chronicle.confirm();
    assert_eq!(
        String::from_utf8_lossy(&first["looked"].body),
        format!("{{\"at\":\"{}\"}}", view.at)
    );
    // Only what is otherwise is kept again.
    view.at += SignedDuration::from_secs(10);
    chronicle.compare(&view);
    assert_eq!(rows(chronicle.take()).len(), 1);

    let last = || first.values().cloned().collect();
    let mut next = Chronicle::default();
    next.load(Vec::new(), last());
    view.at += SignedDuration::from_mins(12);
    // Nobody is heard at first.
    let mut empty = fixture::healthy();
    empty.at = view.at;
    (empty.nodes, empty.guests) = (Vec::new(), Vec::new());
    empty.clusters[0].guest_list_counts = false;
    next.compare(&empty);
    let back = told(&mut next);
    assert!(
        back[0].1.text.starts_with("nobody looked for 12 min"),
        "{back:?}"
    );
    view.nodes[1].status = NodeStatus::Online;
    // The node sends what it kept first: that the guest still ran.
    next.compare(&view);
    view.at += SignedDuration::from_secs(10);
    view.guests[0].status = GuestStatus::Stopped;
    next.compare(&view);
    view.at += SignedDuration::from_secs(10);
    view.guests[0].status = GuestStatus::Running;
    next.compare(&view);
    view.at += SignedDuration::from_secs(60);
    next.compare(&view);
    view.at += SignedDuration::from_secs(10);
    view.nodes[0].status = NodeStatus::Offline;
    next.compare(&view);
    let said: Vec<_> = told(&mut next)
        .into_iter()
        .map(|(_, event)| event.text)
        .collect();
    assert_eq!(
        said,
        [
            "the node is online again (may be older: nobody looked for 12 min)",
            "stopped (may be older: nobody looked for 12 min)",
            "runs",
            "the node went offline"
        ]
    );
    // A restart is no gap, and what cannot be read is as if it was never seen.
    let mut next = Chronicle::default();
    let damaged = last().into_iter().map(|row: StateRow| match &*row.key {
        key if key.contains("node/") => StateRow {
            body: b"{".to_vec(),
            ..row
        },
        _ => row,
    });
    next.load(Vec::new(), damaged.collect());
    view.at = fixture::at() + SignedDuration::from_secs(40);
    next.compare(&view);
    assert!(told(&mut next).is_empty());
}

#[test]
fn what_was_done_with_the_coordinator_is_told() {
    let fields = [
        ("role", "operator"),
        ("client", "alice"),
        ("vmid", "101"),
        ("rule", ""),
    ];
    let act = Act {
        at: now(),
        what: "guest command".to_owned(),
        fields: fields
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    };
    let mut chronicle = kept();
    chronicle.audit(&[act]);
    let changes = chronicle.take();
    let [Change::AddRecord(record)] = changes.as_slice() else {
        panic!("{changes:?}");
    };
    assert_eq!(
        (record.kind, &*record.subject),
        (RecordKind::Audit, "guest/101")
    );
    let event: Event = serde_json::from_slice(&record.body).unwrap();
    assert_eq!(event.text, "guest command: role operator, vmid 101");
    assert_eq!(event.user, "alice");
}
