//! `NodeAgentService`: who this agent is, and its stream of updates.
//!
//! A stream follows the spool by cursor and holds at most a few updates of its
//! own. A reader that is slower than the node blocks only itself: when it falls
//! out of the ring, the spool tells it how much it missed. Nothing here reads a
//! file while a call waits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use pvelens_proto::{
    Timestamp,
    agent::v1::{
        CollectorDescription, CreateCsrRequest, CreateCsrResponse, Cursor, DescribeRequest,
        DescribeResponse, GetSelfReportRequest, GetSelfReportResponse, Heartbeat,
        InstallCertificateRequest, InstallCertificateResponse, ListAuditRequest, ListAuditResponse,
        ListGuestCommandsRequest, ListGuestCommandsResponse, NodeUpdate, RunGuestCommandRequest,
        WatchRequest, WatchResponse, node_agent_service_server::NodeAgentService, sample::Payload,
        watch_response::Event,
    },
    timestamp_from_millis,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    collector::{COLLECTORS, Collector, identify, is_pve_node},
    host::Host,
    identity,
    ledger::Ledger,
    spool::Spool,
};

mod certificate;
mod guest_command;
mod link;
mod peer;
mod serve;

pub use guest_command::Slot;
pub use link::LinkError;
pub use peer::Peer;
pub use serve::{ServeError, Sockets, serve, serve_both, serve_link};

/// Silence on a stream is never longer.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events that wait for one reader.
const CHANNEL: usize = 4;
/// Streams at the same time; each holds some updates in memory.
const STREAM_LIMIT: usize = 16;
/// Time for the first look at who this node is.
const IDENTIFY_DEADLINE: Duration = Duration::from_secs(2);
/// The collector whose payload says who this node is.
const IDENTITY: &str = "host";

/// The service of one node.
#[derive(Debug, Clone)]
pub struct NodeAgent {
    shared: Arc<Shared>,
    /// Who it is to a coordinator elsewhere.
    identity: Option<Arc<identity::Slot>>,
}

#[derive(Debug)]
struct Shared {
    host: Arc<Host>,
    spool: Arc<Spool>,
    ledger: Arc<Ledger>,
    started_at: Timestamp,
    first_look: Identity,
    streams: Arc<Semaphore>,
    /// Ends the streams, which have no end of their own.
    closing: CancellationToken,
    guests: Slot,
    /// Coordinators that this node turned away.
    refused: Arc<link::Refused>,
}

#[derive(Debug, Clone, Default)]
struct Identity {
    node_name: String,
    cluster_id: String,
    is_pve_node: bool,
}

impl NodeAgent {
    /// Looks once who this node is, for two seconds at most; later the collector
    /// `host` tells.
    #[must_use]
    pub fn new(host: Arc<Host>, spool: Arc<Spool>) -> Self {
        let ledger = Ledger::new(Arc::clone(&host), Arc::clone(&spool), Vec::new());
        Self::with_ledger(host, spool, Arc::new(ledger))
    }

    /// As [`NodeAgent::new`], telling how the sampling goes.
    #[must_use]
    pub fn with_ledger(host: Arc<Host>, spool: Arc<Spool>, ledger: Arc<Ledger>) -> Self {
        let guests = Slot::default();
        // Nobody has filled it.
        guests.set(Err("not wanted here".to_owned())).ok();
        Self::with_guests(host, spool, ledger, guests)
    }

    /// As [`NodeAgent::with_ledger`], running commands in guests, too.
    #[must_use]
    pub fn with_guests(
        host: Arc<Host>,
        spool: Arc<Spool>,
        ledger: Arc<Ledger>,
        guests: Slot,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                started_at: now(&host),
                first_look: first_look(&host),
                host,
                spool,
                ledger,
                streams: Arc::new(Semaphore::new(STREAM_LIMIT)),
                closing: CancellationToken::new(),
                guests,
                refused: Arc::default(),
            }),
            identity: None,
        }
    }

    /// The same, with an identity that a coordinator may renew over a link.
    #[must_use]
    pub fn with_identity(mut self, slot: Arc<identity::Slot>) -> Self {
        self.identity = Some(slot);
        self
    }

    /// What the node is called, as far as that is known.
    #[must_use]
    pub fn node_name(&self) -> String {
        self.shared.identity().node_name
    }
}

#[tonic::async_trait]
impl NodeAgentService for NodeAgent {
    async fn describe(
        &self,
        _: Request<DescribeRequest>,
    ) -> Result<Response<DescribeResponse>, Status> {
        let identity = self.shared.identity();
        Ok(Response::new(DescribeResponse {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            node_name: identity.node_name,
            cluster_id: identity.cluster_id,
            is_pve_node: identity.is_pve_node,
            epoch: self.shared.spool.epoch(),
            started_at: Some(self.shared.started_at),
            collectors: COLLECTORS.iter().map(description).collect(),
            refused_coordinator: self.shared.refused.told(),
            sends_contents: true,
        }))
    }

    async fn get_self_report(
        &self,
        _: Request<GetSelfReportRequest>,
    ) -> Result<Response<GetSelfReportResponse>, Status> {
        Ok(Response::new(GetSelfReportResponse {
            report: Some(self.shared.ledger.report()),
        }))
    }

    async fn list_guest_commands(
        &self,
        request: Request<ListGuestCommandsRequest>,
    ) -> Result<Response<ListGuestCommandsResponse>, Status> {
        let guests = guest_command::guests(&self.shared.guests)?;
        guest_command::list(guests, request.into_inner()).await
    }

    type RunGuestCommandStream = guest_command::RunStream;

    async fn run_guest_command(
        &self,
        request: Request<RunGuestCommandRequest>,
    ) -> Result<Response<Self::RunGuestCommandStream>, Status> {
        let guests = guest_command::guests(&self.shared.guests)?;
        Ok(guest_command::run(guests, request))
    }

    async fn list_audit(
        &self,
        request: Request<ListAuditRequest>,
    ) -> Result<Response<ListAuditResponse>, Status> {
        let guests = guest_command::guests(&self.shared.guests)?;
        guest_command::list_audit(guests, request.into_inner()).await
    }

    async fn create_csr(
        &self,
        request: Request<CreateCsrRequest>,
    ) -> Result<Response<CreateCsrResponse>, Status> {
        certificate::create_csr(self.identity.as_ref(), &request).await
    }

    async fn install_certificate(
        &self,
        request: Request<InstallCertificateRequest>,
    ) -> Result<Response<InstallCertificateResponse>, Status> {
        certificate::install(self.identity.as_ref(), request).await
    }

    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let permit = Arc::clone(&self.shared.streams)
            .try_acquire_owned()
            .map_err(|_| {
                count(&self.shared.ledger.readers().refused, 1);
                Status::resource_exhausted("too many readers of this node; close one and try again")
            })?;
        let (sender, receiver) = mpsc::channel(CHANNEL);
        let request = request.into_inner();
        let stream = Stream {
            _open: Open::new(Arc::clone(&self.shared.ledger)),
            shared: Arc::clone(&self.shared),
            sender,
            cursor: request.cursor,
            wants_contents: request.current_contents,
            _permit: permit,
        };
        tokio::spawn(stream.run());
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

impl Shared {
    fn identity(&self) -> Identity {
        match self.spool.newest_payload(IDENTITY) {
            Some(Payload::HostIdentity(host)) => Identity {
                node_name: host.node_name,
                cluster_id: host.root_ca_sha256,
                is_pve_node: host.is_pve_node,
            },
            _ => self.first_look.clone(),
        }
    }
}

/// One reader.
struct Stream {
    shared: Arc<Shared>,
    sender: mpsc::Sender<Result<WatchResponse, Status>>,
    cursor: Option<Cursor>,
    /// It does not hold what the collectors said up to its cursor.
    wants_contents: bool,
    _permit: OwnedSemaphorePermit,
    _open: Open,
}

/// One of the streams that the self-report counts.
struct Open(Arc<Ledger>);

impl Open {
    fn new(ledger: Arc<Ledger>) -> Self {
        ledger.readers().open.fetch_add(1, Ordering::AcqRel);
        count(&ledger.readers().begun, 1);
        Self(ledger)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.readers().open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Stream {
    /// Sends until the reader leaves or the agent stops.
    async fn run(self) {
        let closing = self.shared.closing.clone();
        // A reader that left closes the channel, and sending ends the loop.
        closing.run_until_cancelled(self.send_all()).await;
    }

    /// Ends when nobody receives any more.
    async fn send_all(mut self) -> Option<()> {
        let mut news = self.shared.spool.subscribe();
        self.heartbeat().await?;
        if let Some(contents) = self.contents().await {
            self.send(Event::Update(contents)).await?;
        }
        loop {
            // Marked as seen before reading, so that nothing falls between.
            news.borrow_and_update();
            let updates = self.shared.spool.read_from(self.cursor.as_ref());
            if updates.is_empty() {
                let end = Instant::now() + HEARTBEAT;
                tokio::select! {
                    () = self.sender.closed() => return None,
                    news = timeout_at(end, news.changed()) => match news {
                        // The spool lives as long as `shared`.
                        Ok(changed) => changed.ok()?,
                        Err(_) => self.heartbeat().await?,
                    }
                }
            }
            for update in updates {
                if update.skipped_updates > 0 {
                    let readers = self.shared.ledger.readers();
                    count(&readers.overtaken, 1);
                    count(&readers.missed_updates, update.skipped_updates);
                }
                let cursor = update.cursor.clone();
                self.send(Event::Update(update)).await?;
                self.cursor = cursor;
            }
        }
    }

    /// What the reader is to hold before the updates after its cursor.
    async fn contents(&self) -> Option<NodeUpdate> {
        let cursor = self.cursor.as_ref().filter(|_| self.wants_contents)?;
        self.shared.spool.contents_at(cursor).await
    }

    async fn heartbeat(&self) -> Option<()> {
        self.send(Event::Heartbeat(Heartbeat {
            sent_at: Some(now(&self.shared.host)),
            newest: Some(self.shared.spool.newest()),
            audit_head: guest_command::head(&self.shared.guests),
        }))
        .await
    }

    async fn send(&self, event: Event) -> Option<()> {
        let response = WatchResponse { event: Some(event) };
        self.sender.send(Ok(response)).await.ok()
    }
}

fn description(collector: &Collector) -> CollectorDescription {
    CollectorDescription {
        name: collector.name.to_owned(),
        summary: collector.summary.to_owned(),
        collection_class: collector.class.into(),
        interval_seconds: u32::try_from(collector.interval.as_secs()).unwrap_or(u32::MAX),
        deadline_milliseconds: u32::try_from(collector.deadline.as_millis()).unwrap_or(u32::MAX),
        paths: collector
            .paths
            .iter()
            .map(|path| (*path).to_owned())
            .collect(),
    }
}

/// Who this node is, on a thread of its own: `/etc/pve` may hang.
fn first_look(host: &Arc<Host>) -> Identity {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let host = Arc::clone(host);
    let spawned = thread::Builder::new()
        .name("identify".to_owned())
        .spawn(move || {
            let (node_name, cluster_id) = identify(&host);
            // Nobody waits any more after the deadline.
            drop(sender.send(Identity {
                node_name,
                cluster_id,
                is_pve_node: is_pve_node(&host),
            }));
        });
    match spawned {
        Ok(_) => receiver.recv_timeout(IDENTIFY_DEADLINE).unwrap_or_default(),
        Err(_) => Identity::default(),
    }
}

fn count(total: &AtomicU64, more: u64) {
    total.fetch_add(more, Ordering::AcqRel);
}

fn now(host: &Host) -> Timestamp {
    timestamp_from_millis(host.now().as_millisecond())
}

#[cfg(test)]
mod tests;
