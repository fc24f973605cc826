//! Simulated nodes, faults with labels, scenarios, and the runner that puts
//! them through the real agent and coordinator.

pub mod sim;
