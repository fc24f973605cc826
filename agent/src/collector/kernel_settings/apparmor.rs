//! Whether the profiles of AppArmor hold, those of containers above all.

use pvelens_proto::agent::v1::AppArmorProfiles;

use crate::format::{FormatError, plain::short, whole_lines};

pub(super) const PROFILES: &str = "/sys/kernel/security/apparmor/profiles";
const NAMED_LIMIT: usize = 32;
const NAME_LIMIT: usize = 100;

/// Lines `lxc-container-default-cgns (enforce)` (kernel `security/apparmor/apparmorfs.c`).
/// Proxmox VE writes a profile `lxc-101_</var/lib/lxc>` for some containers.
pub(super) fn parse(text: &str) -> Result<AppArmorProfiles, FormatError> {
    let mut profiles = AppArmorProfiles::default();
    if text.is_empty() {
        return Ok(profiles);
    }
    for line in whole_lines(text)?.lines() {
        let (name, mode) = line
            .strip_suffix(')')
            .and_then(|line| line.rsplit_once(" ("))
            .ok_or_else(|| FormatError::malformed("a profile without a mode"))?;
        let is_container = name.starts_with("lxc-");
        profiles.has_container_profile |= is_container;
        if matches!(mode, "enforce" | "kill") {
            profiles.enforcing = profiles.enforcing.saturating_add(1);
            continue;
        }
        profiles.not_enforcing = profiles.not_enforcing.saturating_add(1);
        let named = &mut profiles.containers_not_enforcing;
        if is_container && named.len() < NAMED_LIMIT {
            named.push(short(name, NAME_LIMIT));
        }
    }
    profiles.containers_not_enforcing.sort_unstable();
    Ok(profiles)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_container_that_is_only_watched_is_named() {
        let text = "/usr/bin/man (enforce)\nlxc-101_</var/lib/lxc> (complain)\n\
            lxc-container-default-cgns (enforce)\nflatpak (unconfined)\n";
        let profiles = parse(text).unwrap();
        assert_eq!((profiles.enforcing, profiles.not_enforcing), (2, 2));
        assert_eq!(
            profiles.containers_not_enforcing,
            ["lxc-101_</var/lib/lxc>"]
        );
        assert!(profiles.has_container_profile);
        assert_eq!(parse("").unwrap(), AppArmorProfiles::default());
        assert!(parse("a (enforce)").is_err());
        assert!(parse("a\n").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "((lxc-)?\\PC{0,9} \\((enforce|complain)\\)\n|\\PC{0,20}\n?){0,5}") {
            drop(parse(&text));
        }
    }
}
