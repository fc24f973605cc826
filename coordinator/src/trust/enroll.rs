//! Joining: a token and a key of the node's own for the first certificate.

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::{
    identity::Identity,
    v1::{EnrollRequest, EnrollResponse},
};
use sha2::{Digest, Sha256};

use super::{
    Trust, TrustError,
    issue::Requested,
    state::{State, TokenRecord, TokenUse},
};
use crate::figure::hex;

/// A token that is refused often is noted once in this time.
const NOTED: SignedDuration = SignedDuration::from_secs(60);
const SOURCE_LIMIT: usize = 64;
const CLUSTER_LIMIT: usize = 128;

/// Why a node may not join.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// Whether it never was one, or the secret is wrong, is not for strangers to know.
    #[error("there is no such token")]
    Unknown,
    #[error("the token ended at {0}")]
    Expired(Timestamp),
    #[error("the token was withdrawn")]
    Withdrawn,
    #[error("the token was used already")]
    Used,
    #[error("the token is for the node {0}")]
    OtherNode(String),
    #[error("the token is for another cluster")]
    OtherCluster,
    #[error("the node {0} has joined already")]
    Enrolled(String),
    #[error("{0}")]
    Request(&'static str),
    #[error(transparent)]
    Trust(#[from] TrustError),
}

impl Trust {
    /// Gives a node its first certificate. `peer` is from where it asks.
    ///
    /// # Errors
    /// When it may not join, or that cannot be written down.
    pub fn enroll(
        &self,
        request: &EnrollRequest,
        peer: &str,
        now: Timestamp,
    ) -> Result<EnrollResponse, EnrollError> {
        let node = request.node_name.as_str();
        if !crate::link::is_host_name(node) {
            return Err(EnrollError::Request("the name of the node is no host name"));
        }
        // A machine that is in no cluster stands for itself, as in the store.
        let cluster = match request.cluster_id.as_str() {
            "" => format!("{}{node}", crate::live::NO_CLUSTER),
            cluster => cluster.to_owned(),
        };
        if cluster.len() > CLUSTER_LIMIT || Identity::node(&cluster, node).is_err() {
            return Err(EnrollError::Request("the id of the cluster is none"));
        }
        // Whoever only tries secrets never comes to the parts that cost something.
        self.state().token(request)?;
        let requested = Requested::read(&request.csr_der)?;
        let issued = self.change(
            |state, writer| {
                let authority = self.authority(state, writer, now)?;
                let again = match state.admit(request, &cluster, &requested, now) {
                    Ok(again) => again,
                    Err(error) => {
                        if let Ok(token) = state.token_mut(request) {
                            token.note_refusal(peer, now);
                        }
                        return Err(error);
                    }
                };
                if !again {
                    let joined = TokenUse {
                        cluster: cluster.clone(),
                        node: node.to_owned(),
                        key_sha256: requested.sha256.clone(),
                    };
                    let token = state.token_mut(request)?;
                    token.cluster.clone_from(&cluster);
                    token.uses.push(joined);
                    state.replace(&cluster, node, now);
                }
                Ok(state.issue_node(&authority, &cluster, node, &requested, now)?)
            },
            now,
        )?;
        Ok(EnrollResponse {
            chain: Some(issued.chain),
            authorities: issued.authorities,
        })
    }
}

impl State {
    /// The token of a request, if its secret is right.
    fn token(&self, request: &EnrollRequest) -> Result<&TokenRecord, EnrollError> {
        let token = self
            .tokens
            .iter()
            .find(|token| token.id == request.token_id)
            .ok_or(EnrollError::Unknown)?;
        let given = hex(&Sha256::digest(&request.secret));
        if !is_same(given.as_bytes(), token.secret_sha256.as_bytes()) {
            return Err(EnrollError::Unknown);
        }
        Ok(token)
    }

    fn token_mut(&mut self, request: &EnrollRequest) -> Result<&mut TokenRecord, EnrollError> {
        let id = self.token(request)?.id.clone();
        self.tokens
            .iter_mut()
            .find(|token| token.id == id)
            .ok_or(EnrollError::Unknown)
    }

    /// Whether the node may join; true when it has, and only asks again.
    fn admit(
        &self,
        request: &EnrollRequest,
        cluster: &str,
        requested: &Requested,
        now: Timestamp,
    ) -> Result<bool, EnrollError> {
        let node = request.node_name.as_str();
        let token = self.token(request)?;
        if token.withdrawn {
            return Err(EnrollError::Withdrawn);
        }
        if token.expires_at <= now {
            return Err(EnrollError::Expired(token.expires_at));
        }
        let again = token.uses.iter().any(|used| {
            used.key_sha256 == requested.sha256 && used.node == node && used.cluster == cluster
        });
        // A node that was revoked since does not come back by asking again.
        if again && self.node(cluster, node).is_some() {
            return Ok(true);
        }
        if token.uses.len() >= usize::try_from(token.node_count).unwrap_or(usize::MAX) || again {
            return Err(EnrollError::Used);
        }
        if !token.node.is_empty() && token.node != node {
            return Err(EnrollError::OtherNode(token.node.clone()));
        }
        if !token.cluster.is_empty() && token.cluster != cluster {
            return Err(EnrollError::OtherCluster);
        }
        // Only who was asked for by name takes the place of one that is there.
        if token.node.is_empty() && self.node(cluster, node).is_some() {
            return Err(EnrollError::Enrolled(node.to_owned()));
        }
        Ok(false)
    }

    /// Ends what a node of this name had.
    fn replace(&mut self, cluster: &str, node: &str, now: Timestamp) {
        let place = self
            .nodes
            .iter()
            .position(|record| record.cluster == cluster && record.node == node);
        if let Some(place) = place
            && let Ok(identity) = Identity::node(cluster, node)
        {
            let record = self.nodes.remove(place);
            self.end_certificates(&identity, &record, now);
        }
    }
}

impl TokenRecord {
    /// Each note is written down, so not every one of a flood is.
    fn note_refusal(&mut self, peer: &str, now: Timestamp) {
        let is_noted = self
            .refused_at
            .is_some_and(|at| now.duration_since(at).abs() < NOTED);
        if !is_noted {
            self.refused_total = self.refused_total.saturating_add(1);
            self.refused_at = Some(now);
            self.refused_from = peer.chars().take(SOURCE_LIMIT).collect();
        }
    }
}

/// Takes as long wherever they differ.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .fold(0, |differences, (a, b)| differences | (a ^ b))
            == 0
}
