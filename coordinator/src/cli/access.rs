//! `access`.

use clap::Args;
use pvelens_proto::v1::{GetAccessRequest, fleet_service_client::FleetServiceClient};

use super::{
    Failure,
    client::{Connection, refused},
    print,
};

#[derive(Debug, Args)]
pub(super) struct Access {
    #[command(flatten)]
    connection: Connection,
}

impl Access {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let request = GetAccessRequest {
            render: Some(self.connection.output.render()),
        };
        let mut client = FleetServiceClient::new(self.connection.open().await?);
        let response = client.get_access(request).await;
        let response = response.map_err(|status| refused(&status))?.into_inner();
        print(&response.rendered)?;
        Ok(0)
    }
}
