//! `agents`: those that report, tokens to join, and the end of a node.

use clap::{Args, Subcommand};
use pvelens_proto::v1::{
    ListAgentsRequest, RevokeAgentRequest, enrollment_service_client::EnrollmentServiceClient,
    fleet_service_client::FleetServiceClient,
};

use super::{
    Failure,
    client::{Administering, Connection, MESSAGE_LIMIT_BYTES, refused},
    print, refusal,
};

mod token;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Agents {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Which agents report, the same as without a word
    List(List),
    /// Make a token with which nodes join (for root)
    ///
    /// Prints one line, which `pvelens-agent join` reads on the node. It is a secret until
    /// it is used up or ends. In one step: `pvelens agents token | ssh root@NODE
    /// pvelens-agent join`.
    ///
    /// A token with the name of a node lets that node join anew, too: its old certificate
    /// is replaced.
    Token(token::Make),
    /// The tokens of the last days, and who joined with them (for root)
    Tokens(token::Tokens),
    /// End a token before its time (for root)
    ///
    /// Nodes that joined with it stay.
    Withdraw(token::Withdraw),
    /// Turn a node out: end its certificates and its link at once (for root)
    ///
    /// Only a new token lets it come back.
    Revoke(Revoke),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
struct Revoke {
    /// Name of the node
    #[arg(value_name = "NODE")]
    node: String,
    /// Cluster of the node, when nodes of several clusters have the name: its name, its
    /// id or the beginning of it
    #[arg(
        long,
        value_name = "CLUSTER",
        default_value = "",
        hide_default_value = true
    )]
    cluster: String,
    #[command(flatten)]
    connection: Administering,
}

impl Agents {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        match self.command {
            None => list(self.connection).await,
            Some(Command::List(arguments)) => list(arguments.connection).await,
            Some(Command::Token(arguments)) => arguments.run().await,
            Some(Command::Tokens(arguments)) => arguments.run().await,
            Some(Command::Withdraw(arguments)) => arguments.run().await,
            Some(Command::Revoke(arguments)) => arguments.run().await,
        }
    }
}

async fn list(connection: Connection) -> Result<u8, Failure> {
    let request = ListAgentsRequest {
        render: Some(connection.output.render()),
    };
    let channel = connection.open().await?;
    let mut client =
        FleetServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
    let response = client.list_agents(request).await;
    let response = response.map_err(|status| refused(&status))?.into_inner();
    print(&response.rendered)?;
    Ok(0)
}

impl Revoke {
    async fn run(self) -> Result<u8, Failure> {
        let request = RevokeAgentRequest {
            node_name: self.node,
            cluster: self.cluster,
            render: Some(self.connection.output.render()),
        };
        let mut client = EnrollmentServiceClient::new(self.connection.open().await?);
        let response = client.revoke_agent(request).await;
        print(&response.map_err(refusal)?.into_inner().rendered)?;
        Ok(0)
    }
}
