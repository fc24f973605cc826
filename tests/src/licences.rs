//! The licences of the crates that are linked into a program, as their terms
//! want them shipped with it.
//!
//! Where a crate lets one choose the Apache License 2.0, that is chosen: its text
//! is on every Debian system, and what is left to ship are notices. Every other
//! crate comes with all its texts. `cargo about` was not taken: it knows licences
//! by their words, but ships its own copies of texts where the crates' own, with
//! their copyright lines, are at hand.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

const APACHE: &str = "Apache-2.0";
const APACHE_TEXT: &str = "/usr/share/common-licenses/Apache-2.0";
/// Beginnings of the names of files with terms.
const TERMS: &[&str] = &["COPYING", "COPYRIGHT", "LICENCE", "LICENSE", "UNLICENSE"];
/// What the Apache License 2.0 wants passed on besides its own text.
const NOTICE: &str = "NOTICE";
const RULE: &str = "------------------------------------------------------------------------";

/// What `cargo metadata` says.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Crate>,
}

/// A crate and where it comes from.
#[derive(Debug, Clone, Deserialize)]
pub struct Crate {
    pub name: String,
    pub version: String,
    pub license: Option<String>,
    pub repository: Option<String>,
    pub manifest_path: PathBuf,
    /// None = ours.
    pub source: Option<String>,
}

/// Why the licences cannot be shipped.
#[derive(Debug, thiserror::Error)]
pub enum LicenceError {
    #[error("what cargo says")]
    Metadata(#[from] serde_json::Error),
    #[error("{0} is linked, but cargo does not know it")]
    Unknown(String),
    #[error("{0} has no text of its licence, nor has another crate of its repository")]
    NoText(String),
    #[error("reading {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The crates of others among those in `tree`, the output of `cargo tree --prefix
/// none --format {p}`; and all that `cargo metadata` knows.
///
/// # Errors
/// When the two outputs do not fit together.
pub fn linked(metadata: &[u8], tree: &str) -> Result<(Vec<Crate>, Vec<Crate>), LicenceError> {
    let Metadata { packages: all } = serde_json::from_slice(metadata)?;
    let mut linked = BTreeMap::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let mut words = line.split(' ');
        let name = words.next().unwrap_or_default();
        let version = words.next().unwrap_or_default().trim_start_matches('v');
        let found = all
            .iter()
            .find(|known| known.name == name && known.version == version)
            .ok_or_else(|| LicenceError::Unknown(line.to_owned()))?;
        if found.source.is_some() {
            linked.insert((name, version), found.clone());
        }
    }
    Ok((linked.into_values().collect(), all))
}

/// The document for a program, whose `linked` crates are some of `all`.
///
/// # Errors
/// When a text is missing or cannot be read.
pub fn document(program: &str, linked: &[Crate], all: &[Crate]) -> Result<String, LicenceError> {
    let mut apache = Vec::new();
    let mut notices = Texts::default();
    let mut others = Texts::default();
    for one in linked {
        if one.allows_apache() {
            notices.add(one, one.texts(&[NOTICE])?);
            apache.push(one);
            continue;
        }
        let mut texts = one.texts(TERMS)?;
        if texts.is_empty() {
            texts = one.sibling_texts(all)?;
        }
        others.add(one, texts);
    }
    let mut lines = vec![
        format!("{program} is linked with the crates below and with the standard library of Rust,"),
        "whose copyright notices are in rust-standard-library.html.gz beside this file.".to_owned(),
        String::new(),
        format!("Taken under the Apache License, Version 2.0, see {APACHE_TEXT}:"),
        String::new(),
    ];
    lines.extend(apache.into_iter().map(Crate::line));
    notices.append(&mut lines);
    lines.push(String::new());
    lines.push("Taken under the terms that follow them:".to_owned());
    others.append(&mut lines);
    Ok(lines.join("\n") + "\n")
}

impl Crate {
    fn allows_apache(&self) -> bool {
        let licence = self.license.as_deref().unwrap_or_default();
        // Older manifests write a slash. What needs more than one licence is
        // never written with parentheses around what can be chosen.
        !licence.contains(" AND ")
            && licence
                .split(" OR ")
                .flat_map(|choice| choice.split('/'))
                .any(|choice| choice.trim() == APACHE)
    }

    /// Its files whose names begin so, by name.
    fn texts(&self, beginnings: &[&str]) -> Result<Vec<String>, LicenceError> {
        let directory = self.manifest_path.parent().unwrap_or(Path::new("/"));
        let read = |path: &Path| -> Result<String, LicenceError> {
            let bytes = fs::read(path).map_err(|source| LicenceError::Read {
                path: path.to_owned(),
                source,
            })?;
            let text = String::from_utf8_lossy(&bytes).replace('\r', "");
            Ok(text.trim().to_owned())
        };
        let entries = fs::read_dir(directory).map_err(|source| LicenceError::Read {
            path: directory.to_owned(),
            source,
        })?;
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_file())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let name = name.to_uppercase();
                beginnings
                    .iter()
                    .any(|beginning| name.starts_with(beginning))
            })
            .collect();
        paths.sort();
        paths.iter().map(|path| read(path)).collect()
    }

    /// Texts of a crate from the same repository: some are published without.
    fn sibling_texts(&self, all: &[Crate]) -> Result<Vec<String>, LicenceError> {
        for other in all {
            let is_sibling = other.repository.is_some()
                && other.repository == self.repository
                && other.license == self.license
                && other.source.is_some();
            if is_sibling {
                let texts = other.texts(TERMS)?;
                if !texts.is_empty() {
                    return Ok(texts);
                }
            }
        }
        Err(LicenceError::NoText(format!(
            "{} {}",
            self.name, self.version
        )))
    }

    fn line(&self) -> String {
        let licence = self.license.as_deref().unwrap_or("no licence named");
        format!("  {} {} ({licence})", self.name, self.version)
    }
}

/// Texts with the crates that they belong to. Most texts differ by their
/// copyright line alone; those that do not, are kept once.
#[derive(Default)]
struct Texts<'a>(Vec<(Vec<String>, Vec<&'a Crate>)>);

impl<'a> Texts<'a> {
    fn add(&mut self, one: &'a Crate, texts: Vec<String>) {
        match self.0.iter_mut().find(|(known, _)| *known == texts) {
            _ if texts.is_empty() => {}
            Some((_, crates)) => crates.push(one),
            None => self.0.push((texts, vec![one])),
        }
    }

    fn append(&self, lines: &mut Vec<String>) {
        for (texts, crates) in &self.0 {
            lines.push(String::new());
            lines.push(RULE.to_owned());
            lines.extend(crates.iter().map(|one| one.line()));
            for text in texts {
                lines.push(String::new());
                lines.push(text.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A crate in a directory of its own, with these files.
    fn sample(root: &Path, name: &str, license: &str, files: &[(&str, &str)]) -> Crate {
        let directory = root.join(name);
        fs::create_dir(&directory).unwrap();
        for (file, text) in files {
            fs::write(directory.join(file), text).unwrap();
        }
        Crate {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: Some(license.to_owned()),
            repository: Some("https://example.org/all".to_owned()),
            manifest_path: directory.join("Cargo.toml"),
            source: Some("registry".to_owned()),
        }
    }

    #[test]
    fn where_apache_can_be_chosen_only_notices_are_left() {
        let root = tempfile::tempdir().unwrap();
        let files = [("LICENSE-MIT", "MIT text"), ("NOTICE.txt", "By Example")];
        let linked = [
            sample(root.path(), "a", "MIT OR Apache-2.0", &files),
            sample(root.path(), "b", "Apache-2.0/MIT", &[]),
        ];
        let text = document("program", &linked, &linked).unwrap();
        assert!(text.contains("  a 1.0.0 (MIT OR Apache-2.0)\n  b 1.0.0 (Apache-2.0/MIT)\n"));
        assert!(text.contains("By Example"), "{text}");
        assert!(!text.contains("MIT text"), "{text}");
    }

    #[test]
    fn other_terms_are_shipped_word_for_word_and_the_same_ones_once() {
        let root = tempfile::tempdir().unwrap();
        let both = [
            ("LICENSE", "(c) A\r\nMIT text\n"),
            ("LICENSE.router", "BSD text"),
        ];
        let linked = [
            sample(root.path(), "a", "MIT AND BSD-3-Clause", &both),
            sample(root.path(), "b", "MIT", &[("license", "(c) B")]),
            sample(root.path(), "c", "MIT", &[("LICENSE", "(c) B\n")]),
            sample(
                root.path(),
                "d",
                "MIT AND Apache-2.0",
                &[("LICENSE", "(c) D")],
            ),
        ];
        let text = document("program", &linked, &linked).unwrap();
        assert!(text.contains("(c) A\nMIT text\n\nBSD text\n"), "{text}");
        assert_eq!(text.matches("(c) B").count(), 1);
        assert!(
            text.contains("  b 1.0.0 (MIT)\n  c 1.0.0 (MIT)\n\n(c) B\n"),
            "{text}"
        );
        assert!(text.contains("(c) D"), "{text}");
    }

    #[test]
    fn a_crate_without_text_takes_that_of_its_repository_or_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let without = sample(root.path(), "without", "MIT", &[]);
        let with = sample(root.path(), "with", "MIT", &[("LICENSE", "(c) both")]);
        let linked = [without.clone()];
        let text = document("program", &linked, &[without.clone(), with.clone()]).unwrap();
        assert!(text.contains("(c) both"));
        let elsewhere = Crate {
            repository: None,
            ..with
        };
        let error = document("program", &linked, &[without, elsewhere]).unwrap_err();
        assert!(matches!(error, LicenceError::NoText(name) if name == "without 1.0.0"));
    }

    #[test]
    fn our_own_crates_need_no_notice() {
        let metadata = r#"{"packages":[
            {"name":"ours","version":"0.1.0","license":"Apache-2.0","repository":null,"manifest_path":"/o/Cargo.toml","source":null},
            {"name":"theirs","version":"2.0.0","license":"MIT","repository":null,"manifest_path":"/t/Cargo.toml","source":"registry"}]}"#;
        let tree = "ours v0.1.0 (/o)\ntheirs v2.0.0\n\ntheirs v2.0.0 (*)\n";
        let (linked, all) = super::linked(metadata.as_bytes(), tree).unwrap();
        let names: Vec<_> = linked.iter().map(|one| one.name.as_str()).collect();
        assert_eq!((names, all.len()), (vec!["theirs"], 2));
        let unknown = super::linked(metadata.as_bytes(), "third v1.0.0\n");
        assert!(matches!(unknown, Err(LicenceError::Unknown(_))));
    }
}
