//! The network between a pipe and the coordinator, and readers that do not read.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::faults::{Options, node, world::World};

/// An agent is silent after three minutes.
pub(super) const SILENT: &str = "node/pve1: The agent of a node is silent";
pub(super) const FOUND: Duration = Duration::from_secs(300);
const NOTICED: Duration = Duration::from_secs(60);

pub(super) async fn cut(options: &Options) -> Result<String> {
    let world = World::new(options, "cut", 2, 2).await?;
    world.settle(0).await?;
    world.net.cable(0, false)?;
    let gone = world.until(0, "gone", NOTICED, |agent| !agent.connected);
    let (agent, noticed) = gone.await?;
    ensure!(
        world.agent(1).await?.connected,
        "the other node is gone, too"
    );
    let why = agent.last_error;
    let found = world.until_found(SILENT, FOUND).await?;
    world.net.cable(0, true)?;
    back(&world, noticed, &why, &found).await
}

pub(super) async fn black_hole(options: &Options) -> Result<String> {
    let world = World::new(options, "hole", 2, 2).await?;
    world.settle(0).await?;
    world.net.black_hole(0, true)?;
    let gone = world.until(0, "gone", NOTICED, |agent| !agent.connected);
    let (agent, noticed) = gone.await?;
    ensure!(
        world.agent(1).await?.connected,
        "the other node is gone, too"
    );
    let why = agent.last_error;
    let found = world.until_found(SILENT, FOUND).await?;
    world.net.black_hole(0, false)?;
    back(&world, noticed, &why, &found).await
}

/// Waits for the link, and counts.
async fn back(world: &World, noticed: Duration, why: &str, found: &str) -> Result<String> {
    ensure!(!why.is_empty(), "nothing says why the link ended");
    let returned = world.until_linked(0).await?;
    let account = world.settle(0).await?;
    ensure!(
        account.beyond <= 1,
        "something was counted twice: {account}"
    );
    Ok(format!(
        "noticed after {:.1} s ({why}), finding: {found}; back {:.1} s after the end; {account}",
        noticed.as_secs_f64(),
        returned.as_secs_f64()
    ))
}

/// A reader at the local socket that takes nothing, a pipe that stands still, and a
/// coordinator that does.
pub(super) async fn slow_reader(options: &Options) -> Result<String> {
    let world = World::new(options, "slow", 2, 2).await?;
    let before = world.settle(0).await?;
    let unread = node::watch(&world.nodes[0].place.socket("local.sock"), None).await?;
    world.nodes[0].pipe.freeze(true)?;
    let gone = world.until(0, "gone", NOTICED, |agent| !agent.connected);
    let (agent, noticed) = gone.await?;
    ensure!(
        !agent.last_error.is_empty(),
        "nothing says why the link ended"
    );
    let found = world.until_found(SILENT, FOUND).await?;
    world.nodes[0].pipe.freeze(false)?;
    let returned = world.until_linked(0).await?;
    let account = world.settle(0).await?;
    ensure!(
        account.beyond == before.beyond,
        "something was counted twice: {account}"
    );
    drop(unread);
    Ok(format!(
        "a pipe that stands still is noticed after {:.1} s, finding: {found}; back after {:.1} s; beside a reader that reads nothing: {account}",
        noticed.as_secs_f64(),
        returned.as_secs_f64()
    ))
}
