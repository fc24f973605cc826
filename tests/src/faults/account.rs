//! The count: what an agent emitted and still holds, against what was kept of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use pvelens_proto::v1::Agent;
use tokio::time::sleep;

use super::node::{Key, Node};
use crate::rig::{Coordinator, POLL};

/// For what is held to be delivered: a pipe may wait a minute before it dials again.
const DELIVERY: Duration = Duration::from_secs(150);

/// What was counted of one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    pub(super) emitted: usize,
    pub(super) held: usize,
    pub(super) kept: usize,
    pub(super) repeated: u64,
    /// Counted beyond the numbers that were kept: current content, said to a
    /// coordinator that knew none.
    pub(super) beyond: u64,
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            emitted,
            held,
            kept,
            repeated,
            ..
        } = self;
        write!(
            f,
            "{emitted} emitted, {held} held, {kept} kept, {repeated} came again"
        )
    }
}

/// Waits until everything that the agent holds is kept, and compares.
pub(super) async fn settle(coordinator: &Coordinator, node: &Node) -> Result<Account> {
    let end = Instant::now() + DELIVERY;
    loop {
        let held = node.held().await.context("what the agent holds")?;
        let agent = coordinator.agent(&node.name).await?;
        let agent = agent.unwrap_or_default();
        let kept = kept(&agent)?;
        let missing = held.difference(&kept).count();
        if missing == 0 && agent.connected && !held.is_empty() {
            return compare(&node.emitted(), &held, &kept, &agent);
        }
        if Instant::now() > end {
            bail!(
                "{missing} of {} updates that {} holds did not arrive; connected: {}, {}",
                held.len(),
                node.name,
                agent.connected,
                agent.last_error
            );
        }
        sleep(POLL * 4).await;
    }
}

/// What the coordinator says that it kept, and that it is no nonsense.
fn kept(agent: &Agent) -> Result<BTreeSet<Key>> {
    let mut kept = BTreeSet::new();
    let mut epochs = BTreeMap::new();
    for epoch in &agent.kept_updates {
        ensure!(
            epochs.insert(&epoch.epoch, ()).is_none(),
            "the epoch {} is there twice",
            epoch.epoch
        );
        let mut after = 0;
        for range in &epoch.ranges {
            ensure!(
                range.first > after && range.last >= range.first,
                "ranges overlap: {:?}",
                epoch.ranges
            );
            after = range.last;
            kept.extend((range.first..=range.last).map(|number| (epoch.epoch.clone(), number)));
        }
    }
    Ok(kept)
}

fn compare(
    emitted: &BTreeSet<Key>,
    held: &BTreeSet<Key>,
    kept: &BTreeSet<Key>,
    agent: &Agent,
) -> Result<Account> {
    let lost = held.difference(kept).count();
    ensure!(lost == 0, "{lost} updates were lost");
    // The independent reader may be a moment behind.
    let known: BTreeSet<&Key> = emitted.union(held).collect();
    let newest = newest(held);
    let invented = kept.iter().filter(|key| {
        let is_newer = newest
            .get(key.0.as_str())
            .is_some_and(|newest| key.1 > *newest);
        !known.contains(key) && !is_newer
    });
    let invented: Vec<_> = invented.collect();
    ensure!(invented.is_empty(), "kept and never emitted: {invented:?}");
    let count = u64::try_from(kept.len())?;
    ensure!(
        agent.updates_total >= count,
        "{} updates counted, {count} numbers kept",
        agent.updates_total
    );
    Ok(Account {
        emitted: emitted.len(),
        held: held.len(),
        kept: kept.len(),
        repeated: agent.repeated_updates_total,
        beyond: agent.updates_total - count,
    })
}

fn newest(keys: &BTreeSet<Key>) -> BTreeMap<&str, u64> {
    // In order, so the last of an epoch stays.
    keys.iter()
        .map(|(epoch, number)| (epoch.as_str(), *number))
        .collect()
}
