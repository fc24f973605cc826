//! `/proc/mdstat`: a line for each array with its members, and indented lines with
//! what is going on.

use pvelens_proto::agent::v1::{MdArray, MdMember};

use crate::format::{FormatError, loose::decimal_text, whole_lines};

/// An array has at most 384 members.
const MEMBER_LIMIT: usize = 1024;
const ARRAY_LIMIT: usize = 512;
/// Begins the last line.
const END: &str = "unused devices:";

pub(super) fn parse(text: &str) -> Result<Vec<MdArray>, FormatError> {
    let mut arrays: Vec<MdArray> = Vec::new();
    let mut is_whole = false;
    for line in whole_lines(text)?.lines() {
        if line.starts_with(END) {
            is_whole = true;
        } else if line.starts_with(char::is_whitespace) {
            if let Some(array) = arrays.last_mut() {
                array.sync_ratio = array.sync_ratio.or(progress(line));
            }
        } else if let Some((name, rest)) = line.split_once(" : ")
            && is_array(name)
            && arrays.len() < ARRAY_LIMIT
        {
            arrays.push(array(name, rest));
        }
    }
    if is_whole {
        Ok(arrays)
    } else {
        Err(FormatError::truncated(
            "the line of unused devices is missing",
        ))
    }
}

/// Names become part of a path.
fn is_array(name: &str) -> bool {
    name.starts_with("md") && name.len() <= 32 && !name.contains(['/', '.'])
}

/// `active (auto-read-only) raid1 sdb1[1] sda1[0](F)`
fn array(name: &str, rest: &str) -> MdArray {
    let mut array = MdArray {
        name: name.to_owned(),
        ..MdArray::default()
    };
    for word in rest.split_whitespace() {
        if let Some(member) = member(word) {
            if array.members.len() < MEMBER_LIMIT {
                array.members.push(member);
            }
        } else if word == "active" {
            array.active = true;
        } else if word != "inactive" && !word.starts_with('(') {
            array.level = word.to_owned();
        }
    }
    array
}

fn member(word: &str) -> Option<MdMember> {
    let (device, rest) = word.split_once('[')?;
    let (slot, flags) = rest.split_once(']')?;
    Some(MdMember {
        device: device.to_owned(),
        slot: slot.parse().ok()?,
        faulty: flags.contains("(F)"),
        spare: flags.contains("(S)"),
        write_mostly: flags.contains("(W)"),
        journal: flags.contains("(J)"),
        replacement: flags.contains("(R)"),
    })
}

/// `[==>..]  recovery = 12.6% (370/2929) finish=127.5min speed=33440K/sec`
fn progress(line: &str) -> Option<f64> {
    let (_, rest) = line.split_once(" = ")?;
    let percent = rest.split_whitespace().next()?.strip_suffix('%')?;
    decimal_text(percent).map(|percent| percent / 100.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MDSTAT: &str = "Personalities : [raid1] [raid6] [raid5] [raid4]\n\
        md127 : active (auto-read-only) raid1 sdb1[1](W) sda1[0]\n      976630464 blocks super 1.2 [2/2] [UU]\n      resync=PENDING\n      bitmap: 1/8 pages [4KB], 65536KB chunk\n\n\
        md5 : active raid5 sdf1[4] sde1[2](F) sdd1[1] sdc1[0]\n      292945152 blocks level 5, 64k chunk, algorithm 2 [4/3] [UU_U]\n      [==>..................]  recovery = 12.5% (37043392/292945152) finish=127.5min speed=33440K/sec\n\n\
        md9 : inactive sdg1[0](S)\n      1044 blocks super external:imsm\n\n\
        unused devices: <none>\n";

    #[test]
    fn members_have_their_flags_and_arrays_their_progress() {
        let arrays = parse(MDSTAT).unwrap();
        assert_eq!(arrays.len(), 3);
        assert_eq!(arrays[0].level, "raid1");
        assert!(arrays[0].active && arrays[0].members[0].write_mostly);
        assert_eq!(arrays[0].sync_ratio, None);
        assert_eq!(arrays[1].sync_ratio, Some(0.125));
        assert!(arrays[1].members[1].faulty);
        assert_eq!(arrays[1].members[1].device, "sde1");
        assert!(!arrays[2].active && arrays[2].members[0].spare);
        assert_eq!(arrays[2].level, "");
    }

    #[test]
    fn the_last_line_tells_a_whole_text() {
        assert!(parse("").is_err());
        assert!(parse("Personalities : [raid1]\nmd0 : active raid1 sda1[0]\n").is_err());
        assert_eq!(
            parse("Personalities : \nunused devices: <none>\n"),
            Ok(Vec::new())
        );
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "(md[0-9/]{1,3} : (in)?active( [a-z0-9\\[\\]()SF]{1,9}){0,4}\n|  [a-z=% 0-9.]{0,20}\n|\\PC{0,20}\n?){0,5}(unused devices: <none>\n)?") {
            drop(parse(&text));
        }
    }
}
