//! `GuestCommandService`: read-only commands in guests.

use std::sync::Arc;

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use pvelens_proto::v1::{
    GetWorkflowStepRequest, GetWorkflowStepResponse, GuestCommandResult, ListGuestCommandsRequest,
    ListGuestCommandsResponse, RunGuestCommandRequest, RunGuestCommandResponse,
    SuggestGuestCommandsRequest, SuggestGuestCommandsResponse,
    guest_command_service_server::GuestCommandService, run_guest_command_response::Event,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use super::{Backend, caller, request, respond, status, work};
use crate::guest_command::{
    call,
    catalogue::{self, Argument, Filter, Listed},
    diagnosis,
    target::{self, Target},
};

/// Events that wait for one client. Of progress some may be missing.
const CHANNEL: usize = 8;

#[derive(Debug)]
pub(super) struct Service {
    pub(super) backend: Backend,
}

#[async_trait]
impl GuestCommandService for Service {
    async fn list_guest_commands(
        &self,
        request: Request<ListGuestCommandsRequest>,
    ) -> Result<Response<ListGuestCommandsResponse>, Status> {
        let ListGuestCommandsRequest {
            cluster,
            guest,
            group,
            only_allowed,
            render,
        } = request.into_inner();
        let (target, listed) = self.listed(&cluster, &guest).await?;
        let filter = Filter {
            group,
            only_allowed,
        };
        respond(&self.backend.coordinator, render, move |current| {
            catalogue::listing(current, &target, &listed, &filter)
                .map_err(|error| status::invalid("group", &error.to_string()))
        })
        .await
    }

    async fn suggest_guest_commands(
        &self,
        request: Request<SuggestGuestCommandsRequest>,
    ) -> Result<Response<SuggestGuestCommandsResponse>, Status> {
        let SuggestGuestCommandsRequest {
            cluster,
            guest,
            issue,
            render,
        } = request.into_inner();
        let (target, listed) = self.listed(&cluster, &guest).await?;
        respond(&self.backend.coordinator, render, move |current| {
            Ok(diagnosis::suggested(current, &target, &listed, &issue))
        })
        .await
    }

    async fn get_workflow_step(
        &self,
        request: Request<GetWorkflowStepRequest>,
    ) -> Result<Response<GetWorkflowStepResponse>, Status> {
        let GetWorkflowStepRequest {
            cluster,
            guest,
            workflow,
            service,
            render,
        } = request.into_inner();
        let workflow = diagnosis::named(&workflow)
            .map_err(|error| status::no_such_workflow(&error.to_string()))?;
        let (target, listed) = self.listed(&cluster, &guest).await?;
        let coordinator = &self.backend.coordinator;
        let now = target::agent(coordinator.agents(), &target)
            .map_err(|error| status::target(&error, &coordinator.current(), &cluster))?
            .now();
        let found = coordinator
            .guest_commands()
            .recent()
            .of(&target.identity(), now);
        respond(coordinator, render, move |current| {
            diagnosis::worked(current, &target, &listed, workflow, &service, &found, now)
                .map_err(|error| status::invalid("service", &error.to_string()))
        })
        .await
    }

    type RunGuestCommandStream = BoxStream<'static, Result<RunGuestCommandResponse, Status>>;

    async fn run_guest_command(
        &self,
        request: Request<RunGuestCommandRequest>,
    ) -> Result<Response<Self::RunGuestCommandStream>, Status> {
        let asked = caller::asked(&request)?;
        let RunGuestCommandRequest {
            cluster,
            guest,
            command,
            arguments,
            on_behalf_of,
            render,
        } = request.into_inner();
        // What is wrong with it shows before anything runs.
        render.as_ref().map(request::style).transpose()?;
        let coordinator = Arc::clone(&self.backend.coordinator);
        let current = coordinator.current();
        target::find(&current, &cluster, &guest)
            .map_err(|error| status::target(&error, &current, &cluster))?;
        let request = call::Request {
            cluster: cluster.clone(),
            guest,
            command,
            arguments: arguments.into_iter().map(Argument::from).collect(),
            on_behalf_of,
        };
        let (send, steps) = mpsc::channel(CHANNEL);
        // It goes on when the client goes away, so that what came of it is known here.
        let running = tokio::spawn(async move {
            let outcome = call::run(&coordinator, request, &asked, send).await;
            outcome.map_err(|error| status::target(&error, &coordinator.current(), &cluster))
        });
        let result = stream::once(async move {
            let outcome = running.await.map_err(|_| status::internal())??;
            let result: GuestCommandResult = work(render, move || Ok(outcome)).await?;
            Ok(Event::Result(result))
        });
        let events = ReceiverStream::new(steps)
            .map(|step| Ok(Event::from(step)))
            .chain(result)
            .map(|event| event.map(|event| RunGuestCommandResponse { event: Some(event) }));
        Ok(Response::new(events.boxed()))
    }
}

impl Service {
    /// The guest that is meant, and what there is to ask of it.
    async fn listed(&self, cluster: &str, guest: &str) -> Result<(Target, Arc<Listed>), Status> {
        let coordinator = &self.backend.coordinator;
        let current = coordinator.current();
        let failed = |error| status::target(&error, &current, cluster);
        let target = target::find(&current, cluster, guest).map_err(failed)?;
        let listed = catalogue::listed(coordinator, &target)
            .await
            .map_err(failed)?;
        Ok((target, listed))
    }
}
