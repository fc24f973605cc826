//! The calls about guest commands: from messages to [`Guests`] and back.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use pvelens_proto::agent::v1::{
    AuditHead, ListAuditRequest, ListAuditResponse, ListGuestCommandsRequest,
    ListGuestCommandsResponse, RunGuestCommandRequest, RunGuestCommandResponse,
    run_guest_command_response::Event,
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::Peer;
use crate::guest::{Guests, head_message};

/// For what reads files of this node alone.
const DEADLINE: Duration = Duration::from_secs(10);
/// Events that wait for one caller.
const CHANNEL: usize = 4;
/// Calls that read files of the node, and of the record, at the same time. One that hangs
/// keeps its place until it ends, so that hanging ones never take all threads of the agent.
static READING_NODE: Semaphore = Semaphore::const_new(4);
static READING_RECORD: Semaphore = Semaphore::const_new(2);
const AUDIT_LINES: u32 = 500;
const AUDIT_LINES_DEFAULT: u32 = 100;

/// The engine, once its record is open: that is on a disk, and a disk may hang.
pub type Slot = Arc<OnceLock<Result<Arc<Guests>, String>>>;

/// What a caller hears of a run.
pub(super) type RunStream = ReceiverStream<Result<RunGuestCommandResponse, Status>>;

/// The engine behind a slot.
///
/// # Errors
/// Why there is none.
pub(super) fn guests(slot: &Slot) -> Result<Arc<Guests>, Status> {
    match slot.get() {
        Some(Ok(guests)) => Ok(Arc::clone(guests)),
        Some(Err(why)) => Err(Status::failed_precondition(format!(
            "guest commands are off: {why}"
        ))),
        None => Err(Status::unavailable(
            "the record of guest commands is being opened; try again in some seconds",
        )),
    }
}

/// Where the record ends, once it is open.
pub(super) fn head(slot: &Slot) -> Option<AuditHead> {
    let guests = slot.get()?.as_ref().ok()?;
    Some(head_message(guests.audit().head()))
}

pub(super) async fn list(
    guests: Arc<Guests>,
    request: ListGuestCommandsRequest,
) -> Result<Response<ListGuestCommandsResponse>, Status> {
    reading(&READING_NODE, move || guests.list(request.vmid))
        .await
        .map(Response::new)
}

pub(super) async fn list_audit(
    guests: Arc<Guests>,
    request: ListAuditRequest,
) -> Result<Response<ListAuditResponse>, Status> {
    let limit = match request.limit {
        0 => AUDIT_LINES_DEFAULT,
        limit => limit.min(AUDIT_LINES),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let after = request.after_sequence;
    let read = reading(&READING_RECORD, move || {
        let audit = guests.audit();
        let records = audit.after(after, limit)?;
        Ok::<_, crate::audit::AuditError>(ListAuditResponse {
            lines: records.iter().map(crate::audit::Record::line).collect(),
            head: Some(head_message(audit.head())),
            first_sequence: audit.first_sequence(),
        })
    });
    read.await?
        .map(Response::new)
        .map_err(|error| Status::internal(format!("the record cannot be read: {error}")))
}

/// Runs a command; the last event is its result, whether or not anybody listens.
pub(super) fn run(
    guests: Arc<Guests>,
    request: Request<RunGuestCommandRequest>,
) -> Response<RunStream> {
    let caller = caller(&request);
    let request = request.into_inner();
    let (sender, receiver) = mpsc::channel(CHANNEL);
    tokio::spawn(async move {
        let (events, mut heard) = mpsc::channel(CHANNEL);
        let told = sender.clone();
        let telling = tokio::spawn(async move {
            while let Some(event) = heard.recv().await {
                // Who has gone hears nothing, and it goes on.
                told.send(Ok(response(event))).await.ok();
            }
        });
        let result = guests.run(request, caller, events).await;
        // It ends with the run, which held the other end.
        telling.await.ok();
        sender.send(Ok(response(Event::Result(result)))).await.ok();
    });
    Response::new(ReceiverStream::new(receiver))
}

fn response(event: Event) -> RunGuestCommandResponse {
    RunGuestCommandResponse { event: Some(event) }
}

/// Who calls, as the kernel says or a certificate.
fn caller<T>(request: &Request<T>) -> String {
    match request.extensions().get::<Peer>() {
        Some(Peer::Link { coordinator }) => format!("link.sock, coordinator {coordinator}"),
        Some(Peer::Local { uid: Some(uid), .. }) => format!("local.sock, uid {uid}"),
        Some(Peer::Local { uid: None, .. }) | None => "local.sock".to_owned(),
    }
}

/// Reads files on a thread of its own: `/etc/pve` may hang.
pub(super) async fn reading<T: Send + 'static>(
    places: &'static Semaphore,
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    let work = async {
        // It is never closed.
        let place = places.acquire().await.ok();
        let work = tokio::task::spawn_blocking(move || {
            let _place = place;
            read()
        });
        work.await
    };
    match timeout(DEADLINE, work).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(_)) => Err(Status::internal("this is a defect of pvelens-agent")),
        Err(_) => Err(Status::deadline_exceeded(
            "files of this node do not answer; is /etc/pve or its disk hanging?",
        )),
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test reads the file that was written"
)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    };

    use super::*;
    use crate::{
        audit::{self, Audit, Options, Reaped},
        host::Host,
    };

    #[tokio::test]
    async fn files_that_hang_take_few_threads() {
        static PLACES: Semaphore = Semaphore::const_new(2);
        let (answer, hanging) = mpsc::channel::<()>();
        let hanging = Arc::new(Mutex::new(hanging));
        let begun = Arc::new(AtomicU32::new(0));
        let mut calls = Vec::new();
        for _ in 0..5 {
            let (hanging, begun) = (Arc::clone(&hanging), Arc::clone(&begun));
            calls.push(tokio::spawn(reading(&PLACES, move || {
                begun.fetch_add(1, Ordering::AcqRel);
                hanging.lock().unwrap().recv().ok();
            })));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(begun.load(Ordering::Acquire), 2);
        drop(answer);
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert_eq!(begun.load(Ordering::Acquire), 5);
    }

    #[tokio::test]
    async fn a_slot_is_empty_or_filled_and_says_which() {
        let slot = Slot::default();
        let opening = guests(&slot).unwrap_err();
        assert_eq!(
            (opening.code(), head(&slot)),
            (tonic::Code::Unavailable, None)
        );
        slot.set(Err("the record was changed".to_owned())).unwrap();
        let off = guests(&slot).unwrap_err();
        assert_eq!(
            (off.code(), head(&slot)),
            (tonic::Code::FailedPrecondition, None)
        );
        assert!(
            off.message().ends_with("off: the record was changed"),
            "{off}"
        );
    }

    #[tokio::test]
    async fn whoever_keeps_a_copy_gets_every_line_once() {
        let tree = tempfile::TempDir::new().unwrap();
        let directory = tree.path().join("audit");
        let audit = Audit::open(&directory, &Options::new(1 << 20, "")).unwrap();
        for number in 0..5 {
            let request_id = format!("request-{number}");
            let reaped = Reaped {
                request_id,
                ..Reaped::default()
            };
            audit.append(audit::Event::reaped(reaped)).unwrap();
        }
        let host = Arc::new(Host::open(tree.path()).unwrap());
        let slot = Slot::default();
        let engine = Arc::new(Guests::new(host, audit).unwrap());
        slot.set(Ok(engine)).unwrap();
        let (mut lines, mut after) = (Vec::new(), 0);
        loop {
            let request = ListAuditRequest {
                after_sequence: after,
                limit: 4,
            };
            let list = list_audit(guests(&slot).unwrap(), request).await.unwrap();
            let list = list.into_inner();
            assert_eq!((list.head, list.first_sequence), (head(&slot), 1));
            if list.lines.is_empty() {
                break;
            }
            after += u64::try_from(list.lines.len()).unwrap();
            lines.extend(list.lines);
        }
        let file = directory.join("audit-00000000000000000001.jsonl");
        let kept = std::fs::read_to_string(file).unwrap();
        assert_eq!(kept.lines().collect::<Vec<_>>(), lines);
        let head = head(&slot).unwrap();
        assert!((head.sequence, lines.len()) == (6, 6) && lines[5].contains(&head.hash));
    }
}
