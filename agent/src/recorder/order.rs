//! What the thread that writes is told.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;

use super::{record::Mark, sign::Sign};

/// Orders that wait while a disk hangs. Only those with a mark are kept apart, and
/// between two of them lie minutes.
const WAITING: usize = 32;

/// To bring the record up to an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    /// When the emergency began, by which it is known.
    pub(super) emergency: Timestamp,
    pub(super) at: Timestamp,
    /// By a clock that only goes forward.
    pub(super) now: Duration,
    pub(super) mark: Option<Mark>,
    /// All signs so far, sorted.
    pub(super) signs: Vec<Sign>,
    /// Sequence of the newest update.
    pub(super) until: u64,
    pub(super) pace: Pace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    Full,
    Slow,
}

impl Order {
    pub(super) fn words(&self) -> String {
        let words: Vec<&str> = self.signs.iter().map(|sign| sign.words()).collect();
        words.join(", ")
    }
}

#[derive(Debug, Default)]
pub(super) struct Orders {
    /// A thread works on them.
    pub(super) in_flight: bool,
    waiting: VecDeque<Order>,
}

impl Orders {
    /// Adds one. It takes the place of one before it that has no mark of its own:
    /// it covers the same.
    pub(super) fn add(&mut self, order: Order) {
        if self
            .waiting
            .back()
            .is_some_and(|last| last.mark.is_none() && last.emergency == order.emergency)
        {
            self.waiting.pop_back();
        }
        if self.waiting.len() >= WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(order);
    }

    pub(super) fn next(&mut self) -> Option<Order> {
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(mark: Option<Mark>, until: u64) -> Order {
        Order {
            emergency: Timestamp::UNIX_EPOCH,
            at: Timestamp::UNIX_EPOCH,
            now: Duration::ZERO,
            mark,
            signs: Vec::new(),
            until,
            pace: Pace::Full,
        }
    }

    #[test]
    fn while_a_disk_hangs_orders_neither_pile_up_nor_lose_their_marks() {
        let mut orders = Orders::default();
        orders.add(order(Some(Mark::Began), 1));
        for until in 2..1000 {
            orders.add(order(None, until));
        }
        orders.add(order(Some(Mark::Ended), 1000));
        let got: Vec<_> = std::iter::from_fn(|| orders.next())
            .map(|order| (order.mark, order.until))
            .collect();
        assert_eq!(got, [(Some(Mark::Began), 1), (Some(Mark::Ended), 1000)]);
        for until in 0..1000 {
            orders.add(order(Some(Mark::Began), until));
        }
        assert_eq!(std::iter::from_fn(|| orders.next()).count(), WAITING);
    }
}
