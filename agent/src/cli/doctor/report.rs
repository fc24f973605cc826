//! What the doctor found, for people and for programs.

use serde::Serialize;

use super::super::plain;

/// Columns of the text. A terminal that is narrower wraps by itself.
const WIDTH: usize = 80;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Ok,
    /// Could not be looked at: never the same as fine.
    Unknown,
    Warning,
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Item {
    pub(super) state: State,
    pub(super) what: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) why: String,
    /// Commands stand between backticks.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) fix: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) items: Vec<Item>,
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) agent_version: &'static str,
    /// The worst of all.
    pub(super) state: State,
    pub(super) sections: Vec<Section>,
}

impl Item {
    pub(super) fn new(state: State, what: impl Into<String>) -> Self {
        Self {
            state,
            what: what.into(),
            why: String::new(),
            fix: String::new(),
        }
    }

    pub(super) fn ok(what: impl Into<String>) -> Self {
        Self::new(State::Ok, what)
    }

    pub(super) fn unknown(what: impl Into<String>) -> Self {
        Self::new(State::Unknown, what)
    }

    pub(super) fn warning(what: impl Into<String>) -> Self {
        Self::new(State::Warning, what)
    }

    pub(super) fn problem(what: impl Into<String>) -> Self {
        Self::new(State::Problem, what)
    }

    pub(super) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }
}

impl Report {
    pub(super) fn new(sections: Vec<Section>) -> Self {
        let items = sections.iter().flat_map(|section| &section.items);
        Self {
            agent_version: env!("CARGO_PKG_VERSION"),
            state: items.map(|item| item.state).max().unwrap_or(State::Unknown),
            sections,
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for section in &self.sections {
            text.push_str(section.title);
            text.push('\n');
            for item in &section.items {
                write(&mut text, &format!("  {} ", symbol(item.state)), &item.what);
                for (word, words) in [("why", &item.why), ("fix", &item.fix)] {
                    if !words.is_empty() {
                        write(&mut text, &format!("      {word}: "), words);
                    }
                }
            }
            text.push('\n');
        }
        write(&mut text, "", &self.conclusion());
        text
    }

    /// How it is, and what to do first: the worst item with a fix, from the top,
    /// since what is further down often follows from it.
    fn conclusion(&self) -> String {
        let items = || self.sections.iter().flat_map(|section| &section.items);
        let counts: Vec<String> = [
            (State::Problem, "problem"),
            (State::Warning, "warning"),
            (State::Unknown, "unknown"),
        ]
        .into_iter()
        .filter_map(
            |(state, word)| match items().filter(|item| item.state == state).count() {
                0 => None,
                1 => Some(format!("1 {word}")),
                many if state == State::Unknown => Some(format!("{many} {word}")),
                many => Some(format!("{many} {word}s")),
            },
        )
        .collect();
        let first = [State::Problem, State::Warning, State::Unknown]
            .into_iter()
            .find_map(|state| items().find(|item| item.state == state && !item.fix.is_empty()));
        match (counts.is_empty(), first) {
            (true, _) => "Nothing to do.".to_owned(),
            (false, None) => format!("{}.", counts.join(", ")),
            (false, Some(first)) => format!("{}. Do first: {}", counts.join(", "), first.fix),
        }
    }
}

fn symbol(state: State) -> char {
    match state {
        State::Ok => '✔',
        State::Unknown => '?',
        State::Warning => '!',
        State::Problem => '✖',
    }
}

/// Wraps behind a prefix. A command is never broken, so that it can be copied.
fn write(text: &mut String, prefix: &str, words: &str) {
    let indent = prefix.chars().count();
    let mut line = prefix.to_owned();
    let mut column = indent;
    for word in unbroken(&plain(words)) {
        let width = word.chars().count();
        if column > indent {
            if column + 1 + width > WIDTH {
                text.push_str(&line);
                text.push('\n');
                line = " ".repeat(indent);
                column = indent;
            } else {
                line.push(' ');
                column += 1;
            }
        }
        line.push_str(&word);
        column += width;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

/// Words; what stands between backticks is one.
fn unbroken(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '`';
        if c == ' ' && !quoted {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(items: Vec<Item>) -> Report {
        Report::new(vec![Section {
            title: "Settings",
            items,
        }])
    }

    #[test]
    fn the_worst_item_with_a_fix_is_done_first() {
        let text = report(vec![
            Item::ok("fine"),
            Item::warning("a warning").fix("wait"),
            Item::problem("a problem")
                .why("it broke")
                .fix("run `mend it`"),
            Item::problem("another").fix("not this"),
        ])
        .text();
        assert_eq!(
            text,
            "Settings\n  ✔ fine\n  ! a warning\n      fix: wait\n  ✖ a problem\n      why: it broke\n      fix: run `mend it`\n  ✖ another\n      fix: not this\n\n2 problems, 1 warning. Do first: run `mend it`\n"
        );
    }

    #[test]
    fn unknown_is_not_healthy_but_less_than_a_problem() {
        assert_eq!(
            report(vec![Item::ok("x"), Item::unknown("y")]).state,
            State::Unknown
        );
        assert_eq!(
            report(vec![Item::problem("x"), Item::unknown("y")]).state,
            State::Problem
        );
        assert_eq!(report(Vec::new()).state, State::Unknown);
        assert_eq!(report(vec![Item::ok("x")]).conclusion(), "Nothing to do.");
    }

    #[test]
    fn lines_fit_and_a_command_is_not_broken() {
        let command = "`systemctl restart one.service two.service`";
        let fix = format!("look at the log for what went wrong before, and then {command} again");
        let text = report(vec![Item::problem("x").fix(&fix)]).text();
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        assert_eq!(text.matches(command).count(), 2, "{text}");
    }

    #[test]
    fn text_of_the_node_cannot_move_the_cursor() {
        let text = report(vec![Item::warning("a\u{1b}[2Jb\nc")]).text();
        assert!(text.contains("a\u{fffd}[2Jb\u{fffd}c"), "{text}");
    }

    #[test]
    fn programs_get_the_same_items() {
        let report = report(vec![Item::problem("x").why("y").fix("z")]);
        assert_eq!(
            serde_json::to_value(&report).unwrap()["sections"][0]["items"][0],
            serde_json::json!({"state": "problem", "what": "x", "why": "y", "fix": "z"})
        );
    }
}
