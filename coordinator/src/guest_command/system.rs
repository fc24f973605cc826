//! What a guest runs, as far as it decides what can be asked.

/// Operating systems that differ in their commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GuestSystem {
    Linux,
    Windows,
    Other,
    #[default]
    Unknown,
}
impl GuestSystem {
    #[must_use]
    pub fn of(os: &str) -> Self {
        let os = os.to_ascii_lowercase();
        if os.is_empty() {
            Self::Unknown
        } else if os.contains("windows") || os.starts_with("win") {
            Self::Windows
        } else if os.contains("bsd") {
            Self::Other
        } else {
            Self::Linux
        }
    }
}
