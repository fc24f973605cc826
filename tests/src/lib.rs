//! Simulated nodes, faults with labels, scenarios, and the runner that puts
//! them through the real agent and coordinator.

pub mod demo;
pub mod eval;
pub mod inmate;
pub mod run;
pub mod scenario;
pub mod score;
pub mod sim;
