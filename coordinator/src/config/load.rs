//! From the text of a file and the environment to settings.
//!
//! The known keys are those of the defaults, so there is no second list. Keys
//! are compared before serde sees the text, to say where an unknown one stands
//! and which was meant.

use serde::{Serialize, de::DeserializeOwned};
use toml::{
    Table, Value,
    de::{DeTable, DeValue},
};

use super::{ClusterProfile, Config, ConfigError, problem};

/// `PVELENS_SECTION__KEY`.
const PREFIX: &str = "PVELENS_";
/// Sections whose lists are separated by commas.
const WITH_COMMAS: [&str; 2] = ["PVELENS_GUEST_COMMANDS__", "PVELENS_LINK__"];
/// Sections of the agent's file, whose variables may be set beside ours.
const OF_THE_AGENT: &[&str] = &["agent", "spool"];
/// The section whose tables are named by the administrator.
const PROFILE: &str = "profile";
/// Edits up to which a key is taken for a misspelt one.
const SUGGESTION_DISTANCE: usize = 4;

pub(super) fn parse(
    text: &str,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let document = DeTable::parse(text).map_err(syntax)?;
    let known = known(&Config::default())?;
    check_keys(text, document.get_ref(), &known, "")?;
    // Now that only the values can be wrong, they are read with their places.
    toml::from_str::<Config>(text).map_err(syntax)?;
    let mut table: Table = text.parse().map_err(syntax)?;
    for (name, value) in environment {
        set(&mut table, &known, &name, value)?;
    }
    table.try_into().map_err(syntax)
}

/// The text of another file that states things, as strictly: `example` has every key,
/// and of each list of tables one.
pub(crate) fn strict<T: DeserializeOwned>(
    text: &str,
    example: &impl Serialize,
) -> Result<T, ConfigError> {
    let document = DeTable::parse(text).map_err(syntax)?;
    check_keys(text, document.get_ref(), &known(example)?, "")?;
    toml::from_str(text).map_err(syntax)
}

fn known(defaults: &impl Serialize) -> Result<Table, ConfigError> {
    Table::try_from(defaults).map_err(|error| ConfigError::Syntax(error.to_string()))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn syntax(error: toml::de::Error) -> ConfigError {
    ConfigError::Syntax(error.to_string().trim_end().to_owned())
}

fn check_keys(
    text: &str,
    table: &DeTable<'_>,
    known: &Table,
    prefix: &str,
) -> Result<(), ConfigError> {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        match (known.get(key.get_ref().as_ref()), value.get_ref()) {
            (None, DeValue::Table(clusters)) if name == PROFILE => {
                check_profiles(text, clusters)?;
            }
            // Something that is no table: serde says so with its place.
            (None, _) if name == PROFILE => {}
            (None, _) => {
                return Err(ConfigError::UnknownKey {
                    place: place(text, key.span().start),
                    suggestion: suggestion(&name, known, prefix),
                    key: name,
                });
            }
            (Some(Value::Table(known)), DeValue::Table(table)) => {
                check_keys(text, table, known, &format!("{name}."))?;
            }
            (Some(Value::Array(known)), DeValue::Array(items)) => {
                let Some(Value::Table(known)) = known.first() else {
                    continue;
                };
                for item in items {
                    if let DeValue::Table(table) = item.get_ref() {
                        check_keys(text, table, known, &format!("{name}."))?;
                    }
                }
            }
            (Some(_), _) => {}
        }
    }
    Ok(())
}

fn check_profiles(text: &str, clusters: &DeTable<'_>) -> Result<(), ConfigError> {
    let known = known(&ClusterProfile::default())?;
    for (cluster, declared) in clusters {
        if let DeValue::Table(declared) = declared.get_ref() {
            let prefix = format!("{PROFILE}.{}.", cluster.get_ref());
            check_keys(text, declared, &known, &prefix)?;
        }
    }
    Ok(())
}

fn place(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    format!(" at line {line}, column {column}")
}

/// Takes a setting from the environment, if the name is one of ours.
fn set(table: &mut Table, known: &Table, name: &str, value: String) -> Result<(), ConfigError> {
    let Some((section, key)) = name
        .strip_prefix(PREFIX)
        .and_then(|name| name.split_once("__"))
        .map(|(section, key)| (section.to_ascii_lowercase(), key.to_ascii_lowercase()))
    else {
        return Ok(());
    };
    if OF_THE_AGENT.contains(&section.as_str()) {
        return Ok(());
    }
    if section == PROFILE
        && let Some((cluster, key)) = key.split_once("__")
    {
        let known = self::known(&ClusterProfile::default())?;
        let value = typed(&known, name, key, value)?;
        put(table, &[PROFILE, cluster, key], value);
        return Ok(());
    }
    let unknown = |suggestion: Option<String>| ConfigError::UnknownKey {
        key: name.to_owned(),
        place: String::new(),
        suggestion: suggestion.map(|near| variable(&near)),
    };
    match known.get(&section) {
        Some(Value::Table(keys)) => {
            let value = typed(keys, name, &key, value)?;
            put(table, &[&section, &key], value);
            Ok(())
        }
        _ => Err(unknown(
            suggestion(&section, known, "").map(|near| format!("{near}.{key}")),
        )),
    }
}

/// The value of a variable as the type that its key has.
fn typed(known: &Table, name: &str, key: &str, value: String) -> Result<Value, ConfigError> {
    Ok(match known.get(key) {
        None => {
            let section = name.strip_suffix(&key.to_ascii_uppercase());
            return Err(ConfigError::UnknownKey {
                key: name.to_owned(),
                place: String::new(),
                suggestion: section
                    .zip(suggestion(key, known, ""))
                    .map(|(section, near)| format!("{section}{}", variable_key(&near))),
            });
        }
        Some(Value::Integer(_)) => match value.parse() {
            Ok(number) => Value::Integer(number),
            Err(_) => return problem(name, "is not a whole number"),
        },
        Some(Value::Boolean(_)) => match value.parse() {
            Ok(flag) => Value::Boolean(flag),
            Err(_) => return problem(name, "is neither true nor false"),
        },
        Some(Value::Array(_)) => Value::Array(
            value
                .split(separator(name))
                .filter(|part| !part.is_empty())
                .map(|part| Value::String(part.to_owned()))
                .collect(),
        ),
        Some(_) => Value::String(value),
    })
}

/// What stands between two entries of a list. No socket has a colon in its name, as
/// in `PATH`; groups of commands and addresses have one.
fn separator(variable: &str) -> char {
    if WITH_COMMAS
        .iter()
        .any(|section| variable.starts_with(section))
    {
        ','
    } else {
        ':'
    }
}

/// Sets a value, making the tables on the way to it.
fn put(table: &mut Table, path: &[&str], value: Value) {
    match path {
        [] => {}
        [key] => {
            table.insert((*key).to_owned(), value);
        }
        [section, rest @ ..] => {
            let section = table
                .entry(*section)
                .or_insert_with(|| Value::Table(Table::new()));
            // The file was read as settings, so a section is a table.
            if let Value::Table(section) = section {
                put(section, rest, value);
            }
        }
    }
}

fn variable(key: &str) -> String {
    format!("{PREFIX}{}", variable_key(key))
}

fn variable_key(key: &str) -> String {
    key.to_ascii_uppercase().replace('.', "__")
}

/// The known key that is most like an unknown one.
fn suggestion(name: &str, known: &Table, prefix: &str) -> Option<String> {
    let name = name.strip_prefix(prefix).unwrap_or(name);
    let key = near(name, known.keys().map(String::as_str))?;
    Some(format!("{prefix}{key}"))
}

/// The known name that is most like an unknown one.
pub(crate) fn near<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|key| (strsim::damerau_levenshtein(name, key), key))
        .min()
        .filter(|(distance, key)| *distance <= SUGGESTION_DISTANCE && *distance < key.len())
        .map(|(_, key)| key)
}
