//! Simulated nodes, faults with labels, scenarios, and the runner that puts
//! them through the real agent and coordinator; what the agent costs and
//! endures; what is kept over crashes; the manual and the licences of the packages.

pub mod cost;
pub mod coverage;
pub mod demo;
pub mod eval;
pub mod faults;
pub mod fleet;
pub mod fuzz;
pub mod inmate;
pub mod kept;
pub mod licences;
pub mod manual;
mod numbers;
pub mod record;
pub mod rig;
pub mod run;
pub mod scale;
pub mod scenario;
pub mod score;
pub mod sim;
pub mod small;
pub mod soak;
pub mod wire;
