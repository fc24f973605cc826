use std::collections::BTreeMap;

use super::*;
use crate::recorder::{Problem, Sign, Stalled};

const START: i64 = 1_795_349_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

/// Quorum is lost after 20 seconds, and the node falls silent after a minute more.
fn fenced(seconds: i64) -> Emergency {
    let moments = (0..=seconds / 10).map(|tick| {
        let is_lost = tick >= 2;
        let failing: &[(&str, &str)] = if tick > 5 {
            &[
                ("members", "/etc/pve/.members: timed out"),
                ("broadcast", "\u{1b}[2J: in progress"),
            ]
        } else {
            &[]
        };
        Picture {
            at: at(tick * 10),
            node: "pve1".to_owned(),
            quorate: Some(!is_lost),
            members_online: Some(if is_lost { 1 } else { 3 }),
            members: Some(3),
            ha_manager: Some(
                if tick > 6 {
                    "lost_agent_lock"
                } else {
                    "active"
                }
                .to_owned(),
            ),
            ha_manager_age_seconds: Some(4 + if is_lost { tick * 10 } else { 0 }),
            load1: Some(0.5),
            stalled: Stalled {
                cpu: Some(0.01),
                memory: None,
                io: Some(0.875),
            },
            failing: failing
                .iter()
                .map(|(name, what)| ((*name).to_owned(), (*what).to_owned()))
                .collect::<BTreeMap<_, _>>(),
            ..Picture::default()
        }
    });
    Emergency {
        began: at(20),
        signs: vec![Sign::QuorumLost, Sign::LockLost],
        ended: None,
        last: at(seconds),
        updates: 27,
        left_out_samples: 0,
        moments: moments.collect(),
    }
}

fn recorded(emergencies: Vec<Emergency>) -> Recorded {
    Recorded {
        emergencies,
        problems: Vec::new(),
        files: 1,
        bytes: 40_960,
    }
}

fn shown(recorded: &Recorded, booted: Option<Timestamp>) -> String {
    text(Path::new("/var/lib/pvelens-agent/flight"), recorded, booted).unwrap()
}

#[test]
fn a_fenced_node_says_what_happened() {
    let text = shown(&recorded(vec![fenced(80)]), Some(at(141)));
    insta::assert_snapshot!("fenced", text);
}

#[test]
fn many_emergencies_and_damage_fit_on_a_page() {
    let mut all: Vec<_> = (0..9).map(|_| fenced(300)).collect();
    all[3].ended = Some(at(300));
    all[7].signs.clear();
    let mut recorded = recorded(all);
    for number in 0..7 {
        recorded.problems.push(Problem {
            file: format!("flight-{number}"),
            what: "its last 7 bytes are no whole record; 3 records before that are shown"
                .to_owned(),
        });
    }
    let text = shown(&recorded, Some(at(-9)));
    assert!(text.lines().count() <= 40, "{}", text.lines().count());
    insta::assert_snapshot!("many", text);
}

#[test]
fn an_emergency_that_is_over_has_its_end_and_nothing_is_nothing() {
    let mut emergency = fenced(80);
    emergency.ended = Some(at(80));
    emergency.moments.clear();
    let text = shown(&recorded(vec![emergency]), None);
    assert!(
        text.contains("  ended  2026-11-22 12:04:40 UTC, after 60 s\n"),
        "{text}"
    );
    assert!(text.contains("not in the record any more"));
    assert_eq!(
        shown(&Recorded::default(), None),
        "No emergency is recorded in /var/lib/pvelens-agent/flight.\n"
    );
    let off = super::text(Path::new(""), &Recorded::default(), None).unwrap();
    assert_eq!(off, "The settings say that nothing is recorded.\n");
}

#[test]
fn programs_get_every_moment() {
    let mut recorded = recorded(vec![fenced(300)]);
    recorded.problems.push(Problem {
        file: "flight-1".to_owned(),
        what: "x".to_owned(),
    });
    let object = object(Path::new("/x"), &recorded, Some(at(400))).unwrap();
    let object = Value::Object(object);
    let emergency = &object["emergencies"][0];
    assert_eq!(emergency["signs"], json!(["quorum_lost", "ha_lock_lost"]));
    assert_eq!(emergency["ended_at"], Value::Null);
    assert_eq!(emergency["moments"].as_array().unwrap().len(), 31);
    let last = &emergency["moments"][30];
    assert_eq!(last["at"], "2026-11-22T12:08:20Z");
    assert_eq!(last["quorate"], false);
    assert_eq!(last["stalled"]["io"], 0.875);
    assert_eq!(last["failing"]["members"], "/etc/pve/.members: timed out");
    assert_eq!(object["problems"][0]["file"], "flight-1");
    assert_eq!(object["node_started_at"], "2026-11-22T12:10:00Z");
}
