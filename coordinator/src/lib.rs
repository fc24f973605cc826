//! The coordinator of pvelens: merges what the node agents read, runs the
//! deterministic checks and serves reports over gRPC, MCP and the command line.

pub mod analysis;
pub mod answer;
pub mod check;
pub mod chronicle;
pub mod cli;
pub mod config;
pub mod coordinator;
pub mod figure;
pub mod finding;
pub mod grpc;
pub mod guest_command;
pub mod history;
pub mod http;
pub mod intent;
pub mod inventory;
pub mod link;
pub mod live;
pub mod log;
pub mod mcp;
pub mod metric;
pub mod moment;
pub mod port;
pub mod render;
pub mod report;
pub mod serve;
pub mod store;
pub mod triage;
pub mod trust;
pub mod turns;
pub mod untrusted;
pub mod view;
pub mod windows;
