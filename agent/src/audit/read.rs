//! Some records of those that are on the disk.

use std::io;

use super::{
    Audit, AuditError, Head, Problem, Record, files, io_error, record::Flaw, walk::first_line,
};

impl Audit {
    /// Records after a number, at most so many, oldest first; fewer when the ring let
    /// some of them go. It waits for the disk.
    ///
    /// # Errors
    /// When a file cannot be read, or is not as it was written.
    pub fn after(&self, sequence: u64, limit: usize) -> Result<Vec<Record>, AuditError> {
        let wanted = sequence.saturating_add(1);
        let (head, firsts) = {
            let view = self.view();
            if self.directory.is_none() {
                let records = view.records.iter();
                let records = records.filter(|record| record.sequence >= wanted);
                return Ok(records.take(limit).cloned().collect());
            }
            (view.head.clone(), view.firsts.clone())
        };
        let mut records = Vec::new();
        for (index, first) in firsts.iter().enumerate() {
            let next = firsts.get(index.saturating_add(1));
            // All of it is older, or newer than what was written when this began.
            if next.is_some_and(|next| *next <= wanted) || *first > head.sequence {
                continue;
            }
            if records.len() >= limit {
                break;
            }
            self.read_file(*first, wanted, &head, limit, &mut records)?;
        }
        Ok(records)
    }

    fn read_file(
        &self,
        first: u64,
        wanted: u64,
        head: &Head,
        limit: usize,
        records: &mut Vec<Record>,
    ) -> Result<(), AuditError> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let bytes = match files::read(directory, first) {
            Ok(bytes) => bytes,
            // The ring let it go just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound && records.is_empty() => {
                return Ok(());
            }
            Err(error) => return Err(io_error("reading records")(error)),
        };
        let mut rest = bytes.as_slice();
        let mut number = 0_u64;
        while records.len() < limit
            && let Some((line, further)) = first_line(rest)
        {
            rest = further;
            let line_number = number.saturating_add(1);
            let sequence = first.saturating_add(number);
            number = line_number;
            if sequence < wanted {
                continue;
            }
            // What comes after the head is being written.
            if sequence > head.sequence {
                break;
            }
            let record = Record::parse(line)
                .and_then(|record| follows(record, sequence, records.last()))
                .map_err(|flaw| {
                    AuditError::Damaged(Problem {
                        file: files::name(first),
                        line: Some(line_number),
                        what: flaw.to_string(),
                    })
                })?;
            records.push(record);
        }
        Ok(())
    }
}

fn follows(record: Record, sequence: u64, before: Option<&Record>) -> Result<Record, Flaw> {
    if record.sequence != sequence {
        return Err(Flaw::Sequence {
            sequence: record.sequence,
            expected: sequence,
        });
    }
    match before {
        Some(before) if before.hash != record.previous => Err(Flaw::Previous { sequence }),
        _ => Ok(record),
    }
}
