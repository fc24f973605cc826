//! Configurations: what changed, and what was so at a time.

use jiff::Timestamp;

use super::{
    block::{Block, Describe, Document, Mark, Table, Tone, names, words},
    cell::{missing, moment, several},
};
use crate::answer::{
    events::change,
    revisions::{Configuration, RevisionEntry, Revisions},
};

/// A change that is known to this many seconds is told by one time.
const CLOSE: i64 = 60;

impl Describe for Revisions {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        document.line(Mark::None, counted(self));
        let subjects = several(self.revisions.iter().map(|one| &*one.subject));
        let clusters = several(self.revisions.iter().map(|one| &*one.cluster));
        for revision in &self.revisions {
            document.gap();
            let cluster = match clusters {
                true => format!("  {:.8}", revision.cluster),
                false => String::new(),
            };
            let subject = match subjects || clusters {
                true => format!("  {}", revision.subject),
                false => String::new(),
            };
            document.heading(&format!("{}{cluster}{subject}", when(revision)));
            document.line(Mark::None, who(revision));
            describe_changes(&mut document, revision);
        }
        for note in &self.notes {
            document.note(format!("note: {note}"));
        }
        missing(&mut document, &self.coverage);
        document
    }
}

fn counted(revisions: &Revisions) -> String {
    let known = match revisions.known_since {
        Some(since) => format!(", known since {} UTC", moment(since)),
        None => String::new(),
    };
    match (revisions.revisions.len(), revisions.older_left_out) {
        (0, _) => format!("no change{known}"),
        (1, false) => format!("1 change{known}"),
        (count, false) => format!("{count} changes{known}"),
        (count, true) => format!("the newest {count} changes{known}"),
    }
}

/// `2026-11-27 18:02:11 UTC`, or between which times.
fn when(revision: &RevisionEntry) -> String {
    let at = revision.at;
    match revision.not_before {
        Some(before) if at.duration_since(before).as_secs() > CLOSE => {
            format!(
                "between {} and {} UTC",
                moment(before),
                same_day(before, at)
            )
        }
        _ => format!("{} UTC", moment(at)),
    }
}

fn same_day(before: Timestamp, at: Timestamp) -> String {
    let (day, moment) = (moment(before), moment(at));
    match (day.get(..10), moment.get(..10)) {
        (Some(one), Some(other)) if one == other => at.strftime("%H:%M:%S").to_string(),
        _ => moment,
    }
}

fn who(revision: &RevisionEntry) -> String {
    let author = &revision.author;
    match author.users.as_slice() {
        [] => "by whom is unknown: no task and no word of the log fits".to_owned(),
        [user] => format!("by {user}, {}", author.by),
        users => format!("by one of {}: all were at it then", users.join(", ")),
    }
}

fn describe_changes(document: &mut Document, revision: &RevisionEntry) {
    let detail =
        |document: &mut Document, text: String| document.line(Mark::State(Tone::Plain), text);
    if revision.is_new {
        detail(document, "created".to_owned());
    }
    if revision.is_gone {
        detail(document, "removed".to_owned());
        return;
    }
    if revision.changes.is_empty() && !revision.is_new {
        let text = "something changed that is not read: a comment, a description, a secret";
        detail(document, text.to_owned());
    }
    for one in &revision.changes {
        detail(document, change(one));
    }
    if revision.changes_left_out > 0 {
        detail(document, format!("and {} more", revision.changes_left_out));
    }
    if revision.is_read_anew {
        let text = "note: the agent was updated meanwhile, perhaps it only reads more now";
        document.note(text);
    }
}

impl Describe for Configuration {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        let at = moment(self.at);
        if self.is_absent {
            document.line(
                Mark::None,
                format!("{} was not there at {at} UTC", self.subject),
            );
        } else {
            document.line(Mark::None, format!("{} at {at} UTC", self.subject));
            document.gap();
            let mut table = Table::new(&[words("SETTING"), names("VALUE")]);
            for line in &self.settings {
                let cells = vec![Some(line.setting.clone()), Some(line.value.clone())];
                table.row(Tone::Plain, cells);
            }
            document.blocks.push(Block::Table(table));
        }
        missing(&mut document, &self.coverage);
        document
    }
}
