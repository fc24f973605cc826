//! `/etc/default/pveproxy`: who is let in, and how.
//!
//! Keys and their meaning are those of `pve-http-server@src/PVE/APIServer/Utils.pm`.
//! Paths of key files and everything else stay here.

use pvelens_proto::agent::v1::ApiServerSettings;

use crate::format::plain::short;

const TEXT: usize = 1000;
const NETWORKS: usize = 100;

/// Never fails: what is no setting is passed over, as PVE does.
pub(super) fn parse(text: &str) -> ApiServerSettings {
    let mut settings = ApiServerSettings::default();
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once('=') else {
            continue;
        };
        let value = unquoted(value);
        match key.trim() {
            "CIPHERS" => settings.ciphers = short(value, TEXT),
            "CIPHERSUITES" => settings.cipher_suites = short(value, TEXT),
            "DISABLE_TLS_1_2" => settings.tls_1_2_disabled = is_on(value),
            "DISABLE_TLS_1_3" => settings.tls_1_3_disabled = is_on(value),
            "HONOR_CIPHER_ORDER" => settings.honors_cipher_order = is_on(value),
            "DHPARAMS" => settings.has_dh_parameters = !value.is_empty(),
            "LISTEN_IP" => settings.listen_address = short(value, 100),
            "ALLOW_FROM" => settings.allow_from = networks(value),
            "DENY_FROM" => settings.deny_from = networks(value),
            "POLICY" => settings.policy = policy(value),
            "PROXY_REAL_IP_HEADER" => settings.proxy_real_ip_header = header(value),
            "PROXY_REAL_IP_ALLOW_FROM" => settings.proxy_real_ip_allow_from = networks(value),
            _ => {}
        }
    }
    settings
}

fn unquoted(value: &str) -> &str {
    let value = value.trim();
    let inside = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.split_once(*quote));
    match inside {
        Some((value, _)) => value.trim(),
        None => value.split_ascii_whitespace().next().unwrap_or_default(),
    }
}

fn is_on(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "1" | "yes" | "true" | "on"
    )
}

fn policy(value: &str) -> String {
    let value = value.to_ascii_lowercase();
    let is_known = matches!(value.as_str(), "allow" | "deny");
    if is_known { value } else { String::new() }
}

/// A name of a header, as in `X-Forwarded-For`.
fn header(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if value.len() <= 100 && value.bytes().all(is_plain) {
        value.to_owned()
    } else {
        "?".to_owned()
    }
}

/// Addresses, networks and ranges, parted by commas.
fn networks(value: &str) -> Vec<String> {
    let is_plain = |text: &str| {
        !text.is_empty()
            && text.len() <= 100
            && (text == "all"
                || text
                    .bytes()
                    .all(|byte| byte.is_ascii_hexdigit() || b".:/-".contains(&byte)))
    };
    value
        .split([',', ' '])
        .map(str::trim)
        .filter(|text| is_plain(text))
        .take(NETWORKS)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn settings_are_read_with_and_without_quotes() {
        let settings = parse(
            "# ALLOW_FROM=\"all\"\nALLOW_FROM=\"10.0.0.1-10.0.0.5, 192.0.2.0/24,wrong host\"\nPOLICY=\"DENY\"\nDENY_FROM=all\nCIPHERS='HIGH:!aNULL' # why\nDISABLE_TLS_1_2=1\nLISTEN_IP=192.0.2.11\nDHPARAMS=/canary\nTLS_KEY_FILE=/canary\nPROXY_REAL_IP_HEADER=X-Forwarded-For\n",
        );
        assert_eq!(settings.allow_from, ["10.0.0.1-10.0.0.5", "192.0.2.0/24"]);
        assert_eq!(
            (settings.policy.as_str(), settings.deny_from.join(",")),
            ("deny", "all".into())
        );
        assert_eq!(settings.ciphers, "HIGH:!aNULL");
        assert!(settings.tls_1_2_disabled && !settings.tls_1_3_disabled);
        assert!(settings.has_dh_parameters);
        assert_eq!(settings.proxy_real_ip_header, "X-Forwarded-For");
        assert!(!format!("{settings:?}").contains("canary"));
    }

    proptest! {
        #[test]
        fn any_text_parses(text in "((CIPHERS|ALLOW_FROM|POLICY)=?[\"']?\\PC{0,12}[\"']?\n|\\PC{0,9}\n?){0,6}") {
            drop(parse(&text));
        }
    }
}
