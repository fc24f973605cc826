//! What is kept of the trust, but for keys: `trust.json`.
//!
//! Certificates that have ended are kept for a while, so that a node that was off for
//! a year is known when it comes back; what became pointless is dropped.

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::identity::{ClientRole, Identity};
use serde::{Deserialize, Serialize};

/// Of the form of the file.
pub(super) const VERSION: u32 = 1;
/// Tokens are shown for a while after their end.
const TOKEN_KEPT: SignedDuration = SignedDuration::from_hours(24 * 7);
/// Nodes of all clusters.
pub(super) const NODES: usize = 8192;
pub(super) const CLIENTS: usize = 4096;
pub(super) const TOKENS: usize = 1024;
/// Certificates of one node that are remembered.
const CERTIFICATES: usize = 16;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) version: u32,
    /// Name of this coordinator in its certificates.
    pub(super) coordinator: String,
    /// The one that signs first, then those that are trusted still.
    pub(super) authorities: Vec<AuthorityRecord>,
    pub(super) nodes: Vec<NodeRecord>,
    pub(super) clients: Vec<ClientRecord>,
    pub(super) tokens: Vec<TokenRecord>,
    /// Single certificates.
    pub(super) revoked: Vec<Revoked>,
    /// All certificates of somebody until then.
    pub(super) ended: Vec<Ended>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AuthorityRecord {
    /// Key identifier, in hexadecimal.
    pub(super) key_id: String,
    /// X.509 in base64 of DER.
    pub(super) certificate: String,
    /// The same name and key, signed by earlier ones.
    pub(super) cross_certificates: Vec<String>,
    pub(super) created_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NodeRecord {
    pub(super) cluster: String,
    pub(super) node: String,
    pub(super) enrolled_at: Timestamp,
    /// When the newest certificate that it showed was issued.
    pub(super) seen: Option<Timestamp>,
    /// Whose place it takes once it shows the first certificate of this one, as an
    /// identity: a node that was renamed or joined a cluster.
    pub(super) moved_from: Option<String>,
    /// Newest last.
    pub(super) certificates: Vec<Issued>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClientRecord {
    pub(super) name: String,
    pub(super) role: String,
    pub(super) certificate: Issued,
    pub(super) revoked: bool,
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Issued {
    /// In hexadecimal.
    pub(super) serial: String,
    /// Key identifier of the authority that signed it.
    pub(super) authority: String,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenRecord {
    pub(super) id: String,
    /// SHA-256 of the secret, in hexadecimal.
    pub(super) secret_sha256: String,
    /// Empty: any node of the cluster.
    pub(super) node: String,
    /// Empty: that of the first node.
    pub(super) cluster: String,
    pub(super) node_count: u32,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) withdrawn: bool,
    pub(super) uses: Vec<TokenUse>,
    /// Attempts that were refused though the secret was right.
    pub(super) refused_total: u64,
    pub(super) refused_at: Option<Timestamp>,
    /// From where the last of them came.
    pub(super) refused_from: String,
}

/// A node that joined with a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TokenUse {
    pub(super) cluster: String,
    pub(super) node: String,
    /// SHA-256 of its public key, in hexadecimal.
    pub(super) key_sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Revoked {
    pub(super) serial: String,
    pub(super) at: Timestamp,
}

/// Somebody whose certificates up to a time are worth nothing. Serial numbers alone do
/// not do: a coordinator that was restored from a backup does not know all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ended {
    /// As [`ending`] writes it.
    pub(super) who: String,
    pub(super) at: Timestamp,
}

/// Whose certificates end together: those of a node, and those of a client whatever its
/// role.
pub(super) fn ending(identity: &Identity) -> String {
    match identity {
        Identity::Client { name, .. } => format!("client/{name}"),
        other => other.to_string(),
    }
}

impl State {
    /// When the certificates of somebody ended, if they did.
    pub(super) fn ended_at(&self, identity: &Identity) -> Option<Timestamp> {
        let who = ending(identity);
        let ended = self.ended.iter().find(|ended| ended.who == who)?;
        Some(ended.at)
    }

    /// Ends all certificates of somebody that were issued up to now.
    pub(super) fn end(&mut self, identity: &Identity, now: Timestamp) {
        let who = ending(identity);
        match self.ended.iter_mut().find(|ended| ended.who == who) {
            Some(ended) => ended.at = ended.at.max(now),
            None => self.ended.push(Ended { who, at: now }),
        }
    }

    pub(super) fn node(&self, cluster: &str, node: &str) -> Option<&NodeRecord> {
        self.nodes
            .iter()
            .find(|record| record.cluster == cluster && record.node == node)
    }

    pub(super) fn node_mut(&mut self, cluster: &str, node: &str) -> Option<&mut NodeRecord> {
        self.nodes
            .iter_mut()
            .find(|record| record.cluster == cluster && record.node == node)
    }

    pub(super) fn is_revoked(&self, serial: &str) -> bool {
        self.revoked.iter().any(|revoked| revoked.serial == serial)
    }

    pub(super) fn revoke(&mut self, serial: &str, at: Timestamp) {
        if !self.is_revoked(serial) {
            self.revoked.push(Revoked {
                serial: serial.to_owned(),
                at,
            });
        }
    }

    /// Certificates in use that an authority signed, of nodes and of clients. One that
    /// has ended still brings a node back.
    pub(super) fn depending_on(&self, key_id: &str, now: Timestamp) -> (u32, u32) {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let nodes = self.nodes.iter().filter(|node| {
            let newest = node.certificates.last();
            newest.is_some_and(|issued| issued.authority == key_id)
        });
        let clients = self.clients.iter().filter(|client| {
            client.certificate.authority == key_id
                && !client.revoked
                && client.certificate.expires_at > now
        });
        (count(nodes.count()), count(clients.count()))
    }

    /// Drops what nobody asks for any more.
    pub(super) fn tidy(&mut self, now: Timestamp) {
        self.tokens
            .retain(|token| now.duration_since(token.expires_at) < TOKEN_KEPT);
        for node in &mut self.nodes {
            let more = node.certificates.len().saturating_sub(CERTIFICATES);
            node.certificates.drain(..more);
        }
        self.clients.retain(|client| {
            let ended = now.duration_since(client.certificate.expires_at);
            ended < SignedDuration::from_hours(24 * 30)
        });
    }
}

/// As it is written in the file and in identities.
pub(super) fn role_of(client: &ClientRecord) -> Option<ClientRole> {
    client.role.parse().ok()
}
