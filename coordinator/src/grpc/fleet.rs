//! `FleetService`: the agents and what they deliver, and the coordinator itself.

use pvelens_proto::v1::{
    GetAccessRequest, GetAccessResponse, ListAgentsRequest, ListAgentsResponse,
    fleet_service_server::FleetService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Backend, caller::Caller, respond};
use crate::answer;

#[derive(Debug)]
pub(super) struct Service {
    pub(super) backend: Backend,
}

#[async_trait]
impl FleetService for Service {
    async fn list_agents(
        &self,
        request: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        let ListAgentsRequest { render } = request.into_inner();
        let api = &self.backend.coordinator;
        respond(api, render, |current| Ok(answer::agents(current))).await
    }

    async fn get_access(
        &self,
        request: Request<GetAccessRequest>,
    ) -> Result<Response<GetAccessResponse>, Status> {
        let role = Caller::of(&request)?.role;
        let GetAccessRequest { render } = request.into_inner();
        let access = answer::Access {
            role,
            methods: role.methods().map(str::to_owned).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.backend.started_at,
        };
        respond(&self.backend.coordinator, render, |_| Ok(access)).await
    }
}
