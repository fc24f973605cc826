//! Numbers as integers on a scale that is theirs: what was rounded, or counts
//! whole pages, has few digits, and is small when it is counted in them.
//!
//! A scale is only taken when every number comes back with the same bits.

use super::BlockError;

const MOST_DECIMALS: u8 = 7;
const BITS: u8 = 8;
const BINARY: i16 = 99;
const LEAST_EXPONENT: i16 = -28;
const MOST_EXPONENT: i16 = 26;

const MANTISSA_BITS: u32 = 52;

/// What one step of the integers is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Ten to the minus.
    Decimal(u8),
    /// Two to the power.
    Binary(i16),
    /// The bits of the number themselves, without so many at the end. Any number
    /// has this one; it is logarithmic.
    Bits(u8),
}

/// The scales on which all the numbers have integers.
pub(super) fn scales(numbers: &[f64]) -> Vec<Scale> {
    let mut zeros = 62;
    let mut lowest = MOST_EXPONENT;
    for number in numbers.iter().filter(|number| number.to_bits() != 0) {
        zeros = zeros.min(magnitude(*number).trailing_zeros());
        lowest = lowest.min(lowest_exponent(*number));
    }
    let mut scales = vec![Scale::Bits(u8::try_from(zeros).unwrap_or(0))];
    let fits = |scale: &Scale| {
        numbers
            .iter()
            .all(|number| scale.integer(*number).is_some())
    };
    scales.extend(
        Some(Scale::Binary(lowest)).filter(|scale| lowest >= LEAST_EXPONENT && fits(scale)),
    );
    if lowest < 0 {
        scales.extend((1..=MOST_DECIMALS).map(Scale::Decimal).find(fits));
    }
    scales
}

impl Scale {
    /// From 0 to 125.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the exponent is within its limits"
    )]
    pub(super) fn tag(self) -> u8 {
        match self {
            Self::Decimal(digits) => digits,
            Self::Bits(zeros) => BITS + zeros,
            Self::Binary(exponent) => (BINARY + exponent) as u8,
        }
    }

    pub(super) fn from_tag(tag: u8) -> Result<Self, BlockError> {
        match tag {
            0..=MOST_DECIMALS => Ok(Self::Decimal(tag)),
            BITS..=70 => Ok(Self::Bits(tag - BITS)),
            71..=125 => Ok(Self::Binary(i16::from(tag) - BINARY)),
            _ => Err(BlockError::Damaged("an unknown scale")),
        }
    }

    /// Whether sums of the integers are those of the numbers.
    pub(super) fn is_linear(self) -> bool {
        !matches!(self, Self::Bits(_))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the number is compared with what comes back"
    )]
    pub(super) fn integer(self, number: f64) -> Option<i64> {
        match self {
            Self::Decimal(digits) => {
                let integer = (number * ten(digits)).round();
                let integer = (integer.abs() < LARGEST).then_some(integer as i64)?;
                (self.number(integer).to_bits() == number.to_bits()).then_some(integer)
            }
            Self::Binary(_) if number.to_bits() == 0 => Some(0),
            Self::Binary(exponent) => {
                let integer = number / two(exponent);
                // Dividing by a power of two is exact.
                let exact = integer.abs() < 4e18 && integer.fract() == 0.0 && integer != 0.0;
                exact.then_some(integer as i64)
            }
            Self::Bits(zeros) => {
                let kept = (magnitude(number) >> zeros).cast_signed();
                let integer = if number.is_sign_negative() {
                    !kept
                } else {
                    kept
                };
                (self.number(integer).to_bits() == number.to_bits()).then_some(integer)
            }
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "what was an integer on this scale has no more digits"
    )]
    pub(super) fn number(self, integer: i64) -> f64 {
        match self {
            Self::Decimal(digits) => integer as f64 / ten(digits),
            Self::Binary(exponent) => integer as f64 * two(exponent),
            Self::Bits(zeros) if integer < 0 => {
                -f64::from_bits((!integer).cast_unsigned() << zeros & i64::MAX.cast_unsigned())
            }
            Self::Bits(zeros) => {
                f64::from_bits(integer.cast_unsigned() << zeros & i64::MAX.cast_unsigned())
            }
        }
    }

    /// How many steps of a linear scale a number is, with what is over.
    pub(super) fn fraction(self, number: f64) -> f64 {
        match self {
            Self::Decimal(digits) => number * ten(digits),
            Self::Binary(exponent) => number / two(exponent),
            Self::Bits(_) => number,
        }
    }

    /// The number of an integer that may not be one of ours.
    pub(super) fn checked_number(self, integer: i64) -> Result<f64, BlockError> {
        let number = self.number(integer);
        if number.is_finite() {
            Ok(number)
        } else {
            Err(BlockError::NotFinite)
        }
    }
}

/// Integers up to here are exact.
pub(super) const LARGEST: f64 = 9_007_199_254_740_992.0;

fn ten(digits: u8) -> f64 {
    [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7]
        .get(usize::from(digits))
        .copied()
        .unwrap_or(1.0)
}

fn two(exponent: i16) -> f64 {
    // Faster than raising it: the exponent is within its limits.
    f64::from_bits(u64::from(exponent.saturating_add(1023).unsigned_abs()) << MANTISSA_BITS)
}

fn magnitude(number: f64) -> u64 {
    number.abs().to_bits()
}

/// The power of two of the lowest bit that is set; very low for what has none.
fn lowest_exponent(number: f64) -> i16 {
    let bits = magnitude(number);
    let exponent = i16::try_from(bits >> MANTISSA_BITS).unwrap_or(0);
    if exponent == 0 {
        return i16::MIN;
    }
    let zeros = bits.trailing_zeros().min(MANTISSA_BITS);
    exponent - 1075 + i16::try_from(zeros).unwrap_or(0)
}

#[cfg(test)]
mod tests;
