use pvelens_proto::{agent::v1 as wire, timestamp_from_millis};
use serde_json::json;

use super::*;
use crate::{
    answer::{
        self, FindingFilter, Page,
        events::{Events, EventsFilter},
        metrics::fixture::{Kept, ago},
        revisions::RevisionsFilter,
        tests::{current, open},
    },
    check::Params,
    chronicle::{EventKind, Level, revision},
    coordinator::Current,
    finding::{FindingState, Severity},
    live::seen::{Seen, What},
    render::{Format, Render, Style, events::Told},
    store::{Batch, row::Change},
    view::fixture::at,
};

/// A coordinator that has seen a day of edits, tasks and words.
pub(crate) fn day(kept: &Kept) -> Arc<Coordinator> {
    let coordinator = Arc::new(Coordinator::new(Params::default()));
    coordinator.keep_in(Arc::clone(&kept.store), at()).unwrap();
    coordinator.chronicle().note(heard(), at());
    coordinator
}

fn seen(seconds: i64, what: What) -> Seen {
    Seen {
        cluster: "c0ffee".into(),
        node: "pve1".into(),
        at: ago(seconds),
        before: Some(ago(seconds + 10)),
        reader: "0.2.0".into(),
        is_whole: true,
        is_quorate: true,
        what,
    }
}

fn guest(cores: u32, memory_mebibytes: u64, tags: &[&str]) -> What {
    What::Guests(vec![Arc::new(wire::GuestConfig {
        vmid: 100,
        kind: wire::GuestKind::Qemu.into(),
        node: "pve1".to_owned(),
        settings: Some(wire::GuestSettings {
            name: "web".to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            cores: Some(cores),
            memory_bytes: Some(memory_mebibytes << 20),
            ..wire::GuestSettings::default()
        }),
        ..wire::GuestConfig::default()
    })])
}

fn time(seconds: i64) -> Option<pvelens_proto::Timestamp> {
    Some(timestamp_from_millis(ago(seconds).as_millisecond()))
}

fn task(seconds: i64, length: i64, kind: &str, id: &str, user: &str) -> wire::Task {
    wire::Task {
        upid: format!("UPID:pve1:1:1:{seconds}:{kind}:{id}:{user}:"),
        node: "pve1".to_owned(),
        started_at: time(seconds),
        ended_at: time(seconds - length),
        task_type: kind.to_owned(),
        id: id.to_owned(),
        user: user.to_owned(),
        status: wire::TaskStatus::Ok.into(),
        ..wire::Task::default()
    }
}

/// What agents said in a day.
pub(crate) fn heard() -> Vec<Seen> {
    let word = |seconds: i64, message: &str, user: &str| wire::ClusterLogEntry {
        logged_at: time(seconds),
        node: "pve1".to_owned(),
        priority: 6,
        uid: seconds.unsigned_abs(),
        user: user.to_owned(),
        message: message.to_owned(),
        ..wire::ClusterLogEntry::default()
    };
    let failed = wire::Task {
        status: wire::TaskStatus::Error.into(),
        error: "storage 'nas' is not online".to_owned(),
        ..task(9_000, 120, "vzdump", "100", "root@pam")
    };
    vec![
        seen(80_000, guest(2, 2048, &["prod"])),
        // By a call, which the cluster's log has.
        seen(40_000, guest(4, 4096, &["prod"])),
        // By a task, which began before.
        seen(20_000, guest(4, 8192, &["prod"])),
        // By nobody that is known, though somebody did something else at the time.
        seen(10_000, guest(4, 8192, &["prod", "web"])),
        seen(
            30,
            What::ClusterLog(Arc::new(wire::ClusterLog {
                entries: vec![
                    word(
                        40_003,
                        "update VM 100: -cores 4 -memory 4096",
                        "deploy@pve!ci",
                    ),
                    word(10_004, "update VM 100: -cores 4", "alice@pam"),
                ],
            })),
        ),
        seen(
            30,
            What::Tasks(Arc::new(wire::Tasks {
                tasks: vec![
                    failed,
                    task(20_002, 1, "qmconfig", "100", "bob@pve"),
                    task(20_001, 1, "qmstart", "100", "carol@pve"),
                ],
                truncated: false,
            })),
        ),
    ]
}

fn everything() -> EventsFilter {
    EventsFilter {
        cluster: String::new(),
        subjects: Vec::new(),
        kinds: Vec::new(),
        minimum_level: Level::Info,
        from: None,
        until: None,
        limit: 0,
    }
}

fn asked(current: &Current, past: &Past, filter: &EventsFilter) -> Events {
    answer::events(current, past, filter, at()).unwrap()
}

#[test]
fn everything_that_happened_is_one_line_of_time() {
    let kept = Kept::new();
    let coordinator = day(&kept);
    let (past, current) = (Past::of(&coordinator), current());
    let events = asked(&current, &past, &everything());
    assert!(
        events
            .events
            .is_sorted_by_key(|event| std::cmp::Reverse(event.at))
    );
    assert_eq!(events.events.len(), 8);
    // The same whether it waits or is in the store.
    coordinator.write_down(at()).unwrap();
    assert_eq!(asked(&current, &past, &everything()), events);

    let told = Told {
        events,
        is_timeline: true,
    };
    for width in [80, 200] {
        let style = Style {
            format: Format::Text,
            width: Some(width),
            color: false,
        };
        let text = told.text(&style);
        assert!(
            text.lines()
                .all(|line| line.chars().count() <= width.into()),
            "{text}"
        );
        insta::assert_snapshot!(format!("timeline_{width}"), text);
    }
    let narrow = Style {
        width: Some(48),
        ..Style::default()
    };
    insta::assert_snapshot!("timeline_narrow", told.text(&narrow));
    insta::assert_snapshot!("timeline_markdown", told.markdown());
}

#[test]
fn events_are_chosen_by_what_was_asked() {
    let kept = Kept::new();
    let coordinator = day(&kept);
    let (past, current) = (Past::of(&coordinator), current());
    let kinds = |filter: &EventsFilter| -> Vec<EventKind> {
        let events = asked(&current, &past, filter).events;
        events.into_iter().map(|event| event.kind).collect()
    };
    let errors = EventsFilter {
        minimum_level: Level::Error,
        ..everything()
    };
    assert_eq!(kinds(&errors), [EventKind::Task]);
    let edits = EventsFilter {
        kinds: vec![EventKind::Config],
        subjects: vec!["web".to_owned()],
        ..everything()
    };
    assert_eq!(kinds(&edits), [EventKind::Config; 3]);
    let node = EventsFilter {
        subjects: vec!["node/pve1".to_owned()],
        kinds: vec![EventKind::Task],
        ..everything()
    };
    assert_eq!(kinds(&node).len(), 3);
    let other = EventsFilter {
        subjects: vec!["guest/10".to_owned()],
        ..everything()
    };
    assert!(kinds(&other).is_empty());
    let newest = EventsFilter {
        limit: 2,
        ..everything()
    };
    let newest = asked(&current, &past, &newest);
    assert!(newest.older_left_out && newest.events.len() == 2);
    for (subject, limit) in [("nonsense", 0), ("web", 1001)] {
        let wrong = EventsFilter {
            subjects: vec![subject.to_owned()],
            limit,
            ..everything()
        };
        assert!(answer::events(&current, &past, &wrong, at()).is_err());
    }
    let nothing_kept = Past::of(&Arc::new(Coordinator::new(Params::default())));
    let error = answer::events(&current, &nothing_kept, &everything(), at()).unwrap_err();
    assert_eq!(error, PastError::NoStore);
}

fn written(finding: &Finding, seconds: i64) -> Change {
    let event = FindingEvent {
        finding: finding.clone(),
        was: None,
    };
    Change::AddRecord(NewRecord {
        kind: RecordKind::Finding,
        at: ago(seconds),
        cluster: finding.cluster.as_str().into(),
        subject: finding.subject.as_str().into(),
        key: String::new(),
        body: serde_json::to_vec(&event).unwrap(),
    })
}

#[test]
fn findings_since_a_time_are_those_that_changed_and_those_that_are_over() {
    let kept = Kept::new();
    let coordinator = day(&kept);
    let old = open("node.load", "node/pve1", Severity::Warning);
    let present = open("guest.disk.space", "guest/100", Severity::Critical);
    let over = open("storage.pool.space", "storage/nas", Severity::Critical);
    coordinator.chronicle().add(vec![
        written(&old, 9_000),
        written(&over, 3_000),
        written(&present, 2_000),
        written(&over, 1_000),
    ]);
    let mut current = current();
    current.findings = vec![old, present];
    let past = Past::of(&coordinator);
    let told = |since, filter: &FindingFilter| -> Vec<(String, FindingState)> {
        let page = Page::default();
        let answer = answer::findings_since(&current, &past, ago(since), filter, &page);
        let findings = answer.unwrap().findings;
        findings
            .into_iter()
            .map(|one| (one.check, one.state))
            .collect()
    };
    let all = FindingFilter::default();
    let (disk, pool) = (
        "guest.disk.space".to_owned(),
        "storage.pool.space".to_owned(),
    );
    let both = [
        (disk.clone(), FindingState::Open),
        (pool, FindingState::Resolved),
    ];
    assert_eq!(told(4_000, &all), both);
    assert_eq!(told(90_000, &all).len(), 3);
    let of_guest = FindingFilter {
        subject: "guest/100".to_owned(),
        ..FindingFilter::default()
    };
    assert_eq!(told(4_000, &of_guest), [(disk, FindingState::Open)]);
}

#[test]
fn what_operators_say_is_an_event() {
    let kept = Kept::new();
    let coordinator = day(&kept);
    let event = json!({
        "what": "made",
        "by": "alice",
        "statement": {
            "id": "01234567",
            "what": {"kind": "acknowledged", "check": "node.load", "fingerprint": ""},
            "cluster": "",
            "objects": [],
            "author": "alice",
            "on_behalf_of": "",
            "reason": "known, disk ordered",
            "from": at().to_string(),
            "until": null,
        },
    });
    coordinator
        .chronicle()
        .add(vec![Change::AddRecord(NewRecord {
            kind: RecordKind::Intent,
            at: ago(5),
            cluster: "".into(),
            subject: "node/pve1".into(),
            key: String::new(),
            body: event.to_string().into_bytes(),
        })]);
    let filter = EventsFilter {
        kinds: vec![EventKind::Intent],
        ..everything()
    };
    let events = asked(&current(), &Past::of(&coordinator), &filter).events;
    assert_eq!(events.len(), 1);
    assert_eq!(
        events[0].text,
        "acknowledged node.load: known, disk ordered"
    );
    assert_eq!(
        (&*events[0].user, &*events[0].subject),
        ("alice", "node/pve1")
    );
}

#[test]
fn contents_that_nothing_names_are_let_go() {
    let kept = Kept::new();
    let coordinator = day(&kept);
    coordinator.write_down(at()).unwrap();
    let contents = || {
        let keys = kept
            .store
            .read(|reader| reader.state_keys(StateKind::Content));
        keys.unwrap().len()
    };
    assert_eq!(contents(), 4);
    assert_eq!(revision::sweep(&kept.store, at()).unwrap(), 0);
    // What is now, and what was before it, stay when their revisions are too old.
    let drop = Batch {
        changes: vec![Change::DropRecords(RecordKind::Revision, at())],
        ..Batch::default()
    };
    kept.store.write(&drop, at()).unwrap();
    assert_eq!(revision::sweep(&kept.store, at()).unwrap(), 2);
    assert_eq!(contents(), 2);
}

#[test]
fn each_change_names_its_author_or_nobody() {
    let kept = Kept::new();
    let coordinator = day(&kept);
    coordinator.write_down(at()).unwrap();
    let (past, current) = (Past::of(&coordinator), current());
    let filter = RevisionsFilter {
        subject: "web".to_owned(),
        ..RevisionsFilter::default()
    };
    let answer = answer::revisions(&current, &past, &filter, at()).unwrap();
    let users: Vec<&[String]> = answer
        .revisions
        .iter()
        .map(|revision| revision.author.users.as_slice())
        .collect();
    assert_eq!(
        users,
        [
            &[][..],
            &["bob@pve".to_owned()],
            &["deploy@pve!ci".to_owned()]
        ]
    );
    assert_eq!(answer.known_since, Some(ago(80_000)));
    let style = Style {
        width: Some(80),
        ..Style::default()
    };
    insta::assert_snapshot!("revisions", answer.text(&style));
    insta::assert_snapshot!("revisions_markdown", answer.markdown());
}

#[test]
fn a_configuration_is_told_as_it_was() {
    let kept = Kept::new();
    let coordinator = day(&kept);
    let (past, current) = (Past::of(&coordinator), current());
    let ask = |when| answer::configuration(&current, &past, "", "guest/web", when);
    let memory = |when| {
        let settings = ask(when).unwrap().settings;
        let of_memory = settings.into_iter().find(|line| line.setting == "memory");
        of_memory.map(|line| line.value)
    };
    for (seconds, value) in [
        (79_000, "2 GiB"),
        (40_001, "2 GiB"),
        (40_000, "4 GiB"),
        (20_001, "4 GiB"),
        (19_999, "8 GiB"),
        (0, "8 GiB"),
    ] {
        assert_eq!(memory(ago(seconds)).as_deref(), Some(value), "{seconds}");
    }
    let error = ask(ago(80_001)).unwrap_err().to_string();
    assert!(
        error.contains("nothing is known of guest/100 before"),
        "{error}"
    );
    let error = answer::configuration(&current, &past, "", "999", at()).unwrap_err();
    assert!(matches!(error, PastError::Answer(AnswerError::NotFound(_))));
    // It is gone, and was there.
    let gone = seen(5, What::Guests(Vec::new()));
    coordinator.chronicle().note(vec![gone], at());
    assert!(ask(at()).unwrap().is_absent);
    assert_eq!(memory(ago(6)).as_deref(), Some("8 GiB"));
}
