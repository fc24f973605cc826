//! What is stated in `/etc/pvelens/intent.toml`.
//!
//! As with the settings a key that does not exist is an error, since it is a statement
//! that somebody believes in; for the same reason only keys are known that something
//! reads.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;

use super::{Meaning, Object, REASON_LIMIT, Statement, Tags, What, may_be_about, may_suppress};
use crate::{
    check::{CHECKS, Check, find},
    config::{self, ConfigError, near},
    untrusted,
};

mod file;

use file::{Decision, File, When, example};

/// Where the statements are unless the settings are elsewhere.
const DEFAULT_PATH: &str = "/etc/pvelens/intent.toml";
/// Its name, beside the settings.
const FILE: &str = "intent.toml";
/// More than anybody keeps an eye on.
const MOST: usize = 1000;
const AUTHOR_LIMIT: usize = 100;
/// What a schedule without a word on it leaves for starting up.
pub const GRACE_MINUTES: u32 = 15;
/// How ids of its statements begin.
pub(super) const ID: &str = "file.";

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Declared {
    pub tags: Tags,
    pub statements: Vec<Arc<Statement>>,
}

impl Declared {
    /// Reads the file beside the settings, if it is there.
    ///
    /// # Errors
    /// When it cannot be read, or what it states is not valid.
    pub fn load(settings: Option<&Path>) -> Result<Self, ConfigError> {
        let path = path(settings);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            result => result.map_err(|source| ConfigError::Read {
                path: path.clone(),
                source,
            })?,
        };
        Self::parse(&text).map_err(|source| ConfigError::In {
            path,
            source: Box::new(source),
        })
    }

    /// # Errors
    /// When what is stated is not valid.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let file: File = config::strict(text, &example())?;
        let mut declared = Self::default();
        for (meaning, names) in file.tags {
            let key = format!("tags.{}", meaning.name());
            let objects: Result<Vec<Object>, _> = names.iter().map(|name| marked(name)).collect();
            let objects = objects.map_err(|problem| value(&key, problem))?;
            let is_of_guests = may_be_about(&What::NoBackup, &objects);
            // Whatever it is may be for tests; the other words are about guests.
            if meaning != Meaning::Lab {
                is_of_guests.map_err(|problem| value(&key, format!("means nothing: {problem}")))?;
            }
            declared.tags.set(meaning, objects);
        }
        let mut all = Vec::new();
        for (place, decision) in (1..).zip(file.suppressions) {
            let check = decision.check.clone();
            let statement =
                decision.statement(place, "suppressions", |check| What::Suppressed {
                    check,
                    fingerprint: String::new(),
                })?;
            // Every decision has an end.
            if let (Some(check), Some(until)) = (find(&check), statement.until) {
                may_suppress(check, statement.from, until).map_err(|problem| {
                    value(
                        &key("suppressions", place),
                        format!("cannot hold: {problem}"),
                    )
                })?;
            }
            all.push(statement);
        }
        for (place, decision) in (1..).zip(file.acknowledgements) {
            all.push(decision.statement(place, "acknowledgements", |check| {
                What::Acknowledged {
                    check,
                    fingerprint: String::new(),
                }
            })?);
        }
        for (place, window) in (1..).zip(file.maintenance.windows) {
            all.push(Statement {
                from: window.from.0,
                ..Said {
                    cluster: window.cluster,
                    objects: window.objects,
                    author: window.author,
                    reason: window.reason,
                    until: Some(window.until),
                }
                .of("maintenance.windows", place, What::Maintenance)?
            });
        }
        for (place, off) in (1..).zip(file.schedules.off) {
            let what = What::Off {
                calendar: off.calendar,
                grace_minutes: off.grace_minutes,
            };
            let said = Said {
                cluster: off.cluster,
                objects: off.objects,
                author: off.author,
                reason: off.reason,
                until: off.until,
            };
            all.push(said.of("schedules.off", place, what)?);
        }
        for (place, rotated) in (1..).zip(file.storages.rotated) {
            let what = What::Rotated {
                every_days: rotated.every_days,
            };
            let storage = format!("storage/{}", rotated.storage);
            let storage = storage.parse().map_err(|error: super::NoObject| {
                value(&key("storages.rotated", place), error.to_string())
            })?;
            let said = Said {
                cluster: rotated.cluster,
                objects: vec![storage],
                author: rotated.author,
                reason: rotated.reason,
                until: rotated.until,
            };
            all.push(said.of("storages.rotated", place, what)?);
        }
        for (place, exempt) in (1..).zip(file.backup.exempt) {
            let said = Said {
                cluster: exempt.cluster,
                objects: exempt.r#match,
                author: exempt.author,
                reason: exempt.reason,
                until: exempt.until,
            };
            all.push(said.of("backup.exempt", place, What::NoBackup)?);
        }
        if all.len() > MOST {
            return Err(value("statements", format!("are more than {MOST}")));
        }
        for statement in &all {
            let key = statement.id.trim_start_matches(ID);
            may_be_about(&statement.what, &statement.objects)
                .map_err(|problem| value(key, format!("means nothing: {problem}")))?;
            if statement.until.is_some_and(|until| until <= statement.from) {
                return Err(value(key, "ends before it begins".to_owned()));
            }
        }
        declared.statements = all.into_iter().map(Arc::new).collect();
        Ok(declared)
    }
}

/// The file of statements that belongs to a file of settings.
#[must_use]
pub fn path(settings: Option<&Path>) -> PathBuf {
    settings.map_or_else(
        || PathBuf::from(DEFAULT_PATH),
        |settings| settings.with_file_name(FILE),
    )
}

impl Decision {
    fn statement(
        self,
        place: usize,
        section: &str,
        what: impl FnOnce(String) -> What,
    ) -> Result<Statement, ConfigError> {
        let check = known(&self.check).map_err(|problem| value(&key(section, place), problem))?;
        let said = Said {
            cluster: self.cluster,
            objects: vec![self.object],
            author: self.author,
            reason: self.reason,
            until: Some(self.until),
        };
        Ok(Statement {
            from: self.from.0,
            ..said.of(section, place, what(check.id.to_owned()))?
        })
    }
}

/// What every statement of the file has.
struct Said {
    cluster: String,
    objects: Vec<Object>,
    author: String,
    reason: String,
    until: Option<When>,
}

impl Said {
    fn of(self, section: &str, place: usize, what: What) -> Result<Statement, ConfigError> {
        let key = key(section, place);
        let shown = |name: &str, text: &str, limit: usize| {
            let text = untrusted::line(text.trim(), limit).into_owned();
            if text.is_empty() {
                return Err(value(&format!("{key}.{name}"), "is empty".to_owned()));
            }
            Ok(text)
        };
        if self.objects.is_empty() {
            return Err(value(&key, "names no object".to_owned()));
        }
        Ok(Statement {
            id: format!("{ID}{key}"),
            what,
            cluster: self.cluster,
            objects: self.objects,
            author: shown("author", &self.author, AUTHOR_LIMIT)?,
            on_behalf_of: String::new(),
            reason: shown("reason", &self.reason, REASON_LIMIT)?,
            // What has no begin holds as long as it stands there.
            from: Timestamp::MIN,
            until: self.until.map(|until| until.0),
        })
    }
}

fn key(section: &str, place: usize) -> String {
    format!("{section}.{place}")
}

fn value(key: &str, problem: String) -> ConfigError {
    ConfigError::Value {
        key: key.to_owned(),
        problem,
    }
}

/// A tag, or another name of objects.
fn marked(name: &str) -> Result<Object, String> {
    let text = if name.contains('/') {
        name.to_owned()
    } else {
        format!("tag/{name}")
    };
    let object: Object = text.parse().map_err(|error: super::NoObject| {
        format!("has a word that is no tag and names no object: {error}")
    })?;
    Ok(object)
}

/// The check of this id.
///
/// # Errors
/// Says which may be meant.
fn known(id: &str) -> Result<&'static Check, String> {
    find(id).ok_or_else(|| {
        let suggestion = near(id, CHECKS.iter().map(|check| check.id))
            .map(|id| format!("; did you mean `{id}`?"))
            .unwrap_or_default();
        format!("names no check: {:?}{suggestion}", untrusted::name(id))
    })
}

#[cfg(test)]
mod tests;
