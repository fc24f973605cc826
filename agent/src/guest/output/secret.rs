//! Masks what looks like a password or a key, and leaves the layout of the text.
//!
//! Commands that show secrets are not in the catalogue; this is for what programs and
//! people write into logs.

use crate::format::free_text::{self, MASK};

/// What comes before a value without naming it.
const SCHEMES: [&str; 2] = ["bearer", "basic"];
/// Begins of keys that can be told by their form, with how long they are at least.
const PREFIXES: [(&str, usize); 8] = [
    ("AKIA", 20),
    ("ASIA", 20),
    ("ghp_", 30),
    ("gho_", 30),
    ("github_pat_", 30),
    ("glpat-", 20),
    ("xoxb-", 20),
    ("sk-ant-", 20),
];
/// A token of three parts, the first two of which begin like this (RFC 7519).
const WEB_TOKEN: &str = "eyJ";

/// The text, and how many values were masked.
pub(super) fn masked(text: &str) -> (String, u64) {
    let mut masked = 0_u64;
    let mut in_key = false;
    let mut kept = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if line.contains("-----END ") {
            in_key = false;
        } else if in_key {
            masked = masked.saturating_add(1);
            continue;
        } else if line.contains("-----BEGIN ") && line.contains("PRIVATE KEY") {
            // Some write it all in one line.
            let head = line.find("-----BEGIN ").and_then(|at| line.get(..at));
            kept.push_str(head.unwrap_or_default());
            kept.push_str("-----BEGIN PRIVATE KEY-----\n***\n");
            masked = masked.saturating_add(1);
            in_key = !line.contains("-----END ");
            continue;
        }
        masked = masked.saturating_add(words(line, &mut kept));
    }
    (kept, masked)
}

/// Appends a line word by word.
fn words(line: &str, kept: &mut String) -> u64 {
    let mut masked = 0_u64;
    let mut mask_next = false;
    for piece in line.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        let space = piece.get(word.len()..).unwrap_or_default();
        if word.is_empty() {
            kept.push_str(space);
            continue;
        }
        let is_value = std::mem::take(&mut mask_next);
        let lower = word.to_ascii_lowercase();
        if is_value && SCHEMES.contains(&lower.as_str()) {
            // `Authorization: Bearer VALUE`
            mask_next = true;
            kept.push_str(piece);
            continue;
        }
        if is_value || is_key(word) {
            masked = masked.saturating_add(1);
            kept.push_str(MASK);
            kept.push_str(space);
            continue;
        }
        mask_next = free_text::announces_value(word) || SCHEMES.contains(&lower.as_str());
        let shown = free_text::mask(word);
        masked = masked.saturating_add(u64::from(shown != word));
        kept.push_str(&shown);
        kept.push_str(space);
    }
    masked
}

fn is_key(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let known = PREFIXES
        .iter()
        .any(|(prefix, length)| bare.starts_with(prefix) && bare.len() >= *length);
    let mut parts = bare.split('.');
    let is_token = bare.starts_with(WEB_TOKEN)
        && bare.len() > 40
        && parts.nth(1).is_some_and(|part| part.starts_with(WEB_TOKEN));
    known || is_token
}
