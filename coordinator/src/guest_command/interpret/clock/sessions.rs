//! `who -u`, of GNU and of `BusyBox`, and `quser` of Windows.

use super::super::{
    number,
    output::{NAME, Output, WORD, some, split, text},
};
use crate::guest_command::facts::{GuestFacts, Session};

const LIMIT: usize = 40;

/// Takes over a list. An empty one is a fact, too.
pub(in super::super) fn keep(facts: &mut GuestFacts, mut list: Vec<Session>) {
    facts.understood = true;
    facts.bound("sessions", &mut list, LIMIT);
    facts.sessions = Some(list);
}

/// `root pts/0 2024-05-01 10:00 . 1234 (192.0.2.5)`, or with `May  1 10:00`; the other
/// one has a heading and `USER TTY IDLE TIME HOST`.
pub(in super::super) fn who(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut list = Vec::new();
    let mut is_busybox = false;
    for line in output.filled() {
        if line.starts_with("USER") || line.starts_with("NAME") {
            is_busybox = line.contains("IDLE") && line.contains("TIME") && line.contains("HOST");
            continue;
        }
        let session = if is_busybox { busybox(line) } else { gnu(line) };
        match session {
            Some(session) => list.push(session),
            None => facts.unread(),
        }
    }
    if !list.is_empty() || output.is_empty() || (is_busybox && !output.is_cut) {
        keep(facts, list);
    }
}

fn gnu(line: &str) -> Option<Session> {
    let (tokens, rest) = split(line, 4);
    let [user, terminal, day, time] = tokens.as_slice() else {
        return None;
    };
    // In the old form the day takes two words.
    let (since, rest) = if is_clock(time) {
        (format!("{day} {time}"), rest)
    } else {
        let (more, rest) = split(rest, 1);
        let clock = more.first().filter(|clock| is_clock(clock))?;
        (format!("{day} {time} {clock}"), rest)
    };
    let from = rest
        .rsplit_once('(')
        .and_then(|(_, from)| from.strip_suffix(')'));
    let idle = rest
        .split_whitespace()
        .next()
        .filter(|idle| !idle.starts_with('('));
    Some(Session {
        user: text(user, WORD),
        terminal: some(terminal, WORD),
        from: from.and_then(|from| some(from, NAME)),
        since: some(&since, 40),
        idle: idle.and_then(|idle| some(idle, WORD)),
        ..Session::default()
    })
}

fn busybox(line: &str) -> Option<Session> {
    let (tokens, rest) = split(line, 6);
    let [user, terminal, idle, month, day, clock] = tokens.as_slice() else {
        return None;
    };
    is_clock(clock).then(|| Session {
        user: text(user, WORD),
        terminal: some(terminal, WORD),
        from: some(rest, NAME),
        since: some(&format!("{month} {day} {clock}"), 40),
        idle: some(idle, WORD),
        ..Session::default()
    })
}

/// `10:00`, `10:00:00`.
fn is_clock(text: &str) -> bool {
    let mut parts = text.split(':');
    let mut two = || {
        parts
            .next()
            .is_some_and(|part| part.len() == 2 && number::small(part).is_some())
    };
    two() && two()
}

/// `quser`: a heading, then ` bob   rdp-tcp#2   3  Active   1:02  5/1/2024 8:00 AM`. Who
/// is disconnected has no session name.
pub(in super::super) fn quser(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut list = Vec::new();
    for line in output.filled().skip(1) {
        match windows_session(line.trim_start_matches('>')) {
            Some(session) => list.push(session),
            None => facts.unread(),
        }
    }
    // Nobody is logged in: then it writes no list but an error elsewhere.
    if !list.is_empty() || output.is_empty() {
        keep(facts, list);
    }
}

fn windows_session(line: &str) -> Option<Session> {
    let is_number = |text: &&str| number::small(text).is_some();
    let (tokens, _) = split(line, 3);
    // The number of the session comes second or third.
    let has_name = !tokens.get(1).is_some_and(is_number);
    let (tokens, rest) = split(line, if has_name { 3 } else { 2 });
    tokens.last().filter(|text| is_number(text))?;
    let (user, name) = (tokens.first()?, tokens.get(1).filter(|_| has_name));
    let (tokens, since) = split(rest, 2);
    let [state, idle] = tokens.as_slice() else {
        return None;
    };
    Some(Session {
        user: text(user, WORD),
        terminal: name.and_then(|name| some(name, WORD)),
        state: some(state, WORD),
        idle: some(idle, WORD),
        since: some(since, 40),
        ..Session::default()
    })
}
