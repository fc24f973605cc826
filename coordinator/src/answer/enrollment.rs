//! Who belongs to this installation, as it is shown. Nothing here holds a secret but
//! the line of a new token.

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    grpc::Role,
    trust::{AuthorityInfo, ClientState, MadeToken, TokenInfo},
};

/// The tokens with which nodes join, newest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tokens {
    pub at: Timestamp,
    pub tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Token {
    pub id: String,
    pub state: TokenState,
    #[serde(skip)]
    pub withdrawn: bool,
    /// Empty: any node of the cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// Empty: that of the first node that joins.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    pub node_count: u32,
    pub joined_nodes: Vec<String>,
    pub created: Timestamp,
    pub expires: Timestamp,
    /// Attempts that were refused though the secret was right, at least.
    pub refused_total: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_last: Option<Timestamp>,
    /// From where the last of them came.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub refused_from: String,
}

/// What a token is good for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    Open,
    /// As many nodes joined as may.
    Used,
    Expired,
    Withdrawn,
}

/// A new token. The line is shown this once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewToken {
    pub token: Token,
    pub join_line: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WithdrawnToken {
    pub token: Token,
}

/// A node whose certificates were ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RevokedAgent {
    pub cluster: String,
    pub node: String,
    /// That were good until now.
    pub revoked_certificates: u32,
}

/// The certificates of people and programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Clients {
    pub at: Timestamp,
    pub clients: Vec<Client>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Client {
    pub name: String,
    pub role: Role,
    /// In hexadecimal.
    pub serial: String,
    pub issued: Timestamp,
    pub expires: Timestamp,
    pub revoked: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RevokedClient {
    pub name_or_serial: String,
    /// That were good until now.
    pub revoked_certificates: u32,
}

/// Who signs, and who is trusted still.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Authorities {
    pub at: Timestamp,
    pub authorities: Vec<Authority>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Authority {
    /// SHA-256 of its certificate, in hexadecimal.
    pub fingerprint: String,
    pub is_signing: bool,
    pub created: Timestamp,
    pub expires: Timestamp,
    /// Certificates in use that it signed.
    pub node_certificates: u32,
    pub client_certificates: u32,
    #[serde(skip)]
    pub certificate: pvelens_proto::agent::v1::Authority,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RotatedAuthority {
    pub authority: Authority,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RetiredAuthority {
    pub authority: Authority,
}

impl Tokens {
    #[must_use]
    pub fn new(tokens: Vec<TokenInfo>, at: Timestamp) -> Self {
        let tokens = tokens.into_iter().map(|token| Token::new(token, at));
        Self {
            at,
            tokens: tokens.collect(),
        }
    }
}

impl Token {
    #[must_use]
    pub fn new(token: TokenInfo, now: Timestamp) -> Self {
        let TokenInfo {
            id,
            node,
            cluster,
            node_count,
            joined_nodes,
            created_at,
            expires_at,
            withdrawn,
            refused_total,
            refused_at,
            refused_from,
        } = token;
        let is_used = joined_nodes.len() >= usize::try_from(node_count).unwrap_or(usize::MAX);
        let state = if withdrawn {
            TokenState::Withdrawn
        } else if is_used {
            TokenState::Used
        } else if expires_at <= now {
            TokenState::Expired
        } else {
            TokenState::Open
        };
        Self {
            id,
            state,
            withdrawn,
            node,
            cluster,
            node_count,
            joined_nodes,
            created: created_at,
            expires: expires_at,
            refused_total,
            refused_last: refused_at,
            refused_from,
        }
    }
}

impl NewToken {
    #[must_use]
    pub fn new(made: MadeToken, now: Timestamp) -> Self {
        let MadeToken { token, join_line } = made;
        Self {
            token: Token::new(token, now),
            join_line,
        }
    }
}

impl Clients {
    #[must_use]
    pub fn new(clients: Vec<ClientState>, at: Timestamp) -> Self {
        Self {
            at,
            clients: clients.into_iter().map(Client::from).collect(),
        }
    }
}

impl From<ClientState> for Client {
    fn from(client: ClientState) -> Self {
        let ClientState {
            name,
            role,
            serial,
            issued_at,
            expires_at,
            revoked,
        } = client;
        Self {
            name,
            role: role.into(),
            serial,
            issued: issued_at,
            expires: expires_at,
            revoked,
        }
    }
}

impl Authorities {
    #[must_use]
    pub fn new(authorities: Vec<AuthorityInfo>, at: Timestamp) -> Self {
        Self {
            at,
            authorities: authorities.into_iter().map(Authority::from).collect(),
        }
    }
}

impl From<AuthorityInfo> for Authority {
    fn from(authority: AuthorityInfo) -> Self {
        let AuthorityInfo {
            authority,
            fingerprint,
            is_signing,
            created_at,
            expires_at,
            node_certificates,
            client_certificates,
        } = authority;
        Self {
            fingerprint,
            is_signing,
            created: created_at,
            expires: expires_at,
            node_certificates,
            client_certificates,
            certificate: authority,
        }
    }
}
