//! Processes that are killed at any moment.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::sleep;

use super::network::{FOUND, SILENT};
use crate::{
    faults::{Options, world::World},
    numbers::Numbers,
};

/// Counted after so many kills, and at the end.
const COUNTED_EVERY: u32 = 20;

pub(super) async fn killed(options: &Options) -> Result<String> {
    let mut world = World::new(options, "kills", 2, 2).await?;
    let mut numbers = Numbers::new(options.seed);
    let kills = if options.short {
        options.kills.min(6)
    } else {
        options.kills
    };
    let mut counts = [0_u32; 3];
    for number in 0..kills {
        let victim = numbers.below(3);
        let node = usize::from(numbers.below(4) == 0);
        // Off for a moment, at once again, or for longer than a look at it takes.
        let off = numbers.pause(1500);
        match victim {
            0 => {
                world.nodes[node].agent.kill()?;
                sleep(off).await;
                world.nodes[node].agent.start()?;
                counts[0] += 1;
            }
            1 => {
                world.nodes[node].pipe.kill()?;
                sleep(off).await;
                world.nodes[node].pipe.start()?;
                counts[1] += 1;
            }
            _ => {
                world.coordinator.kill()?;
                sleep(off).await;
                world.coordinator.start_again().await?;
                counts[2] += 1;
            }
        }
        // Half of the kills meet a link that is coming up, half one that is there.
        if numbers.below(2) == 0 {
            let settled = world.until_linked(node);
            drop(tokio::time::timeout(Duration::from_secs(8), settled).await);
        }
        sleep(numbers.pause(1200)).await;
        if number % COUNTED_EVERY == COUNTED_EVERY - 1 {
            world.nodes[node].until_serving().await?;
            let counted = world.settle(node).await;
            counted.with_context(|| format!("after {} kills", number + 1))?;
        }
    }
    for node in [0, 1] {
        world.nodes[node].until_serving().await?;
    }
    // One that stays dead is missed.
    let found = if options.short {
        "not waited for".to_owned()
    } else {
        world.nodes[0].agent.kill()?;
        let found = world.until_found(SILENT, FOUND).await?;
        world.nodes[0].agent.start()?;
        world.nodes[0].until_serving().await?;
        found
    };
    let first = world.settle(0).await.context("the first node")?;
    let second = world.settle(1).await.context("the second node")?;
    let [agents, pipes, coordinators] = counts;
    Ok(format!(
        "{kills} kills (agent {agents}, pipe {pipes}, coordinator {coordinators}); finding: {found}; pve1: {first}; pve2: {second}"
    ))
}
