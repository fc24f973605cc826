//! Who belongs to this installation.

use pvelens_proto::v1 as message;

use super::{Carries, all, timestamp};
use crate::answer::enrollment::{
    Authorities, Authority, Client, Clients, NewToken, RetiredAuthority, RevokedAgent,
    RevokedClient, RotatedAuthority, Token, Tokens, WithdrawnToken,
};

impl Carries<Tokens> for message::ListTokensResponse {
    fn structured(answer: Tokens) -> Self {
        let Tokens { at: _, tokens } = answer;
        Self {
            tokens: all(tokens),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: Tokens) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<NewToken> for message::CreateTokenResponse {
    fn structured(answer: NewToken) -> Self {
        let NewToken { token, join_line } = answer;
        Self {
            token: Some(token.into()),
            join_line,
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, answer: NewToken) -> Self {
        Self {
            rendered,
            join_line: answer.join_line,
            token: Some(answer.token.into()),
        }
    }
}

impl Carries<WithdrawnToken> for message::WithdrawTokenResponse {
    fn structured(answer: WithdrawnToken) -> Self {
        let WithdrawnToken { token } = answer;
        Self {
            token: Some(token.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: WithdrawnToken) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<RevokedAgent> for message::RevokeAgentResponse {
    fn structured(answer: RevokedAgent) -> Self {
        let RevokedAgent {
            cluster,
            node,
            revoked_certificates,
        } = answer;
        Self {
            cluster_id: cluster,
            node_name: node,
            revoked_certificates,
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: RevokedAgent) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<Clients> for message::ListClientsResponse {
    fn structured(answer: Clients) -> Self {
        let Clients { at: _, clients } = answer;
        Self {
            clients: all(clients),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: Clients) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<RevokedClient> for message::RevokeClientResponse {
    fn structured(answer: RevokedClient) -> Self {
        let RevokedClient {
            name_or_serial: _,
            revoked_certificates,
        } = answer;
        Self {
            revoked_certificates,
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: RevokedClient) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<Authorities> for message::GetAuthoritiesResponse {
    fn structured(answer: Authorities) -> Self {
        let Authorities { at: _, authorities } = answer;
        Self {
            authorities: all(authorities),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: Authorities) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<RotatedAuthority> for message::RotateAuthorityResponse {
    fn structured(answer: RotatedAuthority) -> Self {
        let RotatedAuthority { authority } = answer;
        Self {
            authority: Some(authority.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: RotatedAuthority) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<RetiredAuthority> for message::RetireAuthorityResponse {
    fn structured(answer: RetiredAuthority) -> Self {
        let RetiredAuthority { authority } = answer;
        Self {
            authority: Some(authority.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: RetiredAuthority) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl From<Token> for message::Token {
    fn from(token: Token) -> Self {
        let Token {
            id,
            // Follows from the rest and the time.
            state: _,
            withdrawn,
            node,
            cluster,
            node_count,
            joined_nodes,
            created,
            expires,
            refused_total,
            refused_last,
            refused_from,
        } = token;
        Self {
            id,
            node_name: node,
            cluster_id: cluster,
            node_count,
            joined_nodes,
            created_at: Some(timestamp(created)),
            expires_at: Some(timestamp(expires)),
            withdrawn,
            refused_total,
            refused_at: refused_last.map(timestamp),
            refused_from,
        }
    }
}

impl From<Client> for message::Client {
    fn from(client: Client) -> Self {
        let Client {
            name,
            role,
            serial,
            issued,
            expires,
            revoked,
        } = client;
        Self {
            name,
            role: message::Role::from(role).into(),
            serial,
            issued_at: Some(timestamp(issued)),
            expires_at: Some(timestamp(expires)),
            revoked,
        }
    }
}

impl From<Authority> for message::AuthorityState {
    fn from(authority: Authority) -> Self {
        let Authority {
            fingerprint,
            is_signing,
            created,
            expires,
            node_certificates,
            client_certificates,
            certificate,
        } = authority;
        Self {
            authority: Some(certificate),
            fingerprint,
            is_signing,
            created_at: Some(timestamp(created)),
            expires_at: Some(timestamp(expires)),
            node_certificates,
            client_certificates,
        }
    }
}
