//! Tools of the probes' menu that are started by this process itself.
//!
//! The agent never does that. `pvelens triage` does, run once by root where no
//! probe is installed or the probes are out of order as well.

use std::{path::Path, sync::Arc, time::Duration};

use super::{Host, SourceError};

/// How to start what a probe would have started.
#[derive(Debug)]
pub(crate) struct Tools {
    /// What the guards of the menu look at.
    pub(crate) host: Arc<Host>,
    /// After this a tool is killed, whatever its row says.
    pub(crate) patience: Duration,
}

impl Host {
    /// Lets this process start the tools of the menu itself where their probe is
    /// not there, each for `patience` at most. Without effect on a tree of files.
    ///
    /// # Errors
    /// As [`Host::open`].
    pub fn with_tools(mut self, patience: Duration) -> Result<Self, SourceError> {
        if self.is_live() {
            let host = Arc::new(Self::open(Path::new("/"))?);
            self.tools = Some(Tools { host, patience });
        }
        Ok(self)
    }

    pub(crate) fn tools(&self) -> Option<&Tools> {
        self.tools.as_ref()
    }
}
