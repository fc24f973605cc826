//! Commands in guests, as the coordinator sees them: what their output says.

pub mod facts;
pub mod interpret;
