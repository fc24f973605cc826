//! A sketch from its highest bin down, and which column has the next of its
//! numbers.

/// The bins of the extremes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) lowest: i32,
    pub(super) highest: i32,
}

impl Span {
    /// Bins between the two.
    pub(super) fn inside(self) -> usize {
        usize::try_from(self.highest - self.lowest - 1).unwrap_or(0)
    }

    pub(super) fn is_single(self) -> bool {
        self.lowest >= self.highest
    }
}

/// Columns of gaps, and after them those of counts.
const GAP_CLASSES: usize = 9;
const COUNT_CLASSES: usize = 9;
pub(super) const CLASSES: usize = GAP_CLASSES + COUNT_CLASSES;

/// What is still to come of a sketch, from the highest bin down. How large the
/// next gap or count may be tells which column it is in, so that each column has
/// what is alike; where there is no choice it is in none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    /// Bins inside of the span that are not passed yet.
    inner: u32,
    /// Of the places between the lowest bin and the last that was passed, those
    /// that are empty.
    empty: u32,
    /// Values beyond one in each bin.
    more: u32,
}

impl Walk {
    pub(super) fn of(count: u32, span: Span, inner: usize) -> Self {
        let inner = u32::try_from(inner).unwrap_or(u32::MAX);
        let inside = u32::try_from(span.inside()).unwrap_or(u32::MAX);
        Self {
            inner,
            empty: inside.saturating_sub(inner),
            more: count.saturating_sub(inner.saturating_add(2)),
        }
    }

    pub(super) fn gap_class(self) -> Option<usize> {
        let class = class(self.empty, self.inner + 1, GAP_CLASSES);
        (self.empty > 0).then_some(class)
    }

    pub(super) fn pass_gap(&mut self, gap: u32) {
        self.empty = self.empty.saturating_sub(gap);
        self.inner = self.inner.saturating_sub(1);
    }

    pub(super) fn count_class(self) -> Option<usize> {
        let class = GAP_CLASSES + class(self.more, self.inner + 2, COUNT_CLASSES);
        (self.more > 0).then_some(class)
    }

    pub(super) fn pass_count(&mut self, more: u32) {
        self.more = self.more.saturating_sub(more);
    }
}

/// By the ratio of what is left to what it is left for, in powers of two.
fn class(left: u32, among: u32, classes: usize) -> usize {
    let ratio = (4 + among.leading_zeros()).saturating_sub(left.leading_zeros());
    (ratio as usize).min(classes - 1)
}
