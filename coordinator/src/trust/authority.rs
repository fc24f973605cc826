//! The authority that signs certificates: made here, its key kept here, replaced by one
//! that it vouches for.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber,
};

use super::{TrustError, certificate, files, state::AuthorityRecord};
use crate::figure::hex;

/// Ten years: what has to be replaced before is replaced by hand.
const LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 3653);
/// Clocks of nodes are behind now and then.
pub(super) const BACKDATED: SignedDuration = SignedDuration::from_hours(1);
const SERIAL_BYTES: usize = 16;

/// The authority with its key.
#[derive(Debug)]
pub(super) struct Authority {
    pub(super) record: AuthorityRecord,
    key: KeyPair,
}

impl Authority {
    /// A new one, vouched for by the present one if there is one.
    pub(super) fn make(by: Option<&Self>, now: Timestamp) -> Result<Self, TrustError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let key_id = hex(&CertificateParams::default().key_identifier(&key));
        let params = params(&key_id, now)?;
        let own = params.self_signed(&key)?;
        let mut cross_certificates = Vec::new();
        if let Some(by) = by {
            let vouched = params_again(&params)?.signed_by(&key, &by.issuer()?)?;
            cross_certificates.push(STANDARD.encode(vouched.der()));
            // Who knows only one before that goes on by its word.
            cross_certificates.extend(by.record.cross_certificates.iter().cloned());
        }
        Ok(Self {
            record: AuthorityRecord {
                key_id,
                certificate: STANDARD.encode(own.der()),
                cross_certificates,
                created_at: now,
            },
            key,
        })
    }

    /// The one of a record, with its key from the directory.
    pub(super) fn load(directory: &Path, record: &AuthorityRecord) -> Result<Self, TrustError> {
        let path = key_path(directory, &record.key_id);
        let text = files::read(&path)?.ok_or_else(|| TrustError::NoKey(path.clone()))?;
        Self::with_key(record, &text).map_err(|_| TrustError::WrongKey(path))
    }

    /// The one of a record and its key in PEM.
    pub(super) fn with_key(record: &AuthorityRecord, pem: &str) -> Result<Self, TrustError> {
        let key = KeyPair::from_pem(pem)?;
        let key_id = hex(&CertificateParams::default().key_identifier(&key));
        let certified = certificate::key_of_authority(&decode(&record.certificate)?);
        if key_id != record.key_id || certified.as_deref() != Some(&*key_id) {
            return Err(TrustError::Defect("a key is not that of its certificate"));
        }
        Ok(Self {
            record: record.clone(),
            key,
        })
    }

    /// Writes the key down.
    pub(super) fn save_key(&self, directory: &Path) -> Result<(), TrustError> {
        let path = key_path(directory, &self.record.key_id);
        Ok(files::write(&path, &self.key_pem())?)
    }

    pub(super) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// Signs a certificate for a key. The serial number is in hexadecimal.
    pub(super) fn sign(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<(Vec<u8>, String), TrustError> {
        let serial = serial()?;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(key, &self.issuer()?)?;
        Ok((signed.der().to_vec(), hex(&serial)))
    }

    fn issuer(&self) -> Result<Issuer<'_, &KeyPair>, TrustError> {
        let der = decode(&self.record.certificate)?;
        Ok(Issuer::from_ca_cert_der(&der.as_slice().into(), &self.key)?)
    }
}

impl AuthorityRecord {
    pub(super) fn certificate_der(&self) -> Result<Vec<u8>, TrustError> {
        decode(&self.certificate)
    }

    pub(super) fn cross_certificates_der(&self) -> Result<Vec<Vec<u8>>, TrustError> {
        self.cross_certificates
            .iter()
            .map(|one| decode(one))
            .collect()
    }
}

pub(super) fn key_path(directory: &Path, key_id: &str) -> PathBuf {
    // The beginning tells them apart; the whole is compared when it is read.
    let short = key_id.get(..16).unwrap_or(key_id);
    directory.join(format!("authority-{short}.key"))
}

pub(super) fn decode(base64: &str) -> Result<Vec<u8>, TrustError> {
    STANDARD
        .decode(base64)
        .map_err(|_| TrustError::Defect("a certificate is not in base64"))
}

fn params(key_id: &str, now: Timestamp) -> Result<CertificateParams, TrustError> {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    // Several of them must not have one name: peers choose by it.
    let short = key_id.get(..8).unwrap_or(key_id);
    name.push(DnType::CommonName, format!("pvelens authority {short}"));
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(SerialNumber::from_slice(&serial()?));
    lasting(&mut params, now, LIFETIME)?;
    Ok(params)
}

/// The same name for the same key, with a serial number and a signer of its own.
fn params_again(params: &CertificateParams) -> Result<CertificateParams, TrustError> {
    let mut again = params.clone();
    again.serial_number = Some(SerialNumber::from_slice(&serial()?));
    again.use_authority_key_identifier_extension = true;
    Ok(again)
}

/// Sets how long a certificate is good.
pub(super) fn lasting(
    params: &mut CertificateParams,
    now: Timestamp,
    lifetime: SignedDuration,
) -> Result<Timestamp, TrustError> {
    let out_of_range = |_| TrustError::Defect("the clock of this machine is out of range");
    let begin = now.checked_sub(BACKDATED).map_err(out_of_range)?;
    let end = now.checked_add(lifetime).map_err(out_of_range)?;
    // Certificates know whole seconds.
    let end = Timestamp::from_second(end.as_second()).map_err(out_of_range)?;
    params.not_before = SystemTime::from(begin).into();
    params.not_after = SystemTime::from(end).into();
    Ok(end)
}

/// A positive number that nobody guesses (RFC 5280, section 4.1.2.2).
fn serial() -> Result<[u8; SERIAL_BYTES], TrustError> {
    let mut bytes = [0; SERIAL_BYTES];
    random(&mut bytes)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(bytes)
}

/// Fills all of it.
pub(super) fn random(bytes: &mut [u8]) -> Result<(), TrustError> {
    let got = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty());
    // Up to 256 bytes come as a whole (getrandom(2)).
    match got {
        Ok(length) if length == bytes.len() => Ok(()),
        _ => Err(TrustError::Defect("the kernel gives no random bytes")),
    }
}
