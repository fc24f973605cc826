//! The running coordinator: samples in, the current view and its findings out.
//!
//! The lock of the samples is held while an update is kept and while a view is
//! built, never over an await and never while checks run: those work on the view
//! and a copy of the history that shares its series. Readers take the current
//! state by `Arc` and wait for neither.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::Timestamp;
use tokio::{sync::watch, task};

use crate::{
    analysis::keep::{self, Keep},
    check::{self, CheckVerdicts, Input, Params, VerdictCounts},
    chronicle::{Chronicle, revision},
    finding::{
        Finding,
        lifecycle::{
            Lifecycle,
            recheck::{Rechecked, Scope},
        },
    },
    guest_command::{GuestCommands, heads::Place},
    intent::{Intent, Intents},
    link::Agents,
    live::{AgentRecord, Live},
    port::Ports,
    store::{Condition, Store, StoreError, row::NewRecord},
    turns::Turns,
    view::{self, Name, View},
    windows::Windows,
};

/// Everything that a surface may show, of one instant.
#[derive(Debug, Default)]
pub struct Current {
    pub view: View,
    /// Pending and open, worst first.
    pub findings: Vec<Finding>,
    pub verdicts: VerdictCounts,
    /// What checks could not judge, in words, by number of subjects.
    pub not_assessed: Vec<String>,
    pub params: Params,
    /// What operators stated.
    pub intent: Arc<Intent>,
    /// Sorted by cluster, then node.
    pub agents: Vec<AgentRecord>,
}

impl Current {
    /// Gives a state back. Whoever holds the last of one that was replaced takes it
    /// apart, which takes a while where there are many guests: no answer waits for that.
    pub fn release(current: Arc<Self>) {
        if let Some(last) = Arc::into_inner(current) {
            task::spawn_blocking(move || drop(last));
        }
    }
}

/// Merges, checks, and hands out the result.
#[derive(Debug)]
pub struct Coordinator {
    live: Mutex<Live>,
    /// Absent when nothing is kept.
    store: OnceLock<Arc<Store>>,
    /// Why there is none, though there should be.
    without_store: OnceLock<Condition>,
    /// Taken before the lock of the samples: what is heard there is written down here
    /// before anything that comes with it is kept.
    chronicle: Mutex<Chronicle>,
    /// Of which cluster a report was written down when.
    reports: Mutex<Keep>,
    /// Held for a whole evaluation, so that states are published in order.
    lifecycle: Mutex<Lifecycle>,
    params: Mutex<Params>,
    /// Replaced as a whole.
    windows: Mutex<Arc<Windows>>,
    intents: Intents,
    agents: Agents,
    guest_commands: GuestCommands,
    ports: Ports,
    turns: Turns,
    current: watch::Sender<Arc<Current>>,
}

impl Coordinator {
    #[must_use]
    pub fn new(params: Params) -> Self {
        Self::with_guest_commands(params, GuestCommands::default())
    }

    /// As [`new`](Self::new), with what is known and set about guest commands.
    #[must_use]
    pub fn with_guest_commands(params: Params, guest_commands: GuestCommands) -> Self {
        Self {
            live: Mutex::default(),
            store: OnceLock::new(),
            without_store: OnceLock::new(),
            chronicle: Mutex::default(),
            reports: Mutex::default(),
            lifecycle: Mutex::default(),
            params: Mutex::new(params),
            windows: Mutex::default(),
            intents: Intents::default(),
            agents: Agents::default(),
            guest_commands,
            ports: Ports::default(),
            turns: Turns::default(),
            current: watch::Sender::default(),
        }
    }

    /// Judges by other parameters from the next evaluation on.
    pub fn set_params(&self, params: Params) {
        *lock(&self.params) = params;
    }

    /// The hours that checks look back at.
    pub(crate) fn windows(&self) -> Arc<Windows> {
        Arc::clone(&lock(&self.windows))
    }

    /// Looks back at these hours from the next evaluation on.
    pub(crate) fn set_windows(&self, windows: Windows) {
        let before = std::mem::replace(&mut *lock(&self.windows), Arc::new(windows));
        // Taken apart when the lock is free again.
        drop(before);
    }

    /// What operators state.
    #[must_use]
    pub fn intents(&self) -> &Intents {
        &self.intents
    }

    #[must_use]
    pub fn guest_commands(&self) -> &GuestCommands {
        &self.guest_commands
    }

    /// What other machines reach.
    #[must_use]
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// For work that nobody waits for.
    #[must_use]
    pub fn turns(&self) -> &Turns {
        &self.turns
    }

    /// What is known of the nodes. Its lock is held while a view is built, which takes a
    /// while where there are many guests: a task that serves anybody takes
    /// [`keep`](Self::keep).
    pub fn live(&self) -> MutexGuard<'_, Live> {
        lock(&self.live)
    }

    /// Works on what is known of the nodes, in its turn. None = that did not come to an
    /// end.
    pub async fn keep<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Live) -> T + Send + 'static,
    ) -> Option<T> {
        let coordinator = Arc::clone(self);
        self.turns.take(move || work(&mut coordinator.live())).await
    }

    /// Goes on with what the store has, and keeps there what comes. Once, before the
    /// first agent is followed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn keep_in(&self, store: Arc<Store>, now: Timestamp) -> Result<(), StoreError> {
        let mut loaded = store.load(now)?;
        self.intents.restore(&store)?;
        lock(&self.lifecycle).restore(std::mem::take(&mut loaded.findings));
        let (heads, last) = (&mut loaded.heads, &mut loaded.last);
        self.chronicle()
            .load(std::mem::take(heads), std::mem::take(last));
        let guests = self.chronicle().guests();
        let guests = revision::guests::guests(&store, guests, now)?;
        let mut live = self.live();
        live.load(loaded, now);
        live.recognise(guests);
        drop(live);
        self.set_windows(Windows::awaited());
        // A second one is no store of this coordinator.
        self.store.set(store).unwrap_or_default();
        Ok(())
    }

    /// The store cannot be opened: what is present is shown and judged without it.
    pub fn goes_without_store(&self, error: StoreError, now: Timestamp) {
        let condition = Condition {
            failing: Some((error, now)),
            ..Condition::default()
        };
        // The first reason stays.
        self.without_store.set(condition).unwrap_or_default();
    }

    /// Brings to the store what has arrived and what became of findings. What it does
    /// not take is brought again the next time.
    ///
    /// # Errors
    /// When the store takes nothing.
    pub fn write_down(&self, now: Timestamp) -> Result<(), StoreError> {
        let Some(store) = self.store() else {
            return Ok(());
        };
        self.intents.end(store, now);
        let reports = self.reports(store);
        let mut chronicle = self.chronicle();
        chronicle.add_records(reports);
        let mut live = self.live();
        let mut taken = live.take();
        let seen = live.heard();
        drop(live);
        chronicle.note(seen, now);
        taken.batch.changes.extend(chronicle.take());
        drop(chronicle);
        if taken.batch.is_empty() {
            return Ok(());
        }
        let written = store.write(&taken.batch, now);
        if written.is_ok() {
            self.chronicle().confirm();
        }
        let mut live = self.live();
        match &written {
            Ok(()) => live.confirm(&taken),
            Err(_) => live.put_back(taken),
        }
        store.lost(live.lost_values());
        written
    }

    /// The health of clusters, as far as it is to be written down now.
    fn reports(&self, store: &Store) -> Vec<NewRecord> {
        let current = self.current();
        let is_read = self.windows().is_read();
        let newest = |cluster: &Name| keep::newest(store, cluster);
        lock(&self.reports).note(&current, is_read, newest)
    }

    /// What happened and what was changed, as far as it waits for the store.
    pub fn chronicle(&self) -> MutexGuard<'_, Chronicle> {
        lock(&self.chronicle)
    }

    /// What outlives this process, if anything does.
    #[must_use]
    pub fn store(&self) -> Option<&Arc<Store>> {
        self.store.get()
    }

    /// How the store does; none where nothing is to be kept.
    #[must_use]
    pub fn store_condition(&self) -> Option<Condition> {
        match self.store() {
            Some(store) => Some(store.condition()),
            None => self.without_store.get().cloned(),
        }
    }

    /// The agents that are connected now.
    #[must_use]
    pub fn agents(&self) -> &Agents {
        &self.agents
    }

    /// Builds the view as of `at`, runs every check, and publishes the result.
    pub fn evaluate(&self, at: Timestamp) -> Arc<Current> {
        let judge = |lifecycle: &mut Lifecycle, input: &Input<'_>, results: &[CheckVerdicts]| {
            (lifecycle.update(input, results), ())
        };
        self.evaluate_with(at, judge).0
    }

    /// As [`evaluate`](Self::evaluate), and resolves what no longer fails
    /// without waiting. Also says what became of the findings in scope.
    pub fn recheck(&self, at: Timestamp, scope: &Scope) -> (Arc<Current>, Vec<Rechecked>) {
        self.evaluate_with(at, |lifecycle, input, results| {
            lifecycle.recheck(input, results, scope)
        })
    }

    fn evaluate_with<T>(
        &self,
        at: Timestamp,
        judge: impl FnOnce(&mut Lifecycle, &Input<'_>, &[CheckVerdicts]) -> (Vec<Finding>, T),
    ) -> (Arc<Current>, T) {
        let mut lifecycle = lock(&self.lifecycle);
        let mut chronicle = self.chronicle();
        let mut live = self.live();
        let mut view = view::build(&live, at);
        live.tell_guests_apart(&mut view);
        let history = live.history().clone();
        let mut agents = live.agents();
        let seen = live.heard();
        drop(live);
        chronicle.note(seen, at);
        chronicle.compare(&view);
        drop(chronicle);
        for agent in &mut agents {
            self.add_audit(agent);
        }
        let params = lock(&self.params).clone();
        let intent = Arc::new(self.intents.all());
        let windows = self.windows();
        let refused = self.ports.refused(at);
        let condition = self.store_condition();
        let input = Input {
            view: &view,
            history: &history,
            windows: &windows,
            params: &params,
            refused: &refused,
            store: condition.as_ref(),
            intent: &intent,
            at,
        };
        let results = check::run_all(&input);
        let (findings, told) = judge(&mut lifecycle, &input, &results);
        self.chronicle().add(lifecycle.take_changes());
        let current = Arc::new(Current {
            verdicts: check::count(&results),
            not_assessed: check::not_assessed(&view, &results),
            view,
            findings,
            params,
            intent,
            agents,
        });
        self.current.send_replace(Arc::clone(&current));
        (current, told)
    }

    /// Says of an agent where its record of guest commands ends.
    fn add_audit(&self, agent: &mut AgentRecord) {
        let place = Place {
            cluster: agent.cluster.clone(),
            node: agent.node.clone(),
        };
        if let Some(head) = self.guest_commands.heads().of(&place) {
            agent.audit_sequence = Some(head.sequence);
            agent.audit_problem = head.problem;
        }
    }

    /// Publishes a hand-made state.
    #[cfg(test)]
    pub(crate) fn publish(&self, current: Current) {
        self.current.send_replace(Arc::new(current));
    }

    /// The newest published state.
    #[must_use]
    pub fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.borrow())
    }

    /// Follows the published states.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Current>> {
        self.current.subscribe()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic in a check or a merge leaves the samples intact.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::fixture::{Feed, at, cpu, sample};

    #[test]
    fn readers_see_whole_states_in_order() {
        let coordinator = Coordinator::new(Params::default());
        let mut published = coordinator.subscribe();
        assert!(coordinator.current().view.nodes.is_empty());
        let mut feed = Feed::new("c", "pve1");
        for second in [0, 10] {
            let update = feed.update(vec![sample(second, cpu(1.0, 9.0))]);
            coordinator
                .live()
                .append(&feed.described, update, at(second));
        }
        // What was appended is not shown before it was judged.
        assert!(coordinator.current().view.nodes.is_empty());
        let current = coordinator.evaluate(at(11));
        assert!(published.has_changed().unwrap());
        assert!(Arc::ptr_eq(&current, &published.borrow_and_update()));
        assert_eq!(current.view.nodes.len(), 1);
        assert_eq!(current.agents[0].updates_total, 2);
        let cursor = coordinator.live().cursor(&feed.described);
        assert_eq!(cursor.map(|cursor| cursor.sequence), Some(2));
    }

    #[test]
    fn a_reader_does_not_wait_for_an_update_or_an_evaluation() {
        let coordinator = Coordinator::new(Params::default());
        coordinator.evaluate(at(0));
        let _ingest = coordinator.live();
        let _evaluation = lock(&coordinator.lifecycle);
        assert_eq!(coordinator.current().view.at, at(0));
    }
}
