//! `agents`.

use clap::Args;
use pvelens_proto::v1::{ListAgentsRequest, fleet_service_client::FleetServiceClient};

use super::{
    Failure,
    client::{Connection, MESSAGE_LIMIT_BYTES, refused},
    print,
};

#[derive(Debug, Args)]
pub(super) struct Agents {
    #[command(flatten)]
    connection: Connection,
}

impl Agents {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let request = ListAgentsRequest {
            render: Some(self.connection.output.render()),
        };
        let channel = self.connection.open().await?;
        let mut client =
            FleetServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        let response = client.list_agents(request).await;
        let response = response.map_err(|status| refused(&status))?.into_inner();
        print(&response.rendered)?;
        Ok(0)
    }
}
