//! The coordinator of pvelens: merges what the node agents read, runs the
//! deterministic checks and serves reports over gRPC, MCP and the command line.

pub mod check;
pub mod coordinator;
pub mod finding;
pub mod history;
pub mod inventory;
pub mod report;
pub mod store;
pub mod view;
