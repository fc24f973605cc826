//! The cases. Each has a world of its own and says what was seen.

use std::{
    future::Future,
    pin::Pin,
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::time::timeout;

use super::{Options, Outcome};

mod clock;
mod death;
mod disk;
mod identity;
mod network;
mod stranger;

type Running<'a> = Pin<Box<dyn Future<Output = Result<String>> + 'a>>;

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Takes less than two minutes.
    pub(super) is_short: bool,
    run: for<'a> fn(&'a Options) -> Running<'a>,
}

const LIMIT: Duration = Duration::from_secs(3600);

macro_rules! case {
    ($name:literal, $short:literal, $run:path) => {
        Case {
            name: $name,
            is_short: $short,
            run: |options| Box::pin($run(options)),
        }
    };
}

pub(super) const ALL: &[Case] = &[
    case!("revocation", true, identity::revocation),
    case!("enrolment replay", true, identity::replay),
    case!("wrong authority both ways", true, identity::wrong_authority),
    case!("two agents with one identity", true, identity::doubled),
    case!("scan and garbage", true, stranger::scan),
    case!("flood", true, stranger::flood),
    case!("repeated updates", true, stranger::repeat),
    case!("link cut", false, network::cut),
    case!("black hole", false, network::black_hole),
    case!("slow reader", false, network::slow_reader),
    case!("clock jumps", false, clock::jumps),
    case!("a node off for a year", false, clock::year),
    case!("stolen token after its end", false, clock::stolen_token),
    case!("disks of the coordinator", true, disk::all),
    case!("killed at random", true, death::killed),
];

pub(super) async fn run(case: &Case, options: &Options) -> Outcome {
    let began = Instant::now();
    let result = match timeout(LIMIT, (case.run)(options)).await {
        Ok(Ok(seen)) => Ok(seen),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(_) => Err("it did not end".to_owned()),
    };
    Outcome {
        name: case.name,
        took: began.elapsed(),
        result,
    }
}
