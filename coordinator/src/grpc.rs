//! The services of `pvelens.v1`.
//!
//! Each method is one call of [`answer`](crate::answer) or
//! [`analysis`](crate::analysis) on the newest published state; `grpc/convert`
//! turns what it gives into messages. Questions run outside the tasks that serve
//! connections: a listing of many guests delays nobody, and a defect in one
//! fails one call.
//!
//! Every socket serves the same services; what a client may call is a matter of
//! the role that its socket gives, checked in one place before all of them.

use std::{fmt, io, sync::Arc, time::Duration};

use futures::Stream;
use jiff::Timestamp;
use pvelens_proto::v1 as message;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixListener,
    task,
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Response, Status,
    server::NamedService,
    transport::{Server, server::Connected},
};
use tonic_health::ServingStatus;
use tower::filter::FilterLayer;
use tracing::{error, warn};

use crate::{
    coordinator::{Coordinator, Current},
    link::Clock,
    log::Log,
    render::{self, Render},
    trust::Trust,
};

mod accept;
mod admin;
mod analysis;
mod caller;
mod convert;
mod enrollment;
mod finding;
mod fleet;
mod guest_command;
mod history;
mod intent;
mod inventory;
mod remote;
mod request;
mod role;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use remote::Remote;
pub use role::Role;

use caller::Caller;
use convert::Carries;
use message::{
    admin_service_server::AdminServiceServer, analysis_service_server::AnalysisServiceServer,
    enrollment_service_server::EnrollmentServiceServer,
    finding_service_server::FindingServiceServer, fleet_service_server::FleetServiceServer,
    guest_command_service_server::GuestCommandServiceServer,
    history_service_server::HistoryServiceServer, intent_service_server::IntentServiceServer,
    inventory_service_server::InventoryServiceServer,
};

/// Clients at a time; more of them wait.
const CONNECTIONS: usize = 256;
/// So that a client which is gone without a word gives up its place.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Calls that one client may have in flight; more of them wait.
const CALLS_PER_CONNECTION: usize = 16;
const STREAMS_PER_CONNECTION: u32 = 128;
/// The largest listings take well below a second.
const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// Requests to enrol are small, and come from anybody.
const ENROLL_LIMIT_BYTES: usize = 64 << 10;
/// Open streams, such as those that watch our health, are cut then.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(3);

type Api = Arc<Coordinator>;

/// What the services of every socket work with.
#[derive(Clone)]
pub struct Backend {
    pub coordinator: Arc<Coordinator>,
    pub log: Arc<Log>,
    pub clock: Clock,
    pub started_at: Timestamp,
    /// Absent where nothing is kept: then nobody can be invited.
    pub trust: Option<Arc<Trust>>,
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("started_at", &self.started_at)
            .finish_non_exhaustive()
    }
}

/// Serves all services, health and reflection to clients of one role until
/// `shutdown`.
///
/// # Errors
/// When the services cannot be described, or the socket fails.
pub async fn serve(
    backend: Backend,
    role: Role,
    listener: UnixListener,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let connections = accept::connections(listener, CONNECTIONS);
    let caller = move |_: &mut http::Extensions| Some(Caller::of_socket(role));
    serve_all(backend, caller, connections, shutdown).await
}

/// Serves everything to whoever connects. `caller` says who a request is from, by what
/// its connection told.
async fn serve_all<S, C>(
    backend: Backend,
    caller: impl Fn(&mut http::Extensions) -> Option<Caller> + Clone + Send + Sync + 'static,
    connections: S,
    shutdown: CancellationToken,
) -> io::Result<()>
where
    S: Stream<Item = io::Result<C>>,
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    let api = &backend.coordinator;
    let inventory = InventoryServiceServer::new(inventory::Service(Arc::clone(api)));
    let analysis = AnalysisServiceServer::new(analysis::Service(Arc::clone(api)));
    let findings = FindingServiceServer::new(finding::Service {
        backend: backend.clone(),
    });
    let fleet = FleetServiceServer::new(fleet::Service {
        backend: backend.clone(),
    });
    let guest_commands = GuestCommandServiceServer::new(guest_command::Service {
        backend: backend.clone(),
    });
    let history = HistoryServiceServer::new(history::Service {
        backend: backend.clone(),
    });
    let intent = IntentServiceServer::new(intent::Service {
        backend: backend.clone(),
    });
    let enrollment = EnrollmentServiceServer::new(enrollment::Service {
        backend: backend.clone(),
    })
    .max_decoding_message_size(ENROLL_LIMIT_BYTES);
    let admin = AdminServiceServer::new(admin::Service { backend });
    let names = [
        name(&inventory),
        name(&findings),
        name(&analysis),
        name(&fleet),
        name(&enrollment),
        name(&guest_commands),
        name(&history),
        name(&intent),
        name(&admin),
    ];
    let (health, health_service) = tonic_health::server::health_reporter();
    for name in names {
        health
            .set_service_status(name, ServingStatus::Serving)
            .await;
    }
    let reflection = || reflection(&names);
    let server = Server::builder()
        .timeout(CALL_DEADLINE)
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .concurrency_limit_per_connection(CALLS_PER_CONNECTION)
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .layer(FilterLayer::new(move |mut request: http::Request<_>| {
            role::check(caller(request.extensions_mut()), request)
        }))
        .add_service(inventory)
        .add_service(findings)
        .add_service(analysis)
        .add_service(fleet)
        .add_service(enrollment)
        .add_service(guest_commands)
        .add_service(history)
        .add_service(intent)
        .add_service(admin)
        .add_service(health_service)
        .add_service(reflection().build_v1().map_err(io::Error::other)?)
        .add_service(reflection().build_v1alpha().map_err(io::Error::other)?)
        .serve_with_incoming_shutdown(connections, shutdown.clone().cancelled_owned());
    let end = async {
        shutdown.cancelled().await;
        for name in names.into_iter().chain([""]) {
            health
                .set_service_status(name, ServingStatus::NotServing)
                .await;
        }
        tokio::time::sleep(SHUTDOWN_DEADLINE).await;
    };
    tokio::select! {
        result = server => result.map_err(io::Error::other),
        () = end => {
            warn!("cut calls that were still open at shutdown");
            Ok(())
        }
    }
}

/// Shows what this socket serves. The agent's services are in the same
/// description, but not here.
fn reflection(names: &[&str]) -> tonic_reflection::server::Builder<'static> {
    names
        .iter()
        .fold(
            tonic_reflection::server::Builder::configure(),
            |builder, name| builder.with_service_name(*name),
        )
        .with_service_name("grpc.health.v1.Health")
        .register_encoded_file_descriptor_set(pvelens_proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // So that clients without our code can read the details of errors.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}

fn name<S: NamedService>(_: &S) -> &'static str {
    S::NAME
}

/// Answers a question from the newest state, as a structure or as text.
async fn respond<A, M>(
    api: &Api,
    render: Option<message::RenderOptions>,
    question: impl FnOnce(&Current) -> Result<A, Status> + Send + 'static,
) -> Result<Response<M>, Status>
where
    A: Render,
    M: Carries<A>,
{
    ask(api, render, question).await.map(Response::new)
}

async fn ask<A, M>(
    api: &Api,
    render: Option<message::RenderOptions>,
    question: impl FnOnce(&Current) -> Result<A, Status> + Send + 'static,
) -> Result<M, Status>
where
    A: Render,
    M: Carries<A>,
{
    let current = api.current();
    let asked = Arc::clone(&current);
    let answer = work(render, move || question(&asked)).await;
    Current::release(current);
    answer
}

/// Does something that takes a while and has an answer.
async fn work<A, M>(
    render: Option<message::RenderOptions>,
    work: impl FnOnce() -> Result<A, Status> + Send + 'static,
) -> Result<M, Status>
where
    A: Render,
    M: Carries<A>,
{
    let style = render.as_ref().map(request::style).transpose()?;
    let answered = task::spawn_blocking(move || {
        let answer = work()?;
        Ok(match style {
            Some(style) => M::rendered(render::render(&answer, &style), answer),
            None => M::structured(answer),
        })
    });
    answered.await.unwrap_or_else(|defect| {
        error!(error = %defect, "a question was not answered");
        Err(status::internal())
    })
}
