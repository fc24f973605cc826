use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    content::{Content, Line, Shape, differences},
    *,
};
use crate::{live::seen::What, view::fixture::at};

fn later(seconds: i64) -> Timestamp {
    at() + SignedDuration::from_secs(seconds)
}

fn guest(vmid: u32, cores: u32) -> Arc<wire::GuestConfig> {
    Arc::new(wire::GuestConfig {
        vmid,
        node: "pve1".to_owned(),
        sha256: format!("{vmid}-{cores}"),
        settings: Some(wire::GuestSettings {
            name: "web".to_owned(),
            cores: Some(cores),
            ..wire::GuestSettings::default()
        }),
        ..wire::GuestConfig::default()
    })
}

fn seen(node: &str, seconds: i64, guests: Vec<Arc<wire::GuestConfig>>) -> Seen {
    Seen {
        cluster: "c".into(),
        node: node.into(),
        at: later(seconds),
        before: Some(later(seconds - 10)),
        reader: "0.2.0".into(),
        is_whole: true,
        is_quorate: true,
        what: What::Guests(guests),
    }
}

fn revisions(changes: &[Change]) -> Vec<(String, Revision)> {
    let of_record = |change: &Change| match change {
        Change::AddRecord(record) => {
            let revision = serde_json::from_slice(&record.body).unwrap();
            Some((record.subject.to_string(), revision))
        }
        _ => None,
    };
    changes.iter().filter_map(of_record).collect()
}

fn states(changes: &[Change], kind: StateKind) -> Vec<StateRow> {
    let rows = changes.iter().filter_map(|change| match change {
        Change::PutState(row) if row.kind == kind => Some(row.clone()),
        _ => None,
    });
    rows.collect()
}

#[test]
fn what_is_found_at_first_is_no_change_and_what_differs_later_is_one() {
    let mut heads = Heads::default();
    let first = heads.read(&seen("pve1", 0, vec![guest(100, 2), guest(101, 2)]));
    assert!(revisions(&first).is_empty());
    assert_eq!(states(&first, StateKind::Content).len(), 2);
    assert!(
        heads
            .read(&seen("pve2", 1, vec![guest(100, 2), guest(101, 2)]))
            .is_empty()
    );

    let edit = heads.read(&seen("pve1", 20, vec![guest(100, 4), guest(101, 2)]));
    let told = revisions(&edit);
    let (subject, revision) = &told[0];
    assert_eq!((told.len(), &**subject), (1, "guest/100"));
    assert_eq!(revision.not_before, Some(later(10)));
    let contents: BTreeMap<String, Vec<u8>> = states(&first, StateKind::Content)
        .into_iter()
        .chain(states(&edit, StateKind::Content))
        .map(|row| (row.key, row.body))
        .collect();
    let lines =
        |digest: &Option<String>| Content::kept(contents[digest.as_ref().unwrap()].clone()).lines();
    let changed = differences(&lines(&revision.before), &lines(&revision.after));
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].path, "cores");
    assert_eq!(changed[0].before.as_deref(), Some("2"));
    assert_eq!(changed[0].after.as_deref(), Some("4"));

    // A coordinator that was started again knows it.
    let rows = states(&first, StateKind::Head)
        .into_iter()
        .chain(states(&edit, StateKind::Head));
    let mut again = Heads::default();
    again.load(rows.collect());
    assert!(
        again
            .read(&seen("pve1", 30, vec![guest(100, 4), guest(101, 2)]))
            .is_empty()
    );
    let back = again.read(&seen("pve1", 300, vec![guest(100, 2), guest(101, 2)]));
    assert_eq!(revisions(&back)[0].1.after, revision.before);
}

#[test]
fn a_member_that_is_late_or_cut_off_reverts_nothing() {
    let mut heads = Heads::default();
    heads.read(&seen("pve1", 0, vec![guest(100, 2)]));
    assert_eq!(
        revisions(&heads.read(&seen("pve1", 20, vec![guest(100, 4)]))).len(),
        1
    );
    // Its clock is a moment ahead.
    assert!(
        heads
            .read(&seen("pve2", 21, vec![guest(100, 2)]))
            .is_empty()
    );
    let cut_off = Seen {
        is_quorate: false,
        ..seen("pve3", 500, vec![guest(100, 2)])
    };
    assert!(heads.read(&cut_off).is_empty());
    // What was read before the change and arrives after it.
    assert!(
        heads
            .read(&seen("pve1", 15, vec![guest(100, 8)]))
            .is_empty()
    );
    // Taken back, by a node that knew of the change.
    assert_eq!(
        revisions(&heads.read(&seen("pve1", 25, vec![guest(100, 2)]))).len(),
        1
    );
}

#[test]
fn guests_come_and_go_but_not_with_a_report_that_is_not_whole() {
    let mut heads = Heads::default();
    heads.read(&seen("pve1", 0, vec![guest(100, 2), guest(101, 2)]));
    let part = Seen {
        is_whole: false,
        ..seen("pve1", 60, vec![guest(100, 2)])
    };
    assert!(heads.read(&part).is_empty());
    let gone = revisions(&heads.read(&seen("pve1", 120, vec![guest(100, 2)])));
    assert_eq!((gone.len(), &*gone[0].0), (1, "guest/101"));
    assert_eq!(gone[0].1.after, None);
    // Told once.
    assert!(
        heads
            .read(&seen("pve2", 121, vec![guest(100, 2)]))
            .is_empty()
    );
    // A member that has not heard of it yet.
    assert!(
        heads
            .read(&seen("pve3", 125, vec![guest(100, 2), guest(101, 2)]))
            .is_empty()
    );
    let new = revisions(&heads.read(&seen("pve1", 180, vec![guest(100, 2), guest(102, 1)])));
    assert_eq!((new.len(), &*new[0].0), (1, "guest/102"));
    assert_eq!(new[0].1.before, None);
}

#[test]
fn a_lock_is_no_change() {
    let mut heads = Heads::default();
    heads.read(&seen("pve1", 0, vec![guest(100, 2)]));
    let mut locked = wire::GuestConfig::clone(&guest(100, 2));
    locked.sha256 = "another".to_owned();
    locked.settings.as_mut().unwrap().lock = "backup".to_owned();
    assert!(
        heads
            .read(&seen("pve1", 20, vec![Arc::new(locked)]))
            .is_empty()
    );
}

#[test]
fn what_a_node_has_of_its_own_is_told_apart() {
    let packages = |version: &str| wire::Packages {
        installed_count: 900,
        packages: vec![wire::Package {
            name: "pve-manager".to_owned(),
            version: version.to_owned(),
            ..wire::Package::default()
        }],
        ..wire::Packages::default()
    };
    let of = |node: &str, seconds, version: &str| Seen {
        what: What::Packages(Arc::new(packages(version))),
        is_quorate: false,
        ..seen(node, seconds, Vec::new())
    };
    let mut heads = Heads::default();
    assert!(revisions(&heads.read(&of("pve1", 0, "9.1.1"))).is_empty());
    assert!(revisions(&heads.read(&of("pve2", 1, "9.2.1"))).is_empty());
    let told = revisions(&heads.read(&of("pve1", 600, "9.2.1")));
    assert_eq!((told.len(), &*told[0].0), (1, "node/pve1/packages"));
    let updated = Seen {
        reader: "0.3.0".into(),
        ..of("pve2", 700, "9.2.2")
    };
    assert!(revisions(&heads.read(&updated))[0].1.is_read_anew);
}

#[test]
fn settings_are_told_by_their_names_and_exactly() {
    let config = wire::GuestConfig {
        vmid: 100,
        sha256: "never shown".to_owned(),
        settings: Some(wire::GuestSettings {
            memory_bytes: Some(2049 << 20),
            tags: vec!["prod".to_owned(), "web\u{1b}[31m".to_owned()],
            volumes: vec![wire::GuestVolume {
                key: "scsi0".to_owned(),
                storage: "nas".to_owned(),
                ..wire::GuestVolume::default()
            }],
            ..wire::GuestSettings::default()
        }),
        ..wire::GuestConfig::default()
    };
    let lines = Content::new(Shape::Guest, &config).lines();
    let told: Vec<String> = lines
        .iter()
        .map(|line| format!("{} = {}", line.path, line.value))
        .collect();
    assert_eq!(
        told,
        [
            "vmid = 100",
            "tags = prod",
            "tags = web\u{fffd}[31m",
            "memory = 2049 MiB",
            "volumes[scsi0] storage = nas",
        ]
    );
    // A newer version may keep shapes that this one does not know.
    assert!(Content::kept(vec![250, 1, 2]).lines().is_empty());
    assert!(Content::kept(Vec::new()).lines().is_empty());
    assert!(Content::kept(vec![1, 255, 255, 255]).lines().is_empty());
}

#[test]
fn long_values_that_differ_at_their_end_differ() {
    let rule = |end: &str| wire::FirewallFile {
        rules: vec![wire::FirewallRule {
            source: "192.0.2.1,".repeat(40) + end,
            ..wire::FirewallRule::default()
        }],
        ..wire::FirewallFile::default()
    };
    let lines = |end: &str| Content::new(Shape::Firewall, &rule(end)).lines();
    let changed = differences(&lines("198.51.100.1"), &lines("198.51.100.2"));
    assert_eq!((changed.len(), &*changed[0].path), (1, "rules"));
    assert!(differences(&lines("198.51.100.1"), &lines("198.51.100.1")).is_empty());
}

proptest! {
    /// Whatever was so can be had from what is so and the differences.
    #[test]
    fn differences_tell_all(
        before in prop::collection::vec((0_u8..4, 0_u8..4), 0..12),
        after in prop::collection::vec((0_u8..4, 0_u8..4), 0..12),
    ) {
        let lines = |pairs: &[(u8, u8)]| -> Vec<Line> {
            let line = |(path, value): &(u8, u8)| Line {
                path: path.to_string(),
                value: value.to_string(),
            };
            pairs.iter().map(line).collect()
        };
        let (before, after) = (lines(&before), lines(&after));
        let mut had = before.clone();
        for changed in differences(&before, &after) {
            let line = |value: Option<String>| value.map(|value| Line {
                path: changed.path.clone(),
                value,
            });
            if let Some(gone) = line(changed.before.clone()) {
                let place = had.iter().position(|line| *line == gone).unwrap();
                had.remove(place);
            }
            had.extend(line(changed.after.clone()));
        }
        let mut after = after;
        had.sort();
        after.sort();
        prop_assert_eq!(had, after);
    }

    /// Three members that read each content a moment apart tell each change once.
    #[test]
    fn each_change_is_told_once(
        contents in prop::collection::vec(1_u32..5, 1..20),
        delays in prop::collection::vec(0_i64..9, 60),
    ) {
        let mut heads = Heads::default();
        let mut told = Vec::new();
        let mut delays = delays.into_iter().cycle();
        for (step, cores) in contents.iter().enumerate() {
            let begin = i64::try_from(step).unwrap() * 60;
            let mut reads: Vec<(i64, &str)> = ["pve1", "pve2", "pve3"]
                .into_iter()
                .map(|node| (begin + delays.next().unwrap(), node))
                .collect();
            reads.sort_unstable();
            for (seconds, node) in reads {
                told.extend(revisions(&heads.read(&seen(node, seconds, vec![guest(100, *cores)]))));
            }
        }
        let mut distinct = contents.clone();
        distinct.dedup();
        prop_assert_eq!(told.len(), distinct.len() - 1);
    }
}
