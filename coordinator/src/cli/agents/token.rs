//! `agents token`, `agents tokens`, `agents withdraw`.
//!
//! The line of a token stands alone on standard output, so that it can go through a
//! pipe to the node. What a person at a terminal wants to know is beside it.

use std::io::{self, IsTerminal, Write};

use clap::Args;
use jiff::Timestamp;
use pvelens_proto::{
    join_line,
    v1::{
        CreateTokenRequest, CreateTokenResponse, ListTokensRequest, WithdrawTokenRequest,
        enrollment_service_client::EnrollmentServiceClient,
    },
};

use crate::cli::{
    Failure,
    client::{Administering, MESSAGE_LIMIT_BYTES},
    length,
    output::Output,
    print, refusal,
};

const NODES_MAX: i64 = 1000;

#[derive(Debug, Args)]
pub(super) struct Make {
    /// The one node that may join with it, also when it joined before [default: any]
    #[arg(
        long,
        value_name = "NODE",
        default_value = "",
        hide_default_value = true,
        conflicts_with = "nodes"
    )]
    node: String,
    /// Cluster whose nodes may join: its name, its id or the beginning of it [default:
    /// that of the first node]
    #[arg(
        long,
        value_name = "CLUSTER",
        default_value = "",
        hide_default_value = true
    )]
    cluster: String,
    /// How many nodes may join with it
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=NODES_MAX)
    )]
    nodes: u32,
    /// How long it is good: 1h, 30m or 7d, at least a minute and at most seven days
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = valid)]
    valid: u32,
    #[command(flatten)]
    connection: Administering,
}

#[derive(Debug, Args)]
pub(super) struct Tokens {
    #[command(flatten)]
    connection: Administering,
}

#[derive(Debug, Args)]
pub(super) struct Withdraw {
    /// The token or the beginning of it, as agents tokens shows it
    #[arg(value_name = "TOKEN")]
    id: String,
    #[command(flatten)]
    connection: Administering,
}

impl Make {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let output = &self.connection.output;
        let is_text = output.output == Output::Text;
        let request = CreateTokenRequest {
            node_name: self.node.clone(),
            cluster: self.cluster.clone(),
            node_count: self.nodes,
            valid_seconds: self.valid,
            render: (!is_text).then(|| output.render()),
        };
        let mut client = EnrollmentServiceClient::new(self.connection.open().await?);
        let response = client.create_token(request).await;
        let response = response.map_err(refusal)?.into_inner();
        if !is_text {
            print(&response.rendered)?;
            return Ok(0);
        }
        let line = line(&response)?;
        if io::stdout().is_terminal() {
            // If it cannot be written, the line is still good.
            drop(write!(io::stderr(), "{}", self.words(&response)));
        }
        print(&line)?;
        Ok(0)
    }

    /// What to do with the line.
    fn words(&self, response: &CreateTokenResponse) -> String {
        let ends = response
            .token
            .as_ref()
            .and_then(|token| token.expires_at.as_ref())
            .and_then(|at| Timestamp::from_second(at.seconds).ok())
            .map(|at| at.strftime(" until %Y-%m-%d %H:%M UTC").to_string())
            .unwrap_or_default();
        let (whom, node) = match (self.node.as_str(), self.nodes) {
            ("", 1) => ("one node".to_owned(), "NODE"),
            ("", count) => (format!("{count} nodes"), "NODE"),
            (node, _) => (format!("the node {node}"), node),
        };
        let option = match self.node.as_str() {
            "" => String::new(),
            node => format!(" --node {node}"),
        };
        format!(
            "With this line {whom} can join{ends}. Keep it to yourself until then.\n\
             On the node, run as root:  pvelens-agent join\n\
             and paste it there. Or from here, with a line that nobody sees:\n  \
             pvelens agents token{option} | ssh root@{node} pvelens-agent join\n\n"
        )
    }
}

/// The line with its end, if it is what it should be: it goes on as it is.
fn line(response: &CreateTokenResponse) -> Result<String, Failure> {
    let line = response.join_line.trim();
    match join_line::read(line) {
        Ok(_) => Ok(format!("{line}\n")),
        Err(error) => Err(Failure::NotAssessed(format!(
            "the coordinator gave a line with which nobody can join: {error}"
        ))),
    }
}

impl Tokens {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let request = ListTokensRequest {
            render: Some(self.connection.output.render()),
        };
        let mut client = EnrollmentServiceClient::new(self.connection.open().await?)
            .max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        let response = client.list_tokens(request).await;
        print(&response.map_err(refusal)?.into_inner().rendered)?;
        Ok(0)
    }
}

impl Withdraw {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let request = WithdrawTokenRequest {
            id: self.id,
            render: Some(self.connection.output.render()),
        };
        let mut client = EnrollmentServiceClient::new(self.connection.open().await?);
        let response = client.withdraw_token(request).await;
        print(&response.map_err(refusal)?.into_inner().rendered)?;
        Ok(0)
    }
}

fn valid(text: &str) -> Result<u32, String> {
    const DAY: u32 = 86_400;
    length::seconds(text, 60..=7 * DAY)
        .ok_or_else(|| "not a time such as 1h, 30m or 7d, from a minute to seven days".to_owned())
}

#[cfg(test)]
mod tests {
    use pvelens_proto::v1::{JoinTicket, Token};

    use super::*;

    fn response(line: &str) -> CreateTokenResponse {
        CreateTokenResponse {
            join_line: line.to_owned(),
            token: Some(Token {
                expires_at: Some(pvelens_proto::timestamp_from_millis(1_790_000_000_000)),
                ..Token::default()
            }),
            ..CreateTokenResponse::default()
        }
    }

    #[test]
    fn the_line_of_a_token_is_one_line_or_none() {
        let made = join_line::write(&JoinTicket {
            token_id: "abcdefgh".to_owned(),
            ..JoinTicket::default()
        });
        assert_eq!(line(&response(&made)).unwrap(), format!("{made}\n"));
        for bad in ["", "pvelens-join-1.x", &format!("{made}\x1b[2J"), "a\nb"] {
            assert!(line(&response(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_token_is_good_for_a_minute_to_a_week() {
        for (text, seconds) in [("1h", 3600), ("30m", 1800), ("7d", 604_800), ("60s", 60)] {
            assert_eq!(valid(text), Ok(seconds), "{text}");
        }
        for text in ["", "1", "8d", "59s", "-1h", "1y", "99999999999999d"] {
            assert!(valid(text).is_err(), "{text}");
        }
    }
}
