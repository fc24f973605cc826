//! The text of `multipath -l` (`multipath-tools@libmultipath/print.c`): for each map
//! a line with its name, one with its size and features, and a tree of groups and
//! paths.
//!
//! ```text
//! mpatha (3600508b400105e210000900000490000) dm-2 HP,HSV210
//! size=10G features='1 queue_if_no_path' hwhandler='0' wp=rw
//! |-+- policy='service-time 0' prio=0 status=active
//! | `- 2:0:0:1 sdb 8:16 active undef running
//! `-+- policy='service-time 0' prio=0 status=enabled
//!   `- 3:0:0:1 sdc 8:32 failed undef running
//! ```

use pvelens_proto::agent::v1::{MultipathMap, MultipathPath};

use crate::format::{FormatError, loose::short};

const MAP_LIMIT: usize = 1024;
const PATH_LIMIT: usize = 128;

pub(super) fn parse(text: &str) -> Result<Vec<MultipathMap>, FormatError> {
    let mut maps: Vec<MultipathMap> = Vec::new();
    let mut group = String::new();
    for line in text.lines() {
        let content = line.trim_start_matches([' ', '|', '`', '-', '+']);
        // Some versions log to the standard output: `Nov 25 16:00:00 | …`.
        if content.is_empty() || (line == content && line.contains(" | ")) {
            continue;
        }
        if content.len() == line.len() && !line.starts_with("size=") {
            let map = map(line).ok_or_else(|| FormatError::malformed("not a map of multipath"))?;
            if maps.len() >= MAP_LIMIT {
                return Err(FormatError::malformed("more than 1024 maps"));
            }
            maps.push(map);
            continue;
        }
        let Some(map) = maps.last_mut() else {
            return Err(FormatError::malformed("a path without a map"));
        };
        if line.starts_with("size=") {
            map.size = value(line, "size").unwrap_or_default();
            map.read_only = value(line, "wp").as_deref() == Some("ro");
            map.queues_without_path = line.contains("queue_if_no_path");
        } else if content.starts_with("policy=") {
            group = value(content, "status").unwrap_or_default();
        } else if let Some(path) = path(content, &group)
            && map.paths.len() < PATH_LIMIT
        {
            map.paths.push(path);
        }
    }
    maps.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(maps)
}

/// `[alias (]wwid[)] dm-N vendor,product`
fn map(line: &str) -> Option<MultipathMap> {
    let (before, rest) = line.split_once(" dm-")?;
    let (number, product) = rest.split_once(' ').unwrap_or((rest, ""));
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (name, wwid) = before
        .split_once(" (")
        .map_or((before, before), |(name, wwid)| {
            (name, wwid.trim_end_matches(')'))
        });
    Some(MultipathMap {
        name: short(name),
        wwid: short(wwid),
        device: format!("dm-{}", short(number)),
        product: short(product),
        ..MultipathMap::default()
    })
}

/// `2:0:0:1 sdb 8:16 active undef running`
fn path(content: &str, group: &str) -> Option<MultipathPath> {
    let mut words = content.split_whitespace();
    let (address, device, _number) = (words.next()?, words.next()?, words.next()?);
    let (dm_state, _checker, device_state) = (words.next()?, words.next()?, words.next()?);
    Some(MultipathPath {
        address: short(address),
        device: short(device),
        dm_state: short(dm_state),
        device_state: short(device_state),
        group_state: group.to_owned(),
    })
}

/// The value of `key=value`.
fn value(line: &str, key: &str) -> Option<String> {
    let words = line.split_whitespace();
    let found = words
        .filter_map(|word| word.split_once('='))
        .find(|(name, _)| *name == key);
    found.map(|(_, value)| short(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LISTING: &str = "mpathb (3600508b400105e210000900000490001) dm-3 HP,HSV210\n\
        size=1.0T features='0' hwhandler='1 alua' wp=ro\n\
        `-+- policy='service-time 0' prio=0 status=enabled\n  \
        `- #:#:#:# -   #:#  failed undef unknown\n\
        3600508b400105e210000900000490000 dm-2 LIO-ORG,my disk\n\
        size=10G features='1 queue_if_no_path' hwhandler='0' wp=rw\n\
        |-+- policy='service-time 0' prio=0 status=active\n\
        | |- 2:0:0:1 sdb 8:16 active undef running\n\
        | `- 4:0:0:1 sdd 8:48 active undef offline\n\
        `-+- policy='service-time 0' prio=0 status=enabled\n  \
        `- 3:0:0:1 sdc 8:32 failed undef running\n";

    #[test]
    fn maps_have_paths_in_groups() {
        let maps = parse(LISTING).unwrap();
        assert_eq!(maps.len(), 2);
        let map = &maps[0];
        assert_eq!(
            (map.name.as_str(), map.device.as_str()),
            (map.wwid.as_str(), "dm-2")
        );
        assert_eq!(
            (map.product.as_str(), map.size.as_str()),
            ("LIO-ORG,my disk", "10G")
        );
        assert!(map.queues_without_path && !map.read_only);
        let paths: Vec<(&str, &str, &str, &str)> = map
            .paths
            .iter()
            .map(|p| {
                let (device, dm) = (p.device.as_str(), p.dm_state.as_str());
                (device, dm, p.device_state.as_str(), p.group_state.as_str())
            })
            .collect();
        assert_eq!(
            paths,
            [
                ("sdb", "active", "running", "active"),
                ("sdd", "active", "offline", "active"),
                ("sdc", "failed", "running", "enabled")
            ]
        );
        let gone = &maps[1];
        assert_eq!(
            (gone.name.as_str(), gone.paths[0].device.as_str()),
            ("mpathb", "-")
        );
        assert!(gone.read_only);
    }

    #[test]
    fn other_text_is_malformed() {
        for text in [
            "error calling out\n",
            " `- 2:0:0:1 sdb 8:16 active undef running\n",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse(""), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "(mpath[a-z] \\([0-9a-f]{1,9}\\) dm-[0-9]{0,3} A,B\n|size=[0-9]{1,3}G wp=rw\n|[|` +-]{1,6}(policy=|2:0:0:1 sd[a-z] )\\PC{0,20}\n|\\PC{0,20}\n?){0,5}") {
            drop(parse(&text));
        }
    }
}
