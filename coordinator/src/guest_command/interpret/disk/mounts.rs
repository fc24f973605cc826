//! `/proc/self/mounts`.

use super::{
    super::output::Output,
    file_system::{keep, named},
};
use crate::guest_command::facts::{FileSystem, GuestFacts};

pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut list = Vec::new();
    for line in output.filled() {
        match mount(line) {
            Some(one) => list.push(one),
            None => facts.unread(),
        }
    }
    keep(facts, list);
}

fn mount(line: &str) -> Option<FileSystem> {
    let mut words = line.split(' ');
    let (device, place, kind, options) =
        (words.next()?, words.next()?, words.next()?, words.next()?);
    // The two numbers at the end show that nothing is missing.
    words.next()?;
    let mut one = named(&unescaped(device), kind, &unescaped(place));
    one.read_only = options.split(',').find_map(|option| match option {
        "ro" => Some(true),
        "rw" => Some(false),
        _ => None,
    });
    place.starts_with('/').then_some(one)
}

/// The kernel writes blanks as `\040`, and tab, line end and backslash in the same way.
fn unescaped(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}
