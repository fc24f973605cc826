//! `/etc/hosts` and `/etc/resolv.conf`.

use pvelens_proto::agent::v1::{HostsEntry, ResolverSettings};

use super::without_comment;
use crate::format::url_host::plain_host;

/// Lines `address name alias...` (`hosts(5)`). A line without a name says nothing.
pub(super) fn hosts(text: &str) -> Vec<HostsEntry> {
    let entries = text.lines().filter_map(|line| {
        let mut words = without_comment(line).split_whitespace();
        let address = address(words.next()?)?;
        let names = plain(words);
        (!names.is_empty()).then_some(HostsEntry { address, names })
    });
    entries.collect()
}

/// Lines `nameserver address`, and `search` or `domain` with domains
/// (`resolv.conf(5)`).
pub(super) fn resolver(text: &str) -> ResolverSettings {
    let mut settings = ResolverSettings::default();
    for line in text.lines() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        let mut words = line.split_whitespace();
        match words.next() {
            Some("nameserver") => settings.nameservers.extend(words.next().and_then(address)),
            Some("search" | "domain") => settings.search = plain(words),
            _ => {}
        }
    }
    settings
}

/// An address, with the scope of a link-local one.
fn address(word: &str) -> Option<String> {
    let bare = word.split('%').next().unwrap_or_default();
    bare.parse::<std::net::IpAddr>().ok()?;
    plain_host(word).map(str::to_owned)
}

fn plain<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    words.filter_map(plain_host).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_of_hosts_is_an_address_and_its_names() {
        let text = "127.0.0.1 localhost\n# canary-a\n192.0.2.11\tpve1.example.test pve1 # canary-b\n\
            fe80::1%vmbr0 link\nnot-an-address name\n10.0.0.1\n::1 ip6-localhost";
        let entries = hosts(text);
        let addresses: Vec<&str> = entries.iter().map(|e| e.address.as_str()).collect();
        assert_eq!(
            addresses,
            ["127.0.0.1", "192.0.2.11", "fe80::1%vmbr0", "::1"]
        );
        assert_eq!(entries[1].names, ["pve1.example.test", "pve1"]);
        assert!(!format!("{entries:?}").contains("canary"));
    }

    #[test]
    fn the_last_search_counts() {
        let text = "domain old.test\nsearch example.test lan ; canary\nnameserver 192.0.2.1\n\
            nameserver 2001:db8::53 # canary\nnameserver wrong\noptions edns0\n";
        let settings = resolver(text);
        assert_eq!(settings.nameservers, ["192.0.2.1", "2001:db8::53"]);
        assert_eq!(settings.search, ["example.test", "lan"]);
    }

    proptest! {
        #[test]
        fn any_text_parses(text in "((nameserver|search|10.0.0.1) \\PC{0,20}\n?){0,9}") {
            drop(hosts(&text));
            drop(resolver(&text));
        }
    }
}
