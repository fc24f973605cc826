//! The files that somebody writes: the settings, and what operators state.

use std::path::Path;

use jiff::Timestamp;

use super::item::Item;
use crate::{
    cli::config,
    config::{Config, DEFAULT_PATH},
    intent,
};

/// The settings, or the defaults when they are not valid.
pub(super) fn settings(file: Option<&Path>) -> (Config, Item) {
    let path = file.unwrap_or(Path::new(DEFAULT_PATH));
    let shown = path.display();
    match config::load(file) {
        Ok(config) if path.exists() => (config, Item::ok(format!("{shown} is valid"))),
        Ok(config) => {
            let what = format!("no file {shown}: every setting has its default");
            (config, Item::ok(what))
        }
        Err(error) => {
            let item = Item::problem(format!(
                "{shown} is not valid; the coordinator does not start"
            ))
            .why(gist(&error.to_string()))
            .fix(format!(
                "correct it; `pvelens config check {shown}` reads it again"
            ));
            (Config::default(), item)
        }
    }
}

/// The place and the reason, without the picture between them.
fn gist(error: &str) -> String {
    let mut lines = error.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    match lines.next_back() {
        Some(last) => format!("{first}: {last}"),
        None => first.to_owned(),
    }
}

/// What operators state in the file beside the settings.
pub(super) fn intent(settings: Option<&Path>, now: Timestamp) -> Item {
    let path = intent::path(settings);
    let shown = path.display();
    match config::load_intent(settings) {
        Ok(declared) if path.exists() => {
            let statements = &declared.statements;
            let ended = statements.iter().filter(|it| it.has_ended(now)).count();
            let stated = match (statements.len(), ended) {
                (0, _) => "states nothing".to_owned(),
                (1, 0) => "has 1 statement".to_owned(),
                (1, _) => "has 1 statement, which has ended".to_owned(),
                (count, 0) => format!("has {count} statements"),
                (count, 1) => format!("has {count} statements, 1 of which has ended"),
                (count, ended) => format!("has {count} statements, {ended} of which have ended"),
            };
            Item::ok(format!("{shown} is valid and {stated}"))
        }
        Ok(_) => Item::ok(format!("no file {shown}: nothing is stated")),
        // One that runs goes on with what it read when it was valid.
        Err(error) => Item::problem(format!(
            "{shown} is not valid; the coordinator does not start with it"
        ))
        .why(gist(&error.to_string()))
        .fix(format!("correct it; `{}` reads it again", check(settings))),
    }
}

/// The command that reads both files.
fn check(settings: Option<&Path>) -> String {
    match settings {
        Some(settings) => format!("pvelens config check {}", settings.display()),
        None => "pvelens config check".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::cli::doctor::item::State;

    /// 2026-11-27.
    const NOW: i64 = 1_795_737_600;

    #[test]
    fn wrong_settings_are_named_and_the_rest_is_looked_at() {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("pvelens.toml");
        fs::write(&file, "[socket]\ngroup = \"x\"\n").unwrap();
        let (config, item) = settings(Some(&file));
        assert_eq!(config, Config::default());
        assert_eq!(item.state, State::Problem);
        assert!(item.why.contains("did you mean `sockets`?"), "{}", item.why);
        fs::write(&file, "[sockets]\ngroup = \"x\"\n").unwrap();
        let (config, item) = settings(Some(&file));
        assert_eq!(
            (config.sockets.group.as_str(), item.state),
            ("x", State::Ok)
        );
    }

    fn off(node: &str, until: &str) -> String {
        format!(
            "[[schedules.off]]\nobjects = [\"node/{node}\"]\ncalendar = \"always\"\n\
             author = \"anna\"\nreason = \"sleeps\"\nuntil = {until}\n"
        )
    }

    /// What is said of a file with this text, without where it is.
    fn said(text: Option<&str>) -> Item {
        let directory = TempDir::new().unwrap();
        if let Some(text) = text {
            fs::write(directory.path().join("intent.toml"), text).unwrap();
        }
        let now = Timestamp::from_second(NOW).unwrap();
        let mut item = intent(Some(&directory.path().join("pvelens.toml")), now);
        let place = format!("{}/", directory.path().display());
        for text in [&mut item.what, &mut item.why, &mut item.fix] {
            *text = text.replace(&place, "");
        }
        item
    }

    #[test]
    fn statements_are_counted_and_those_that_have_ended() {
        let (over, held) = (off("pve1", "2026-11-20"), off("pve2", "2027-06-30"));
        let three = format!("{over}{held}{}", off("pve3", "2027-01-01"));
        let four = format!("{three}{}", off("pve4", "2026-01-01"));
        for (text, what) in [
            (None, "no file intent.toml: nothing is stated"),
            (
                Some("[tags]\nlab = [\"lab\"]\n"),
                "intent.toml is valid and states nothing",
            ),
            (Some(&held), "intent.toml is valid and has 1 statement"),
            (
                Some(&over),
                "intent.toml is valid and has 1 statement, which has ended",
            ),
            (
                Some(&three),
                "intent.toml is valid and has 3 statements, 1 of which has ended",
            ),
            (
                Some(&four),
                "intent.toml is valid and has 4 statements, 2 of which have ended",
            ),
        ] {
            assert_eq!(said(text), Item::ok(what));
        }
    }

    #[test]
    fn what_is_wrong_with_a_statement_is_named_with_its_place() {
        let wrong = off("pve1", "2027-06-30").replace("calendar", "calender");
        let item = said(Some(&wrong));
        assert_eq!(
            (item.state, item.what.as_str()),
            (
                State::Problem,
                "intent.toml is not valid; the coordinator does not start with it"
            )
        );
        assert!(item.why.contains("line 3, column 1"), "{}", item.why);
        assert!(
            item.why.contains("did you mean `schedules.off.calendar`?"),
            "{}",
            item.why
        );
        assert_eq!(
            item.fix,
            "correct it; `pvelens config check pvelens.toml` reads it again"
        );
        // Of a value: the key.
        let wrong = off("pve1", "2027-06-30").replace("anna", "");
        let item = said(Some(&wrong));
        assert!(item.why.contains("schedules.off.1.author"), "{}", item.why);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_a_problem() {
        let directory = TempDir::new().unwrap();
        // Nobody can read a directory as a file, not even root.
        fs::create_dir(directory.path().join("intent.toml")).unwrap();
        let now = Timestamp::from_second(NOW).unwrap();
        let item = intent(Some(&directory.path().join("pvelens.toml")), now);
        assert_eq!(item.state, State::Problem);
        assert!(item.why.contains("directory"), "{}", item.why);
    }
}
