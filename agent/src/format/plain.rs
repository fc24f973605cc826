//! Text that others wrote, made short and printable.

/// At most `limit` characters without control characters.
#[must_use]
pub fn short(text: &str, limit: usize) -> String {
    text.trim()
        .chars()
        .filter(|character| !character.is_control())
        .take(limit)
        .collect()
}

/// A name of few kinds of characters, as packages, releases of the kernel and
/// suites have; `None` for anything else.
#[must_use]
pub fn name(text: &str) -> Option<&str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._~:/".contains(&byte);
    let text = text.trim();
    ((1..=200).contains(&text.len()) && text.bytes().all(is_plain)).then_some(text)
}

/// The last PCI function in a path of sysfs, as `0000:01:00.0`.
#[must_use]
pub fn pci_address(path: &str) -> Option<&str> {
    path.rsplit('/').find(|part| is_pci_address(part))
}

/// Domain, bus, device and function; a domain behind some bridges has five digits
/// and more.
fn is_pci_address(text: &str) -> bool {
    let is_hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut parts = text.split(':');
    let (domain, bus) = (parts.next(), parts.next());
    let place = parts.next().and_then(|rest| rest.split_once('.'));
    let (Some(domain), Some(bus), Some((device, function)), None) =
        (domain, bus, place, parts.next())
    else {
        return false;
    };
    (4..=8).contains(&domain.len())
        && (bus.len(), device.len(), function.len()) == (2, 2, 1)
        && [domain, bus, device, function]
            .into_iter()
            .all(is_hexadecimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_next_to_the_device_is_found() {
        let path = "../devices/pci0000:00/0000:00:1c.4/0000:03:00.1/net/eno1";
        assert_eq!(pci_address(path), Some("0000:03:00.1"));
        assert_eq!(pci_address("10000:e1:00.0"), Some("10000:e1:00.0"));
        for path in [
            "",
            "pci0000:00",
            "../virtio0",
            "0000:03:00",
            "a:b:c.d",
            "0000:03:00.1:2",
        ] {
            assert_eq!(pci_address(path), None, "{path}");
        }
    }

    #[test]
    fn text_is_cut_and_has_no_control_characters() {
        assert_eq!(short(" a\u{1b}[1mü\n", 5), "a[1mü");
        assert_eq!(short("abc", 2), "ab");
    }

    #[test]
    fn a_name_holds_no_white_space() {
        assert_eq!(name(" 6.17.2-1-pve\n"), Some("6.17.2-1-pve"));
        for text in ["", "a b", "a\u{7}", "ä", &"x".repeat(201)] {
            assert_eq!(name(text), None, "{text}");
        }
    }
}
