//! Commands in guests, as the coordinator sees them: what their output says, which
//! of them fit a complaint, and which comes next.

pub mod facts;
pub mod interpret;
mod known;
pub mod suggest;
pub mod system;
pub mod workflow;
