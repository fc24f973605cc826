//! Turns: work that nobody waits for leaves room for answers.
//!
//! Keeping what agents send and judging it takes most of the time of a coordinator of many
//! nodes. Both come to pass on half of the cores, one after the other where there are two.

use std::{sync::Arc, thread};

use tokio::{sync::Semaphore, task};

/// Who may work now, in the order of asking.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(cores.div_ceil(2))))
    }
}

impl Turns {
    /// Does what takes long or waits for the newest samples, in its turn. None = it did not come
    /// to an end.
    pub async fn take<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // Nobody closes it.
        let turn = Arc::clone(&self.0).acquire_owned().await.ok()?;
        let working = task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        working.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_defect_of_one_takes_no_turn_away() {
        let turns = Turns(Arc::new(Semaphore::new(1)));
        let broken = turns.take(|| assert!(Vec::<u8>::new().len() > 1, "a defect"));
        assert_eq!(broken.await, None);
        assert_eq!(turns.take(|| 7).await, Some(7));
    }
}
