//! No secret leaves the node.
//!
//! `pve-reference.md` §1.7 lists every secret of a Proxmox VE node. For each name in
//! that list `canary/plants.rs` says where the secret stands, and a word that is
//! nowhere else is put there. Then the node is read by every collector, and the words
//! are looked for in all that leaves: messages, the spool, the log at its most
//! talkative, and what the commands print. A name of the list without a plant fails.
//!
//! The small node has more such words, beginning with `canary-`, where a user could
//! have written a secret: they must not leave either.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tests write the node, and start the program"
)]

#[path = "canary/plants.rs"]
mod plants;

mod node;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use node::Node;
use plants::{ELSEWHERE, PLANTS, Plant};
use prost::Message;
use pvelens_agent::{
    collector::{COLLECTORS, Payload, collect_once},
    host::Host,
    sampler::Sampler,
    spool::Spool,
};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_pvelens-agent");
/// Time for an agent to have read everything.
const READING: Duration = Duration::from_secs(3);

/// The word for a plant.
fn word(index: usize) -> String {
    format!("canary-{index:02}-7f3a9c")
}

/// The small node with a secret in every place.
fn planted() -> Node {
    let node = Node::new();
    for (index, plant) in PLANTS.iter().enumerate() {
        let path = node.path(plant.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let before = fs::read_to_string(&path).unwrap_or_default();
        let content = plant.content.replace("{before}", &before);
        assert!(content.contains("{canary}"), "{}", plant.path);
        fs::write(path, content.replace("{canary}", &word(index))).unwrap();
    }
    node
}

/// What a word looks like in what leaves: as it is, or in base64 at any offset.
fn forms(word: &str) -> Vec<String> {
    let shifted = (0..3).map(|shift| {
        let padded = format!("{}{word}", "x".repeat(shift));
        let text = STANDARD_NO_PAD.encode(padded);
        // The ends depend on what is around them.
        text.chars()
            .skip(4)
            .take(text.len().saturating_sub(8))
            .collect()
    });
    std::iter::once(word.to_owned()).chain(shifted).collect()
}

/// The plants whose word is in the bytes, and other words of that kind.
fn found(bytes: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut found: BTreeSet<String> = (0..PLANTS.len())
        .filter(|index| forms(&word(*index)).iter().any(|form| text.contains(form)))
        .map(|index| format!("{} in {}", PLANTS[index].secret, PLANTS[index].path))
        .collect();
    let others = text.split("canary-").skip(1);
    found
        .extend(others.map(|rest| format!("canary-{}", rest.chars().take(30).collect::<String>())));
    found
}

#[test]
fn no_message_holds_a_secret() {
    let node = planted();
    let host = Host::open(node.root()).unwrap();
    for collector in COLLECTORS {
        let sample = collect_once(collector, &host);
        assert_eq!(
            found(&sample.encode_to_vec()),
            BTreeSet::new(),
            "{}",
            collector.name
        );
    }
}

#[test]
fn the_spool_holds_no_secret() {
    let node = planted();
    let directory = TempDir::new().unwrap();
    let spool = Spool::open(directory.path(), "epoch".to_owned(), 24 << 20);
    let host = Arc::new(Host::open(node.root()).unwrap());
    let update = Sampler::new(host, Arc::new(spool)).tick_blocking().unwrap();
    assert_eq!(found(&update.encode_to_vec()), BTreeSet::new());
    let mut bytes = 0;
    for file in files(directory.path()) {
        let content = fs::read(&file).unwrap();
        bytes += content.len();
        assert_eq!(found(&content), BTreeSet::new(), "{}", file.display());
    }
    assert!(bytes > 10_000, "the spool has {bytes} bytes");
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn no_command_prints_a_secret_and_the_log_holds_none() {
    let node = planted();
    let root = node.root().to_str().unwrap();
    for output in ["text", "json"] {
        let collected = Command::new(PROGRAM)
            .args(["collect", "--once", "--root", root, "--output", output])
            .output()
            .unwrap();
        assert!(collected.stdout.len() > 1000);
        assert_eq!(found(&collected.stdout), BTreeSet::new());
        assert_eq!(found(&collected.stderr), BTreeSet::new());
    }
    let socket = node.path("agent/local.sock");
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let mut agent = Command::new(PROGRAM)
        .args(["run", "--root", root, "--socket"])
        .arg(&socket)
        .env("PVELENS_LOG__LEVEL", "trace")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    thread::sleep(READING);
    let said = Command::new(PROGRAM)
        .args(["doctor", "--output", "json"])
        .env("PVELENS_AGENT__ROOT", root)
        .env("PVELENS_AGENT__SOCKET", &socket)
        .output()
        .unwrap();
    agent.kill().unwrap();
    let log = agent.wait_with_output().unwrap().stderr;
    assert!(said.stdout.len() > 1000 && !log.is_empty());
    assert_eq!(found(&said.stdout), BTreeSet::new());
    assert_eq!(found(&log), BTreeSet::new());
}

/// A plant in a file that nobody reads shows nothing: what stands beside the
/// secret must arrive.
#[test]
fn the_files_with_secrets_are_read() {
    let node = planted();
    let host = Host::open(node.root()).unwrap();
    let samples = COLLECTORS
        .iter()
        .map(|collector| collect_once(collector, &host));
    let bytes: Vec<u8> = samples
        .filter(|sample| !matches!(sample.payload, Some(Payload::NoData(_))))
        .flat_map(|sample| sample.encode_to_vec())
        .collect();
    let text = String::from_utf8_lossy(&bytes);
    for Plant { path, beside, .. } in PLANTS {
        if let Some(beside) = beside {
            assert!(text.contains(beside), "{beside} of {path} does not arrive");
        }
    }
}

/// The names in backquotes of §1.7.
fn listed() -> Option<BTreeSet<String>> {
    let path = std::env::var_os("PVELENS_REFERENCE_MD").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/pve-reference.md"),
        PathBuf::from,
    );
    let text = fs::read_to_string(path).ok()?;
    let (_, section) = text.split_once("### 1.7")?;
    let (section, _) = section.split_once("\n---")?;
    Some(
        section
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect(),
    )
}

#[test]
fn every_listed_secret_has_a_plant() {
    let Some(listed) = listed() else {
        // `tests/run` says so, and CI has it.
        return;
    };
    assert!(listed.len() > 30, "{listed:?}");
    let planted: BTreeSet<String> = PLANTS
        .iter()
        .map(|plant| plant.secret)
        .chain(ELSEWHERE.iter().map(|(name, _)| *name))
        .map(str::to_owned)
        .collect();
    assert_eq!(planted, listed);
}

#[test]
fn a_word_is_found_in_any_form() {
    for bytes in [word(3), STANDARD_NO_PAD.encode(format!("ab {} c", word(3)))] {
        let found = found(bytes.as_bytes());
        let name = format!("{} in {}", PLANTS[3].secret, PLANTS[3].path);
        assert!(found.contains(&name), "{found:?}");
    }
}
