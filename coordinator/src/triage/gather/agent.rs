//! What the agent of this node knows, with the history in its spool.

use std::{io, path::Path, time::Duration};

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::agent::v1::{
    DescribeRequest, NodeUpdate, WatchRequest, node_agent_service_client::NodeAgentServiceClient,
    watch_response::Event,
};
use tokio::{
    net::UnixStream,
    time::{Instant, timeout_at},
};

use super::{Gathered, Source};
use crate::{
    link,
    triage::facts::{moment, newest},
    untrusted,
};

/// An agent that has not sampled for longer hangs itself.
const FRESH: SignedDuration = SignedDuration::from_secs(45);
/// What going through the history may cost.
const REPLAY: Duration = Duration::from_millis(300);
/// The configuration of thousands of guests comes in one message.
const MESSAGE_LIMIT_BYTES: usize = 64 << 20;

/// Asks the agent behind a socket for everything it holds.
///
/// # Errors
/// In words for the user: why its answer cannot be used.
pub fn ask(socket: &Path, within: Duration) -> Result<Gathered, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot be asked: {error}"))?;
    runtime.block_on(async {
        let deadline = Instant::now() + within;
        timeout_at(deadline, everything(socket))
            .await
            .unwrap_or_else(|_| Err("does not answer".to_owned()))
    })
}

async fn everything(socket: &Path) -> Result<Gathered, String> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| unreachable(&error))?;
    let channel = link::channel(link::endpoint(), stream)
        .await
        .map_err(|_| "does not answer".to_owned())?;
    let mut client =
        NodeAgentServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
    let refused = |status: tonic::Status| {
        let message = untrusted::line(status.message(), 200).into_owned();
        format!("refuses: {message}")
    };
    let description = client.describe(DescribeRequest {}).await.map_err(refused)?;
    let request = WatchRequest::default();
    let stream = client.watch(request).await.map_err(refused)?;
    let (description, mut stream) = (description.into_inner(), stream.into_inner());

    let mut updates: Vec<NodeUpdate> = Vec::new();
    // The first event is a heartbeat with the newest number there is.
    let mut end: Option<(Timestamp, u64)> = None;
    while let Some(response) = stream.message().await.map_err(refused)? {
        match response.event {
            Some(Event::Heartbeat(beat)) => {
                let sent_at = beat.sent_at.as_ref().and_then(moment);
                let sent_at = sent_at.ok_or("does not say what time it is")?;
                end = Some((sent_at, beat.newest.map_or(0, |cursor| cursor.sequence)));
            }
            Some(Event::Update(update)) => updates.push(update),
            None => {}
        }
        let last = updates.iter().rev().find(|update| !update.baseline);
        let reached = last.and_then(|update| update.cursor.as_ref());
        if let Some((at, sequence)) = end
            && reached.is_some_and(|cursor| cursor.sequence >= sequence)
        {
            return judged_fresh(description, updates, at);
        }
        if end.is_some_and(|(_, sequence)| sequence == 0) {
            return Err("has no samples yet".to_owned());
        }
    }
    Err("ended the answer too early".to_owned())
}

fn judged_fresh(
    description: pvelens_proto::agent::v1::DescribeResponse,
    updates: Vec<NodeUpdate>,
    at: Timestamp,
) -> Result<Gathered, String> {
    let times = || updates.iter().filter_map(newest);
    let last = times().max().ok_or("has no samples yet")?;
    if at.duration_since(last) > FRESH {
        let text = crate::figure::since(last, at);
        return Err(format!("has read nothing {text}"));
    }
    let first = updates
        .iter()
        .filter(|update| !update.baseline)
        .filter_map(newest)
        .min();
    let history_seconds = first.map_or(0, |first| at.duration_since(first).as_secs());
    Ok(Gathered {
        source: Source::Agent { history_seconds },
        description,
        updates,
        at,
        replay: REPLAY,
    })
}

fn unreachable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "is not installed or not started".to_owned(),
        io::ErrorKind::ConnectionRefused => "does not run".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be asked by this user".to_owned(),
        _ => format!("cannot be reached: {error}"),
    }
}
