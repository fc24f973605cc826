//! `du -x -k -d 1`.

use super::super::{
    number,
    output::{Output, PATH, some},
};
use crate::guest_command::facts::{Directory, GuestFacts};

const LIMIT: usize = 40;

pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut list: Vec<(Directory, &str)> = Vec::new();
    for line in output.filled() {
        match directory(line) {
            Some(found) => list.push(found),
            None => facts.unread(),
        }
    }
    facts.understood = !list.is_empty();
    // `du` sums up last, so a cut output has no sum.
    if !output.is_cut
        && let Some((last, _)) = list.split_last().map(|(last, others)| (last.1, others))
    {
        let below = if last == "/" { "" } else { last };
        let holds = |path: &str| {
            path.strip_prefix(below)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        let (is_sum, count) = (
            list.iter().rev().skip(1).all(|(_, path)| holds(path)),
            list.len(),
        );
        if let Some((one, _)) = list.get_mut(count.saturating_sub(1)) {
            one.is_total = is_sum;
        }
    }
    let mut list: Vec<Directory> = list.into_iter().map(|(directory, _)| directory).collect();
    list.sort_by_key(|one| std::cmp::Reverse((one.is_total, one.size_bytes)));
    facts.bound("directories", &mut list, LIMIT);
    facts.directories = list;
}

fn directory(line: &str) -> Option<(Directory, &str)> {
    let (size, path) = line.split_once(['\t', ' '])?;
    let path = path.trim();
    let directory = Directory {
        path: some(path, PATH)?,
        size_bytes: number::bytes(size, 1024)?,
        is_total: false,
    };
    path.starts_with('/').then_some((directory, path))
}
