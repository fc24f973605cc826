//! Authorities and certificates for tests.

use pvelens_proto::agent::v1 as wire;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SignatureAlgorithm,
    date_time_ymd,
};
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};

use super::{Identity, accept, new_key_and_csr};

pub(crate) const NODE: &str = "pvelens://node/ab12/pve1";
pub(crate) const COORDINATOR: &str = "pvelens://coordinator/mon";
pub(crate) const SERVER: &[ExtendedKeyUsagePurpose] = &[ExtendedKeyUsagePurpose::ServerAuth];
pub(crate) const CLIENT: &[ExtendedKeyUsagePurpose] = &[ExtendedKeyUsagePurpose::ClientAuth];

pub(crate) struct Authority {
    pub(crate) der: Vec<u8>,
    params: CertificateParams,
    key: KeyPair,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { der, params, key }
    }

    /// The same name and key, signed by another.
    pub(crate) fn signed_by(&self, other: &Self) -> Vec<u8> {
        let signed = self.params.signed_by(&self.key, &other.issuer());
        signed.unwrap().der().to_vec()
    }

    pub(crate) fn wire(&self, crosses: &[Vec<u8>]) -> wire::Authority {
        wire::Authority {
            certificate_der: self.der.clone(),
            cross_certificates_der: crosses.to_vec(),
        }
    }

    pub(crate) fn issue(&self, key_pem: &str, leaf: &Leaf<'_>) -> Vec<u8> {
        self.issue_for(&KeyPair::from_pem(key_pem).unwrap(), leaf)
    }

    pub(crate) fn issue_for(&self, key: &impl PublicKeyData, leaf: &Leaf<'_>) -> Vec<u8> {
        let signed = leaf.params().signed_by(key, &self.issuer());
        signed.unwrap().der().to_vec()
    }

    /// An identity of a node, as if it had joined.
    pub(crate) fn joined(&self) -> Identity {
        let (key, _) = new_key_and_csr("pve1").unwrap();
        let leaf = self.issue(&key, &Leaf::new(NODE, SERVER));
        let authorities = [self.wire(&[])];
        let accepted = accept(
            std::slice::from_ref(&self.der),
            &authorities,
            &chain(&[leaf]),
            &key,
        )
        .unwrap();
        Identity::new(accepted, key, vec!["mon.example.org:8440".to_owned()])
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

/// What is to be in a certificate.
pub(crate) struct Leaf<'a> {
    pub(crate) uris: Vec<&'a str>,
    pub(crate) usages: &'a [ExtendedKeyUsagePurpose],
    /// First day of years.
    pub(crate) years: (i32, i32),
}

impl<'a> Leaf<'a> {
    pub(crate) fn new(uri: &'a str, usages: &'a [ExtendedKeyUsagePurpose]) -> Self {
        Self {
            uris: vec![uri],
            usages,
            years: (2020, 2090),
        }
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        let uris = self.uris.iter();
        params.subject_alt_names = uris
            .map(|uri| SanType::URI((*uri).try_into().unwrap()))
            .collect();
        params.extended_key_usages = self.usages.to_vec();
        params.not_before = date_time_ymd(self.years.0, 1, 1);
        params.not_after = date_time_ymd(self.years.1, 1, 1);
        params
    }
}

pub(crate) fn chain(certificates: &[Vec<u8>]) -> wire::CertificateChain {
    wire::CertificateChain {
        certificates_der: certificates.to_vec(),
    }
}

/// A new key in PEM.
pub(crate) fn key() -> String {
    new_key_and_csr("x").unwrap().0
}

/// The public key of a request for a certificate.
pub(crate) struct Requested(Vec<u8>);

impl Requested {
    pub(crate) fn new(csr: &[u8]) -> Self {
        let (_, csr) = X509CertificationRequest::from_der(csr).unwrap();
        csr.verify_signature().unwrap();
        let key = &csr.certification_request_info.subject_pki;
        Self(key.subject_public_key.data.to_vec())
    }
}

impl PublicKeyData for Requested {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}
