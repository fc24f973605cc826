use std::sync::LazyLock;

use proptest::prelude::*;

use super::{Policy, PolicyError, Profile};
use crate::guest::{catalogue::Catalogue, resolve::Guest, rule::Rules};

/// Read once: it is large.
static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::embedded().unwrap());

fn parsed(text: &str) -> Result<Policy, PolicyError> {
    Policy::parse(text, &CATALOGUE)
}

fn guest() -> Guest {
    Guest {
        vmid: 101,
        node: "pve1".to_owned(),
        name: "web1".to_owned(),
        tags: vec!["prod".to_owned()],
        pools: Some(vec!["customers".to_owned()]),
        created_seconds: Some(1_650_984_230),
        process: (7, 9),
    }
}

/// Ids that may run in the guest.
fn allowed(policy: &str, guest: &Guest) -> Vec<String> {
    let policy = parsed(policy).unwrap();
    let commands = CATALOGUE.commands().iter();
    commands
        .filter(|command| policy.check(command, guest, Rules::default()).is_ok())
        .map(|command| command.id.clone())
        .collect()
}

#[test]
fn without_a_word_three_questions_are_allowed_and_no_program() {
    assert_eq!(parsed("").unwrap().profile, Profile::Standard);
    assert_eq!(allowed("", &guest()), ["ping", "osinfo", "fsinfo"]);
    assert_eq!(allowed("profile = \"hosting\"", &guest()), ["ping"]);
}

#[test]
fn commands_are_allowed_by_id_group_and_kind() {
    let of = |commands: &str| {
        let text =
            format!("profile = \"hosting\"\n[[allow]]\nguests = [101]\ncommands = [{commands}]");
        allowed(&text, &guest())
    };
    assert_eq!(of("\"memory\", \"uptime\""), ["ping", "uptime", "memory"]);
    assert_eq!(
        of("\"group:memory\""),
        ["ping", "memory", "meminfo", "swaps"]
    );
    let questions = of("\"questions\"");
    assert!(questions.contains(&"users".to_owned()) && !questions.contains(&"memory".to_owned()));
    let programs = of("\"programs\"");
    assert!(programs.contains(&"memory".to_owned()) && !programs.contains(&"users".to_owned()));
    let all = of("\"all\"").len();
    assert_eq!(all, CATALOGUE.commands().len());
    assert_eq!(questions.len() + programs.len() - 1, all);
}

#[test]
fn guests_are_named_by_number_range_and_creation() {
    let of = |guests: &str| {
        let text = format!("[[allow]]\nguests = [{guests}]\ncommands = [\"memory\"]");
        allowed(&text, &guest()).contains(&"memory".to_owned())
    };
    for here in [
        "101",
        "\"101\"",
        "\"100-101\"",
        "\"all\"",
        "\"101@1650984230\"",
        "9999, 101",
    ] {
        assert!(of(here), "{here}");
    }
    for elsewhere in [
        "100",
        "\"102-200\"",
        "\"101@1650984231\"",
        "\"100@1650984230\"",
    ] {
        assert!(!of(elsewhere), "{elsewhere}");
    }
    let nodes = |nodes: &str| {
        let text =
            format!("[[allow]]\nguests = [\"all\"]\ncommands = [\"memory\"]\nnodes = [{nodes}]");
        allowed(&text, &guest()).contains(&"memory".to_owned())
    };
    assert!(nodes("\"pve1\"") && nodes("\"pve2\", \"pve1\"") && nodes(""));
    assert!(!nodes("\"pve2\"") && !nodes("\"PVE1\""));
}

#[test]
fn what_takes_away_wins() {
    let narrow = |narrow: &str| {
        let text = format!(
            "[[allow]]\nguests = [\"all\"]\ncommands = [\"all\"]\n[[narrow]]\n{narrow}\ncommands = [\"ping\"]"
        );
        allowed(&text, &guest())
    };
    for here in [
        "tags = [\"PROD\"]",
        "pools = [\"customers\"]",
        "guests = [\"100-200\"]",
    ] {
        assert_eq!(narrow(here), ["ping"], "{here}");
    }
    for elsewhere in [
        "tags = [\"test\"]",
        "pools = [\"Customers\"]",
        "guests = [102]",
    ] {
        assert!(narrow(elsewhere).len() > 60, "{elsewhere}");
    }
    // Nobody knows its pools: it is in all of them.
    let text = "[[narrow]]\npools = [\"x\"]\ncommands = []";
    let hidden = Guest {
        pools: None,
        ..guest()
    };
    assert!(allowed(text, &hidden).is_empty());
}

#[test]
fn a_mistake_is_told_with_its_place() {
    let text = |policy: &str| parsed(policy).unwrap_err().to_string();
    assert!(text("profil = \"hosting\"").contains("unknown field `profil`"));
    assert!(text("[[allow]]\nguests = [101]\ncommands = [\"memry\"]").contains("rule 1 of allow"));
    let narrow = text("[[narrow]]\ncommands = []");
    assert!(
        narrow.contains("rule 1 of narrow") && narrow.contains("`tags`"),
        "{narrow}"
    );
}

#[test]
fn guests_without_a_time_are_found() {
    let policy = parsed("[[allow]]\nguests = [101, \"102@5\", \"100-200\"]\ncommands = [\"all\"]");
    let policy = policy.unwrap();
    let unpinned: Vec<u32> = policy.allow[0].guests.unpinned().collect();
    assert_eq!(unpinned, [101]);
}

proptest! {
    #[test]
    fn any_text_is_a_policy_or_none(text in ".{0,300}") {
        parsed(&text).ok();
    }

    /// Whatever tags and pools a tenant gives his guest, no more is allowed than
    /// without any.
    #[test]
    fn tags_and_pools_never_give(
        tags in prop::collection::vec("[a-z]{1,3}|prod|all|\\*", 0..5),
        pools in prop::option::of(prop::collection::vec("[a-z]{1,3}|customers", 0..4)),
        narrow in "[a-z]{1,3}|prod|all",
    ) {
        let text = format!(
            "[[allow]]\nguests = [101]\ncommands = [\"group:disk\", \"memory\"]\n\
             [[narrow]]\ntags = [\"{narrow}\"]\npools = [\"{narrow}\"]\ncommands = [\"ping\", \"memory\"]"
        );
        let bare = Guest { tags: Vec::new(), pools: Some(Vec::new()), ..guest() };
        let most = allowed(&text, &bare);
        let named = Guest { tags, pools, ..guest() };
        for id in allowed(&text, &named) {
            prop_assert!(most.contains(&id), "{}", id);
        }
    }
}
