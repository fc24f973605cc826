//! Whatever a guest prints.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::Value;

use super::{GuestFacts, Reads, fixtures, interpret};

/// Bytes of the facts as JSON that nothing exceeds.
const LIMIT: usize = 64 * 1024;

fn check(facts: &GuestFacts) {
    let json = serde_json::to_string(facts).unwrap();
    assert!(json.len() < LIMIT, "{} bytes", json.len());
    let back: GuestFacts = serde_json::from_str(&json).unwrap();
    assert_eq!(&back, facts);
    let mut found = HashSet::new();
    texts(&serde_json::to_value(facts).unwrap(), &[], &mut found);
    for text in found {
        assert!(!text.contains(char::is_control), "{text:?}");
    }
    let words = facts.words();
    assert!(words.len() <= 12);
    for line in words {
        assert!(
            line.chars().count() <= 240 && !line.contains(char::is_control),
            "{line}"
        );
    }
}

/// All texts of the facts but those of some members.
fn texts(value: &Value, but: &[&str], found: &mut HashSet<String>) {
    match value {
        Value::String(text) => {
            found.insert(text.clone());
        }
        Value::Array(all) => all.iter().for_each(|value| texts(value, but, found)),
        Value::Object(all) => {
            for (name, value) in all {
                if !but.contains(&name.as_str()) {
                    texts(value, but, found);
                }
            }
        }
        _ => {}
    }
}

/// Without the last lines of a log, which change with the cut.
fn texts_of(facts: &GuestFacts) -> HashSet<String> {
    let mut facts = facts.clone();
    // Windows tells the newest event first.
    if let Some(log) = &mut facts.log {
        log.from = None;
    }
    let mut found = HashSet::new();
    let json = serde_json::to_value(&facts).unwrap();
    texts(&json, &["samples", "sample", "to", "last"], &mut found);
    found
}

#[test]
fn a_cut_anywhere_invents_nothing() {
    for (reads, text) in fixtures::ALL {
        let whole = interpret(reads, text, false);
        check(&whole);
        let known = texts_of(&whole);
        // A longer one is cut at some places only.
        let step = (text.len() / 600).max(1);
        for at in (0..text.len()).step_by(step) {
            let at = text.floor_char_boundary(at);
            let cut = interpret(reads, text.split_at(at).0, true);
            check(&cut);
            let made_up: Vec<String> = texts_of(&cut).difference(&known).cloned().collect();
            assert!(made_up.is_empty(), "{reads} cut at {at}: {made_up:?}");
            assert_no_good_news(reads, &cut);
        }
    }
}

/// That there is nothing is not known of a part.
fn assert_no_good_news(reads: &str, cut: &GuestFacts) {
    let is_empty = |list: Option<usize>| list == Some(0);
    assert!(!is_empty(cut.arrays.as_ref().map(Vec::len)), "{reads}");
    assert!(
        !is_empty(cut.deleted_files.as_ref().map(Vec::len)),
        "{reads}"
    );
    assert!(!is_empty(cut.routes.as_ref().map(Vec::len)), "{reads}");
    assert!(
        !is_empty(cut.name_servers.as_ref().map(Vec::len)),
        "{reads}"
    );
    assert!(!is_empty(cut.sessions.as_ref().map(Vec::len)), "{reads}");
    assert!(
        cut.units.as_ref().is_none_or(|units| !units.is_complete),
        "{reads}"
    );
    assert!(
        cut.updates
            .as_ref()
            .is_none_or(|updates| updates.reboot_required != Some(false)),
        "{reads}"
    );
}

#[test]
fn every_interpreter_has_a_fixture() {
    let tried: HashSet<&str> = fixtures::ALL.iter().map(|(reads, _)| *reads).collect();
    for reads in Reads::ALL {
        assert!(
            *reads == Reads::Text || tried.contains(reads.name()),
            "{}",
            reads.name()
        );
    }
}

#[test]
fn outputs_of_other_commands_do_no_harm() {
    for reads in Reads::ALL {
        for (_, text) in fixtures::ALL {
            check(&interpret(reads.name(), text, false));
        }
    }
}

/// The fixture again and again, with other and longer names each time.
fn swollen(text: &str, with: &str) -> String {
    let mut swollen = String::new();
    for round in 0..60 {
        for line in text.lines() {
            // Long words are names, mostly.
            let words: Vec<String> = line
                .split(' ')
                .map(|word| {
                    let is_name = word.len() > 3
                        && word.starts_with(|c: char| c.is_ascii_lowercase() || c == '/');
                    if is_name {
                        format!("{word}{round}{with}")
                    } else {
                        word.to_owned()
                    }
                })
                .collect();
            swollen.push_str(&words.join(" "));
            swollen.push('\n');
        }
    }
    swollen
}

#[test]
fn facts_stay_small() {
    for with in [
        "\"".repeat(300),
        "\\".repeat(300),
        "😀".repeat(100),
        "x".repeat(300),
    ] {
        for (reads, text) in fixtures::ALL {
            check(&interpret(reads, &swollen(text, &with), false));
        }
    }
    let units: Vec<String> = (0..5000)
        .map(|at| {
            format!(
                "{at}{}.service loaded failed failed {}",
                "\"".repeat(200),
                "\"".repeat(200)
            )
        })
        .collect();
    let facts = interpret("failed-units", &units.join("\n"), false);
    check(&facts);
    let left_out = facts.left_out.get("units.failed").copied().unwrap();
    assert_eq!(facts.units.unwrap().failed.len() + left_out as usize, 5000);
}

#[test]
fn large_outputs_are_read_fast() {
    let line = "a ".repeat(400);
    let text: String = std::iter::repeat_n(line.as_str(), 5000)
        .collect::<Vec<_>>()
        .join("\n");
    for reads in Reads::ALL {
        check(&interpret(reads.name(), &text, false));
    }
}

fn any_reads() -> impl Strategy<Value = &'static str> {
    (0..Reads::ALL.len()).prop_map(|at| Reads::ALL[at].name())
}

proptest! {
    #[test]
    fn any_text_is_read(reads in any_reads(), text in "\\PC*|[\\x00-\\x7f\n]{0,400}", is_cut: bool) {
        check(&interpret(reads, &text, is_cut));
    }

    /// Outputs of which some characters were exchanged.
    #[test]
    fn damaged_outputs_are_read(
        fixture in 0..fixtures::ALL.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(vec![
            "", "\n", "\0", "\u{1b}", "\u{202e}", ":", "\"", "[", "]", "(", ")", "-1", "18446744073709551616",
            "9223372036854775808", "999", "1e308", "NaN", "%", " ", "\t", "ä", "=", "/", ",", "{", "}",
        ])), 1..12),
        is_cut: bool,
    ) {
        let (reads, text) = fixtures::ALL[fixture];
        let mut letters: Vec<String> = text.chars().map(String::from).collect();
        for (at, with) in changes {
            let at = at.index(letters.len());
            letters[at] = with.to_owned();
        }
        check(&interpret(reads, &letters.concat(), is_cut));
    }

    #[test]
    fn words_of_any_facts_are_bounded(name in "\\PC{0,300}", share in any::<f64>(), bytes: u64) {
        let mut facts = interpret("df", fixtures::DF, false);
        for one in &mut facts.file_systems {
            one.mount = format!("{name}\n");
            one.used_percent = Some(share);
            one.available_bytes = Some(bytes);
        }
        let words = facts.words();
        prop_assert!(words.len() <= 12);
        prop_assert!(words.iter().all(|line| !line.contains(char::is_control) && line.chars().count() <= 240));
    }
}
