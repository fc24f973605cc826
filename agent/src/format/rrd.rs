//! Files of RRDtool (`rrdtool-1.x@src/rrd_format.h`), as written on x86-64:
//! little endian, 8 bytes for `unsigned long`, `time_t` and `double`, fields
//! aligned to their size.

use super::FormatError;

const COOKIE: &[u8] = b"RRD\0";
const VERSIONS: &[&[u8]] = &[b"0003\0", b"0004\0", b"0005\0"];
/// Wrong where bytes or padding are another machine's.
const FLOAT_COOKIE: f64 = 8.642_135E130;

const STAT_HEAD: usize = 128;
const COLUMN: usize = 120;
const ARCHIVE: usize = 120;
const LIVE_HEAD: usize = 16;
const COLUMN_STATE: usize = 112;
const CELL_STATE: usize = 80;
const NAME: usize = 20;
const CELL: usize = 8;

const COLUMN_LIMIT: usize = 200;
const ARCHIVE_LIMIT: usize = 100;
const ROW_LIMIT: usize = 1_000_000;

/// A file that was checked against its length.
#[derive(Debug)]
pub struct File<'a> {
    /// Seconds since the epoch.
    pub updated: u32,
    /// Names of the columns.
    pub columns: Vec<&'a str>,
    pub archives: Vec<Archive<'a>>,
}

/// A ring of rows.
#[derive(Debug)]
pub struct Archive<'a> {
    /// `AVERAGE`, `MAX`, ...
    pub consolidation: &'a str,
    pub step_seconds: u32,
    pub rows: usize,
    columns: usize,
    newest_row: usize,
    cells: &'a [u8],
}

impl Archive<'_> {
    /// A value by age, row 0 is the oldest; `None` when it is unknown.
    #[must_use]
    pub fn value(&self, row: usize, column: usize) -> Option<f64> {
        let place = self
            .newest_row
            .checked_add(1)?
            .checked_add(row)?
            .checked_rem(self.rows)?
            .checked_mul(self.columns)?
            .checked_add(column)?
            .checked_mul(CELL)?;
        let in_range = row < self.rows && column < self.columns;
        let cell = self
            .cells
            .get(place..)?
            .first_chunk()
            .filter(|_| in_range)?;
        Some(f64::from_le_bytes(*cell)).filter(|value| value.is_finite())
    }

    /// When the step of the oldest row ended, if the file was updated then.
    #[must_use]
    pub fn first(&self, updated: u32) -> i64 {
        let newest = updated.saturating_sub(updated.checked_rem(self.step_seconds).unwrap_or(0));
        let rows = i64::try_from(self.rows).unwrap_or(i64::MAX);
        i64::from(newest).saturating_sub(
            rows.saturating_sub(1)
                .saturating_mul(i64::from(self.step_seconds)),
        )
    }
}

/// Reads a file.
///
/// # Errors
/// When it is no file of RRDtool, or shorter than it says.
pub fn parse(bytes: &[u8]) -> Result<File<'_>, FormatError> {
    let mut rest = Bytes(bytes);
    let head = rest.take(STAT_HEAD)?;
    let is_ours = head.slice(0, 4)? == COOKIE
        && VERSIONS.contains(&head.slice(4, 5)?)
        && head.float(16)?.to_bits() == FLOAT_COOKIE.to_bits();
    if !is_ours {
        return Err(FormatError::malformed("not an RRD file of this kind"));
    }
    let columns = head.count(24, COLUMN_LIMIT)?;
    let archives = head.count(32, ARCHIVE_LIMIT)?;
    let step = head.number(40)?;
    let mut names = Vec::with_capacity(columns);
    for _ in 0..columns {
        names.push(rest.take(COLUMN)?.name()?);
    }
    let mut definitions = Vec::with_capacity(archives);
    for _ in 0..archives {
        let definition = rest.take(ARCHIVE)?;
        let step_seconds = step
            .checked_mul(definition.number(32)?)
            .and_then(|step| u32::try_from(step).ok())
            .filter(|step| *step > 0)
            .ok_or_else(|| FormatError::malformed("a step out of range"))?;
        definitions.push((
            definition.name()?,
            definition.count(24, ROW_LIMIT)?,
            step_seconds,
        ));
    }
    let updated = u32::try_from(rest.take(LIVE_HEAD)?.number(0)?)
        .map_err(|_| FormatError::malformed("a time out of range"))?;
    // The limits keep these products small.
    rest.take(columns.saturating_mul(COLUMN_STATE))?;
    rest.take(columns.saturating_mul(archives).saturating_mul(CELL_STATE))?;
    let pointers = rest.take(archives.saturating_mul(CELL))?;
    let mut file = File {
        updated,
        columns: names,
        archives: Vec::with_capacity(archives),
    };
    for (index, (consolidation, rows, step_seconds)) in definitions.into_iter().enumerate() {
        let newest_row = pointers.count(index.saturating_mul(CELL), rows)?;
        let cells = rest.take(rows.saturating_mul(columns).saturating_mul(CELL))?;
        file.archives.push(Archive {
            consolidation,
            step_seconds,
            rows,
            columns,
            newest_row,
            cells: cells.0,
        });
    }
    Ok(file)
}

/// Bytes that may end too early.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Result<Self, FormatError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(ends)?;
        self.0 = rest;
        Ok(Self(taken))
    }

    fn slice(self, from: usize, length: usize) -> Result<&'a [u8], FormatError> {
        let rest = self.0.get(from..).ok_or_else(ends)?;
        rest.get(..length).ok_or_else(ends)
    }

    fn eight(self, from: usize) -> Result<[u8; CELL], FormatError> {
        let eight = self.0.get(from..).and_then(|rest| rest.first_chunk());
        eight.copied().ok_or_else(ends)
    }

    fn number(self, from: usize) -> Result<u64, FormatError> {
        self.eight(from).map(u64::from_le_bytes)
    }

    fn float(self, from: usize) -> Result<f64, FormatError> {
        self.eight(from).map(f64::from_le_bytes)
    }

    fn count(self, from: usize, limit: usize) -> Result<usize, FormatError> {
        usize::try_from(self.number(from)?)
            .ok()
            .filter(|count| *count <= limit)
            .ok_or_else(|| FormatError::malformed("a count out of range"))
    }

    /// A name that begins a record, up to its zero byte.
    fn name(self) -> Result<&'a str, FormatError> {
        let name = self.slice(0, NAME)?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(NAME);
        name.get(..end)
            .and_then(|name| std::str::from_utf8(name).ok())
            .filter(|name| !name.contains(char::is_control))
            .ok_or_else(|| FormatError::malformed("a name is no text"))
    }
}

fn ends() -> FormatError {
    FormatError::truncated("shorter than its head says")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A node of PVE 9 and a storage of PVE 8, made with `rrdtool create` and
    /// `rrdtool update`.
    const NODE9: &[u8] =
        include_bytes!("../../tests/fixtures/node/var/lib/rrdcached/db/pve-node-9.0/pve1");
    const STORAGE8: &[u8] =
        include_bytes!("../../tests/fixtures/node/var/lib/rrdcached/db/pve2-storage/pve1/local");

    /// Compares one archive with the text of its rows in `rrdtool dump`, which has
    /// eleven digits of each value.
    fn compare(file: &File<'_>, consolidation: &str, step: u32, dumped: &str) {
        let mut lines = dumped.lines();
        assert_eq!(lines.next(), Some(file.columns.join(" ").as_str()));
        let archive = file
            .archives
            .iter()
            .find(|a| a.consolidation == consolidation && a.step_seconds == step)
            .unwrap();
        let mut time = archive.first(file.updated);
        for row in 0..archive.rows {
            let (dumped_time, values) = lines.next().unwrap().split_once(": ").unwrap();
            assert_eq!(dumped_time.parse(), Ok(time));
            for (column, dumped) in values.split(' ').enumerate() {
                let dumped = Some(dumped.parse().unwrap()).filter(|value: &f64| !value.is_nan());
                let same = match (archive.value(row, column), dumped) {
                    (Some(value), Some(dumped)) => (value - dumped).abs() <= dumped.abs() * 1e-9,
                    (value, dumped) => value == dumped,
                };
                assert!(same, "row {row}, column {column}: {dumped:?}");
            }
            time += i64::from(step);
        }
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn values_are_those_that_rrdtool_shows() {
        let node = parse(NODE9).unwrap();
        let dumped = include_str!("../../tests/fixtures/rrd/node9-average-1800.txt");
        compare(&node, "AVERAGE", 1800, dumped);
        let dumped = include_str!("../../tests/fixtures/rrd/node9-max-21600.txt");
        compare(&node, "MAX", 21600, dumped);
        let storage = parse(STORAGE8).unwrap();
        let dumped = include_str!("../../tests/fixtures/rrd/storage8-average-10800.txt");
        compare(&storage, "AVERAGE", 10800, dumped);
    }

    #[test]
    fn what_is_cut_or_no_rrd_file_is_refused() {
        for length in 0..STORAGE8.len() {
            assert!(parse(&STORAGE8[..length]).is_err(), "{length}");
        }
        assert!(parse(&[b"\xff".as_slice(), STORAGE8].concat()).is_err());
        let mut many = STORAGE8.to_vec();
        many[24..32].fill(0xff);
        assert!(parse(&many).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail(changes in proptest::collection::vec((0..STORAGE8.len(), any::<u8>()), 0..20)) {
            let mut bytes = STORAGE8.to_vec();
            for (place, byte) in changes {
                bytes[place] = byte;
            }
            if let Ok(file) = parse(&bytes) {
                for archive in &file.archives {
                    for row in 0..archive.rows.min(99) {
                        let _ = (archive.value(row, 0), archive.first(file.updated));
                    }
                }
            }
        }
    }
}
