//! What the administrator's own tags mean to checks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Object;
use crate::view::{Guest, Subject, View};

/// What a tag can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    Lab,
    InternetFacing,
    Database,
    Ephemeral,
    Cache,
    Scratch,
    NoBackup,
    Batch,
    KeepSnapshot,
}

impl Meaning {
    pub(super) const ALL: [Self; 9] = [
        Self::Lab,
        Self::InternetFacing,
        Self::Database,
        Self::Ephemeral,
        Self::Cache,
        Self::Scratch,
        Self::NoBackup,
        Self::Batch,
        Self::KeepSnapshot,
    ];

    /// As settings write it; without a word of the administrator it is the tag.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::InternetFacing => "internet-facing",
            Self::Database => "database",
            Self::Ephemeral => "ephemeral",
            Self::Cache => "cache",
            Self::Scratch => "scratch",
            Self::NoBackup => "no-backup",
            Self::Batch => "batch",
            Self::KeepSnapshot => "keep-snapshot",
        }
    }
}

/// Objects that carry each meaning: by tag, and by whatever else names objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tags {
    meanings: BTreeMap<Meaning, Vec<Object>>,
}

impl Default for Tags {
    fn default() -> Self {
        let own = |meaning: Meaning| (meaning, vec![Object::Tag(meaning.name().to_owned())]);
        Self {
            meanings: Meaning::ALL.into_iter().map(own).collect(),
        }
    }
}

impl Tags {
    /// Sets what carries a meaning.
    pub(super) fn set(&mut self, meaning: Meaning, objects: Vec<Object>) {
        self.meanings.insert(meaning, objects);
    }

    fn objects(&self, meaning: Meaning) -> &[Object] {
        self.meanings.get(&meaning).map_or(&[], Vec::as_slice)
    }

    /// Whether a guest carries a meaning.
    #[must_use]
    pub fn has(&self, view: &View, guest: &Guest, meaning: Meaning) -> bool {
        let mut objects = self.objects(meaning).iter();
        objects.any(|object| object.has_guest(view, guest))
    }

    /// Whether whatever it is carries a meaning.
    #[must_use]
    pub fn has_subject(&self, view: &View, subject: Subject, meaning: Meaning) -> bool {
        let mut objects = self.objects(meaning).iter();
        objects.any(|object| object.has(view, subject))
    }
}
