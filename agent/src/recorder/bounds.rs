//! How much is written, and how fast.

use std::time::Duration;

/// Files of the ring.
const FILES: usize = 8;
/// Of the time before an emergency, at most.
pub(super) const BEFORE: Duration = Duration::from_secs(600);

/// Limits that follow from that of the whole ring. With the default of 8 MiB the
/// time before takes 2 MiB, and 192 KiB a minute fill the rest in half an hour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes of all files.
    pub(super) ring: usize,
    /// Bytes of one file.
    pub(super) file: usize,
    /// Bytes of the time before an emergency.
    pub(super) before: usize,
    /// Bytes that may be written at once, and then each minute.
    burst: usize,
    minute: usize,
}

impl Bounds {
    pub(super) fn of(ring: usize) -> Self {
        Self {
            ring,
            file: ring / FILES,
            before: ring / 4,
            burst: ring / 4 + ring / 8,
            minute: ring / 43,
        }
    }

    /// Files that there may be.
    pub(super) fn files(&self) -> usize {
        // Emergencies may be short, and each begins a file.
        2 * FILES
    }
}

/// What may still be written now. It also bounds emergencies that come and go.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: usize,
    since: Duration,
}

impl Budget {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            bytes: bounds.burst,
            since: Duration::ZERO,
        }
    }

    /// What there is at a time; the rest of a second is not lost.
    pub(super) fn at(&mut self, now: Duration, bounds: &Bounds) -> usize {
        let seconds = now.saturating_sub(self.since).as_secs();
        let earned = usize::try_from(seconds)
            .unwrap_or(usize::MAX)
            .saturating_mul(bounds.minute)
            / 60;
        if earned > 0 {
            self.since = now;
            self.bytes = self.bytes.saturating_add(earned).min(bounds.burst);
        }
        self.bytes
    }

    pub(super) fn spend(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_greedy_a_minute_has_its_bytes() {
        let bounds = Bounds::of(8 << 20);
        let mut budget = Budget::new(&bounds);
        let mut spent = 0;
        for second in 0..=600 {
            let bytes = budget.at(Duration::from_secs(second), &bounds);
            budget.spend(bytes);
            spent += bytes;
        }
        let most = bounds.burst + 10 * bounds.minute;
        assert!(spent <= most && spent > most * 9 / 10, "{spent} of {most}");
        assert!(bounds.minute < 200 << 10 && bounds.burst <= 3 << 20);
        // After a long calm there is one burst, not more.
        let later = budget.at(Duration::from_secs(1 << 40), &bounds);
        assert_eq!(later, bounds.burst);
        budget.spend(usize::MAX);
        assert_eq!(budget.at(Duration::from_secs(1 << 40), &bounds), 0);
    }
}
