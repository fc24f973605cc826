//! Files of pmxcfs that may be absent, and what is wrong with their lines.

use super::{CollectError, PMXCFS_FILE_LIMIT, Reading, pmxcfs};
use crate::{
    format::{
        FormatError,
        section_config::{self, SectionConfig},
        whole_lines,
    },
    host::SourceError,
};
use pvelens_proto::agent::v1::FailureKind;

/// Characters of one text; longer than what PVE takes for a name or a rule.
const TEXT_LIMIT: usize = 512;

/// Names of the nodes. Fails when pmxcfs is not there, so that the absence of
/// a file means something.
pub(super) fn nodes(reading: &Reading<'_>) -> Result<Vec<String>, CollectError> {
    reading
        .list("/etc/pve/nodes")
        .map_err(|error| pmxcfs::unread(reading, error))
}

/// The text of a file that may be absent or empty: PVE leaves an empty one when
/// the last section goes. One whose last line does not end is named and kept,
/// as PVE does. `found` is set when there is such a file, readable or not.
pub(super) fn text(reading: &mut Reading<'_>, path: &str, found: &mut bool) -> Option<String> {
    let text = match reading.read(path, PMXCFS_FILE_LIMIT) {
        Err(error) if error.is_not_found() => return None,
        result => {
            *found = true;
            reading.keep(result)?
        }
    };
    if !text.is_empty() {
        reading.keep(whole_lines(&text).map_err(|error| error.at(path)));
    }
    Some(text)
}

/// The sections of a text; lines that are none are named.
pub(super) fn sections<'a>(
    reading: &mut Reading<'_>,
    path: &str,
    text: &'a str,
) -> SectionConfig<'a> {
    let config = section_config::parse(text);
    name_malformed(reading, path, &config.malformed_lines);
    config
}

/// Names lines that are not in the format, never what stands there.
pub(super) fn name_malformed(reading: &mut Reading<'_>, path: &str, lines: &[u32]) {
    if let Some(first) = lines.first() {
        let detail = format!(
            "{} lines are not in the format, the first is line {first}",
            lines.len()
        );
        reading.fail(FormatError::malformed(detail).at(path));
    }
}

/// Names that not all of a file is carried, and cuts the list.
pub(super) fn bound<T>(reading: &mut Reading<'_>, path: &str, list: &mut Vec<T>, limit: usize) {
    if list.len() > limit {
        list.truncate(limit);
        reading.fail(too_many(path, limit));
    }
}

pub(super) fn too_many(path: &str, limit: usize) -> SourceError {
    SourceError::new(
        path,
        FailureKind::TooLarge,
        format!("more than {limit} entries; the rest is left out"),
    )
}

/// A text of bounded length.
pub(super) fn short(text: &str) -> String {
    text.chars().take(TEXT_LIMIT).collect()
}

/// As [`short`]; absent is empty.
pub(super) fn short_or_empty(text: Option<&str>) -> String {
    short(text.unwrap_or_default())
}
