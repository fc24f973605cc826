//! Guest commands: what a guest agent says of a program's end, what a program in a
//! guest wrote, and the policy of a node.

use std::{fs, hint::black_box};

use anyhow::{Context, Result};
use pvelens::guest_command::interpret::{Reads, interpret};
use pvelens_agent::fuzzing;

use super::Target;

/// Of the facts of one output, as JSON.
const FACTS_LIMIT: usize = 64 << 10;
/// Of what they say in words: lines, and bytes of each.
const WORDS_LIMIT: usize = 16;
const LINE_LIMIT: usize = 1 << 10;

/// The answer to the question how a program ended, with output in base64 that is cut
/// and made safe.
pub(super) const GUEST_END: Target = Target {
    name: "guest_end",
    run: end,
    seeds: || Ok(ENDS.iter().map(|end| end.as_bytes().to_vec()).collect()),
};

/// A policy of guest commands.
pub(super) const GUEST_POLICY: Target = Target {
    name: "guest_policy",
    run: |data| {
        black_box(fuzzing::guest_policy(&String::from_utf8_lossy(data)));
    },
    seeds: || {
        let shipped = include_str!("../../../packaging/conf/guest-policy.toml");
        let used = shipped
            .replace("\n# [", "\n[")
            .replace("\n# guests", "\nguests");
        let texts = [shipped, &used, POLICY];
        Ok(texts.iter().map(|text| text.as_bytes().to_vec()).collect())
    },
};

/// Output of a program: the name of how it is read in the first line, and the text.
pub(super) const GUEST_OUTPUT: Target = Target {
    name: "guest_output",
    run: output,
    seeds: outputs,
};

const ENDS: [&str; 4] = [
    "{\"return\": {\"exited\": true, \"exitcode\": 0, \"out-data\": \"aGkK\", \"err-data\": \"bm8K\"}}\n",
    "{\"return\": {\"exited\": true, \"signal\": 9, \"out-data\": \"G1szMW1yZWQbWzBtCg==\", \"out-truncated\": true}}\n",
    "{\"return\": {\"exited\": false}}\n",
    "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"Command guest-exec-status has been disabled\"}}\n",
];

const POLICY: &str = "profile = \"hosting\"\n\
    [[allow]]\nguests = [101, \"200-299\", \"105@1650984230\", \"all\"]\n\
    commands = [\"memory\", \"group:disk\", \"questions\", \"programs\"]\nnodes = [\"pve1\"]\n\
    [[narrow]]\ntags = [\"prod\"]\npools = [\"customers\"]\nguests = [101]\ncommands = [\"ping\"]\n";

fn end(said: &[u8]) {
    let synced = [b"\xff{\"return\": 1}\n", said].concat();
    for said in [said, &synced] {
        let result = fuzzing::guest_exec_status(said);
        for output in [result.output, result.errors].into_iter().flatten() {
            let is_safe = |c: char| c == '\n' || c == '\t' || !c.is_control();
            assert!(output.text.chars().all(is_safe), "{:?}", output.text);
        }
        assert!(
            !result.detail.chars().any(char::is_control),
            "{:?}",
            result.detail
        );
    }
}

fn output(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (reads, text) = text.split_once('\n').unwrap_or_default();
    for is_cut in [false, true] {
        let facts = interpret(reads, text, is_cut);
        let words = facts.words();
        assert!(words.len() <= WORDS_LIMIT, "{words:?}");
        for line in &words {
            let fits = line.len() <= LINE_LIMIT && !line.chars().any(char::is_control);
            assert!(fits, "{line:?}");
        }
        match serde_json::to_string(&facts) {
            Ok(json) => assert!(json.len() <= FACTS_LIMIT, "{} bytes", json.len()),
            Err(error) => panic!("facts that are no JSON: {error}"),
        }
    }
}

/// Outputs of every kind, from the tests of what reads them: `df.busybox.txt` is read
/// as `df`.
fn outputs() -> Result<Vec<Vec<u8>>> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../coordinator/src/guest_command/interpret/tests/fixtures"
    );
    let mut seeds = Vec::new();
    for entry in fs::read_dir(folder).context(folder)? {
        let path = entry?.path();
        let text = fs::read(&path).with_context(|| path.display().to_string())?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let reads = name.split('.').next().unwrap_or_default();
        let unknown = || format!("{name}: nothing reads it");
        let reads = Reads::parse(reads).with_context(unknown)?;
        seeds.push([reads.name().as_bytes(), b"\n", &text].concat());
    }
    seeds.sort();
    Ok(seeds)
}
