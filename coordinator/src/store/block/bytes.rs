//! Bytes and bits, in the order they are written.

use super::BlockError;

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], BlockError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(BlockError::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], BlockError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(BlockError::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, BlockError> {
        self.array().map(|[byte]| byte)
    }

    /// Seven bits a byte, the lowest first.
    pub(super) fn number(&mut self) -> Result<u64, BlockError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(BlockError::Damaged("a number has no end"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, BlockError> {
        self.number().map(unzigzag)
    }

    /// A number of things, not above a limit.
    pub(super) fn amount(&mut self, most: usize) -> Result<usize, BlockError> {
        amount(self.number()?, most)
    }

    pub(super) fn end(&self) -> Result<(), BlockError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(BlockError::Damaged("something follows the end"))
        }
    }
}

pub(super) fn amount(number: u64, most: usize) -> Result<usize, BlockError> {
    match usize::try_from(number) {
        Ok(amount) if amount <= most => Ok(amount),
        _ => Err(BlockError::Damaged("a number is beyond its limit")),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "seven bits and a mark are a byte"
)]
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_number(out, zigzag(number));
}

pub(super) fn put_amount(out: &mut Vec<u8>, amount: usize) {
    put_number(out, wide(amount));
}

/// 64 bits hold every size in memory.
pub(super) fn wide(amount: usize) -> u64 {
    u64::try_from(amount).unwrap_or(u64::MAX)
}

/// Small numbers stay small, whatever their sign.
pub(super) fn zigzag(number: i64) -> u64 {
    (number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned()
}

pub(super) fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// Bits, the lowest first. What is not a whole byte at the end is filled with
/// zeros.
#[derive(Debug)]
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    pending: u128,
    filled: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            pending: 0,
            filled: 0,
        }
    }

    /// The lowest bits of a value, at most 64.
    pub(super) fn put(&mut self, value: u64, bits: u32) {
        self.pending |= u128::from(value & mask(bits)) << self.filled;
        self.filled += bits;
        while self.filled >= 8 {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.out.push((self.pending & 0xff) as u8);
        self.pending >>= 8;
        self.filled = self.filled.saturating_sub(8);
    }

    pub(super) fn finish(mut self) {
        if self.filled > 0 {
            self.flush();
        }
    }
}

#[derive(Debug)]
pub(super) struct BitReader<'a> {
    rest: &'a [u8],
    pending: u128,
    filled: u32,
    /// Bits that were read.
    read: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            pending: 0,
            filled: 0,
            read: 0,
        }
    }

    /// At most 64 bits.
    #[expect(clippy::cast_possible_truncation, reason = "masked to 64 bits")]
    pub(super) fn bits(&mut self, bits: u32) -> Result<u64, BlockError> {
        self.fill();
        if self.filled < bits {
            return Err(BlockError::Short);
        }
        let value = self.pending as u64 & mask(bits);
        self.skip(bits);
        Ok(value)
    }

    /// The number of zeros before the next one, both read.
    pub(super) fn zeros(&mut self) -> Result<u32, BlockError> {
        self.fill();
        let zeros = self.pending.trailing_zeros();
        if zeros >= self.filled {
            return Err(BlockError::Short);
        }
        self.skip(zeros + 1);
        Ok(zeros)
    }

    /// Bytes that were begun.
    pub(super) fn bytes_read(&self) -> usize {
        self.read.div_ceil(8)
    }

    fn skip(&mut self, bits: u32) {
        self.pending = self.pending.checked_shr(bits).unwrap_or(0);
        self.filled = self.filled.saturating_sub(bits);
        self.read = self.read.saturating_add(bits as usize);
    }

    /// Has at least 64 bits at hand unless the end is near.
    fn fill(&mut self) {
        if self.filled >= 64 {
            return;
        }
        if let Some((next, rest)) = self.rest.split_first_chunk() {
            self.pending |= u128::from(u64::from_le_bytes(*next)) << self.filled;
            self.filled += 64;
            self.rest = rest;
            return;
        }
        while let Some((next, rest)) = self.rest.split_first() {
            self.pending |= u128::from(*next) << self.filled;
            self.filled += 8;
            self.rest = rest;
        }
    }
}

fn mask(bits: u32) -> u64 {
    u64::MAX
        .checked_shr(64_u32.saturating_sub(bits))
        .unwrap_or(0)
}
