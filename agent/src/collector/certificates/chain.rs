//! Certificates in PEM.

use base64::Engine;
use pvelens_proto::{agent::v1::Certificate, timestamp_from_millis};
use sha2::{Digest, Sha256};
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer, public_key::PublicKey,
    time::ASN1Time, x509::X509Name,
};

use crate::format::{FormatError, plain::short, whole_lines};

/// Blocks of one file; a chain has three or four.
const BLOCK_LIMIT: u32 = 50;
const NAME_LIMIT: usize = 100;
const TEXT: usize = 200;

/// What a PEM file holds.
#[derive(Debug, PartialEq)]
pub(super) struct Chain {
    pub(super) first: Certificate,
    pub(super) length: u32,
    pub(super) holds_private_key: bool,
}

/// Reads the first certificate, and counts the others. Blocks of other kinds are
/// passed over by their first and last line.
pub(super) fn parse(text: &str) -> Result<Chain, FormatError> {
    let (mut first, mut length, mut blocks) = (None, 0_u32, 0_u32);
    let mut holds_private_key = false;
    let mut lines = whole_lines(text)?.lines();
    while let Some(line) = lines.next() {
        let Some(label) = boundary(line, "BEGIN") else {
            continue;
        };
        blocks = blocks.saturating_add(1);
        if blocks > BLOCK_LIMIT {
            return Err(FormatError::malformed("too many blocks"));
        }
        holds_private_key |= label.ends_with("PRIVATE KEY");
        let is_wanted = label == "CERTIFICATE" && first.is_none();
        let mut body = String::new();
        let mut is_whole = false;
        for line in lines.by_ref() {
            if boundary(line, "END") == Some(label) {
                is_whole = true;
                break;
            }
            if is_wanted {
                body.push_str(line.trim());
            }
        }
        if !is_whole {
            return Err(FormatError::truncated("a block does not end"));
        }
        if label == "CERTIFICATE" {
            length = length.saturating_add(1);
        }
        if is_wanted {
            first = Some(certificate(&body)?);
        }
    }
    let first = first.ok_or_else(|| FormatError::truncated("no certificate"))?;
    Ok(Chain {
        first,
        length,
        holds_private_key,
    })
}

/// `-----BEGIN LABEL-----`.
fn boundary<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    line.trim()
        .strip_prefix("-----")?
        .strip_suffix("-----")?
        .strip_prefix(word)?
        .strip_prefix(' ')
}

fn certificate(body: &str) -> Result<Certificate, FormatError> {
    let der = base64::engine::general_purpose::STANDARD
        .decode(body)
        .map_err(|_| FormatError::malformed("the certificate is not base64"))?;
    let (_, certificate) = X509Certificate::from_der(&der)
        .map_err(|_| FormatError::malformed("not a certificate of X.509"))?;
    let validity = certificate.validity();
    let (key_type, key_bits) = key(&certificate);
    Ok(Certificate {
        subject: common_name(certificate.subject()),
        issuer: common_name(certificate.issuer()),
        alternative_names: alternative_names(&certificate),
        not_before: Some(time(validity.not_before)),
        not_after: Some(time(validity.not_after)),
        key_type,
        key_bits,
        signature_algorithm: signature(&certificate.signature_algorithm.algorithm.to_id_string()),
        sha256: crate::hex(&Sha256::digest(&der)),
        is_self_signed: certificate.subject().as_raw() == certificate.issuer().as_raw(),
        is_ca: certificate.is_ca(),
    })
}

/// The common name, else the organisation.
fn common_name(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().next();
    common
        .or_else(|| name.iter_organization().next())
        .and_then(|attribute| attribute.as_str().ok())
        .map(|text| short(text, TEXT))
        .unwrap_or_default()
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(short(name, TEXT)),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .take(NAME_LIMIT)
        .collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(v4).to_string());
    }
    let v6 = <[u8; 16]>::try_from(bytes).ok()?;
    Some(std::net::Ipv6Addr::from(v6).to_string())
}

fn time(time: ASN1Time) -> pvelens_proto::Timestamp {
    timestamp_from_millis(time.timestamp().saturating_mul(1000))
}

fn key(certificate: &X509Certificate<'_>) -> (String, Option<u32>) {
    let key = certificate.public_key();
    let bits = |bits: usize| u32::try_from(bits).ok().filter(|bits| *bits > 0);
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => ("RSA".to_owned(), bits(rsa.key_size())),
        Ok(PublicKey::EC(point)) => ("EC".to_owned(), bits(point.key_size())),
        _ => match key.algorithm.algorithm.to_id_string().as_str() {
            "1.3.101.112" => ("Ed25519".to_owned(), Some(256)),
            "1.3.101.113" => ("Ed448".to_owned(), Some(456)),
            other => (short(other, TEXT), None),
        },
    }
}

/// Names of RFC 8017, RFC 5758 and RFC 8410.
fn signature(identifier: &str) -> String {
    let name = match identifier {
        "1.2.840.113549.1.1.4" => "md5WithRSAEncryption",
        "1.2.840.113549.1.1.5" => "sha1WithRSAEncryption",
        "1.2.840.113549.1.1.10" => "rsassaPss",
        "1.2.840.113549.1.1.11" => "sha256WithRSAEncryption",
        "1.2.840.113549.1.1.12" => "sha384WithRSAEncryption",
        "1.2.840.113549.1.1.13" => "sha512WithRSAEncryption",
        "1.2.840.10045.4.1" => "ecdsa-with-SHA1",
        "1.2.840.10045.4.3.2" => "ecdsa-with-SHA256",
        "1.2.840.10045.4.3.3" => "ecdsa-with-SHA384",
        "1.2.840.10045.4.3.4" => "ecdsa-with-SHA512",
        "1.3.101.112" => "Ed25519",
        other => other,
    };
    short(name, TEXT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NODE: &str = include_str!("../../../tests/fixtures/node/etc/pve/nodes/pve1/pve-ssl.pem");
    const WEB: &str =
        include_str!("../../../tests/fixtures/node/etc/pve/nodes/pve1/pveproxy-ssl.pem");
    const CA: &str = include_str!("../../../tests/fixtures/node/etc/pve/pve-root-ca.pem");

    #[test]
    fn a_certificate_of_a_node_is_told_with_its_names_and_times() {
        let chain = parse(NODE).unwrap();
        let it = chain.first;
        assert_eq!(it.subject, "pve1.example.test");
        assert_eq!(it.issuer, "Proxmox Virtual Environment");
        assert_eq!(
            it.alternative_names,
            ["127.0.0.1", "::1", "localhost", "pve1", "pve1.example.test"]
        );
        assert_eq!((it.key_type.as_str(), it.key_bits), ("RSA", Some(2048)));
        assert_eq!(it.signature_algorithm, "sha256WithRSAEncryption");
        assert!(it.not_before.unwrap().seconds < it.not_after.unwrap().seconds);
        assert_eq!(it.sha256.len(), 64);
        assert!(!it.is_self_signed && !it.is_ca);
        assert_eq!((chain.length, chain.holds_private_key), (1, false));
        let ca = parse(CA).unwrap().first;
        assert!(ca.is_self_signed && ca.is_ca);
    }

    #[test]
    fn a_chain_is_counted_and_a_key_in_it_is_not_looked_at() {
        let key = "-----BEGIN PRIVATE KEY-----\ncanary-key\n-----END PRIVATE KEY-----\n";
        let chain = parse(&format!("{key}{WEB}")).unwrap();
        assert_eq!((chain.length, chain.holds_private_key), (2, true));
        assert_eq!(
            (chain.first.key_type.as_str(), chain.first.key_bits),
            ("EC", Some(256))
        );
        assert_eq!(chain.first.signature_algorithm, "ecdsa-with-SHA256");
        assert!(!format!("{chain:?}").contains("canary"));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let end = CA.trim_end();
        for text in [
            "",
            "\n",
            end,
            "-----BEGIN CERTIFICATE-----\nYWJj\n",
            "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n",
            "-----BEGIN CERTIFICATE-----\nY%J\n-----END CERTIFICATE-----\n",
        ] {
            parse(text).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "(-----BEGIN (CERTIFICATE|X)-----\n|-----END CERTIFICATE-----\n|[A-Za-z0-9+/]{0,64}\n){0,6}") {
            drop(parse(&text));
        }

        #[test]
        fn a_broken_certificate_parses_or_fails(at in 30_usize..900, byte in b'A'..=b'Z') {
            let mut bytes = NODE.as_bytes().to_vec();
            if let Some(place) = bytes.get_mut(at) && *place != b'\n' {
                *place = byte;
            }
            drop(parse(&String::from_utf8(bytes).unwrap()));
        }
    }
}
