//! Tokens, clients, authorities, and what became of them.

use jiff::{SignedDuration, Timestamp};

use super::{
    block::{Describe, Document, Mark, Table, Tone, figures, names, words},
    cell::known,
};
use crate::{
    answer::enrollment::{
        Authorities, Authority, Client, Clients, NewToken, RetiredAuthority, RevokedAgent,
        RevokedClient, RotatedAuthority, Token, TokenState, Tokens, WithdrawnToken,
    },
    finding::Severity,
    untrusted,
};

/// Characters of a fingerprint or cluster id that tell them apart for people.
const SHORT: usize = 12;
/// Of clients, and of authorities, whose end is worth a colour.
const SOON: SignedDuration = SignedDuration::from_hours(24 * 14);

impl Describe for Tokens {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        if self.tokens.is_empty() {
            document.line(
                Mark::None,
                "No token was made in the last days. `pvelens agents token` makes one.",
            );
            return document;
        }
        for token in self.tokens.iter().filter(|token| token.refused_total > 0) {
            refused(&mut document, token);
        }
        let mut table = Table::new(&[
            words("TOKEN"),
            words("STATE"),
            words("ENDS (UTC)"),
            names("FOR"),
            words("CLUSTER").spare(2),
            figures("JOINED"),
            names("NODES"),
            words("MADE (UTC)").spare(3),
        ]);
        for token in &self.tokens {
            table.row(
                match token.state {
                    TokenState::Open => Tone::Plain,
                    _ => Tone::Dim,
                },
                vec![
                    Some(token.id.clone()),
                    Some(state(token.state).to_owned()),
                    Some(minute(token.expires)),
                    Some(whom(token)),
                    Some(short(&token.cluster)),
                    Some(format!("{}/{}", token.joined_nodes.len(), token.node_count)),
                    Some(token.joined_nodes.join(", ")),
                    Some(minute(token.created)),
                ],
            );
        }
        document.table(table);
        document
    }
}

/// Somebody else may have it.
fn refused(document: &mut Document, token: &Token) {
    let from = match token.refused_from.as_str() {
        "" => String::new(),
        from => format!(" from {}", untrusted::name(from)),
    };
    let last = match token.refused_last {
        Some(at) => format!(", last at {} UTC{from}", minute(at)),
        None => from,
    };
    document.line(
        Mark::Severity(Severity::Warning),
        format!(
            "Token {} was shown {} more{last}, and refused: if that was nobody of yours, its line \
             was seen by others",
            token.id,
            match token.refused_total {
                1 => "once".to_owned(),
                times => format!("{times} times"),
            }
        ),
    );
}

fn state(state: TokenState) -> &'static str {
    match state {
        TokenState::Open => "open",
        TokenState::Used => "used up",
        TokenState::Expired => "ended",
        TokenState::Withdrawn => "withdrawn",
    }
}

fn whom(token: &Token) -> String {
    match (token.node.as_str(), token.node_count) {
        ("", 1) => "any node".to_owned(),
        ("", count) => format!("any {count} nodes"),
        (node, _) => node.to_owned(),
    }
}

impl Describe for NewToken {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        document.line(Mark::None, self.join_line.clone());
        document.note(format!(
            "token {} for {}, until {} UTC",
            self.token.id,
            whom(&self.token),
            minute(self.token.expires)
        ));
        document
    }
}

impl Describe for WithdrawnToken {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        let Token {
            id, joined_nodes, ..
        } = &self.token;
        document.line(
            Mark::Good,
            format!("Nobody joins with the token {id} any more."),
        );
        if !joined_nodes.is_empty() {
            document.line(
                Mark::Below,
                format!(
                    "Joined with it, and stay: {}. `pvelens agents revoke NODE` turns one out.",
                    joined_nodes.join(", ")
                ),
            );
        }
        document
    }
}

impl Describe for RevokedAgent {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        document.line(
            Mark::Good,
            format!(
                "The node {} does not belong here any more: {}, and a link of it is cut.",
                self.node,
                certificates(self.revoked_certificates)
            ),
        );
        document.line(
            Mark::Below,
            format!(
                "On the node, `systemctl stop pvelens-link` ends the attempts. It comes back \
                 with a new token: `pvelens agents token --node {}`.",
                self.node
            ),
        );
        document
    }
}

impl Describe for Clients {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        if self.clients.is_empty() {
            document.line(
                Mark::None,
                "No client has a certificate. `pvelens client issue` makes one.",
            );
            return document;
        }
        let mut table = Table::new(&[
            names("NAME"),
            words("ROLE"),
            words("STATE"),
            words("ENDS (UTC)"),
            words("SERIAL"),
            words("ISSUED (UTC)").spare(1),
        ]);
        for client in &self.clients {
            let (tone, state) = client_state(client, self.at);
            table.row(
                tone,
                vec![
                    Some(client.name.clone()),
                    Some(client.role.name().to_owned()),
                    Some(state.to_owned()),
                    Some(minute(client.expires)),
                    Some(client.serial.clone()),
                    Some(minute(client.issued)),
                ],
            );
        }
        document.table(table);
        document
    }
}

fn client_state(client: &Client, now: Timestamp) -> (Tone, &'static str) {
    if client.revoked {
        (Tone::Dim, "revoked")
    } else if client.expires <= now {
        (Tone::Dim, "ended")
    } else if client.expires.duration_since(now) < SOON {
        (Tone::Warning, "ending")
    } else {
        (Tone::Plain, "good")
    }
}

impl Describe for RevokedClient {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        document.line(
            Mark::Good,
            format!(
                "{} is not let in any more: {}, and open connections are cut.",
                self.name_or_serial,
                certificates(self.revoked_certificates)
            ),
        );
        document
    }
}

impl Describe for Authorities {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        if self.authorities.is_empty() {
            document.line(
                Mark::None,
                "There is no authority yet: it is made when the first token or certificate is.",
            );
            return document;
        }
        let mut table = Table::new(&[
            words("AUTHORITY"),
            words("STATE"),
            words("MADE (UTC)").spare(1),
            words("ENDS (UTC)"),
            figures("NODES"),
            figures("CLIENTS"),
        ]);
        for authority in &self.authorities {
            let is_ending = authority.expires.duration_since(self.at) < SOON;
            table.row(
                if is_ending {
                    Tone::Warning
                } else {
                    Tone::Plain
                },
                vec![
                    known(&short(&authority.fingerprint)),
                    Some(
                        if authority.is_signing {
                            "signs"
                        } else {
                            "trusted still"
                        }
                        .to_owned(),
                    ),
                    Some(minute(authority.created)),
                    Some(minute(authority.expires)),
                    Some(authority.node_certificates.to_string()),
                    Some(authority.client_certificates.to_string()),
                ],
            );
        }
        document.table(table);
        document.note("NODES and CLIENTS have a certificate that it signed");
        for authority in &self.authorities {
            document.note(format!("SHA-256 {}", authority.fingerprint));
        }
        document
    }
}

impl Describe for RotatedAuthority {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        document.line(
            Mark::Good,
            format!(
                "The authority {} signs from now on. The one before it stays trusted, and its key \
                 was removed.",
                short(&self.authority.fingerprint)
            ),
        );
        for text in [
            "Nodes get a new certificate by themselves once they are connected, clients by \
             `pvelens client renew`.",
            "Make a new backup: `pvelens ca backup FILE`.",
            "When `pvelens ca show` counts nobody with the old one: `pvelens ca retire`.",
        ] {
            document.line(Mark::Below, text);
        }
        document
    }
}

impl Describe for RetiredAuthority {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        let Authority {
            fingerprint,
            node_certificates: nodes,
            client_certificates: clients,
            ..
        } = &self.authority;
        document.line(
            Mark::Good,
            format!(
                "The authority {} is not trusted any more.",
                short(fingerprint)
            ),
        );
        if nodes.saturating_add(*clients) > 0 {
            document.line(
                Mark::Below,
                format!(
                    "Turned out with it: {nodes} nodes, which have to join again, and {clients} \
                     clients, which need a new certificate.",
                ),
            );
        }
        document
    }
}

fn certificates(count: u32) -> String {
    match count {
        0 => "no certificate was good any more".to_owned(),
        1 => "1 certificate ended".to_owned(),
        count => format!("{count} certificates ended"),
    }
}

fn short(text: &str) -> String {
    text.chars().take(SHORT).collect()
}

/// `2026-11-25 03:12`, in UTC.
fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}
