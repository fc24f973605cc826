//! What administrators are shown of who belongs here.

use jiff::SignedDuration;
use pvelens_proto::identity::ClientRole;

use super::*;
use crate::{
    answer::enrollment::{
        Authorities, Authority, Clients, NewToken, RetiredAuthority, RevokedAgent, RevokedClient,
        RotatedAuthority, Token, Tokens, WithdrawnToken,
    },
    live::Transport,
    trust::{ClientState, TokenInfo},
    view::fixture::at,
};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn forms<T: Render>(answer: &T) -> String {
    let text = text_at(answer, 80);
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{text}");
    let json = Style {
        format: Format::Json,
        ..Style::default()
    };
    let json = render(answer, &json);
    format!("{text}\n----\n\n{}\n----\n\n{json}", answer.markdown())
}

fn token(id: &str) -> TokenInfo {
    TokenInfo {
        id: id.to_owned(),
        node: String::new(),
        cluster: "c0ffee00c0ffee00c0ffee00".to_owned(),
        node_count: 3,
        joined_nodes: Vec::new(),
        created_at: at(),
        expires_at: at() + HOUR,
        withdrawn: false,
        refused_total: 0,
        refused_at: None,
        refused_from: String::new(),
    }
}

#[test]
fn tokens_look_like_this() {
    let tokens = vec![
        token("abcdefgh"),
        TokenInfo {
            node: "pve3".to_owned(),
            node_count: 1,
            joined_nodes: vec!["pve3".to_owned()],
            refused_total: 2,
            refused_at: Some(at()),
            refused_from: "192.0.2.66".to_owned(),
            ..token("bcdefghi")
        },
        TokenInfo {
            cluster: String::new(),
            node_count: 1,
            created_at: at() - HOUR * 3,
            expires_at: at() - HOUR,
            ..token("cdefghij")
        },
        TokenInfo {
            withdrawn: true,
            joined_nodes: (1..=12).map(|number| format!("pve{number}")).collect(),
            node_count: 20,
            ..token("defghijk")
        },
    ];
    insta::assert_snapshot!("tokens", forms(&Tokens::new(tokens, at())));
    insta::assert_snapshot!("no_tokens", text_at(&Tokens::new(Vec::new(), at()), 80));
}

#[test]
fn what_became_of_a_token_looks_like_this() {
    let made = NewToken {
        token: Token::new(token("abcdefgh"), at()),
        join_line: "pvelens-join-1.CgsK.0011aabb".to_owned(),
    };
    insta::assert_snapshot!("new_token", forms(&made));
    let withdrawn = WithdrawnToken {
        token: Token::new(
            TokenInfo {
                withdrawn: true,
                joined_nodes: vec!["pve1".to_owned()],
                ..token("abcdefgh")
            },
            at(),
        ),
    };
    insta::assert_snapshot!("withdrawn_token", forms(&withdrawn));
}

#[test]
fn clients_look_like_this() {
    let client = |name: &str, role, days: i64, revoked| ClientState {
        name: name.to_owned(),
        role,
        serial: "00112233445566778899aabbccddeeff".to_owned(),
        issued_at: at() - HOUR * 24 * 30,
        expires_at: at() + SignedDuration::from_hours(24 * days),
        revoked,
    };
    let clients = vec![
        client("anna", ClientRole::Admin, 60, false),
        client(
            "backup-of-the-monitoring-system",
            ClientRole::Reader,
            5,
            false,
        ),
        client("ci", ClientRole::Operator, 60, true),
        client("old", ClientRole::Reader, -1, false),
    ];
    insta::assert_snapshot!("clients", forms(&Clients::new(clients, at())));
    insta::assert_snapshot!("no_clients", text_at(&Clients::new(Vec::new(), at()), 80));
}

#[test]
fn the_end_of_somebody_looks_like_this() {
    for (name, count) in [("none", 0), ("one", 1), ("several", 3)] {
        let node = RevokedAgent {
            cluster: "c0ffee".to_owned(),
            node: "pve3".to_owned(),
            revoked_certificates: count,
        };
        let client = RevokedClient {
            name_or_serial: "anna".to_owned(),
            revoked_certificates: count,
        };
        insta::assert_snapshot!(
            format!("revoked_{name}"),
            format!("{}\n{}", forms(&node), forms(&client))
        );
    }
}

fn authority(letter: &str, is_signing: bool) -> Authority {
    Authority {
        fingerprint: letter.repeat(64),
        is_signing,
        created: at(),
        expires: at() + SignedDuration::from_hours(24 * 3650),
        node_certificates: 12,
        client_certificates: 3,
        certificate: pvelens_proto::agent::v1::Authority::default(),
    }
}

#[test]
fn authorities_look_like_this() {
    let authorities = Authorities {
        at: at(),
        authorities: vec![authority("a", true), authority("b", false)],
    };
    insta::assert_snapshot!("authorities", forms(&authorities));
    let none = Authorities {
        at: at(),
        authorities: Vec::new(),
    };
    insta::assert_snapshot!("no_authorities", text_at(&none, 80));
    let rotated = RotatedAuthority {
        authority: authority("a", true),
    };
    insta::assert_snapshot!("rotated_authority", forms(&rotated));
    let retired = RetiredAuthority {
        authority: authority("b", false),
    };
    insta::assert_snapshot!("retired_authority", forms(&retired));
}

#[test]
fn agents_with_links_look_like_this() {
    let mut agents = answer::agents(&broken());
    let agent = agents.agents[0].clone();
    agents.agents[0].transport = Transport::Link;
    agents.agents[0].certificate_expires = Some(at() + SignedDuration::from_hours(24 * 80));
    agents.agents[0].identity_problem =
        "two agents show the identity of pve1: 192.0.2.1 and 192.0.2.2".to_owned();
    agents.agents.push(agent);
    let text = text_at(&agents, 80);
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{text}");
    insta::assert_snapshot!(
        "agents_with_links",
        format!("{text}\n{}", agents.markdown())
    );
}
