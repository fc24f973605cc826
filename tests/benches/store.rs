//! What keeping values costs: bytes of a value, time to keep them, time to ask for them.
//!
//! `cargo bench -p pvelens-tests --bench store -- size|ingest|query`. Everything goes the
//! way of the product: updates of agents into the live state, from there into the store
//! as often as a coordinator writes, and the tidying up; questions as the surfaces ask
//! them. Times depend on the machine; bytes do not.

#![expect(clippy::print_stdout, reason = "it is what the program is for")]

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;
use clap::{Parser, Subcommand};
use jiff::Timestamp;
use pvelens::{check::Params, coordinator::Coordinator, store::Store};

#[path = "../histories/recorded.rs"]
mod recorded;

#[path = "store/ingest.rs"]
mod ingest;
#[path = "store/query.rs"]
mod query;
#[path = "store/size.rs"]
mod size;

/// A multiple of every span of the store.
const START: i64 = 1_795_564_800;
const LIMIT_BYTES: u64 = 64 << 30;
/// Seconds between two times of tidying up, as a coordinator has it.
const TIDY_SECONDS: i64 = 300;

#[derive(Debug, Parser)]
struct Arguments {
    /// `cargo bench` says so
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Bytes of a value, on the recorded half hour of three nodes, again and again
    Size {
        #[arg(long, default_value_t = 48)]
        hours: u32,
    },
    /// How much faster than in reality the updates of many guests are kept
    Ingest {
        #[arg(long, default_value_t = 50_000)]
        guests: u32,
        /// Of the agents, at 10 s a round
        #[arg(long, default_value_t = 60)]
        minutes: u32,
    },
    /// How long questions take to a store that has kept three nodes for some days
    Query {
        #[arg(long, default_value_t = 7)]
        days: u32,
        /// Of each node
        #[arg(long, default_value_t = 100)]
        guests: u32,
        /// Made if it is not there, and kept; else a temporary one
        #[arg(long)]
        directory: Option<PathBuf>,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.task {
        Some(Task::Size { hours }) => size::run(hours),
        Some(Task::Ingest { guests, minutes }) => ingest::run(guests, minutes),
        Some(Task::Query {
            days,
            guests,
            directory,
        }) => query::run(days, guests, directory),
        None => {
            size::run(6)?;
            ingest::run(1000, 10)?;
            query::run(1, 10, None)
        }
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap_or_default()
}

/// A coordinator that keeps what it hears in a directory.
fn keeping(directory: &std::path::Path, now: Timestamp) -> Result<(Coordinator, Arc<Store>)> {
    let coordinator = Coordinator::new(Params::default());
    let store = Arc::new(Store::open(directory, LIMIT_BYTES, now)?);
    coordinator.keep_in(Arc::clone(&store), now)?;
    Ok((coordinator, store))
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
