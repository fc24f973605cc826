//! The key of the node, and asking for a certificate for it.

use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData,
};

/// Characters of a common name (RFC 5280).
const COMMON_NAME_LIMIT: usize = 64;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[error("making a key")]
pub struct KeyError(#[from] rcgen::Error);

/// A new key, PKCS #8 in PEM, and a request for a certificate, PKCS #10 in DER. Whose
/// certificate it becomes, the coordinator decides; the name is for people.
///
/// # Errors
/// When there is no randomness.
pub fn new_key_and_csr(node: &str) -> Result<(String, Vec<u8>), KeyError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut name = DistinguishedName::new();
    let common: String = node.chars().take(COMMON_NAME_LIMIT).collect();
    name.push(DnType::CommonName, common);
    let mut request = CertificateParams::default();
    request.distinguished_name = name;
    let request = request.serialize_request(&key)?;
    Ok((key.serialize_pem(), request.der().to_vec()))
}

/// The public half of a key, as a certificate for it has it: `SubjectPublicKeyInfo` of
/// X.509 in DER.
pub(super) fn public_key_info(key_pem: &str) -> Result<Vec<u8>, KeyError> {
    let key = KeyPair::from_pkcs8_pem_and_sign_algo(key_pem, &PKCS_ECDSA_P256_SHA256)?;
    Ok(key.subject_public_key_info())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_new_and_its_request_is_signed_with_it() {
        let (first, request) = new_key_and_csr("pve1").unwrap();
        assert_ne!(first, new_key_and_csr("pve1").unwrap().0);
        assert!(first.starts_with("-----BEGIN PRIVATE KEY-----"));
        let key = KeyPair::from_pem(&first).unwrap();
        let public = key.public_key_raw();
        assert!(request.windows(public.len()).any(|part| part == public));
        assert!(request.windows(4).any(|part| part == b"pve1"));
    }
}
