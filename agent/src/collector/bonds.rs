//! Bonded interfaces and their links, from `/proc/1/net/bonding`.
//!
//! The agent has a network namespace of its own, so it reads that of PID 1.

use pvelens_proto::agent::v1::{Bond, BondSlave, Bonds, CollectionClass};

use super::{CollectError, Collector, FILE_DEADLINE, KERNEL_FILE_LIMIT, Payload, Reading, STATE};
use crate::format::{FormatError, whole_lines};

const DIRECTORY: &str = "/proc/1/net/bonding";
const BOND_LIMIT: usize = 64;
const SLAVE_LIMIT: usize = 64;

pub(super) const COLLECTOR: Collector = Collector {
    name: "bonds",
    summary: "bonded interfaces, their links and what LACP says",
    class: CollectionClass::State,
    interval: STATE,
    deadline: FILE_DEADLINE,
    paths: &["/proc/1/net/bonding/*"],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    const NONE: CollectError = CollectError::NoData("no bonds on this node");
    let mut names = match reading.list(DIRECTORY) {
        Ok(names) => names,
        Err(error) if error.is_not_found() => return Err(NONE),
        Err(error) => return Err(error.into()),
    };
    if names.is_empty() {
        return Err(NONE);
    }
    names.sort_unstable();
    let truncated = names.len() > BOND_LIMIT;
    let mut bonds = Vec::new();
    for name in names.into_iter().take(BOND_LIMIT) {
        let path = format!("{DIRECTORY}/{name}");
        if let Some(text) = reading.read_optional(&path, KERNEL_FILE_LIMIT) {
            let bond = parse(&name, &text).map_err(|error| error.at(&path));
            bonds.extend(reading.keep(bond));
        }
    }
    Ok(Payload::Bonds(Bonds { bonds, truncated }))
}

/// Lines `Key: value`; each `Slave Interface` starts the lines of one link
/// (kernel `drivers/net/bonding/bond_procfs.c`). The details of LACP frames
/// are indented and not read.
fn parse(name: &str, text: &str) -> Result<Bond, FormatError> {
    let mut bond = Bond {
        name: name.to_owned(),
        ..Bond::default()
    };
    for line in whole_lines(text)?.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        if key == "Slave Interface" {
            if bond.slaves.len() >= SLAVE_LIMIT {
                return Err(FormatError::malformed("more than 64 interfaces"));
            }
            bond.slaves.push(BondSlave {
                name: value.to_owned(),
                ..BondSlave::default()
            });
        } else if let Some(slave) = bond.slaves.last_mut() {
            of_slave(slave, key, value)?;
        } else {
            of_bond(&mut bond, key, value)?;
        }
    }
    if bond.mode.is_empty() || bond.mii_status.is_empty() {
        return Err(FormatError::truncated("mode or status is missing"));
    }
    Ok(bond)
}

fn of_bond(bond: &mut Bond, key: &str, value: &str) -> Result<(), FormatError> {
    let word = || Some(value.to_owned());
    match key {
        "Bonding Mode" => value.clone_into(&mut bond.mode),
        "MII Status" => value.clone_into(&mut bond.mii_status),
        "LACP rate" => bond.lacp_rate = word(),
        "Transmit Hash Policy" => bond.transmit_hash_policy = word(),
        "Primary Slave" => bond.primary = interface(value),
        "Currently Active Slave" => bond.active_slave = interface(value),
        "\tAggregator ID" => bond.active_aggregator_id = Some(number(value)?),
        "\tPartner Mac Address" => bond.partner_mac = word(),
        _ => {}
    }
    Ok(())
}

fn of_slave(slave: &mut BondSlave, key: &str, value: &str) -> Result<(), FormatError> {
    let word = || Some(value.to_owned());
    match key {
        "MII Status" => value.clone_into(&mut slave.mii_status),
        "Speed" if value != "Unknown" => {
            slave.speed_megabits = Some(number(value.trim_end_matches(" Mbps"))?);
        }
        "Duplex" if value != "Unknown" => slave.duplex = word(),
        "Link Failure Count" => slave.link_failures_total = number(value)?,
        // `N/A` while it has none.
        "Aggregator ID" => slave.aggregator_id = value.parse().ok(),
        "Actor Churn State" => slave.actor_churn_state = word(),
        "Partner Churn State" => slave.partner_churn_state = word(),
        _ => {}
    }
    Ok(())
}

/// The name in `eno1 (primary_reselect always)`; `None` stands for none.
fn interface(value: &str) -> Option<String> {
    let name = value.split_ascii_whitespace().next()?;
    (name != "None").then(|| name.to_owned())
}

fn number<T: std::str::FromStr>(value: &str) -> Result<T, FormatError> {
    let number = value.parse();
    number.map_err(|_| FormatError::malformed("a value is not a number"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    #[test]
    fn a_backup_that_took_over_is_seen() {
        let text = "Bonding Mode: fault-tolerance (active-backup)\nPrimary Slave: eno1 (primary_reselect always)\n\
            Currently Active Slave: eno2\nMII Status: up\n\nSlave Interface: eno1\nMII Status: down\n\
            Speed: Unknown\nDuplex: Unknown\nLink Failure Count: 4\n\nSlave Interface: eno2\nMII Status: up\nSpeed: 1000 Mbps\n";
        let bond = parse("bond1", text).unwrap();
        assert_eq!(bond.primary.as_deref(), Some("eno1"));
        assert_eq!(bond.active_slave.as_deref(), Some("eno2"));
        assert_eq!(bond.slaves[0].mii_status, "down");
        assert_eq!(bond.slaves[0].speed_megabits, None);
        assert_eq!(bond.slaves[0].link_failures_total, 4);
        assert_eq!(bond.slaves[1].speed_megabits, Some(1000));
    }

    #[test]
    fn a_cut_file_is_named() {
        for text in ["", "Bonding Mode: x\n", "Bonding Mode: x\nMII Status: u"] {
            assert!(parse("bond0", text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_node_without_bonds_has_no_failure() {
        let sample = sample(&COLLECTOR, &[("proc/1/net/dev", "")]);
        assert!(matches!(sample.payload, Some(Payload::NoData(_))));
        assert_eq!(kinds(&sample), []);
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "((Slave Interface|MII Status|Speed|\tAggregator ID|Primary Slave|Bonding Mode): ?[a-zA-Z0-9 ]{0,9}\n|\\PC{0,20}\n?){0,9}") {
            drop(parse("bond0", &text));
        }
    }
}
