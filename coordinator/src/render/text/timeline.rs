//! A line of time for a terminal.
//!
//! ```text
//!   18:02:11 · task     guest/104  configure VM 104: ok in 2 s, by root@pam
//!            ⋮ 2 h 10 min
//!   20:14:00 ✖ finding  node/pve2  critical: pve2 is offline
//! ```

use super::{Tone, paint, wrap};
use crate::render::block::Beat;

/// Columns of the time with its mark.
const TIME: usize = 8;
const MARK: usize = 3;
/// Subjects may take so many tenths of a row.
const SUBJECTS: usize = 3;
/// Columns that a text needs beside its subject; else it stands below.
const TEXT: usize = 28;
const GAP: usize = 2;

pub(super) fn write(out: &mut String, beats: &[Beat], width: u16, color: bool) {
    let width = usize::from(width);
    let (mut kinds, mut subjects) = (0, 0);
    for beat in beats {
        if let Beat::Event { kind, subject, .. } = beat {
            kinds = kinds.max(kind.len());
            subjects = subjects.max(subject.chars().count());
        }
    }
    let subjects = subjects.min(width * SUBJECTS / 10);
    let lead = GAP + TIME + MARK;
    let beside = lead + kinds + GAP + subjects + GAP;
    // Where there is no room beside them, texts begin below.
    let is_below = width.saturating_sub(beside) < TEXT;
    let indent = if is_below { lead } else { beside };
    let room = u16::try_from(width.saturating_sub(indent)).unwrap_or(u16::MAX);
    for beat in beats {
        match beat {
            Beat::Pause(length) => {
                let line = format!("{:indent$}⋮ {length}", "", indent = GAP + TIME + 1);
                out.push_str(&paint(&line, Tone::Dim, color));
                out.push('\n');
            }
            Beat::Event {
                time,
                tone,
                kind,
                subject,
                text,
            } => {
                let mark = match tone {
                    Tone::Critical => "✖",
                    Tone::Warning => "▲",
                    Tone::Good => "✔",
                    Tone::Plain | Tone::Dim | Tone::Bold => "·",
                };
                let subject = cut(subject, if is_below { room.into() } else { subjects });
                let blanks = subjects.saturating_sub(subject.chars().count());
                out.push_str("  ");
                out.push_str(&paint(&format!("{time:TIME$}"), Tone::Dim, color));
                out.push(' ');
                out.push_str(&paint(mark, *tone, color));
                out.push(' ');
                out.push_str(&paint(&format!("{kind:kinds$}"), Tone::Dim, color));
                out.push_str("  ");
                out.push_str(&paint(&subject, Tone::Bold, color));
                let mut lines = wrap(text, room, usize::MAX).into_iter();
                if !is_below && let Some(first) = lines.next() {
                    out.push_str(&" ".repeat(blanks + GAP));
                    out.push_str(&first);
                }
                out.push('\n');
                for line in lines {
                    out.push_str(&" ".repeat(indent));
                    out.push_str(&line);
                    out.push('\n');
                }
            }
        }
    }
}

fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(columns.saturating_sub(1)).collect();
    cut.push('…');
    cut
}
