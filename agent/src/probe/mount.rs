//! Whether a network mount answers.
//!
//! `statvfs` of a dead mount does not return. A thread asks, and at the deadline
//! the process ends with it: no tool is needed, and none is left behind.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use super::reply::{Outcome, Reply};
use crate::host::Host;

/// The size of the file system as JSON, or how asking for it went wrong.
pub(super) fn liveness(host: &Arc<Host>, mount_point: String, timeout: Duration) -> Reply {
    let (sender, receiver) = mpsc::sync_channel(1);
    let host = Arc::clone(host);
    let started = thread::Builder::new().spawn(move || {
        let size = host.statvfs(&mount_point);
        // Nobody waits any more after the deadline.
        sender.send(size).ok();
    });
    if let Err(error) = started {
        return failed(format!("starting a thread: {error}"));
    }
    match receiver.recv_timeout(timeout) {
        Ok(Ok(Some(size))) => match serde_json::to_vec(&size) {
            Ok(json) => Reply::with(Outcome::Answered {}, json),
            Err(error) => failed(error.to_string()),
        },
        Ok(Ok(None)) => failed("its size is not known".to_owned()),
        Ok(Err(error)) => failed(error.to_string()),
        Err(mpsc::RecvTimeoutError::Timeout) => Reply::only(Outcome::TimedOut {
            still_running: true,
        }),
        Err(mpsc::RecvTimeoutError::Disconnected) => failed("ended without a result".to_owned()),
    }
}

fn failed(reason: String) -> Reply {
    Reply::only(Outcome::Failed { reason })
}
