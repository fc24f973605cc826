//! Paths that a recorded node refused.
//!
//! A tree of files cannot hold what is there and may not be read. A recording
//! says so in `/.pvelens/refused.json`, an object from path or pattern (see
//! [`fits`]) to the name of the failure (`"permission_denied"`): reading it, listing
//! it, following it and asking its size fail like that. Whether it exists is asked
//! of the tree alone: an empty file in its place, also in that of a directory, is
//! there and refused.

use std::collections::BTreeMap;

use pvelens_proto::agent::v1::FailureKind;
use rustix::fs::OFlags;
use serde::Deserialize;

use super::{Host, SourceError, fits, malformed};

const FILE: &str = "/.pvelens/refused.json";
const FILE_LIMIT: u64 = 4 << 20;
/// What every name of the schema begins with.
const SCHEMA_PREFIX: &str = "FAILURE_KIND_";

/// Empty on a live root.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "BTreeMap<NormalPath, Refusal>")]
pub(super) struct Refused {
    paths: BTreeMap<NormalPath, Refusal>,
    patterns: Vec<(String, Refusal)>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct NormalPath(String);

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Refusal(FailureKind);

/// The name of a failure in outputs and recordings: `not_found`.
#[must_use]
pub fn kind_name(kind: FailureKind) -> String {
    let name = kind.as_str_name();
    name.strip_prefix(SCHEMA_PREFIX)
        .unwrap_or(name)
        .to_lowercase()
}

impl Refused {
    /// Reads what the tree of a host refuses.
    pub(super) fn of(host: &Host) -> Result<Self, SourceError> {
        if host.is_live() {
            return Ok(Self::default());
        }
        match host.read(FILE, FILE_LIMIT) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| malformed(FILE, &error)),
            Err(error) if error.is_not_found() => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.patterns.is_empty()
    }

    /// How the path fails, if it is refused.
    fn refusal(&self, path: &str) -> Option<FailureKind> {
        let path = NormalPath::of(path);
        let refusal = self.paths.get(&path).or_else(|| {
            let mut patterns = self.patterns.iter();
            let (_, refusal) = patterns.find(|(pattern, _)| fits(pattern, &path.0))?;
            Some(refusal)
        });
        refusal.map(|Refusal(kind)| *kind)
    }
}

impl Host {
    /// Fails as the recorded node did, at the path or where it leads.
    pub(super) fn recorded(&self, path: &str, flags: OFlags) -> Result<(), SourceError> {
        if self.refused.is_empty() {
            return Ok(());
        }
        let refusal = self.refused.refusal(path).or_else(|| {
            let place = self.resolve(path, flags).ok()?;
            self.refused.refusal(&self.real_path(&place)?)
        });
        match refusal {
            Some(kind) => Err(SourceError::new(path, kind, "refused when recorded")),
            None => Ok(()),
        }
    }
}

impl From<BTreeMap<NormalPath, Refusal>> for Refused {
    fn from(all: BTreeMap<NormalPath, Refusal>) -> Self {
        let (patterns, paths): (BTreeMap<_, _>, BTreeMap<_, _>) = all
            .into_iter()
            .partition(|(NormalPath(path), _)| path.contains('*'));
        let patterns = patterns.into_iter();
        Self {
            paths,
            patterns: patterns
                .map(|(NormalPath(pattern), refusal)| (pattern, refusal))
                .collect(),
        }
    }
}

impl NormalPath {
    /// One slash before each name. `..` counts as a name: resolve first.
    fn of(path: &str) -> Self {
        let names = path
            .split('/')
            .filter(|name| !name.is_empty() && *name != ".");
        Self(names.flat_map(|name| ["/", name]).collect())
    }
}

impl TryFrom<String> for NormalPath {
    type Error = &'static str;

    fn try_from(path: String) -> Result<Self, Self::Error> {
        let normal = Self::of(&path);
        if normal.0 == path && !path.split('/').any(|name| name == "..") {
            Ok(normal)
        } else {
            Err("not a plain absolute path")
        }
    }
}

impl TryFrom<String> for Refusal {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        FailureKind::from_str_name(&format!("{SCHEMA_PREFIX}{}", name.to_uppercase()))
            .filter(|kind| *kind != FailureKind::Unspecified && kind_name(*kind) == name)
            .map(Self)
            .ok_or("not the name of a failure")
    }
}
