//! Threads for tasks that may never end.
//!
//! Each task has a thread of its own. One that is not done in time is left behind:
//! it ends with the process, or, where the kernel does not let go of it, after it.
//! Tasks of one container come one after the other, so that a container whose file
//! systems hang takes two threads and no more.

use std::{
    collections::HashMap,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// Tasks that run at once.
const WIDTH: usize = 8;
/// Threads that are left behind before nothing more is begun. With those that run
/// fewer than `TasksMax=` of the unit.
const HANGING_LIMIT: usize = 24;
/// Of one container.
const HANGING_EACH: usize = 2;
/// Of a thread, which calls the kernel and little else.
const STACK: usize = 256 << 10;

pub(super) struct Task<T> {
    /// The container.
    pub(super) of: u32,
    pub(super) run: Box<dyn FnOnce() -> T + Send>,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended<T> {
    Done(T),
    Hangs,
    /// There was no time, or too much hung before.
    NotBegun,
}

/// Who runs them, for one request.
#[derive(Debug)]
pub(super) struct Crew {
    /// For one task.
    patience: Duration,
    /// Nothing is begun after this.
    end: Instant,
    hanging: HashMap<u32, usize>,
}

impl Crew {
    pub(super) fn new(patience: Duration, end: Instant) -> Self {
        Self {
            patience,
            end,
            hanging: HashMap::new(),
        }
    }

    /// Runs all tasks that can be, and says how each ended, in their order.
    pub(super) fn run<T: Send + 'static>(&mut self, tasks: Vec<Task<T>>) -> Vec<Ended<T>> {
        let mut ended: Vec<Ended<T>> = tasks.iter().map(|_| Ended::NotBegun).collect();
        let mut waiting: Vec<(usize, Task<T>)> = tasks.into_iter().enumerate().collect();
        let mut running: Vec<(usize, u32, Instant)> = Vec::new();
        let (sender, receiver) = mpsc::channel();
        loop {
            while running.len() < WIDTH && Instant::now() < self.end {
                let may_begin = |(_, task): &(usize, Task<T>)| {
                    self.may_begin(task.of) && running.iter().all(|(_, of, _)| *of != task.of)
                };
                let Some(next) = waiting.iter().position(may_begin) else {
                    break;
                };
                let (index, task) = waiting.remove(next);
                let sender = sender.clone();
                let begun = thread::Builder::new().stack_size(STACK).spawn(move || {
                    // Nobody waits for one that was left behind.
                    sender.send((index, (task.run)())).ok();
                });
                if begun.is_ok() {
                    running.push((index, task.of, Instant::now()));
                }
            }
            let Some((_, _, first)) = running.first() else {
                return ended;
            };
            let left = (*first + self.patience).saturating_duration_since(Instant::now());
            match receiver.recv_timeout(left) {
                Ok((index, result)) => {
                    running.retain(|(running, _, _)| *running != index);
                    if let Some(place) = ended.get_mut(index) {
                        *place = Ended::Done(result);
                    }
                }
                // It cannot be disconnected: a sender is held here.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let (index, of, _) = running.remove(0);
                    *self.hanging.entry(of).or_default() += 1;
                    if let Some(place) = ended.get_mut(index) {
                        *place = Ended::Hangs;
                    }
                }
            }
        }
    }

    fn may_begin(&self, of: u32) -> bool {
        self.hanging
            .get(&of)
            .is_none_or(|count| *count < HANGING_EACH)
            && self.hanging.values().sum::<usize>() < HANGING_LIMIT
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);

    fn crew(patience: Duration) -> Crew {
        Crew::new(patience, Instant::now() + LONG)
    }

    fn quick(of: u32, value: u32) -> Task<u32> {
        let run = Box::new(move || value);
        Task { of, run }
    }

    /// Hangs for as long as the lock is held.
    fn hanging(of: u32, lock: &Arc<Mutex<()>>) -> Task<u32> {
        let lock = Arc::clone(lock);
        let run = Box::new(move || {
            drop(lock.lock().unwrap_or_else(PoisonError::into_inner));
            0
        });
        Task { of, run }
    }

    #[test]
    fn every_task_is_done_and_keeps_its_place() {
        let tasks = (0..100).map(|n| quick(n % 7, n)).collect();
        let done: Vec<_> = (0..100).map(Ended::Done).collect();
        assert_eq!(crew(LONG).run(tasks), done);
        assert_eq!(crew(LONG).run(Vec::<Task<u32>>::new()), []);
    }

    #[test]
    fn one_that_hangs_costs_itself() {
        let lock = Arc::new(Mutex::new(()));
        let held = lock.lock().unwrap();
        let tasks = vec![quick(1, 1), hanging(1, &lock), quick(1, 3), quick(2, 4)];
        let ended = crew(SHORT).run(tasks);
        drop(held);
        assert_eq!(
            ended,
            [Ended::Done(1), Ended::Hangs, Ended::Done(3), Ended::Done(4)]
        );
    }

    #[test]
    fn who_hangs_twice_is_left_and_the_others_are_not() {
        let lock = Arc::new(Mutex::new(()));
        let held = lock.lock().unwrap();
        let mut tasks: Vec<_> = (0..4).map(|_| hanging(1, &lock)).collect();
        tasks.push(quick(2, 5));
        let mut crew = crew(SHORT);
        let ended = crew.run(tasks);
        assert_eq!(
            ended,
            [
                Ended::Hangs,
                Ended::Hangs,
                Ended::NotBegun,
                Ended::NotBegun,
                Ended::Done(5)
            ]
        );
        // Remembered from one round to the next.
        let again = crew.run(vec![quick(1, 1), quick(2, 2)]);
        drop(held);
        assert_eq!(again, [Ended::NotBegun, Ended::Done(2)]);
    }

    #[test]
    fn many_that_hang_end_the_work() {
        let lock = Arc::new(Mutex::new(()));
        let held = lock.lock().unwrap();
        let tasks: Vec<_> = (0..60).map(|n| hanging(n, &lock)).collect();
        let ended = crew(SHORT).run(tasks);
        drop(held);
        let hang = ended.iter().filter(|each| **each == Ended::Hangs).count();
        assert!(
            (HANGING_LIMIT..HANGING_LIMIT + WIDTH).contains(&hang),
            "{hang}"
        );
    }

    #[test]
    fn after_the_end_nothing_is_begun() {
        let mut crew = Crew::new(LONG, Instant::now());
        assert_eq!(crew.run(vec![quick(1, 1)]), [Ended::NotBegun]);
    }
}
