//! The guests that were known when a coordinator ended, by what it kept of their
//! configurations.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use prost::Message;
use pvelens_proto::agent::v1 as wire;

use super::{Heads, content::Shape};
use crate::{
    store::{Store, StoreError, row::StateKind},
    view::ClusterId,
};

/// A file that went so short a time before may have been on its way to another node.
const CONFIRMED: SignedDuration = SignedDuration::from_secs(60);

/// Who has a VMID, as far as was known.
#[derive(Debug, Clone)]
pub(crate) struct KnownGuest {
    pub(crate) cluster: ClusterId,
    pub(crate) vmid: u32,
    /// Which guest of the VMID it is, from one.
    pub(crate) generation: u32,
    /// None = it was gone.
    pub(crate) config: Option<Arc<wire::GuestConfig>>,
}

/// The head of a guest's configuration.
#[derive(Debug)]
pub(crate) struct GuestHead {
    cluster: ClusterId,
    vmid: u32,
    generation: u32,
    digest: Option<String>,
    since: Timestamp,
}

impl Heads {
    /// Heads of the configurations of guests; which guest of a VMID one is somebody else
    /// says.
    pub(in crate::chronicle) fn guests(
        &self,
        generation: impl Fn(&ClusterId, u32) -> u32,
    ) -> Vec<GuestHead> {
        let heads = self.clusters.iter().flat_map(|(cluster, heads)| {
            heads
                .iter()
                .map(move |(subject, known)| (cluster, subject, &known.head))
        });
        let of_guest = heads.filter_map(|(cluster, subject, head)| {
            let vmid = subject.strip_prefix("guest/")?.parse().ok()?;
            Some(GuestHead {
                cluster: ClusterId::clone(cluster),
                vmid,
                generation: generation(cluster, vmid),
                digest: head.digest.clone(),
                since: head.since,
            })
        });
        of_guest.collect()
    }
}

/// The guests of heads. Of those whose configuration cannot be read nothing is known.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn guests(
    store: &Store,
    heads: Vec<GuestHead>,
    now: Timestamp,
) -> Result<Vec<KnownGuest>, StoreError> {
    store.read(|reader| {
        let mut known = Vec::with_capacity(heads.len());
        for head in heads {
            let config = match &head.digest {
                Some(digest) => {
                    let row = reader.state(StateKind::Content, digest)?;
                    let Some(config) = row.and_then(|row| config(&row.body)) else {
                        continue;
                    };
                    Some(Arc::new(config))
                }
                None if now.duration_since(head.since) < CONFIRMED => continue,
                None => None,
            };
            known.push(KnownGuest {
                cluster: head.cluster,
                vmid: head.vmid,
                generation: head.generation,
                config,
            });
        }
        Ok(known)
    })
}

fn config(content: &[u8]) -> Option<wire::GuestConfig> {
    let (shape, message) = content.split_first()?;
    let is_guest = *shape == Shape::Guest as u8;
    is_guest
        .then(|| wire::GuestConfig::decode(message).ok())
        .flatten()
}
