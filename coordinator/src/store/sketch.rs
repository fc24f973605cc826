//! A small summary of many values that answers quantiles within one percent.
//!
//! It is the DDSketch of Masson, Rim and Lee (VLDB 2019): values are counted in
//! bins whose bounds grow by a constant factor. Two sketches merge by adding
//! their counts, so it makes no difference in what order or in how many parts
//! the values came.

/// How far an answer may be from the true value, relative to it.
pub const RELATIVE_ERROR: f64 = 0.01;
/// Values nearer to zero than this count as zero.
pub const SMALLEST: f64 = 1e-9;
/// Bins of one sketch. Beyond it the lowest are put together.
pub const MOST_BINS: usize = 2048;

/// Ratio of the bounds of a bin.
const GROWTH: f64 = (1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR);
/// The exponent of the smallest value is above `-OFFSET`, so that the bins of
/// positive values begin at 1.
const OFFSET: i32 = 1037;
/// No finite value has a bin further from zero.
pub const FURTHEST_BIN: i32 = 36_600;

/// Values that fell together. Bins order as their values do: below zero are
/// those of negative values, zero is that of zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bin {
    pub index: i32,
    pub count: u32,
}

/// Bins that hold something, in ascending order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    bins: Vec<Bin>,
}

impl Sketch {
    /// A sketch of bins as another one had them; `None` unless they ascend, hold
    /// something, and are not too many.
    #[must_use]
    pub fn from_bins(bins: Vec<Bin>) -> Option<Self> {
        let ascend = bins.is_sorted_by(|one, next| one.index < next.index);
        let valid = |bin: &Bin| bin.count > 0 && bin.index.abs() <= FURTHEST_BIN;
        (ascend && bins.len() <= MOST_BINS && bins.iter().all(valid)).then_some(Self { bins })
    }

    #[must_use]
    pub fn bins(&self) -> &[Bin] {
        &self.bins
    }

    /// Number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.bins.iter().map(|bin| u64::from(bin.count)).sum()
    }

    /// Counts a value; one that is not finite is left out.
    pub fn add(&mut self, value: f64) {
        self.add_many(value, 1);
    }

    /// Counts a value that came so many times.
    pub fn add_many(&mut self, value: f64, count: u32) {
        if !value.is_finite() || count == 0 {
            return;
        }
        let index = bin_of(value);
        match self.bins.binary_search_by_key(&index, |bin| bin.index) {
            Ok(position) => {
                if let Some(bin) = self.bins.get_mut(position) {
                    bin.count = bin.count.saturating_add(count);
                }
            }
            Err(position) => {
                self.bins.insert(position, Bin { index, count });
                self.collapse();
            }
        }
    }

    /// Adds what another sketch counted.
    pub fn merge(&mut self, other: &Self) {
        let mut merged: Vec<Bin> = Vec::with_capacity(self.bins.len().max(other.bins.len()));
        let mut mine = self.bins.iter().peekable();
        let mut theirs = other.bins.iter().peekable();
        loop {
            let next = match (mine.peek(), theirs.peek()) {
                (Some(one), Some(two)) if one.index == two.index => {
                    let count = one.count.saturating_add(two.count);
                    let index = one.index;
                    mine.next();
                    theirs.next();
                    Bin { index, count }
                }
                (Some(one), Some(two)) => {
                    let lower = if one.index < two.index {
                        mine.next()
                    } else {
                        theirs.next()
                    };
                    let Some(bin) = lower else { break };
                    *bin
                }
                (Some(_), None) => {
                    merged.extend(mine.copied());
                    break;
                }
                (None, _) => {
                    merged.extend(theirs.copied());
                    break;
                }
            };
            merged.push(next);
        }
        self.bins = merged;
        self.collapse();
    }

    /// The value of the nearest rank, within [`RELATIVE_ERROR`]. It may lie
    /// outside of the values themselves by as much.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if !(0.0..=1.0).contains(&q) {
            return None;
        }
        let count = self.count();
        let rank = rank(q, count)?;
        let mut seen = 0;
        for bin in &self.bins {
            seen += u64::from(bin.count);
            if seen >= rank {
                return Some(value_of(bin.index));
            }
        }
        None
    }

    /// Puts the lowest bins together while there are too many. What remains does
    /// not depend on when that is done: always the highest bins, and in the
    /// lowest of them all that was below.
    fn collapse(&mut self) {
        let excess = self.bins.len().saturating_sub(MOST_BINS);
        if excess == 0 {
            return;
        }
        let below = self
            .bins
            .drain(..excess)
            .fold(0_u32, |sum, bin| sum.saturating_add(bin.count));
        if let Some(lowest) = self.bins.first_mut() {
            lowest.count = lowest.count.saturating_add(below);
        }
    }
}

/// From 1 to the count.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a ratio of a count, not below zero"
)]
fn rank(q: f64, count: u64) -> Option<u64> {
    let rank = (q * count as f64).ceil() as u64;
    (count > 0).then(|| rank.clamp(1, count))
}

/// The bin of a finite value.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a logarithm of a finite number to this base is small"
)]
#[must_use]
pub fn bin_of(value: f64) -> i32 {
    let size = value.abs();
    if size < SMALLEST {
        return 0;
    }
    let exponent = (size.ln() / GROWTH.ln()).ceil() as i32;
    let index = exponent.saturating_add(OFFSET).clamp(1, FURTHEST_BIN);
    if value < 0.0 { -index } else { index }
}

/// The value that is as far, relative to it, from one bound as from the other.
fn value_of(index: i32) -> f64 {
    if index == 0 {
        return 0.0;
    }
    let exponent = f64::from(index.abs() - OFFSET);
    let size = (exponent * GROWTH.ln()).exp() * (2.0 / (GROWTH + 1.0));
    size.min(f64::MAX).copysign(f64::from(index))
}

#[cfg(test)]
mod tests;
