//! `status`, `nodes`, `node` and `storage`.

use clap::Args;
use pvelens_proto::v1::{
    GetClusterStatusRequest, GetNodeRequest, ListNodesRequest, ListStoragesRequest,
    inventory_service_client::InventoryServiceClient,
};
use tonic::transport::Channel;

use super::{
    Failure,
    client::{MESSAGE_LIMIT_BYTES, Reading, refused},
    print,
};

#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Args)]
pub(super) struct Nodes {
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Args)]
pub(super) struct Node {
    /// Name of the node
    #[arg(value_name = "NAME")]
    node: String,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Args)]
pub(super) struct Storage {
    #[command(flatten)]
    reading: Reading,
}

/// A client of the inventory.
pub(super) async fn inventory(
    reading: &Reading,
) -> Result<InventoryServiceClient<Channel>, Failure> {
    let channel = reading.connection.open().await?;
    Ok(InventoryServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES))
}

impl Status {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let request = GetClusterStatusRequest {
            render: Some(self.reading.connection.output.render()),
            cluster: self.reading.cluster.clone(),
        };
        let mut client = inventory(&self.reading).await?;
        let response = client.get_cluster_status(request).await;
        let response = response.map_err(|status| refused(&status))?.into_inner();
        print(&response.rendered)?;
        Ok(0)
    }
}

impl Nodes {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let request = ListNodesRequest {
            render: Some(self.reading.connection.output.render()),
            cluster: self.reading.cluster.clone(),
        };
        let mut client = inventory(&self.reading).await?;
        let response = client.list_nodes(request).await;
        let response = response.map_err(|status| refused(&status))?.into_inner();
        print(&response.rendered)?;
        Ok(0)
    }
}

impl Node {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let request = GetNodeRequest {
            render: Some(self.reading.connection.output.render()),
            cluster: self.reading.cluster.clone(),
            node: self.node,
        };
        let mut client = inventory(&self.reading).await?;
        let response = client.get_node(request).await;
        let response = response.map_err(|status| refused(&status))?.into_inner();
        print(&response.rendered)?;
        Ok(0)
    }
}

impl Storage {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let request = ListStoragesRequest {
            render: Some(self.reading.connection.output.render()),
            cluster: self.reading.cluster.clone(),
        };
        let mut client = inventory(&self.reading).await?;
        let response = client.list_storages(request).await;
        let response = response.map_err(|status| refused(&status))?.into_inner();
        print(&response.rendered)?;
        Ok(0)
    }
}
