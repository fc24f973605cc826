//! Whose word wins, case by case.

use super::*;

/// What one member said, and when.
#[derive(Clone, Copy)]
struct Word {
    /// Absent: it cannot read who is a member.
    quorate: Option<bool>,
    members_at: i64,
    config_at: i64,
}

const fn word(quorate: Option<bool>, members_at: i64, config_at: i64) -> Word {
    Word {
        quorate,
        members_at,
        config_at,
    }
}

const QUORATE: Option<bool> = Some(true);
const ALONE: Option<bool> = Some(false);

/// The member whose configuration is shown at second 100.
fn winner(words: [Word; 2]) -> String {
    let mut live = Live::default();
    for (node, word) in ["pve1", "pve2"].into_iter().zip(words) {
        let mut feed = Feed::new("c", node);
        let mut samples = vec![sample(word.config_at, storages(&[node]))];
        if let Some(quorate) = word.quorate {
            samples.push(sample(word.members_at, members(node, quorate, BOTH)));
        }
        let update = feed.update(samples);
        live.append(
            &feed.described,
            update,
            at(word.config_at.max(word.members_at)),
        );
    }
    let view = view(&live, 100);
    // `local` is there without being configured.
    let mut names = view.storages.iter().map(|storage| &*storage.name);
    names.find(|name| *name != "local").unwrap().to_owned()
}

#[test]
fn the_newest_sample_of_a_quorate_member_wins() {
    for (case, words, expected) in [
        (
            "both quorate",
            [word(QUORATE, 90, 80), word(QUORATE, 90, 90)],
            "pve2",
        ),
        (
            "the other newer",
            [word(QUORATE, 90, 90), word(QUORATE, 90, 80)],
            "pve1",
        ),
        (
            "of one time",
            [word(QUORATE, 90, 90), word(QUORATE, 90, 90)],
            "pve1",
        ),
        (
            "cut off and newer",
            [word(QUORATE, 90, 10), word(ALONE, 99, 99)],
            "pve1",
        ),
        (
            "cut off and older",
            [word(ALONE, 90, 10), word(QUORATE, 90, 20)],
            "pve2",
        ),
        (
            "nobody quorate",
            [word(ALONE, 90, 80), word(ALONE, 90, 90)],
            "pve2",
        ),
        // It may have been cut off since: neither counts.
        (
            "quorate long ago",
            [word(QUORATE, -60, 80), word(ALONE, 90, 90)],
            "pve2",
        ),
        (
            "members unread",
            [word(QUORATE, 90, 10), word(None, 0, 99)],
            "pve1",
        ),
        (
            "only the unread",
            [word(None, 0, 10), word(None, 0, 20)],
            "pve2",
        ),
    ] {
        assert_eq!(winner(words), expected, "{case}");
    }
}

#[test]
fn no_word_of_a_minority_wins_in_a_partition() {
    let mut live = Live::default();
    let cut_off = [("pve1", true), ("pve2", true), ("pve3", false)];
    for node in ["pve1", "pve2"] {
        let said = vec![
            members(node, true, &cut_off),
            guest_list(&[(100, "pve1"), (101, "pve2")]),
            guest_configs(&[(100, "pve1", "new name"), (101, "pve2", "b")]),
            storages(&["local", "nas"]),
        ];
        Feed::new("c", node).send(&mut live, 0, said);
    }
    // Frozen at what it was, and read later.
    let said = vec![
        members("pve3", false, ALL),
        guest_list(&[(100, "pve3"), (102, "pve3")]),
        guest_configs(&[(100, "pve3", "old name")]),
        storages(&["local"]),
    ];
    Feed::new("c", "pve3").send(&mut live, 30, said);
    let mut view = view(&live, 40);
    live.tell_guests_apart(&mut view);
    let vmids: Vec<u32> = view.guests.iter().map(|guest| guest.vmid).collect();
    assert_eq!(vmids, [100, 101]);
    assert_eq!(&*view.guests[0].name, "new name");
    assert_eq!(&*view.node(view.guests[0].node).name, "pve1");
    assert_eq!(view.storages.len(), 2);
    assert!(view.clusters[0].guest_list_counts);
    assert_eq!(view.nodes[2].status, NodeStatus::Offline);
    // What it says is kept as its own word.
    assert_eq!(view.clusters[0].memberships[2].quorate, Some(false));
}

fn storage_config(digest: &str) -> Payload {
    Payload::StorageConfig(wire::StorageConfig {
        sha256: digest.to_owned(),
        ..wire::StorageConfig::default()
    })
}

#[test]
fn copies_of_quorate_members_are_compared_by_content() {
    let mut live = Live::default();
    for (node, quorate, digest) in [
        ("pve1", true, "aaaa"),
        ("pve2", true, "bbbb"),
        ("pve3", false, "cccc"),
    ] {
        let mut feed = Feed::new("c", node);
        let said = vec![members(node, quorate, ALL), storage_config(digest)];
        feed.send(&mut live, 0, said);
        // Read again: the time of the change stays.
        let update = feed.update(vec![unchanged("storage_config", 30, 1)]);
        live.append(&feed.described, update, at(30));
    }
    let view = view(&live, 30);
    let files = &view.clusters[0].shared_files;
    assert_eq!(files.len(), 1);
    let copies: Vec<_> = files[0]
        .copies
        .iter()
        .map(|copy| (copy.node.get(), &*copy.digest, copy.since, copy.at))
        .collect();
    assert_eq!(
        copies,
        [(0, "aaaa", at(0), at(30)), (1, "bbbb", at(0), at(30))]
    );
}

#[test]
fn what_two_versions_of_the_agent_carry_is_not_compared() {
    let mut live = Live::default();
    for (node, version) in [("pve1", "0.1.0"), ("pve2", "0.2.0")] {
        let mut feed = Feed::new("c", node);
        version.clone_into(&mut feed.described.agent_version);
        let corosync = Payload::CorosyncConfig(CorosyncConfig {
            sha256: "dddd".to_owned(),
            ..CorosyncConfig::default()
        });
        let said = vec![members(node, true, BOTH), storage_config(version), corosync];
        feed.send(&mut live, 0, said);
    }
    let view = view(&live, 1);
    let files: Vec<_> = view.clusters[0]
        .shared_files
        .iter()
        .map(|file| (file.path, file.copies.len()))
        .collect();
    assert_eq!(
        files,
        [
            ("/etc/pve/corosync.conf", 2),
            ("/etc/pve/storage.cfg", 1),
            ("/etc/pve/storage.cfg", 1)
        ]
    );
}
