//! Tokens with which nodes join: for one node, or for so many of one cluster, until a
//! time. Of the secret only a digest is kept.

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::{join_line, timestamp_from_millis, v1::JoinTicket};
use sha2::{Digest, Sha256};

use super::{
    Trust, TrustError,
    authority::random,
    state::{TOKENS, TokenRecord},
};
use crate::figure::hex;

const SECRET_BYTES: usize = 32;
const ID_CHARACTERS: usize = 8;
const NODES_MAX: u32 = 1000;
const SHORTEST: SignedDuration = SignedDuration::from_secs(60);
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 7);

/// What a token shall be good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenWish {
    /// Empty: any node of the cluster.
    pub node: String,
    /// Empty: that of the first node.
    pub cluster: String,
    pub node_count: u32,
    pub valid: SignedDuration,
}

/// A token, and the line that carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeToken {
    pub token: TokenInfo,
    pub join_line: String,
}

/// What is known of a token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    pub id: String,
    pub node: String,
    pub cluster: String,
    pub node_count: u32,
    pub joined_nodes: Vec<String>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub withdrawn: bool,
    /// Attempts with the right secret that were refused, at least.
    pub refused_total: u64,
    pub refused_at: Option<Timestamp>,
    pub refused_from: String,
}

impl Trust {
    /// Makes a token.
    ///
    /// # Errors
    /// When the wish makes no sense, or it cannot be written down.
    pub fn create_token(&self, wish: TokenWish, now: Timestamp) -> Result<MadeToken, TrustError> {
        if wish.node_count == 0 || wish.node_count > NODES_MAX {
            return Err(TrustError::Wish(format!(
                "a token is for 1 to {NODES_MAX} nodes"
            )));
        }
        if !wish.node.is_empty() && wish.node_count != 1 {
            return Err(TrustError::Wish(
                "a token for a certain node is for one node".to_owned(),
            ));
        }
        if !wish.node.is_empty() && !crate::link::is_host_name(&wish.node) {
            return Err(TrustError::Wish(format!(
                "{:?} is no name of a node",
                wish.node
            )));
        }
        if !(SHORTEST..=LONGEST).contains(&wish.valid) {
            return Err(TrustError::Wish(
                "a token is good for one minute to seven days".to_owned(),
            ));
        }
        let out_of_range = |_| TrustError::Defect("the clock of this machine is out of range");
        let expires_at = now.checked_add(wish.valid).map_err(out_of_range)?;
        let mut secret = [0; SECRET_BYTES];
        random(&mut secret)?;
        let token = self.change(
            |state, writer| {
                // Whoever joins pins it, so it has to be there.
                self.authority(state, writer, now)?;
                if state.tokens.len() >= TOKENS {
                    return Err(TrustError::Wish(format!(
                        "there are {TOKENS} tokens already; they go some days after their end"
                    )));
                }
                let token = TokenRecord {
                    id: new_id()?,
                    secret_sha256: hex(&Sha256::digest(secret)),
                    node: wish.node,
                    cluster: wish.cluster,
                    node_count: wish.node_count,
                    created_at: now,
                    expires_at,
                    withdrawn: false,
                    uses: Vec::new(),
                    refused_total: 0,
                    refused_at: None,
                    refused_from: String::new(),
                };
                state.tokens.push(token.clone());
                Ok(token)
            },
            now,
        )?;
        let names = self.names();
        let signing = self.signing(now)?;
        let ticket = JoinTicket {
            enrollment_addresses: names.api_addresses(),
            link_addresses: names.link_addresses(),
            authority_sha256: Sha256::digest(signing.record.certificate_der()?).to_vec(),
            token_id: token.id.clone(),
            secret: secret.to_vec(),
            expires_at: Some(timestamp_from_millis(expires_at.as_millisecond())),
        };
        Ok(MadeToken {
            token: info(&token),
            join_line: join_line::write(&ticket),
        })
    }

    /// Newest first; kept for some days after their end.
    #[must_use]
    pub fn tokens(&self) -> Vec<TokenInfo> {
        self.state().tokens.iter().rev().map(info).collect()
    }

    /// Ends a token before its time, by its id or the beginning of that.
    ///
    /// # Errors
    /// When there is none, or more than one, or it cannot be written down.
    pub fn withdraw_token(&self, id: &str, now: Timestamp) -> Result<TokenInfo, TrustError> {
        self.change(
            |state, _| {
                let mut of_id = state
                    .tokens
                    .iter_mut()
                    .filter(|token| !id.is_empty() && token.id.starts_with(id));
                match (of_id.next(), of_id.next()) {
                    (Some(token), None) => {
                        token.withdrawn = true;
                        Ok(info(token))
                    }
                    (None, _) => Err(TrustError::NotFound(format!("token {id:?}"))),
                    (Some(_), Some(_)) => Err(TrustError::Wish(format!(
                        "several tokens begin with {id:?}"
                    ))),
                }
            },
            now,
        )
    }
}

fn info(token: &TokenRecord) -> TokenInfo {
    TokenInfo {
        id: token.id.clone(),
        node: token.node.clone(),
        cluster: token.cluster.clone(),
        node_count: token.node_count,
        joined_nodes: token.uses.iter().map(|used| used.node.clone()).collect(),
        created_at: token.created_at,
        expires_at: token.expires_at,
        withdrawn: token.withdrawn,
        refused_total: token.refused_total,
        refused_at: token.refused_at,
        refused_from: token.refused_from.clone(),
    }
}

/// Letters and digits that are not mistaken for each other.
fn new_id() -> Result<String, TrustError> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut bytes = [0; ID_CHARACTERS];
    random(&mut bytes)?;
    Ok(bytes
        .iter()
        // There are 32 of them.
        .filter_map(|byte| LETTERS.get(usize::from(byte % 32)))
        .map(|letter| char::from(*letter))
        .collect())
}
