//! `FleetService`: the agents and what they deliver.

use pvelens_proto::v1::{
    ListAgentsRequest, ListAgentsResponse, fleet_service_server::FleetService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Api, respond};
use crate::answer;

#[derive(Debug)]
pub(super) struct Service(pub(super) Api);

#[async_trait]
impl FleetService for Service {
    async fn list_agents(
        &self,
        request: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        let ListAgentsRequest { render } = request.into_inner();
        respond(&self.0, render, |current| Ok(answer::agents(current))).await
    }
}
