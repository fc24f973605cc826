//! The calls by which a coordinator renews the certificate of this node. They come
//! over its link: whoever may only connect to `local.sock` does not change who this
//! node is.

use std::sync::Arc;

use pvelens_proto::agent::v1::{
    CreateCsrRequest, CreateCsrResponse, InstallCertificateRequest, InstallCertificateResponse,
};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::{Peer, guest_command::reading};
use crate::identity::{Slot, SlotError};

/// At the same time. One whose disk hangs keeps its place.
static PLACES: Semaphore = Semaphore::const_new(2);

pub(super) async fn create_csr(
    slot: Option<&Arc<Slot>>,
    request: &Request<CreateCsrRequest>,
) -> Result<Response<CreateCsrResponse>, Status> {
    let slot = over_link(slot, request)?;
    let created = reading(&PLACES, move || slot.create_csr()).await?;
    created.map(Response::new).map_err(status)
}

pub(super) async fn install(
    slot: Option<&Arc<Slot>>,
    request: Request<InstallCertificateRequest>,
) -> Result<Response<InstallCertificateResponse>, Status> {
    let slot = over_link(slot, &request)?;
    let request = request.into_inner();
    let installed = reading(&PLACES, move || slot.install(request)).await?;
    installed.map(Response::new).map_err(|error| {
        tracing::warn!(%error, "a certificate for this node was not installed");
        status(error)
    })
}

fn over_link<T>(slot: Option<&Arc<Slot>>, request: &Request<T>) -> Result<Arc<Slot>, Status> {
    match (request.extensions().get::<Peer>(), slot) {
        (Some(Peer::Link { .. }), Some(slot)) => Ok(Arc::clone(slot)),
        (Some(Peer::Link { .. }), None) => Err(status(SlotError::NotJoined)),
        _ => Err(Status::permission_denied(
            "only the coordinator that this node joined may do this, over its link",
        )),
    }
}

fn status(error: SlotError) -> Status {
    let words = error.to_string();
    match error {
        SlotError::NotJoined | SlotError::NoRequest => Status::failed_precondition(words),
        SlotError::NoChain | SlotError::Refused(_) | SlotError::Unusable(_) => {
            Status::invalid_argument(words)
        }
        SlotError::Key(_) | SlotError::Unwritten(_) => Status::internal(words),
    }
}
