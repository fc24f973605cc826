//! Property strings of PVE: `volume,key=value,key=value`.
//!
//! Grammar: `pve-common@src/PVE/JSONSchema.pm` (parse_property_string). One key
//! may be written without its name; PVE calls it the default key.

/// Bytes of one `K`, `M`, `G`, `T` step.
const STEP: f64 = 1024.0;

/// The parts of one property string, in order.
#[derive(Debug, Clone)]
pub struct Properties<'a> {
    default_key: &'static str,
    text: &'a str,
}

impl<'a> Properties<'a> {
    /// `default_key` names the part that has no `key=`.
    #[must_use]
    pub fn new(text: &'a str, default_key: &'static str) -> Self {
        Self { default_key, text }
    }

    /// All pairs, in order; the part without a name comes under the default key.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let default_key = self.default_key;
        self.text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(move |part| part.split_once('=').unwrap_or((default_key, part)))
    }

    /// The value of a key; the last one counts.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.iter()
            .filter(|(name, _)| *name == key)
            .last()
            .map(|(_, value)| value)
    }

    /// The value of a key, or nothing.
    #[must_use]
    pub fn text(&self, key: &str) -> String {
        self.get(key).unwrap_or_default().to_owned()
    }

    /// A boolean; absent when the key is absent or not a boolean.
    #[must_use]
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.get(key).and_then(boolean)
    }

    /// A number; absent when the key is absent or not a number.
    #[must_use]
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.get(key)?.parse().ok()
    }
}

/// `1|on|yes|true` and `0|off|no|false`, whatever the case.
#[must_use]
pub fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => Some(true),
        "0" | "off" | "no" | "false" => Some(false),
        _ => None,
    }
}

/// A size in bytes: a number and an optional `K`, `M`, `G`, `T`, with or
/// without `iB`.
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let text = text.strip_suffix("iB").unwrap_or(text);
    let steps = match text.chars().last()? {
        'K' => 1,
        'M' => 2,
        'G' => 3,
        'T' => 4,
        _ => 0,
    };
    let number = if steps == 0 {
        text
    } else {
        text.strip_suffix(['K', 'M', 'G', 'T'])?
    };
    let bytes = number.parse::<f64>().ok()? * STEP.powi(steps);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and negative sizes are refused"
    )]
    (bytes.is_finite() && bytes >= 0.0).then_some(bytes.round() as u64)
}

/// A list separated by `;`, `,` or white space.
#[must_use]
pub fn list(text: &str) -> Vec<String> {
    text.split([';', ',', ' ', '\t'])
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_part_without_a_name_is_the_default_key() {
        let drive = Properties::new("local:100/vm-100-disk-0.qcow2,cache=unsafe,size=2G", "file");
        assert_eq!(drive.get("file"), Some("local:100/vm-100-disk-0.qcow2"));
        assert_eq!(drive.get("cache"), Some("unsafe"));
        assert_eq!(drive.get("backup"), None);
        assert_eq!(
            Properties::new("enabled=0,type=isa", "enabled").flag("enabled"),
            Some(false)
        );
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(size("2G"), Some(2 << 30));
        assert_eq!(size("528K"), Some(528 << 10));
        assert_eq!(size("1.5T"), Some(1_649_267_441_664));
        assert_eq!(size("4MiB"), Some(4 << 20));
        assert_eq!(size("17"), Some(17));
        assert_eq!(size("0T"), Some(0));
        for bad in ["", "G", "-1G", "nan", "1X", "é"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn booleans_have_many_spellings() {
        assert_eq!(boolean("Yes"), Some(true));
        assert_eq!(boolean("off"), Some(false));
        assert_eq!(boolean("2"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_split(text in "\\PC{0,60}") {
            let properties = Properties::new(&text, "file");
            prop_assert!(properties.iter().count() <= text.len());
            let _ = (properties.get("file"), size(&text), boolean(&text));
        }

        #[test]
        fn pairs_come_back(pairs in proptest::collection::btree_map("[a-z]{1,6}", "[a-z0-9:/.-]{1,9}", 0..6)) {
            let text: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let text = text.join(",");
            let properties = Properties::new(&text, "file");
            for (key, value) in &pairs {
                prop_assert_eq!(properties.get(key), Some(value.as_str()));
            }
        }
    }
}
