//! The format of `.fw` files.
//!
//! Sections in brackets; what a line means depends on its section
//! (`pve-firewall@src/PVE/Firewall.pm`, `generic_fw_config_parser`). PVE skips a
//! line that it does not understand, with a warning; so does this, by number.

use pvelens_proto::agent::v1::{
    FirewallAlias, FirewallFile, FirewallGroup, FirewallIpSet, FirewallIpSetEntry, FirewallOption,
    FirewallRule,
};

use super::section_file::short;

/// Lines out of format that are named.
const MALFORMED_LIMIT: usize = 50;

/// Options that are carried, of all scopes.
const OPTIONS: &[&str] = &[
    "dhcp",
    "ebtables",
    "enable",
    "ipfilter",
    "ips",
    "ips_queues",
    "layer2_protocols",
    "log_level_forward",
    "log_level_in",
    "log_level_out",
    "log_nf_conntrack",
    "log_ratelimit",
    "macfilter",
    "ndp",
    "nf_conntrack_allow_invalid",
    "nf_conntrack_helpers",
    "nf_conntrack_max",
    "nf_conntrack_tcp_timeout_established",
    "nf_conntrack_tcp_timeout_syn_recv",
    "nftables",
    "nosmurfs",
    "policy_forward",
    "policy_in",
    "policy_out",
    "protection_synflood",
    "protection_synflood_burst",
    "protection_synflood_rate",
    "radv",
    "smurf_log_level",
    "tcp_flags_log_level",
    "tcpflags",
];

/// Where the parser stands.
#[derive(Clone, Copy)]
enum Section {
    None,
    Options,
    Aliases,
    IpSet,
    Rules,
    Group,
    /// Of a later version; its lines are skipped.
    Unknown,
}

/// Reads one file. Takes from `room` for each entry, and says whether there was
/// enough.
pub(super) fn file(text: &str, room: &mut usize) -> (FirewallFile, bool) {
    let mut file = FirewallFile::default();
    let mut section = Section::None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let Some(left) = room.checked_sub(1) else {
            return (file, false);
        };
        *room = left;
        let known = if line.starts_with('[') {
            let next = header(&mut file, line);
            section = next.unwrap_or(Section::Unknown);
            next.is_some()
        } else {
            entry(&mut file, section, number, line).is_some()
        };
        if !known && file.malformed_lines.len() < MALFORMED_LIMIT {
            file.malformed_lines.push(number);
        }
    }
    file.dropped_options.sort_unstable();
    file.dropped_options.dedup();
    (file, true)
}

/// `[OPTIONS]`, `[IPSET name]`, `[group name]`.
fn header(file: &mut FirewallFile, line: &str) -> Option<Section> {
    let words = line.strip_prefix('[')?.strip_suffix(']')?;
    let mut words = words.split_whitespace();
    let kind = words.next()?.to_ascii_lowercase();
    let name = words.next().map(|name| short(&name.to_ascii_lowercase()));
    match (kind.as_str(), name) {
        ("options", None) => Some(Section::Options),
        ("aliases", None) => Some(Section::Aliases),
        ("rules", None) => Some(Section::Rules),
        ("ipset", Some(name)) => {
            file.ip_sets.push(FirewallIpSet {
                name,
                entries: Vec::new(),
            });
            Some(Section::IpSet)
        }
        ("group", Some(name)) => {
            file.groups.push(FirewallGroup {
                name,
                rules: Vec::new(),
            });
            Some(Section::Group)
        }
        _ => None,
    }
}

fn entry(file: &mut FirewallFile, section: Section, number: u32, line: &str) -> Option<()> {
    match section {
        Section::None => return None,
        Section::Unknown => {}
        Section::Options => match option(line)? {
            Ok(option) => file.options.push(option),
            Err(key) => file.dropped_options.push(key),
        },
        Section::Aliases => file.aliases.push(alias(line)?),
        Section::IpSet => file.ip_sets.last_mut()?.entries.push(member(line)?),
        Section::Rules => file.rules.push(rule(number, line)?),
        Section::Group => file.groups.last_mut()?.rules.push(rule(number, line)?),
    }
    Some(())
}

/// An option, or the key of one that is not carried.
fn option(line: &str) -> Option<Result<FirewallOption, String>> {
    let (key, value) = line.split_once(':')?;
    let key = key.trim().to_ascii_lowercase();
    let is_key = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_key.then(|| {
        if OPTIONS.contains(&key.as_str()) {
            Ok(FirewallOption {
                key,
                value: short(value.trim()),
            })
        } else {
            Err(short(&key))
        }
    })
}

fn alias(line: &str) -> Option<FirewallAlias> {
    let mut words = line.split_whitespace();
    let (name, cidr) = (words.next()?, words.next()?);
    words.next().is_none().then(|| FirewallAlias {
        name: short(&name.to_ascii_lowercase()),
        cidr: short(cidr),
    })
}

/// `!192.0.2.1` or `! 192.0.2.1`.
fn member(line: &str) -> Option<FirewallIpSetEntry> {
    let (no_match, member) = match line.strip_prefix('!') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, line),
    };
    let is_word = !member.is_empty() && !member.contains(char::is_whitespace);
    is_word.then(|| FirewallIpSetEntry {
        member: short(member),
        no_match,
    })
}

fn rule(number: u32, line: &str) -> Option<FirewallRule> {
    let (enabled, line) = match line.strip_prefix('|') {
        Some(rest) => (false, rest),
        None => (true, line),
    };
    let mut words = line.split_whitespace();
    let direction = words.next()?.to_ascii_uppercase();
    let target = words.next()?;
    let mut rule = FirewallRule {
        line: number,
        enabled,
        ..FirewallRule::default()
    };
    match direction.as_str() {
        "GROUP" => rule.group = short(&target.to_ascii_lowercase()),
        "IN" | "OUT" | "FORWARD" => {
            let (macro_name, action) = match target.split_once('(') {
                Some((name, rest)) => (name, rest.strip_suffix(')')?),
                None => ("", target),
            };
            rule.macro_name = short(macro_name);
            rule.action = short(&action.to_ascii_uppercase());
        }
        _ => return None,
    }
    rule.direction = direction;
    while let Some(word) = words.next() {
        let key = word.strip_prefix('-')?.trim_start_matches('-');
        let value = words.next()?;
        let place = match key {
            "i" | "iface" => &mut rule.interface,
            "source" => &mut rule.source,
            "dest" => &mut rule.destination,
            "p" | "proto" => &mut rule.protocol,
            "sport" => &mut rule.source_ports,
            "dport" => &mut rule.destination_ports,
            "icmp-type" => &mut rule.icmp_type,
            "log" => &mut rule.log_level,
            // Written by old versions in place of `|`.
            "enable" => {
                rule.enabled &= value != "0";
                continue;
            }
            _ => return None,
        };
        *place = short(value);
    }
    if rule.log_level == "nolog" {
        rule.log_level.clear();
    }
    Some(rule)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> FirewallFile {
        let (file, is_whole) = file(text, &mut 1000);
        assert!(is_whole);
        file
    }

    #[test]
    fn every_section_is_read() {
        let file = parse(
            "[OPTIONS]\n\nenable: 1\nPolicy_In: DROP\nfuture_key: canary\n\n[ALIASES]\n\nMgmt 192.0.2.0/24 # canary\n\n\
             [IPSET Management]\n\nmgmt\n!192.0.2.9 # canary\n\n[RULES]\n\n|IN SSH(ACCEPT) -i net0 -source +dc/management -log nolog\n\
             OUT REJECT -p tcp -dport 25,587 -sport 1:9 -dest 192.0.2.1 -log info # canary\nGROUP web -i net1\nFORWARD DROP -p icmp -icmp-type echo-request\n\n[group web]\n\nIN ACCEPT -p tcp -dport 80\n",
        );
        assert!(!format!("{file:?}").contains("canary"));
        assert_eq!(file.options[1].key, "policy_in");
        assert_eq!(file.dropped_options, ["future_key"]);
        assert_eq!(file.aliases[0].name, "mgmt");
        assert_eq!(file.ip_sets[0].name, "management");
        assert!(file.ip_sets[0].entries[1].no_match && !file.ip_sets[0].entries[0].no_match);
        let [ssh, mail, group, ping] = file.rules.as_slice() else {
            panic!("{file:?}");
        };
        assert!(!ssh.enabled && mail.enabled);
        assert_eq!(
            (ssh.macro_name.as_str(), ssh.action.as_str()),
            ("SSH", "ACCEPT")
        );
        assert_eq!((ssh.line, ssh.log_level.as_str()), (18, ""));
        assert_eq!(
            (mail.destination_ports.as_str(), mail.source_ports.as_str()),
            ("25,587", "1:9")
        );
        assert_eq!(
            (group.group.as_str(), group.interface.as_str()),
            ("web", "net1")
        );
        assert_eq!(ping.icmp_type, "echo-request");
        assert_eq!(file.groups[0].rules.len(), 1);
        assert_eq!(file.malformed_lines, [0_u32; 0]);
    }

    #[test]
    fn a_line_out_of_format_is_named_by_number_only() {
        let file = parse(
            "canary\n[RULES]\nIN\nSIDEWAYS DROP\nIN DROP -source\nIN DROP canary\nIN SSH(DROP\n[ipset]\ncanary\n[ALIASES]\na b c\n",
        );
        assert_eq!(file.malformed_lines, [1, 3, 4, 5, 6, 7, 8, 11]);
        assert_eq!(file.rules, []);
        assert!(!format!("{file:?}").contains("canary"));
    }

    #[test]
    fn there_is_room_for_so_many_entries() {
        let (cut, is_whole) = super::file("[RULES]\nIN DROP\nIN DROP\n", &mut 2);
        assert!(!is_whole);
        assert_eq!(cut.rules.len(), 1);
    }

    proptest! {
        #[test]
        fn any_text_is_split(text in "(\\[(OPTIONS|ALIASES|RULES|IPSET x|group y)\\]\n|[|]?(IN|OUT|GROUP) [A-Z]{1,4}(\\([A-Z]{0,3}\\))?( -(i|source|dport|p) \\PC{0,5})?\n|[a-z]{1,6}:? ?\\PC{0,6}\n|!\\PC{0,5}\n){0,9}") {
            let (file, _) = file(&text, &mut 1000);
            prop_assert!(file.malformed_lines.len() <= text.lines().count());
        }
    }
}
