//! A coordinator whose disk is tried, its node, and what is asked of it.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use tokio::{task::spawn_blocking, time::sleep};

use super::{DOCTOR_FAILS, held};
use crate::{
    faults::{
        Options,
        world::{LINK, World},
    },
    rig::POLL,
};

/// For something that comes with the next samples.
const SOON: Duration = Duration::from_secs(60);
/// The clocks of the node and of the coordinator differ by less, and two samples by more.
const NEAR_MILLIS: i64 = 2000;
/// What is measured is written down at once.
const AT_ONCE: (&str, &str) = ("PVELENS_STORE__WRITE_INTERVAL_SECONDS", "1");

/// A world of one node whose clock is set, and what was asked of it.
pub(super) struct Trial {
    pub(super) world: World,
    state: PathBuf,
    variables: Vec<(String, String)>,
    /// By how many minutes all clocks are ahead.
    minutes: u32,
}

impl Trial {
    pub(super) async fn new(options: &Options, name: &str, state: PathBuf) -> Result<Self> {
        let mut world = World::new(options, name, 1, 1).await?;
        world.follow_clock(&[AT_ONCE]).await?;
        let mut variables = world.clock_variables()?;
        variables.push((AT_ONCE.0.to_owned(), AT_ONCE.1.to_owned()));
        let trial = Self {
            world,
            state,
            variables,
            minutes: 0,
        };
        trial.until_more_is_written().await?;
        Ok(trial)
    }

    /// Starts the coordinator and waits for its node.
    pub(super) async fn start(&mut self) -> Result<()> {
        let variables = self.variables.clone();
        self.world.coordinator.start_with(variables).await?;
        // A pipe that found nobody may wait a minute before it dials again.
        let pipe = &mut self.world.nodes[0].pipe;
        pipe.kill()?;
        pipe.start()?;
        self.world.until_linked(0).await.map(drop)
    }

    /// A coordinator that had to start without its store ends when it can have it, so
    /// that the service manager starts it again.
    pub(super) async fn until_ended_for_its_store(&mut self) -> Result<()> {
        let end = Instant::now() + SOON;
        while self.world.coordinator.lives()? {
            ensure!(Instant::now() < end, "it goes on without its store");
            sleep(POLL * 4).await;
        }
        let log = std::fs::read_to_string(self.world.coordinator.options().log())?;
        ensure!(
            log.contains("the store could not be opened when this was started"),
            "it ended for another reason: {log}"
        );
        Ok(())
    }

    /// What the command line says, whatever its exit status is.
    pub(super) async fn say(&self, words: &[&str]) -> Result<String> {
        let options = self.world.coordinator.options();
        let mut command = Command::new(&options.program);
        command.args(words).envs(self.variables.iter().cloned());
        match words.first().copied() {
            Some("store") => {}
            Some("doctor") => {
                command.arg("--config").arg(options.settings());
            }
            _ => {
                command.arg("--socket").arg(options.socket("read.sock"));
            }
        }
        let output = spawn_blocking(move || command.output()).await??;
        let (said, complained) = (&output.stdout, &output.stderr);
        ensure!(
            !said.is_empty(),
            "{words:?} says nothing: {}",
            String::from_utf8_lossy(complained)
        );
        Ok(String::from_utf8_lossy(said).into_owned())
    }

    pub(super) async fn until_said(&self, words: &[&str], part: &str) -> Result<String> {
        self.until(words, part, |said| said.contains(part)).await
    }

    async fn until(
        &self,
        words: &[&str],
        what: &str,
        is_so: impl Fn(&str) -> bool,
    ) -> Result<String> {
        let end = Instant::now() + SOON;
        loop {
            let said = self.say(words).await?;
            if is_so(&said) {
                return Ok(said);
            }
            if Instant::now() > end {
                bail!("{words:?}: {what}: not so: {said}");
            }
            sleep(POLL * 4).await;
        }
    }

    async fn pass(&mut self, minutes: u32) -> Result<()> {
        self.minutes += minutes;
        // A sample of the new time would be from the future for a coordinator that still
        // has the old one.
        let agent = &self.world.nodes[0].agent;
        agent.freeze(true)?;
        sleep(POLL * 4).await;
        self.world.set_clock(&format!("+{}m", self.minutes))?;
        agent.freeze(false)
    }

    /// Minutes pass until the finding is there; its line.
    pub(super) async fn until_found(&mut self, title: &str) -> Result<String> {
        // It is no finding before it has failed for some minutes, and then has to hold.
        self.pass(5).await?;
        self.world.until_found(title, SOON).await?;
        self.pass(2).await?;
        let said = self.until_said(&["findings", "--output", "json"], title);
        let said: Listing = serde_json::from_str(&said.await?)?;
        let mut found = said.findings.into_iter();
        let found = found.find(|finding| finding.title == title);
        Ok(found.context("it is gone again")?.summary)
    }

    /// The store takes what there is, and the finding goes.
    pub(super) async fn until_mended(&mut self, title: &str) -> Result<()> {
        self.until_more_is_written().await?;
        let said = self.say(&["doctor"]).await?;
        ensure!(!said.contains(DOCTOR_FAILS), "{said}");
        self.pass(5).await?;
        self.until(&["findings"], "nothing of the store", |said| {
            !said.contains(title)
        })
        .await?;
        Ok(())
    }

    /// Updates come in, and are shown.
    pub(super) async fn sees_the_present(&self) -> Result<()> {
        let before = self.world.agent(0).await?.updates_total;
        let more =
            |agent: &pvelens_proto::v1::Agent| agent.connected && agent.updates_total > before;
        self.world.until(0, "more updates", LINK, more).await?;
        self.until_said(&["nodes"], "online").await?;
        self.until_said(&["status"], "1/1").await.map(drop)
    }

    /// The store has taken something that is newer than all there is now.
    pub(super) async fn until_more_is_written(&self) -> Result<()> {
        let held = held::held(&self.local_socket()).await?;
        let newest = held.last().context("the agent holds nothing")?.at_millis;
        let end = Instant::now() + SOON;
        loop {
            let kept = self.kept().await;
            let last = kept.as_ref().ok().and_then(|kept| kept.last().copied());
            if last.is_some_and(|last| last > newest + NEAR_MILLIS) {
                return Ok(());
            }
            if Instant::now() > end {
                bail!(
                    "nothing is kept after {newest}, but {last:?}: {:?}",
                    kept.err()
                );
            }
            sleep(POLL * 10).await;
        }
    }

    fn local_socket(&self) -> PathBuf {
        self.world.nodes[0].place.socket("local.sock")
    }

    /// When the values were measured that are in the file.
    async fn kept(&self) -> Result<BTreeSet<i64>> {
        let (state, node) = (self.state.clone(), self.world.nodes[0].name.clone());
        spawn_blocking(move || held::kept(&state, &node)).await?
    }

    /// Ends the coordinator by force. All that the agent holds up to where its stream
    /// would be asked for is in the file, each value once.
    pub(super) async fn compare(&mut self) -> Result<String> {
        let held = held::held(&self.local_socket()).await?;
        let mut described = held::describe(&self.local_socket()).await?;
        described.cluster_id = self.world.agent(0).await?.cluster_id;
        self.world.coordinator.kill()?;
        let state = self.state.clone();
        let acknowledged = spawn_blocking(move || held::acknowledged(&state, &described)).await??;
        let kept = self.kept().await?;
        let mut count = 0;
        // The first one may be of the same second as the last before the agent was started
        // anew, of which nothing is held any more.
        let acknowledged_ones = held.iter().skip(1);
        for held in acknowledged_ones.filter(|held| held.sequence <= acknowledged) {
            let near = held.at_millis - NEAR_MILLIS..=held.at_millis + NEAR_MILLIS;
            let values: Vec<_> = kept.range(near).collect();
            ensure!(
                values.len() == 1,
                "of the update {} of {} there are the values {values:?}, and {acknowledged} is \
                 acknowledged",
                held.sequence,
                held.at_millis
            );
            count += 1;
        }
        ensure!(count > 0, "nothing is acknowledged, but {acknowledged}");
        Ok(format!("{count} of {} that are held", held.len()))
    }
}

/// What `pvelens findings` says, as far as it is needed here.
#[derive(Debug, Deserialize)]
struct Listing {
    findings: Vec<Finding>,
}

#[derive(Debug, Deserialize)]
struct Finding {
    title: String,
    summary: String,
}
