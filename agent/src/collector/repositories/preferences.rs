//! Which versions apt prefers (apt_preferences(5)): stanzas of `Package:`, `Pin:` and
//! `Pin-Priority:`. What people explain beside them is left out.

use pvelens_proto::agent::v1::PackagePin;

use crate::format::plain;

/// Packages of one stanza, characters of a name and of a pin.
const PACKAGE_LIMIT: usize = 50;
const NAME_LIMIT: usize = 100;
const PIN_LIMIT: usize = 200;

/// Stanzas that have all three.
pub(super) fn parse(file: &str, text: &str) -> Vec<PackagePin> {
    let mut pins = Vec::new();
    let mut fields: Vec<(String, &str)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            pins.extend(pin(file, &fields));
            fields.clear();
        } else if let Some((key, value)) = line.split_once(':') {
            fields.push((key.trim().to_ascii_lowercase(), value.trim()));
        }
    }
    pins
}

fn pin(file: &str, fields: &[(String, &str)]) -> Option<PackagePin> {
    let get = |key: &str| {
        let mut found = fields.iter().filter(|(name, _)| name == key);
        found.next_back().map(|(_, value)| *value)
    };
    let packages = get("package")?.split_whitespace().take(PACKAGE_LIMIT);
    Some(PackagePin {
        file: file.to_owned(),
        packages: packages
            .map(|name| plain::short(name, NAME_LIMIT))
            .collect(),
        pin: plain::short(get("pin")?, PIN_LIMIT),
        priority: get("pin-priority")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_stanzas_are_pins() {
        let text = "Explanation: canary\nPackage: *\nPin: release o=Example\nPin-Priority: 1001\n\n# Package: no\n\n\
            Package: pve-manager qemu-*\nPin: version 9.*\nPin-Priority: -1\n\nPackage: x\nPin: release a=y\n";
        let pins = parse("/p", text);
        let [all, some] = pins.as_slice() else {
            panic!("{pins:?}");
        };
        assert_eq!(
            (all.packages.as_slice(), all.priority),
            (&["*".to_owned()][..], 1001)
        );
        assert_eq!(all.pin, "release o=Example");
        assert_eq!((some.packages.len(), some.priority), (2, -1));
        assert!(!format!("{pins:?}").contains("canary"));
    }

    proptest! {
        #[test]
        fn any_text_gives_pins(text in "((Package|Pin|Pin-Priority|[a-z]{1,4}): ?\\PC{0,9}\n|\n){0,9}") {
            for pin in parse("/p", &text) {
                prop_assert!(pin.packages.len() <= PACKAGE_LIMIT);
            }
        }
    }
}
