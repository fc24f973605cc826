//! A column of integers, in the smallest of a few forms.
//!
//! Long columns are left to pco, which finds how the values are distributed. Its
//! description of that takes some thirty bytes, more than a short column has, so
//! those are packed by the bits of their largest value, or coded by size when
//! most are near zero (Exp-Golomb).
//!
//! The reader knows how many values there are. What pco is given was checked
//! against a checksum, and its own tests promise an error rather than a panic for
//! anything else; forms that allocate by what they declare are refused before.

use pco::{
    ChunkConfig, DeltaSpec, ModeSpec,
    data_types::Number,
    metadata::{DeltaEncoding, Mode},
    wrapped::{FileCompressor, FileDecompressor},
};

use super::{
    BlockError,
    bytes::{BitReader, BitWriter, Reader, put_number},
};

/// Format of pco that this version of blocks has.
const PCO_FORMAT: [u8; 2] = [4, 1];
/// A column with fewer values is not worth a description.
const PCO_LEAST: usize = 24;

const ZERO: u8 = 0;
const SAME: u8 = 1;
/// Plus the bits of each value, from 1 to 64.
const PACKED: u8 = 1;
/// Plus the order of the code.
const SIZED: u8 = 66;
const SIZED_ORDERS: u32 = 24;
/// Largest value that is coded by size.
const SIZED_MOST: u64 = 1 << 40;
const PCO_8: u8 = 100;
const PCO_16: u8 = 101;
const PCO_32: u8 = 102;
const PCO_64: u8 = 103;

/// Bits of a value.
pub(super) fn size(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

/// How the values would be written without pco.
#[derive(Debug, Clone, Copy)]
enum Plain {
    Same(u64),
    Packed { base: u64, bits: u32 },
    Sized { order: u32 },
}

/// Bytes that the column takes, roughly.
pub(super) fn estimate(values: &[u64]) -> usize {
    plain(values).map_or(0, |(_, bytes)| bytes)
}

/// Writes a column; nothing for no values.
pub(super) fn put(out: &mut Vec<u8>, values: &[u64]) -> Result<(), BlockError> {
    let Some((plain, bytes)) = plain(values) else {
        return Ok(());
    };
    if values.len() >= PCO_LEAST && bytes > PCO_LEAST {
        let compressed = compress(values)?;
        if compressed.len() < bytes {
            out.extend_from_slice(&compressed);
            return Ok(());
        }
    }
    put_plain(out, values, plain);
    Ok(())
}

/// Reads a column. The caller has bounded the count.
pub(super) fn take(reader: &mut Reader<'_>, count: usize) -> Result<Vec<u64>, BlockError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let form = reader.byte()?;
    match form {
        ZERO => Ok(vec![0; count]),
        SAME => Ok(vec![reader.number()?; count]),
        2..=65 => {
            let bits = u32::from(form - PACKED);
            let base = reader.number()?;
            let length = count
                .checked_mul(usize::from(form - PACKED))
                .ok_or(BlockError::Short)?
                .div_ceil(8);
            let mut packed = BitReader::new(reader.take(length)?);
            (0..count)
                .map(|_| Ok(packed.bits(bits)?.wrapping_add(base)))
                .collect()
        }
        66..=89 => take_sized(reader, count, u32::from(form - SIZED)),
        PCO_8 => decompress::<u8>(reader, count),
        PCO_16 => decompress::<u16>(reader, count),
        PCO_32 => decompress::<u32>(reader, count),
        PCO_64 => decompress::<u64>(reader, count),
        _ => Err(BlockError::Damaged("a column has an unknown form")),
    }
}

/// The best form without pco, and its bytes.
fn plain(values: &[u64]) -> Option<(Plain, usize)> {
    let (lowest, highest) = values
        .iter()
        .fold((u64::MAX, 0), |(lowest, highest), value| {
            (lowest.min(*value), highest.max(*value))
        });
    if values.is_empty() {
        return None;
    }
    if highest == 0 {
        return Some((Plain::Same(0), 1));
    }
    if lowest == highest {
        return Some((Plain::Same(lowest), 1 + number_bytes(lowest)));
    }
    let bits = size(highest - lowest);
    let packed = (bits as usize).saturating_mul(values.len()).div_ceil(8);
    let mut best = (
        Plain::Packed { base: lowest, bits },
        1 + number_bytes(lowest) + packed,
    );
    if highest < SIZED_MOST {
        // The best order is near the size of the middle value.
        let mut sizes = [0_usize; 65];
        for value in values {
            if let Some(seen) = sizes.get_mut(size(*value) as usize) {
                *seen += 1;
            }
        }
        let mut below = 0;
        let middle = sizes.iter().position(|seen| {
            below += seen;
            below * 2 >= values.len()
        });
        let middle = u32::try_from(middle.unwrap_or(0)).unwrap_or(0);
        for order in middle.saturating_sub(2)..(middle + 1).min(SIZED_ORDERS) {
            let bits: usize = values
                .iter()
                .map(|value| (2 * size((value >> order) + 1) - 1 + order) as usize)
                .sum();
            let bytes = 1 + bits.div_ceil(8);
            if bytes < best.1 {
                best = (Plain::Sized { order }, bytes);
            }
        }
    }
    Some(best)
}

fn number_bytes(number: u64) -> usize {
    size(number).max(1).div_ceil(7) as usize
}

#[expect(clippy::cast_possible_truncation, reason = "forms are small numbers")]
fn put_plain(out: &mut Vec<u8>, values: &[u64], plain: Plain) {
    match plain {
        Plain::Same(0) => out.push(ZERO),
        Plain::Same(value) => {
            out.push(SAME);
            put_number(out, value);
        }
        Plain::Packed { base, bits } => {
            out.push(PACKED + bits as u8);
            put_number(out, base);
            let mut packed = BitWriter::new(out);
            for value in values {
                packed.put(value - base, bits);
            }
            packed.finish();
        }
        Plain::Sized { order } => {
            out.push(SIZED + order as u8);
            let mut sized = BitWriter::new(out);
            for value in values {
                let upper = (value >> order) + 1;
                let more = size(upper) - 1;
                sized.put(1 << more, more + 1);
                sized.put(upper, more);
                sized.put(*value, order);
            }
            sized.finish();
        }
    }
}

fn take_sized(reader: &mut Reader<'_>, count: usize, order: u32) -> Result<Vec<u64>, BlockError> {
    let mut sized = BitReader::new(reader.rest());
    // A value takes a bit at least.
    if count.div_ceil(8) > reader.rest().len() {
        return Err(BlockError::Short);
    }
    let values = (0..count)
        .map(|_| {
            let more = sized.zeros()?;
            if more > 40 {
                return Err(BlockError::Damaged("a value is beyond its limit"));
            }
            let upper = (1 << more | sized.bits(more)?) - 1;
            Ok(upper << order | sized.bits(order)?)
        })
        .collect::<Result<_, _>>()?;
    reader.take(sized.bytes_read())?;
    Ok(values)
}

#[expect(clippy::cast_possible_truncation, reason = "none is above the highest")]
fn compress(values: &[u64]) -> Result<Vec<u8>, BlockError> {
    let highest = values.iter().copied().max().unwrap_or(0);
    match size(highest) {
        0..=8 => compress_as(PCO_8, values.iter().map(|value| *value as u8).collect()),
        9..=16 => compress_as(PCO_16, values.iter().map(|value| *value as u16).collect()),
        17..=32 => compress_as(PCO_32, values.iter().map(|value| *value as u32).collect()),
        _ => compress_as(PCO_64, values.to_vec()),
    }
}

fn compress_as<T: Number>(form: u8, values: Vec<T>) -> Result<Vec<u8>, BlockError> {
    let config = ChunkConfig::default()
        .with_mode_spec(ModeSpec::Classic)
        .with_delta_spec(DeltaSpec::NoOp)
        .with_enable_8_bit(true);
    let mut chunk = FileCompressor::default()
        .chunk_compressor(&values, &config)
        .map_err(BlockError::Column)?;
    let out = chunk.write_meta(vec![form]).map_err(BlockError::Column)?;
    chunk.write_page(0, out).map_err(BlockError::Column)
}

fn decompress<T: Number + Default + Into<u64>>(
    reader: &mut Reader<'_>,
    count: usize,
) -> Result<Vec<u64>, BlockError> {
    const UNUSED: BlockError = BlockError::Damaged("a column has a form that is never written");
    let (file, _) = FileDecompressor::new(PCO_FORMAT.as_slice()).map_err(BlockError::Column)?;
    // The lowest four bits are the mode. A dictionary would be allocated before
    // it is read.
    if reader.rest().first().is_none_or(|first| first & 0x0f != 0) {
        return Err(UNUSED);
    }
    let (mut chunk, rest) = file
        .chunk_decompressor::<T, _>(reader.rest())
        .map_err(BlockError::Column)?;
    if !matches!(chunk.meta().mode, Mode::Classic)
        || !matches!(chunk.meta().delta_encoding, DeltaEncoding::NoOp)
    {
        return Err(UNUSED);
    }
    let mut values = vec![T::default(); count];
    let mut page = chunk
        .page_decompressor(rest, count)
        .map_err(BlockError::Column)?;
    page.read(&mut values).map_err(BlockError::Column)?;
    *reader = Reader::new(page.into_src());
    Ok(values.into_iter().map(Into::into).collect())
}

#[cfg(test)]
mod tests;
