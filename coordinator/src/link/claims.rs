//! One link for each node: who came first has the place as long as it answers.
//!
//! That the later one counts was rejected: whoever has the key of a node could push
//! its agent out, and two addresses of one coordinator would end each other's links
//! for ever. A place whose holder is silent is given on at once, since a node that
//! comes back after a network failure is in a hurry.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pvelens_proto::agent::v1::DescribeResponse;
use tokio::time::timeout;

use super::{guarded::Guard, handle::Agents};
use crate::view::{ClusterId, Name};

/// For the holder of a place to show that it lives.
const PROOF_DEADLINE: Duration = Duration::from_secs(2);
/// For a link that was cut to give up its place.
const RELEASE_DEADLINE: Duration = Duration::from_secs(2);

type Node = (ClusterId, Name);

/// The places of the nodes that dialled in.
#[derive(Debug, Default)]
pub(super) struct Claims {
    held: Mutex<BTreeMap<Node, Guard>>,
}

/// The place of a node, until it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Arc<Claims>,
    node: Node,
    guard: Guard,
}

/// Why a place is not to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    /// The same agent is reached on another way.
    Same,
    /// Another agent with the same identity, that was there before.
    Other,
    /// By a link that is only just coming up.
    Fresh,
}

impl Claims {
    /// Takes the place of a node for a link that described itself so.
    pub(super) async fn claim(
        self: &Arc<Self>,
        node: Node,
        guard: &Guard,
        described: &DescribeResponse,
        agents: &Agents,
    ) -> Result<Claim, Taken> {
        if let Some(holder) = agents.of(&node.0, &node.1) {
            match timeout(PROOF_DEADLINE, holder.describe()).await {
                Ok(Ok(known)) if is_same(&known, described) => return Err(Taken::Same),
                Ok(Ok(_)) => return Err(Taken::Other),
                // A dead one, that nobody has noticed yet.
                Ok(Err(_)) | Err(_) => self.release(&node).await,
            }
        }
        let mut held = self.lock();
        if held.get(&node).is_some_and(|holder| !holder.is_gone()) {
            return Err(Taken::Fresh);
        }
        held.insert(node.clone(), guard.clone());
        Ok(Claim {
            claims: Arc::clone(self),
            node,
            guard: guard.clone(),
        })
    }

    /// Ends the link that has the place.
    async fn release(&self, node: &Node) {
        let holder = self.lock().get(node).cloned();
        if let Some(holder) = holder {
            holder.cut();
            timeout(RELEASE_DEADLINE, holder.gone()).await.ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Node, Guard>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.guard.cut();
        let mut held = self.claims.lock();
        // A later link may have the place by now.
        if held
            .get(&self.node)
            .is_some_and(|holder| holder.is_of(&self.guard))
        {
            held.remove(&self.node);
        }
    }
}

/// Whether both are the answers of one process.
fn is_same(one: &DescribeResponse, other: &DescribeResponse) -> bool {
    one.epoch == other.epoch && one.started_at == other.started_at
}
