//! How findings name things.

use std::borrow::Cow;

use pvelens_proto::agent::v1 as wire;

use crate::{
    untrusted,
    view::{Guest, NodeIndex, View},
};

/// The name of a node, safe to show.
pub(super) fn node(view: &View, node: NodeIndex) -> Cow<'_, str> {
    untrusted::name(&view.node(node).name)
}

/// `VM 104 (web)`, `container 101`.
pub(super) fn guest(guest: &Guest) -> String {
    let kind = match guest.kind {
        wire::GuestKind::Lxc => "container",
        _ => "VM",
    };
    if guest.name.is_empty() {
        format!("{kind} {}", guest.vmid)
    } else {
        format!("{kind} {} ({})", guest.vmid, untrusted::name(&guest.name))
    }
}

/// Names in a sentence that are shown; the rest is counted.
const SHOWN: usize = 3;

/// `a`, `a and b`, `a, b, c and 4 more`.
pub(super) fn list<'a>(names: impl IntoIterator<Item = Cow<'a, str>>) -> String {
    let mut names = names.into_iter();
    let mut shown: Vec<Cow<'a, str>> = names.by_ref().take(SHOWN).collect();
    let more = names.count();
    if more > 0 {
        return format!("{} and {more} more", shown.join(", "));
    }
    let Some(last) = shown.pop() else {
        return "none".to_owned();
    };
    if shown.is_empty() {
        return last.into_owned();
    }
    format!("{} and {last}", shown.join(", "))
}

/// The names of nodes in a sentence.
pub(super) fn nodes(view: &View, nodes: &[NodeIndex]) -> String {
    list(nodes.iter().map(|index| node(view, *index)))
}

/// `1 guest`, `4 guests`.
pub(super) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut_and_counted() {
        let names =
            |names: &'static [&'static str]| list(names.iter().map(|name| Cow::Borrowed(*name)));
        assert_eq!(names(&[]), "none");
        assert_eq!(names(&["a"]), "a");
        assert_eq!(names(&["a", "b"]), "a and b");
        assert_eq!(names(&["a", "b", "c"]), "a, b and c");
        assert_eq!(names(&["a", "b", "c", "d", "e"]), "a, b, c and 2 more");
        assert_eq!(count(1, "guest"), "1 guest");
        assert_eq!(count(0, "guest"), "0 guests");
    }
}
