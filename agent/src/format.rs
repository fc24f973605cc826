//! Formats that several collectors share, and what can be wrong with them.

use pvelens_proto::agent::v1::FailureKind;

use crate::host::SourceError;

pub mod corosync_conf;
pub mod figure;
pub mod free_text;
pub mod guest_config;
pub mod loose;
pub mod package_index;
pub mod plain;
pub mod property_string;
pub mod rrd;
pub mod section_config;
pub mod settings;
pub mod upid;
pub mod url_host;

/// Text that is not in the expected format. Carries no content of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct FormatError {
    kind: FailureKind,
    detail: String,
}

impl FormatError {
    /// Not the expected format.
    #[must_use]
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Malformed,
            detail: detail.into(),
        }
    }

    /// Empty, or ends in the middle of a record.
    #[must_use]
    pub fn truncated(detail: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Truncated,
            detail: detail.into(),
        }
    }

    /// The failure of the file it was read from.
    #[must_use]
    pub fn at(self, path: &str) -> SourceError {
        SourceError::new(path, self.kind, self.detail)
    }
}

/// Checks that a text of lines is whole: the kernel and pmxcfs end every line
/// with a newline, so a missing one means that the end is missing.
///
/// # Errors
/// When the text is empty or its last line does not end.
pub fn whole_lines(text: &str) -> Result<&str, FormatError> {
    if text.is_empty() {
        Err(FormatError::truncated("empty"))
    } else if text.ends_with('\n') {
        Ok(text)
    } else {
        Err(FormatError::truncated("the last line does not end"))
    }
}

/// Values of a text of `key value` lines, looked up by key.
#[derive(Debug)]
pub struct KeyValues<'a>(std::collections::HashMap<&'a str, &'a str>);

impl<'a> KeyValues<'a> {
    /// Splits every line at white space; a colon after the key is dropped.
    ///
    /// # Errors
    /// As [`whole_lines`].
    pub fn parse(text: &'a str) -> Result<Self, FormatError> {
        Ok(Self(
            whole_lines(text)?
                .lines()
                .filter_map(|line| {
                    let mut words = line.split_whitespace();
                    Some((words.next()?.trim_end_matches(':'), words.next()?))
                })
                .collect(),
        ))
    }

    /// The number of a key that may be absent.
    ///
    /// # Errors
    /// When it is there and not a number.
    pub fn optional(&self, key: &str) -> Result<Option<u64>, FormatError> {
        self.0
            .get(key)
            .map(|value| value.parse())
            .transpose()
            .map_err(|_| FormatError::malformed(format!("{key} is not a number")))
    }

    /// The number of a key that must be there.
    ///
    /// # Errors
    /// When it is missing, which means that the text was cut, or not a number.
    pub fn required(&self, key: &str) -> Result<u64, FormatError> {
        self.optional(key)?
            .ok_or_else(|| FormatError::truncated(format!("{key} is missing")))
    }
}
