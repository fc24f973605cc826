//! Whoever can reach the ports.

use std::{
    net::SocketAddr,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use pvelens_proto::v1::Agent;
use tokio::{task, time::sleep};

use crate::{
    faults::{
        Options,
        net::Net,
        world::{API_PORT, LINK_PORT, World},
    },
    rig::{
        figures::{cpu_time, peak_resident_bytes},
        run,
    },
};

const SOON: Duration = Duration::from_secs(20);
const ROUNDS: u32 = 20;
/// New updates on each connection of a node that repeats itself.
const REPEATED: u64 = 40;
/// Longer than a coordinator takes between two looks at a link.
const FLOOD: Duration = Duration::from_secs(45);
/// What a coordinator of three nodes may need while somebody does this.
const RESIDENT_LIMIT: u64 = 1 << 30;

fn hostile(options: &Options, network: Vec<String>, arguments: &[&str]) -> Result<Command> {
    let mut line = network;
    line.push(options.hostile.display().to_string());
    line.extend(arguments.iter().map(|&argument| argument.to_owned()));
    let (program, arguments) = line.split_first().context("no program")?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

pub(super) async fn scan(options: &Options) -> Result<String> {
    let world = World::new(options, "scan", 2, 1).await?;
    world.settle(0).await?;
    let mut scans = Vec::new();
    for port in [LINK_PORT, API_PORT] {
        let address = SocketAddr::new(Net::coordinator(), port).to_string();
        let rounds = ROUNDS.to_string();
        let arguments = ["scan", &address, "--rounds", &rounds];
        let mut command = hostile(options, world.net.at_node(1), &arguments)?;
        scans.push((port, task::spawn_blocking(move || run(&mut command))));
    }
    // Meanwhile answers come and updates arrive.
    let mut slowest = Duration::ZERO;
    while scans.iter().any(|(_, scan)| !scan.is_finished()) {
        let began = Instant::now();
        ensure!(
            world.agent(0).await?.connected,
            "the link did not outlive it"
        );
        slowest = slowest.max(began.elapsed());
        sleep(Duration::from_millis(100)).await;
    }
    let mut seen = Vec::new();
    for (port, scan) in scans {
        seen.push(format!("{port}: {}", scan.await??.trim()));
    }
    let peak = peak_resident_bytes(world.coordinator.pid())?;
    ensure!(peak < RESIDENT_LIMIT, "it needed {peak} bytes");
    let found = world.until_found("Many connections", SOON).await?;
    let account = world.settle(0).await?;
    Ok(format!(
        "finding: {found}; {}; slowest answer meanwhile {} ms, RSS {} MiB; {account}",
        seen.join("; "),
        slowest.as_millis(),
        peak >> 20
    ))
}

/// The third node joins, and something else is there in place of its agent.
async fn misbehaving(world: &World, misdeed: &str) -> Result<Command> {
    let line = world.coordinator.token(1, 600).await?;
    world.join_with(2, &line).await?;
    let identity = world.nodes[2].place.identity().display().to_string();
    let address = SocketAddr::new(Net::coordinator(), LINK_PORT).to_string();
    let arguments = [misdeed, identity.as_str(), &address];
    let mut command = hostile(&world.options, world.net.at_node(2), &arguments)?;
    command.stdout(Stdio::null());
    Ok(command)
}

/// At-least-once at its worst: everything comes twice, out of order, and all of it once
/// more on each connection.
pub(super) async fn repeat(options: &Options) -> Result<String> {
    let world = World::new(options, "repeat", 3, 1).await?;
    let mut command = misbehaving(&world, "repeat").await?;
    let mut most = 0;
    for _ in 0..3 {
        let mut child = command.spawn()?;
        let news = |agent: &Agent| agent.connected && newest(agent) > most + REPEATED;
        let seen = world.until(2, "updates", SOON * 2, news).await;
        child.kill()?;
        child.wait()?;
        most = newest(&seen?.0);
    }
    let gone = world.until(2, "gone", SOON, |agent| !agent.connected);
    let (agent, _) = gone.await?;
    let newest = newest(&agent);
    let ranges: Vec<(u64, u64)> = agent
        .kept_updates
        .iter()
        .flat_map(|epoch| &epoch.ranges)
        .map(|range| (range.first, range.last))
        .collect();
    ensure!(
        ranges == [(1, newest)] && agent.updates_total == newest,
        "{newest} numbers were sent, {} counted, {ranges:?} kept",
        agent.updates_total
    );
    ensure!(
        agent.repeated_updates_total >= newest,
        "only {} came again",
        agent.repeated_updates_total
    );
    let account = world.settle(0).await?;
    Ok(format!(
        "{newest} updates kept once, {} times they came again; honest node: {account}",
        agent.repeated_updates_total
    ))
}

fn newest(agent: &Agent) -> u64 {
    let ranges = agent.kept_updates.iter().flat_map(|epoch| &epoch.ranges);
    ranges.map(|range| range.last).max().unwrap_or(0)
}

/// A node with a good certificate that sends as much as it can.
pub(super) async fn flood(options: &Options) -> Result<String> {
    let world = World::new(options, "flood", 3, 2).await?;
    world.settle(0).await?;
    let mut child = misbehaving(&world, "flood").await?.spawn()?;
    let before = cpu_time(world.coordinator.pid())?;
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut seen = Ok(());
    while began.elapsed() < FLOOD && seen.is_ok() {
        let asked = Instant::now();
        seen = match world.agent(0).await {
            Ok(agent) if agent.connected => Ok(()),
            Ok(agent) => Err(anyhow::anyhow!(
                "an honest link ended: {}",
                agent.last_error
            )),
            Err(error) => Err(error),
        };
        slowest = slowest.max(asked.elapsed());
        sleep(Duration::from_millis(100)).await;
    }
    let cpu = cpu_time(world.coordinator.pid())?.saturating_sub(before);
    let hostile = world.agent(2).await;
    let found = world.until_found("node/pve3: The identity", SOON).await;
    child.kill()?;
    child.wait()?;
    seen?;
    let hostile = hostile?;
    let peak = peak_resident_bytes(world.coordinator.pid())?;
    ensure!(peak < RESIDENT_LIMIT, "it needed {peak} bytes");
    ensure!(
        hostile.throttled_seconds_total > 0.0 && hostile.identity_problem.contains("sends more"),
        "nothing says that it sends too much: {:?}",
        hostile.identity_problem
    );
    let found = found?;
    let account = world.settle(0).await?;
    Ok(format!(
        "{} updates taken, made to wait {:.0} s; slowest answer {} ms, RSS {} MiB, {:.0} % of a core; finding: {found}; honest node: {account}",
        hostile.updates_total,
        hostile.throttled_seconds_total,
        slowest.as_millis(),
        peak >> 20,
        100.0 * cpu.as_secs_f64() / FLOOD.as_secs_f64()
    ))
}
