//! A new authority in place of the present one, and the end of one that was replaced.
//!
//! The present one vouches for the new one and then its key is removed: nothing is
//! signed by it any more. It stays trusted until it is retired, so that nodes that are
//! off meanwhile come back.

use std::sync::Arc;

use jiff::Timestamp;
use pvelens_proto::agent::v1 as wire;

use super::{
    Trust, TrustError,
    authority::{Authority, key_path},
    certificate::{end, fingerprint},
    files,
    state::{AuthorityRecord, State},
};

/// Chains grow with each.
const AUTHORITIES: usize = 4;

/// An authority as people see it.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthorityInfo {
    pub authority: wire::Authority,
    /// SHA-256 of its certificate, in hexadecimal.
    pub fingerprint: String,
    pub is_signing: bool,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// Certificates in use that it signed.
    pub node_certificates: u32,
    pub client_certificates: u32,
}

impl Trust {
    /// The one that signs first, then those that are trusted still.
    ///
    /// # Errors
    /// When a certificate of them cannot be read.
    pub fn authorities(&self, now: Timestamp) -> Result<Vec<AuthorityInfo>, TrustError> {
        let state = self.state();
        let authorities = state.authorities.iter().enumerate();
        authorities
            .map(|(place, record)| info(&state, record, place == 0, now))
            .collect()
    }

    /// Makes a new authority, which signs from here on.
    ///
    /// # Errors
    /// When there are too many that are trusted still, or it cannot be written down.
    pub fn rotate(&self, now: Timestamp) -> Result<AuthorityInfo, TrustError> {
        let made = self.change(
            |state, writer| {
                let present = self.authority(state, writer, now)?;
                if state.authorities.len() >= AUTHORITIES {
                    return Err(TrustError::InUse(format!(
                        "{AUTHORITIES} authorities are trusted; retire one first"
                    )));
                }
                let authority = Arc::new(Authority::make(Some(&present), now)?);
                authority.save_key(&self.directory)?;
                state.authorities.insert(0, authority.record.clone());
                writer.authority = Some(Arc::clone(&authority));
                info(state, &authority.record, true, now)
            },
            now,
        )?;
        self.finish_rotation(now)?;
        Ok(made)
    }

    /// Removes keys that sign nothing any more: those that a rotation left behind.
    pub(super) fn finish_rotation(&self, _: Timestamp) -> Result<(), TrustError> {
        for replaced in self.state().authorities.iter().skip(1) {
            files::remove(&key_path(&self.directory, &replaced.key_id))?;
        }
        Ok(())
    }

    /// Ends the trust in an authority that was replaced, by its fingerprint or the
    /// beginning of that. With `force` also when certificates in use depend on it, whose
    /// owners have to join again.
    ///
    /// # Errors
    /// When there is none, it signs, it is needed, or it cannot be written down.
    pub fn retire(
        &self,
        fingerprint: &str,
        force: bool,
        now: Timestamp,
    ) -> Result<AuthorityInfo, TrustError> {
        let wanted = fingerprint.to_ascii_lowercase().replace(':', "");
        self.change(
            |state, _| {
                let mut infos = Vec::new();
                for (place, record) in state.authorities.iter().enumerate() {
                    let info = info(state, record, place == 0, now)?;
                    if !wanted.is_empty() && info.fingerprint.starts_with(&wanted) {
                        infos.push((place, info));
                    }
                }
                let (place, info) = match infos.as_slice() {
                    [one] => one.clone(),
                    [] => return Err(TrustError::NotFound(format!("authority {fingerprint:?}"))),
                    _ => {
                        return Err(TrustError::Wish(format!(
                            "several authorities begin with {fingerprint:?}"
                        )));
                    }
                };
                if info.is_signing {
                    return Err(TrustError::InUse(
                        "this authority signs; `pvelens ca rotate` makes another one first"
                            .to_owned(),
                    ));
                }
                let needed = info
                    .node_certificates
                    .saturating_add(info.client_certificates);
                if needed > 0 && !force {
                    return Err(TrustError::InUse(format!(
                        "{} nodes and {} clients have no newer certificate: nodes get one by \
                         themselves once they are connected, clients by `pvelens client renew`; \
                         with --force they have to join again",
                        info.node_certificates, info.client_certificates
                    )));
                }
                state.authorities.remove(place);
                Ok(info)
            },
            now,
        )
    }
}

fn info(
    state: &State,
    record: &AuthorityRecord,
    is_signing: bool,
    now: Timestamp,
) -> Result<AuthorityInfo, TrustError> {
    let certificate_der = record.certificate_der()?;
    let (node_certificates, client_certificates) = state.depending_on(&record.key_id, now);
    Ok(AuthorityInfo {
        fingerprint: fingerprint(&certificate_der),
        is_signing,
        created_at: record.created_at,
        expires_at: end(&certificate_der).ok_or(TrustError::Defect(
            "the certificate of an authority is damaged",
        ))?,
        node_certificates,
        client_certificates,
        authority: wire::Authority {
            certificate_der,
            cross_certificates_der: record.cross_certificates_der()?,
        },
    })
}
