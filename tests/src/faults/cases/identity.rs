//! Who may come, and as whom.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use crate::{
    faults::{Options, node::Node, world::World},
    rig::{Coordinator, node::Place},
};

/// For something that shall happen at once.
const SOON: Duration = Duration::from_secs(10);
/// In which something would happen that must not: a pipe dials at least twice.
const WHILE: Duration = Duration::from_secs(8);
/// For a finding, and for a pipe that waits.
const MINUTES: Duration = Duration::from_secs(150);

pub(super) async fn revocation(options: &Options) -> Result<String> {
    let mut world = World::new(options, "revocation", 2, 2).await?;
    world.settle(0).await?;
    let revoked = world.coordinator.revoke(&world.nodes[0].name).await?;
    ensure!(revoked >= 1, "no certificate was revoked");
    // Forgotten, or known to be gone.
    let (_, cut) = world
        .until(0, "gone", SOON, |agent| !agent.connected)
        .await?;
    sleep(WHILE).await;
    ensure!(!world.agent(0).await?.connected, "it came back");
    ensure!(
        world.agent(1).await?.connected,
        "the other node is gone, too"
    );
    // Whoever does not belong here is not listed.
    let said = world.agent(0).await?;
    ensure!(
        said.node.is_empty() || !said.last_error.is_empty(),
        "nothing says why"
    );
    let found = world.until_found("that was revoked", MINUTES).await?;
    // A new invitation ends that.
    world.nodes[0].pipe.kill()?;
    let network = world.net.at_node(0);
    let line = world.coordinator.token(1, 600).await?;
    fs::remove_file(world.nodes[0].place.identity().join("identity.json"))?;
    let programs = world.options.programs.clone();
    world.nodes[0].join(&programs, &line, network, &[]).await?;
    world.nodes[0].pipe.start()?;
    world.until_linked(0).await?;
    let account = world.settle(0).await?;
    Ok(format!(
        "cut after {:.2} s and stays out; finding: {found}; with a new token: {account}",
        cut.as_secs_f64()
    ))
}

/// The same line for a second node, and for the same node again with another key.
pub(super) async fn replay(options: &Options) -> Result<String> {
    let mut world = World::new(options, "replay", 2, 0).await?;
    let line = world.coordinator.token(1, 600).await?;
    world.join_with(0, &line).await?;
    world.nodes[0].pipe.start()?;
    world.until_linked(0).await?;
    let other = refusal(world.join_with(1, &line).await)?;
    ensure!(
        other.contains("used"),
        "refused for another reason: {other}"
    );
    // Whoever copied the line and makes a key of its own gets nothing.
    let copy = Place {
        directory: world.directory.join("thief"),
        root: world.nodes[0].place.root.clone(),
    };
    copy.write_settings()?;
    let network = world.net.at_node(1);
    let programs = world.options.programs.clone();
    let same_line = line.clone();
    let stolen = tokio::task::spawn_blocking(move || copy.join(&programs, &same_line, &network));
    let again = refusal(stolen.await?)?;
    ensure!(world.agent(0).await?.connected, "the honest node is gone");
    let found = world.until_found("lets nobody in", SOON).await?;
    let account = world.settle(0).await?;
    Ok(format!(
        "second node: {:?}; second key: {:?}; finding: {found}; {account}",
        short(&other),
        short(&again)
    ))
}

pub(super) fn refusal(result: Result<String>) -> Result<String> {
    match result {
        Ok(said) => anyhow::bail!("it was let in: {said}"),
        Err(error) => Ok(format!("{error:#}")),
    }
}

pub(super) fn short(text: &str) -> String {
    text.chars().take(110).collect()
}

/// Another coordinator at the same address, with an authority of its own.
pub(super) async fn wrong_authority(options: &Options) -> Result<String> {
    let mut world = World::new(options, "authority", 2, 2).await?;
    world.settle(0).await?;
    world.coordinator.kill()?;
    let other = World::coordinator(options, &world.directory, "impostor", &world.net);
    let impostor = Coordinator::start(other).await?;
    // Its ports open with its first invitation.
    impostor.token(1, 600).await?;
    sleep(WHILE * 2).await;
    let agents = impostor.agents().await?;
    ensure!(
        agents
            .iter()
            .all(|agent| !agent.connected && agent.updates_total == 0),
        "the impostor heard something"
    );
    let said = world.nodes[0].agent.said();
    let refused = said.lines().rev().find(|line| line.contains("turned away"));
    let refused = refused.map(short).unwrap_or_default();
    drop(impostor);
    world.coordinator.start_again().await?;
    let returned = world.until_linked(0).await?;
    let found = world.until_found("node/pve1: Somebody else answered", SOON);
    let found = found.await?;
    let account = world.settle(0).await?;
    Ok(format!(
        "the impostor hears nothing; agent's log: {refused:?}; finding: {found}; back after {:.1} s: {account}",
        returned.as_secs_f64()
    ))
}

/// An identity that was copied to another machine.
pub(super) async fn doubled(options: &Options) -> Result<String> {
    let world = World::new(options, "doubled", 2, 1).await?;
    world.settle(0).await?;
    let original = &world.nodes[0];
    let place = Place {
        directory: world.directory.join("copy"),
        root: original.place.root.clone(),
    };
    copy(&original.place.identity(), &place.identity())?;
    let joined = "joined.toml";
    fs::copy(
        original.place.directory.join(joined),
        place.directory.join(joined),
    )?;
    let programs = &world.options.programs;
    let mut second = Node::start(&original.name, place, programs, world.net.at_node(1)).await?;
    second.pipe.start()?;
    let problem = world.until(0, "a problem", MINUTES, |agent| {
        !agent.identity_problem.is_empty()
    });
    let (agent, noticed) = problem.await?;
    ensure!(agent.connected, "the first one lost its place");
    let found = world
        .until_found("node/pve1: The identity", Duration::from_secs(30))
        .await?;
    second.pipe.kill()?;
    let account = world.settle(0).await.context("the first one")?;
    // Nothing of the copy is among what was kept.
    let epoch = second
        .held()
        .await?
        .into_iter()
        .next()
        .map(|(epoch, _)| epoch);
    let kept = world.agent(0).await?.kept_updates;
    let of_copy = kept.iter().any(|kept| Some(&kept.epoch) == epoch.as_ref());
    ensure!(!of_copy, "what the copy said was kept");
    Ok(format!(
        "noticed after {:.1} s ({}); finding: {}; of the copy nothing was kept; {account}",
        noticed.as_secs_f64(),
        short(&agent.identity_problem),
        short(&found),
    ))
}

fn copy(from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
