#![allow(unused, missing_debug_implementations, clippy::all)]
use jiff::Timestamp;
use pvelens_proto::agent::v1 as wire;
use std::sync::Arc;
pub struct Trust;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct TrustError;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct Refusal;
#[derive(Debug, Clone)]
pub struct NodeCertificate {
    pub cluster: String,
    pub node: String,
    pub serial: String,
    pub expires_at: Timestamp,
    pub state: NodeState,
    pub wants_renewal: bool,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    Good,
    Expired,
}
pub struct IssuedNode {
    pub chain: wire::CertificateChain,
    pub authorities: Vec<wire::Authority>,
    pub serial: String,
    pub expires_at: Timestamp,
}
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    pub role: pvelens_proto::identity::ClientRole,
    pub name: String,
    pub serial: String,
    pub expires_at: Timestamp,
}
impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").finish()
    }
}
impl Trust {
    pub fn api_tls(&self, now: Timestamp) -> Result<Arc<rustls::ServerConfig>, TrustError> {
        Err(TrustError)
    }
    pub fn client_of(&self, leaf: &[u8], now: Timestamp) -> Result<ClientCertificate, Refusal> {
        Err(Refusal)
    }
    pub fn is_in_use(&self) -> bool {
        false
    }
    pub fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        unimplemented!()
    }
    pub fn link_tls(&self, now: Timestamp) -> Result<Arc<rustls::ClientConfig>, TrustError> {
        Err(TrustError)
    }
    pub fn node_of(&self, leaf: &[u8], now: Timestamp) -> Result<NodeCertificate, Refusal> {
        Err(Refusal)
    }
    pub fn is_revoked(&self, serial: &str) -> bool {
        false
    }
    pub fn has_node(&self, c: &str, n: &str) -> bool {
        false
    }
    pub fn renew_node(
        &self,
        of: &NodeCertificate,
        c: &str,
        n: &str,
        csr: &[u8],
        now: Timestamp,
    ) -> Result<IssuedNode, TrustError> {
        Err(TrustError)
    }
}
