//! What keeps happening is said now and then.

use std::time::Duration;

use tokio::time::Instant;

/// Between two lines of the log.
const SILENCE: Duration = Duration::from_secs(60);

/// Says how often something happened, once a minute at most.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    said: Option<Instant>,
    times: u64,
}

impl Seldom {
    /// Counts one more time; gives the times since it was last said.
    pub(super) fn times(&mut self, now: Instant) -> Option<u64> {
        self.times = self.times.saturating_add(1);
        let quiet = self.said.is_some_and(|said| now < said + SILENCE);
        (!quiet).then(|| {
            self.said = Some(now);
            std::mem::take(&mut self.times)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_keeps_coming_is_named_once_a_minute() {
        let mut log = Seldom::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(log.times(start), Some(1));
        assert_eq!(log.times(after(1)), None);
        assert_eq!(log.times(after(59)), None);
        assert_eq!(log.times(after(60)), Some(3));
        assert_eq!(log.times(after(61)), None);
    }
}
