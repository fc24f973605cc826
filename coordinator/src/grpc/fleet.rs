//! `FleetService`: the agents and what they deliver, and the coordinator itself.

use jiff::Timestamp;
use pvelens_proto::{
    timestamp_from_millis,
    v1::{
        GetAccessRequest, GetAccessResponse, GetStoreRequest, GetStoreResponse, ListAgentsRequest,
        ListAgentsResponse, fleet_service_server::FleetService,
    },
};
use tonic::{Request, Response, Status, async_trait};

use super::{Backend, caller::Caller, respond};
use crate::{answer, store::Condition};

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

    async fn get_store(
        &self,
        _request: Request<GetStoreRequest>,
    ) -> Result<Response<GetStoreResponse>, Status> {
        let condition = self.backend.coordinator.store_condition();
        Ok(Response::new(condition.map(stored).unwrap_or_default()))
    }
}

fn stored(condition: Condition) -> GetStoreResponse {
    let Condition {
        failing,
        replaced,
        size,
        limit_bytes,
        written_at,
        shortened_to,
        lost_values,
    } = condition;
    let wire = |at: Timestamp| timestamp_from_millis(at.as_millisecond());
    let since = failing.as_ref().map(|(_, since)| wire(*since));
    GetStoreResponse {
        is_kept: true,
        failing: failing.map(|(why, _)| why.to_string()).unwrap_or_default(),
        failing_since: since,
        total_bytes: size.total_bytes,
        free_bytes: size.free_bytes,
        log_bytes: size.log_bytes,
        limit_bytes,
        written_at: written_at.map(wire),
        lost_values_total: lost_values,
        shortened_to: shortened_to.map(wire),
        replaced_at: replaced.as_ref().map(|replaced| wire(replaced.at)),
        set_aside: replaced
            .map(|replaced| replaced.set_aside.display().to_string())
            .unwrap_or_default(),
    }
}
