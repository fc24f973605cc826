//! Certificates for people and programs.

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::{
    agent::v1::{self as wire, CertificateChain},
    identity::{ClientRole, Identity},
};

use super::{
    ClientCertificate, Trust, TrustError,
    issue::{LIFETIME, Requested, Usage, issue_requested},
    state::{CLIENTS, ClientRecord, role_of},
};

const DAY: SignedDuration = SignedDuration::from_hours(24);
const DAYS_MAX: u32 = 365;

/// A certificate for a client, and what it has to trust.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuedClient {
    pub chain: CertificateChain,
    pub authorities: Vec<wire::Authority>,
    pub expires_at: Timestamp,
}

/// A certificate of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientState {
    pub name: String,
    pub role: ClientRole,
    /// In hexadecimal.
    pub serial: String,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked: bool,
}

impl Trust {
    /// A certificate for a key that a client made. `days` 0 stands for 90.
    ///
    /// # Errors
    /// When the request or the name is none, or it cannot be written down.
    pub fn issue_client(
        &self,
        name: &str,
        role: ClientRole,
        csr_der: &[u8],
        days: u32,
        now: Timestamp,
    ) -> Result<IssuedClient, TrustError> {
        let lifetime = match days {
            0 => LIFETIME,
            1..=DAYS_MAX => DAY.saturating_mul(i32::try_from(days).unwrap_or(i32::MAX)),
            _ => {
                return Err(TrustError::Wish(format!(
                    "a certificate is good for 1 to {DAYS_MAX} days"
                )));
            }
        };
        let requested = Requested::read(csr_der)?;
        let identity = Identity::client(role, name)?;
        self.change(
            |state, writer| {
                if state.clients.len() >= CLIENTS {
                    return Err(TrustError::Wish(format!(
                        "there are {CLIENTS} certificates of clients already"
                    )));
                }
                let authority = self.authority(state, writer, now)?;
                let at = state.issuing_at(&identity, now);
                let (leaf, issued) = issue_requested(
                    &authority,
                    &identity,
                    Usage::TlsClient,
                    &requested,
                    lifetime,
                    at,
                )?;
                let expires_at = issued.expires_at;
                state.clients.push(ClientRecord {
                    name: name.to_owned(),
                    role: role.to_string(),
                    certificate: issued,
                    revoked: false,
                });
                Ok(IssuedClient {
                    chain: state.chain(leaf)?,
                    authorities: state.authorities()?,
                    expires_at,
                })
            },
            now,
        )
    }

    /// A new certificate for whoever shows a good one, for the same name and role and
    /// as long.
    ///
    /// # Errors
    /// As [`issue_client`](Self::issue_client).
    pub fn renew_client(
        &self,
        of: &ClientCertificate,
        csr_der: &[u8],
        now: Timestamp,
    ) -> Result<IssuedClient, TrustError> {
        let state = self.state();
        let record = state
            .clients
            .iter()
            .find(|client| client.certificate.serial == of.serial)
            .ok_or_else(|| TrustError::NotFound(format!("certificate {}", of.serial)))?;
        let issued = &record.certificate;
        let lifetime = issued.expires_at.duration_since(issued.issued_at);
        let days = lifetime.as_hours() / 24;
        let days = u32::try_from(days).unwrap_or(0).clamp(1, DAYS_MAX);
        self.issue_client(&of.name, of.role, csr_der, days, now)
    }

    /// Sorted by name, newest first.
    #[must_use]
    pub fn clients(&self) -> Vec<ClientState> {
        let state = self.state();
        let mut clients: Vec<_> = state
            .clients
            .iter()
            .filter_map(|client| {
                Some(ClientState {
                    name: client.name.clone(),
                    role: role_of(client)?,
                    serial: client.certificate.serial.clone(),
                    issued_at: client.certificate.issued_at,
                    expires_at: client.certificate.expires_at,
                    revoked: client.revoked,
                })
            })
            .collect();
        clients.sort_by(|a, b| (&a.name, b.issued_at).cmp(&(&b.name, a.issued_at)));
        clients
    }

    /// Ends all certificates of a name, or the one with a serial number; how many were
    /// good.
    ///
    /// # Errors
    /// When there is none, or it cannot be written down.
    pub fn revoke_client(&self, name_or_serial: &str, now: Timestamp) -> Result<u32, TrustError> {
        self.change(
            |state, _| {
                let mut found = Vec::new();
                let mut good = 0;
                let mut named = None;
                for client in &mut state.clients {
                    let is_name = client.name == name_or_serial;
                    if !is_name && client.certificate.serial != name_or_serial {
                        continue;
                    }
                    if is_name {
                        named = role_of(client).zip(Some(client.name.clone()));
                    }
                    if !client.revoked && client.certificate.expires_at > now {
                        good += 1;
                    }
                    client.revoked = true;
                    found.push(client.certificate.serial.clone());
                }
                if found.is_empty() {
                    return Err(TrustError::NotFound(format!(
                        "client or serial number {name_or_serial:?}"
                    )));
                }
                for serial in found {
                    state.revoke(&serial, now);
                }
                if let Some((role, name)) = named {
                    state.end(&Identity::client(role, &name)?, now);
                }
                Ok(good)
            },
            now,
        )
    }
}
