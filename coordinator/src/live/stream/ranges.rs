//! A bounded set of sequence numbers.

use serde::{Deserialize, Serialize};

/// Ranges at most. An agent's numbers have a gap only where it dropped updates
/// before they were read.
const RANGES: usize = 64;

/// Sequence numbers that were kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::live) struct Ranges {
    /// Sorted, without overlap, never adjacent; both ends included.
    ranges: Vec<(u64, u64)>,
    /// Up to here numbers count as kept: the ranges below were given up.
    floor: Option<u64>,
    given_up: u64,
}

impl Ranges {
    /// Adds the number; false when it is among them.
    pub(in crate::live) fn insert(&mut self, number: u64) -> bool {
        if self.floor.is_some_and(|floor| number <= floor) {
            return false;
        }
        let after = self.ranges.partition_point(|(first, _)| *first <= number);
        let before = after.checked_sub(1);
        let ends = before.and_then(|before| self.ranges.get(before));
        let ends = ends.map(|(_, last)| *last);
        if ends.is_some_and(|last| last >= number) {
            return false;
        }
        // Neither sum overflows: a range ends below the number, another begins above.
        let follows = ends.is_some_and(|last| last + 1 == number);
        let precedes = self
            .ranges
            .get(after)
            .is_some_and(|(first, _)| number + 1 == *first);
        match (before.filter(|_| follows), precedes) {
            (Some(before), true) => {
                let (_, last) = self.ranges.remove(after);
                self.ranges[before].1 = last;
            }
            (Some(before), false) => self.ranges[before].1 = number,
            (None, true) => self.ranges[after].0 = number,
            (None, false) => self.ranges.insert(after, (number, number)),
        }
        if self.ranges.len() > RANGES {
            let (_, last) = self.ranges.remove(0);
            self.floor = Some(last);
            self.given_up = self.given_up.saturating_add(1);
        }
        true
    }

    pub(in crate::live) fn last(&self) -> Option<u64> {
        self.ranges.last().map(|(_, last)| *last)
    }

    pub(in crate::live) fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    /// Ranges that are not remembered any more.
    pub(in crate::live) fn given_up(&self) -> u64 {
        self.given_up
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn of(numbers: &[u64]) -> Ranges {
        let mut ranges = Ranges::default();
        for number in numbers {
            ranges.insert(*number);
        }
        ranges
    }

    #[test]
    fn numbers_that_meet_are_one_range() {
        assert_eq!(of(&[5, 7, 6, 6, 1]).ranges(), [(1, 1), (5, 7)]);
        let ends = of(&[u64::MAX, 0, u64::MAX - 1, 1]);
        assert_eq!(ends.ranges(), [(0, 1), (u64::MAX - 1, u64::MAX)]);
    }

    #[test]
    fn the_oldest_range_is_given_up_and_counts_as_kept() {
        let odd: Vec<u64> = (0..100).map(|number| 2 * number + 1).collect();
        let mut ranges = of(&odd);
        assert_eq!((ranges.ranges().len(), ranges.given_up()), (64, 36));
        assert_eq!(ranges.last(), Some(199));
        assert!(!ranges.insert(10) && !ranges.insert(71));
        assert!(ranges.insert(72));
    }

    proptest! {
        #[test]
        fn a_number_is_added_once(numbers in prop::collection::vec(0_u64..120, 0..400)) {
            let mut ranges = Ranges::default();
            let mut known = BTreeSet::new();
            for number in numbers {
                prop_assert_eq!(ranges.insert(number), known.insert(number));
            }
            let listed: Vec<u64> = ranges.ranges().iter().flat_map(|(first, last)| *first..=*last).collect();
            prop_assert_eq!(listed, known.into_iter().collect::<Vec<_>>());
            prop_assert!(ranges.ranges().is_sorted_by(|a, b| a.1 + 1 < b.0));
        }
    }
}
