//! Who changed what: edits of a cluster, through the real agents, coordinator and
//! store. What each edit is and who made it is written here before any of it is read.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]

use std::sync::Arc;

use pvelens::{
    answer::{
        self,
        past::Past,
        revisions::{RevisionEntry, RevisionsFilter},
    },
    check::Params,
    coordinator::Coordinator,
    store::Store,
};
use pvelens_tests::{
    run::{SimulatedAgent, instant},
    sim::{
        Cluster,
        build::ClusterSpec,
        past::{Task, Word},
        state::{Guest, State},
        temporary_directory,
    },
};

/// Seconds between two steps.
const STEP: u64 = 10;
/// Bytes that the store may take: more than it gets.
const LIMIT: u64 = 1 << 30;

/// A change, and what there must be to read of it.
struct Edit {
    /// When it is made, in seconds after the begin.
    at: u64,
    make: fn(&mut State, i64),
    subject: &'static str,
    /// A change that must be told.
    change: &'static str,
    users: &'static [&'static str],
}

fn edit(state: &mut State, vmid: u32, edit: impl Fn(&mut Guest)) {
    let guests = state.guests.iter_mut();
    guests.filter(|guest| guest.vmid == vmid).for_each(edit);
}

fn set(state: &mut State, vmid: u32, key: &str, value: &str) {
    edit(state, vmid, |guest| {
        guest.config.retain(|(known, _)| known != key);
        guest.config.push((key.to_owned(), value.to_owned()));
    });
}

fn task(state: &mut State, seconds: i64, length_seconds: i64, kind: &str, id: &str, user: &str) {
    state.tasks.push(Task {
        node: 0,
        seconds,
        length_seconds,
        kind: kind.to_owned(),
        id: id.to_owned(),
        user: user.to_owned(),
        end: "OK".to_owned(),
    });
}

fn word(state: &mut State, seconds: i64, user: &str, text: &str) {
    state.words.push(Word {
        seconds,
        node: "pve1".to_owned(),
        user: user.to_owned(),
        text: text.to_owned(),
    });
}

const EDITS: &[Edit] = &[
    Edit {
        at: 300,
        make: |state, now| {
            set(state, 100, "cores", "7");
            task(state, now - 1, 1, "qmconfig", "100", "root@pam");
        },
        subject: "guest/100",
        change: "cores",
        users: &["root@pam"],
    },
    Edit {
        at: 600,
        make: |state, now| {
            set(state, 101, "memory", "9216");
            word(
                state,
                now - 1,
                "deploy@pve!ci",
                "update VM 101: -memory 9216",
            );
        },
        subject: "guest/101",
        change: "memory",
        users: &["deploy@pve!ci"],
    },
    // A file that is edited.
    Edit {
        at: 900,
        make: |state, _| set(state, 102, "tags", "edited-by-hand"),
        subject: "guest/102",
        change: "tags",
        users: &[],
    },
    // A file that is edited while somebody else changes something else.
    Edit {
        at: 1200,
        make: |state, now| {
            set(state, 103, "sockets", "2");
            word(state, now + 3, "alice@pve", "update VM 103: -onboot 1");
        },
        subject: "guest/103",
        change: "sockets",
        users: &[],
    },
    // A guest that is only started meanwhile.
    Edit {
        at: 1500,
        make: |state, now| {
            set(state, 104, "name", "renamed");
            task(state, now - 2, 2, "qmstart", "104", "bob@pve");
        },
        subject: "guest/104",
        change: "name",
        users: &[],
    },
    // Two at once.
    Edit {
        at: 1800,
        make: |state, now| {
            set(state, 105, "cores", "5");
            task(state, now - 3, 1, "qmconfig", "105", "bob@pve");
            task(state, now - 2, 1, "qmconfig", "105", "alice@pve");
        },
        subject: "guest/105",
        change: "cores",
        users: &["alice@pve", "bob@pve"],
    },
    // A call that leaves no word.
    Edit {
        at: 2100,
        make: |state, _| {
            let storages = state.storages.iter_mut();
            for nas in storages.filter(|storage| storage.name == "nas") {
                nas.options.push(("disable".to_owned(), "1".to_owned()));
            }
        },
        subject: "storage/nas",
        change: "disabled",
        users: &[],
    },
    // A task that takes longer than a minute.
    Edit {
        at: 2400,
        make: |state, now| {
            edit(state, 100, |guest| guest.node = 1);
            task(state, now - 400, 400, "qmigrate", "100", "carol@pve");
        },
        subject: "guest/100",
        change: "node",
        users: &["carol@pve"],
    },
    Edit {
        at: 2700,
        make: |state, now| {
            let like = state.guests.iter().filter(|guest| guest.vmid == 101);
            let new: Vec<Guest> = like
                .map(|guest| Guest {
                    vmid: 150,
                    running: false,
                    ..guest.clone()
                })
                .collect();
            state.guests.extend(new);
            task(state, now - 2, 2, "qmcreate", "150", "carol@pve");
        },
        subject: "guest/150",
        change: "created",
        users: &["carol@pve"],
    },
    Edit {
        at: 3000,
        make: |state, now| {
            state.guests.retain(|guest| guest.vmid != 150);
            task(state, now - 2, 2, "qmdestroy", "150", "root@pam");
        },
        subject: "guest/150",
        change: "removed",
        users: &["root@pam"],
    },
];

#[test]
fn ten_edits_name_their_time_their_change_and_their_author_or_nobody() {
    let directory = temporary_directory().unwrap();
    let mut cluster =
        Cluster::create(&ClusterSpec::default(), &directory.path().join("nodes")).unwrap();
    let count = cluster.state().nodes.len();
    let mut agents: Vec<SimulatedAgent> = (0..count)
        .map(|index| SimulatedAgent::new(&cluster, index).unwrap())
        .collect();
    let begin = instant(cluster.now_millis());
    let store = directory.path().join("store");
    let start = |at| {
        let coordinator = Arc::new(Coordinator::new(Params::default()));
        let store = Store::open(&store, LIMIT, at).unwrap();
        coordinator.keep_in(Arc::new(store), at).unwrap();
        coordinator
    };
    let mut coordinator = start(begin);
    let mut told_at = Vec::new();
    for step in 0..=330_u64 {
        let elapsed = step * STEP;
        if step > 0 {
            for edit in EDITS.iter().filter(|edit| edit.at == elapsed) {
                let now = instant(cluster.now_millis()).as_second() + 10;
                (edit.make)(cluster.state_mut(), now);
                told_at.push(now);
            }
            cluster.advance(STEP).unwrap();
        }
        let at = instant(cluster.now_millis());
        for agent in &mut agents {
            if let Some(update) = agent.update().unwrap() {
                coordinator.live().append(&agent.description, update, at);
            }
        }
        coordinator.evaluate(at);
        if step % 6 == 0 {
            coordinator.write_down(at).unwrap();
        }
        // What was so outlives a coordinator. Agents go on where they were.
        if elapsed == 1700 {
            coordinator.write_down(at).unwrap();
            drop(coordinator);
            coordinator = start(at);
            for (index, agent) in agents.iter_mut().enumerate() {
                *agent = SimulatedAgent::new(&cluster, index).unwrap();
            }
        }
    }
    let at = instant(cluster.now_millis());
    let filter = RevisionsFilter {
        limit: 500,
        ..RevisionsFilter::default()
    };
    let current = coordinator.current();
    let answer = answer::revisions(&current, &Past::of(&coordinator), &filter, at).unwrap();
    let mut told: Vec<&RevisionEntry> = answer.revisions.iter().collect();
    told.reverse();
    let shown: Vec<String> = told.iter().map(|one| format!("{one:?}")).collect();
    assert_eq!(told.len(), EDITS.len(), "{}", shown.join("\n"));
    for ((edit, revision), made) in EDITS.iter().zip(told).zip(told_at) {
        assert_eq!(revision.subject, edit.subject);
        let late = revision.at.as_second() - made;
        assert!((0..=20).contains(&late), "{}: {late} s late", edit.subject);
        assert!(
            revision
                .not_before
                .is_some_and(|before| before.as_second() < made)
        );
        let is_told = match edit.change {
            "created" => revision.is_new,
            "removed" => revision.is_gone,
            setting => revision.changes.iter().any(|one| one.setting == setting),
        };
        assert!(is_told, "{}: {revision:?}", edit.change);
        assert_eq!(
            revision.author.users, edit.users,
            "{}: {revision:?}",
            edit.subject
        );
    }
}
