//! Texts that fit, made of what others wrote.

use jiff::Timestamp;

use crate::{figure, untrusted};

/// Columns of a page.
pub(super) const COLUMNS: usize = 100;

/// One line of at most `limit` columns, safe to show. A character may be two
/// columns wide, so wide ones count twice.
pub(super) fn line(text: &str, limit: usize) -> String {
    let text = untrusted::line(text, 4 * COLUMNS);
    if columns(&text) <= limit {
        return text.into_owned();
    }
    let mut used = 0;
    let mut shown = String::new();
    for c in text.chars() {
        used += width(c);
        if used >= limit {
            break;
        }
        shown.push(c);
    }
    let mut shown = shown.trim_end().to_owned();
    shown.push('…');
    shown
}

pub(super) fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// Every character beyond Latin, Greek and Cyrillic may take two columns, except
/// the punctuation and symbols that are our own.
fn width(c: char) -> usize {
    match u32::from(c) {
        0..0x1100 | 0x2000..0x2e80 => 1,
        _ => 2,
    }
}

/// Text over at most `rows` lines of `limit` columns, the last one cut.
pub(super) fn wrap(text: &str, limit: usize, rows: usize) -> Vec<String> {
    let text = untrusted::line(text, rows * COLUMNS * 2).into_owned();
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |line| columns(line));
        if last > 0 && last + 1 + columns(word) > limit {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    if lines.len() > rows {
        let rest = lines.split_off(rows.saturating_sub(1)).join(" ");
        lines.push(rest);
    }
    lines.iter().map(|text| line(text, limit)).collect()
}

/// `12:03:15`, with the date when that is another day. UTC.
pub(super) fn time(at: Timestamp, now: Timestamp) -> String {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let pattern = if day(at) == day(now) {
        "%H:%M:%S"
    } else {
        "%b %d %H:%M"
    };
    at.strftime(pattern).to_string()
}

/// `12:03:15 UTC (14 min ago)`.
pub(super) fn time_and_age(at: Timestamp, now: Timestamp) -> String {
    format!("{} UTC ({} ago)", time(at, now), age(at, now))
}

pub(super) fn age(at: Timestamp, now: Timestamp) -> String {
    let age = std::time::Duration::try_from(now.duration_since(at)).unwrap_or_default();
    figure::duration(age)
}

/// `a, b and c`, of many only the first.
pub(super) fn list(names: &[String], most: usize) -> String {
    let more = names.len().saturating_sub(most);
    let shown: Vec<String> = names
        .iter()
        .take(most)
        .map(|name| untrusted::name(name).into_owned())
        .collect();
    if more > 0 {
        return format!("{} and {more} more", shown.join(", "));
    }
    match shown.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

/// `1 guest`, `3 guests`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}
