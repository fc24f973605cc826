//! Clocks that jump, and certificates and tokens that end.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use pvelens_proto::timestamp_to_millis;
use tokio::time::sleep;

use super::{
    identity::{refusal, short},
    network::{FOUND, SILENT},
};
use crate::faults::{
    Options,
    world::{LINK, World},
};

const JUMP_SECONDS: f64 = 7200.0;
/// The second and the third sample of each kind come after a jump.
const ROUNDS: Duration = Duration::from_secs(22);
const DAY: i64 = 86_400;

/// The clock of a node goes two hours ahead, back, and behind.
pub(super) async fn jumps(options: &Options) -> Result<String> {
    let mut world = World::new(options, "clock", 2, 2).await?;
    world.nodes[0].agent.kill()?;
    world.nodes[0].agent.variables = world.clock_variables()?;
    world.nodes[0].agent.start()?;
    world.nodes[0].until_serving().await?;
    world.settle(0).await?;
    let (mut offsets, mut found) = (Vec::new(), String::new());
    for (clock, offset) in [
        ("+2h", JUMP_SECONDS),
        ("+0", 0.0),
        ("-2h", -JUMP_SECONDS),
        ("+0", 0.0),
    ] {
        world.set_clock(clock)?;
        sleep(ROUNDS).await;
        let near = |agent: &pvelens_proto::v1::Agent| {
            agent
                .clock_offset_seconds
                .is_some_and(|measured| (measured - offset).abs() < 60.0)
        };
        let (agent, _) = world
            .until(0, "the offset of its clock", LINK, near)
            .await?;
        ensure!(
            agent.connected,
            "the link did not outlive it: {}",
            agent.last_error
        );
        offsets.push(format!(
            "{:+.0}",
            agent.clock_offset_seconds.unwrap_or(f64::NAN)
        ));
        if offset != 0.0 {
            found = world.until_found("clocks of nodes disagree", LINK).await?;
        }
        let counted = world.settle(0).await;
        counted.with_context(|| format!("with the clock at {clock}"))?;
    }
    let account = world.settle(0).await?;
    Ok(format!(
        "offsets told: {} s; finding: {found}; {account}",
        offsets.join(", ")
    ))
}

/// Off while its certificate ended, on again.
pub(super) async fn year(options: &Options) -> Result<String> {
    let mut world = World::new(options, "year", 2, 2).await?;
    world.settle(0).await?;
    let before = world.agent(0).await?;
    for node in &mut world.nodes {
        node.pipe.kill()?;
        node.agent.kill()?;
        // /run is empty after a year.
        drop(std::fs::remove_dir_all(node.place.directory.join("spool")));
    }
    world.coordinator.kill()?;
    world.set_clock("+400d")?;
    let variables = world.clock_variables()?;
    world.coordinator.start_with(variables.clone()).await?;
    let found = world.until_found(SILENT, FOUND).await?;
    for node in &mut world.nodes {
        node.agent.variables.clone_from(&variables);
        node.pipe.variables.clone_from(&variables);
        node.agent.start()?;
        node.until_serving().await?;
        node.pipe.start()?;
    }
    let returned = world.until_linked(0).await?;
    world.until_linked(1).await?;
    let after = world.agent(0).await?;
    let end = |agent: &pvelens_proto::v1::Agent| {
        let end = agent
            .certificate_expires_at
            .as_ref()
            .map(timestamp_to_millis);
        end.unwrap_or(0) / 1000
    };
    let (old, new) = (end(&before), end(&after));
    ensure!(
        new > old + 300 * DAY,
        "the certificate was not renewed: {old}, {new}"
    );
    let account = world.settle(0).await?;
    Ok(format!(
        "finding: {found}; back by itself after {:.1} s with a certificate that ends {} days later; {account}",
        returned.as_secs_f64(),
        (new - old) / DAY
    ))
}

pub(super) async fn stolen_token(options: &Options) -> Result<String> {
    let mut world = World::new(options, "stolen", 2, 1).await?;
    let line = world.coordinator.token(1, 600).await?;
    world.coordinator.kill()?;
    world.set_clock("+1h")?;
    let variables = world.clock_variables()?;
    world.coordinator.start_with(variables).await?;
    let refused = refusal(world.join_with(1, &line).await)?;
    ensure!(
        refused.contains("ended"),
        "refused for another reason: {refused}"
    );
    world.until_linked(0).await?;
    let found = world.until_found("lets nobody in", LINK).await?;
    let account = world.settle(0).await?;
    Ok(format!(
        "{:?}; finding: {found}; {account}",
        short(&refused)
    ))
}
