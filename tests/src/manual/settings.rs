//! Pages of the settings, from the files that are shipped: their comments are
//! the only description of the keys.
//!
//! Of TOML only what these files use is understood: sections, keys with a value
//! on one line, comments. `#key = value` and `#[section]`, without a space after
//! the hash, show what is not set. In a list of tables, such as `#[[maintenance]]`, the
//! comment of the list is about all of its keys, and these are an example.

use roff::{Roff, bold, roman};

use super::{
    MANUAL, ManualError, Page, Program, SettingsFile, VERSION,
    command::{prose, references, term},
};

/// Why the shipped settings cannot be shown.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("line {line} is neither a comment, a section nor a key with its value: {text}")]
    Line { line: usize, text: String },
    #[error("`{0}` has no comment")]
    Undocumented(String),
}

/// A file, with paragraphs for comments.
#[derive(Debug, Default, PartialEq, Eq)]
struct Settings {
    about: Vec<String>,
    sections: Vec<Section>,
}

#[derive(Debug, PartialEq, Eq)]
struct Section {
    name: String,
    about: Vec<String>,
    keys: Vec<Key>,
}

#[derive(Debug, PartialEq, Eq)]
struct Key {
    name: String,
    value: String,
    /// The value holds, unlike that of an example.
    is_set: bool,
    about: Vec<String>,
}

impl Section {
    fn is_list(&self) -> bool {
        self.name.starts_with('[')
    }
}

pub(super) fn page(
    program: &Program,
    file: &SettingsFile,
    date: &str,
) -> Result<Page, ManualError> {
    let settings = parse(file.text).map_err(|source| ManualError::Settings {
        path: file.path,
        source,
    })?;
    let section = program.section;
    let mut roff = Roff::new();
    let title = file.page.to_uppercase();
    roff.control("TH", [title.as_str(), "5", date, VERSION, MANUAL]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{} - {}", file.page, file.title))]);
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold(file.path)]);
    roff.control("SH", ["DESCRIPTION"]);
    paragraphs(&mut roff, &settings.about);
    roff.control("SH", ["SETTINGS"]);
    for section in &settings.sections {
        roff.control("SS", [format!("[{}]", section.name).as_str()]);
        paragraphs(&mut roff, &section.about);
        if section.is_list() {
            example(&mut roff, section);
            continue;
        }
        for key in &section.keys {
            let value = if key.is_set {
                format!(" = {}", key.value)
            } else {
                format!(", not set; for example {}", key.value)
            };
            let about: Vec<&str> = key.about.iter().map(String::as_str).collect();
            term(&mut roff, [bold(&key.name), roman(value)], &about);
        }
    }
    let mut pages = vec![
        format!("{}({section})", program.name),
        format!("{}-config-check({section})", program.name),
    ];
    let others = program.written().map(|other| other.page);
    let others = others.filter(|page| *page != file.page);
    pages.extend(others.map(|page| format!("{page}(5)")));
    references(&mut roff, &pages);
    Ok(Page {
        file_name: format!("{}.5", file.page),
        text: roff.render().into_bytes(),
    })
}

/// A table as it is written.
fn example(roff: &mut Roff, section: &Section) {
    roff.control("PP", []);
    roff.control("EX", []);
    roff.text([roman(format!("[{}]", section.name))]);
    for key in &section.keys {
        roff.text([roman(format!("{} = {}", key.name, key.value))]);
    }
    roff.control("EE", []);
}

fn paragraphs(roff: &mut Roff, paragraphs: &[String]) {
    for paragraph in paragraphs {
        roff.control("PP", []);
        roff.text(prose(paragraph));
    }
}

fn parse(text: &str) -> Result<Settings, SettingsError> {
    let mut settings = Settings::default();
    // The comment that waits for what it is about.
    let mut comment = Vec::new();
    for (place, line) in text.lines().enumerate() {
        if line.is_empty() {
            // A comment on its own is about what it stands in.
            let about = settings
                .sections
                .last_mut()
                .map(|section| &mut section.about);
            about.unwrap_or(&mut settings.about).append(&mut comment);
            continue;
        }
        if let Some(words) = line.strip_prefix("# ").or(line.strip_suffix('#')) {
            add_words(&mut comment, words);
            continue;
        }
        let (is_set, plain) = match line.strip_prefix('#') {
            Some(example) => (false, example),
            None => (true, line),
        };
        let about = std::mem::take(&mut comment);
        if let Some(name) = plain.strip_prefix('[').and_then(|s| s.strip_suffix(']')) {
            settings.sections.push(Section {
                name: name.to_owned(),
                about,
                keys: Vec::new(),
            });
            continue;
        }
        let key = plain.split_once(" = ").filter(|(name, value)| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| matches!(b, b'_' | b'-') || b.is_ascii_lowercase())
                && !value.is_empty()
        });
        let (Some((name, value)), Some(section)) = (key, settings.sections.last_mut()) else {
            return Err(SettingsError::Line {
                line: place + 1,
                text: line.to_owned(),
            });
        };
        if about.is_empty() && !section.is_list() {
            return Err(SettingsError::Undocumented(name.to_owned()));
        }
        section.keys.push(Key {
            name: name.to_owned(),
            value: value.to_owned(),
            is_set,
            about,
        });
    }
    Ok(settings)
}

/// Goes on with the last paragraph; an empty comment line starts another.
fn add_words(paragraphs: &mut Vec<String>, words: &str) {
    match paragraphs.last_mut() {
        _ if words.is_empty() => paragraphs.push(String::new()),
        Some(paragraph) if paragraph.is_empty() => paragraph.push_str(words),
        Some(paragraph) => {
            paragraph.push('\n');
            paragraph.push_str(words);
        }
        None => paragraphs.push(words.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_belong_to_what_follows_them() {
        let settings = parse(
            "# The file.\n#\n# More on it.\n\n[log]\n# How\n# much.\nlevel = \"info\"\n\n# For\n# tests.\n#[profile.lab]\n# Tenants.\n#hosting = false\n",
        )
        .unwrap();
        assert_eq!(settings.about, ["The file.", "More on it."]);
        let [log, profile] = settings.sections.as_slice() else {
            panic!("{settings:?}");
        };
        assert_eq!(log.keys[0].about, ["How\nmuch."]);
        assert_eq!(
            (log.keys[0].value.as_str(), log.keys[0].is_set),
            ("\"info\"", true)
        );
        assert_eq!(profile.about, ["For\ntests."]);
        assert!(!profile.keys[0].is_set);
    }

    #[test]
    fn a_comment_on_its_own_is_about_its_section() {
        let settings = parse("# File.\n\n[a]\n# Key.\nkey = 1\n\n# Alone.\n\n").unwrap();
        assert_eq!(settings.about, ["File."]);
        assert_eq!(settings.sections[0].about, ["Alone."]);
    }

    #[test]
    fn keys_of_a_list_of_tables_need_no_words_of_their_own() {
        let settings = parse("[a]\n\n# Who.\n#[[b.c]]\n#one = 1\n#two-three = \"2\"\n").unwrap();
        let list = &settings.sections[1];
        assert_eq!(
            (list.name.as_str(), list.is_list(), list.keys.len()),
            ("[b.c]", true, 2)
        );
        let mut roff = Roff::new();
        example(&mut roff, list);
        let text = roff.render();
        assert!(text.contains(".EX\n[[b.c]]\none = 1\ntwo"), "{text}");
    }

    #[test]
    fn what_cannot_be_shown_is_an_error_with_its_line() {
        let error = |text| parse(text).unwrap_err();
        let line = |line, text: &str| SettingsError::Line {
            line,
            text: text.to_owned(),
        };
        assert_eq!(error("[a]\n# List.\nkey = \n"), line(3, "key = "));
        assert_eq!(error("# Nowhere.\nkey = 1\n"), line(2, "key = 1"));
        assert_eq!(
            error("[a]\nkey = 1\n"),
            SettingsError::Undocumented("key".to_owned())
        );
    }
}
