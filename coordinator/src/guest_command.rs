//! Commands in guests, as the coordinator sees them.
//!
//! The node of a guest decides what runs there and writes it down; here is who asks:
//! which guest is meant (`target`), what this coordinator does not ask for
//! (`narrow`), what there is to ask (`catalogue`), how a command is run (`call`), what
//! came of it (`outcome`) and what its output says (`interpret`, `facts`), what to ask
//! next (`suggest`, `workflow`, `diagnosis`), and whether
//! the node's record of it all is still the one that was seen before (`heads`).

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Semaphore;

use catalogue::Cache;
use heads::Heads;
use narrow::Narrow;
use recent::Recent;

pub mod call;
pub mod catalogue;
pub mod diagnosis;
pub mod facts;
pub mod fit;
#[cfg(test)]
pub(crate) mod fixture;
pub mod heads;
pub mod interpret;
pub mod narrow;
pub mod outcome;
pub mod recent;
pub mod refusal;
pub mod suggest;
pub mod system;
pub mod target;
#[cfg(test)]
mod tests;
pub mod workflow;

/// What is kept about guest commands while the coordinator runs.
#[derive(Debug)]
pub struct GuestCommands {
    narrow: RwLock<Arc<Narrow>>,
    heads: Heads,
    recent: Recent,
    catalogue: Cache,
    /// Commands that may run at the same time.
    slots: Semaphore,
}

impl GuestCommands {
    #[must_use]
    pub fn new(narrow: Narrow, heads: Heads) -> Self {
        Self {
            narrow: RwLock::new(Arc::new(narrow)),
            heads,
            recent: Recent::default(),
            catalogue: Cache::default(),
            slots: Semaphore::new(call::SIDE_BY_SIDE),
        }
    }

    /// What is not asked for.
    #[must_use]
    pub fn narrow(&self) -> Arc<Narrow> {
        Arc::clone(&self.narrow.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks for other things from now on. A list that was made before is shown for some
    /// seconds more; what is run is looked at anew.
    pub fn narrow_to(&self, narrow: Narrow) {
        *self.narrow.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(narrow);
    }

    /// Where the audit records of the nodes end.
    #[must_use]
    pub fn heads(&self) -> &Heads {
        &self.heads
    }

    /// What was found lately.
    #[must_use]
    pub fn recent(&self) -> &Recent {
        &self.recent
    }
}

/// Everything that the nodes allow, and nothing that outlives the process.
impl Default for GuestCommands {
    fn default() -> Self {
        Self::new(Narrow::default(), Heads::default())
    }
}
