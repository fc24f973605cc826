//! What only Windows has.

facts! {
    /// A driver, as the guest agent lists it.
    pub struct Driver {
        pub name: String,
        pub version: Option<String>,
        /// Since 1970.
        pub date_seconds: Option<i64>,
        /// `1af4:1041`, of a PCI device.
        pub device: Option<String>,
    }

    /// Part of the volume shadow copy service: a failed one breaks backups of
    /// applications.
    pub struct VssWriter {
        pub name: String,
        /// State by number: 1 is stable, 6 and above failed (`VSS_WRITER_STATE`).
        pub state: Option<u32>,
        pub state_text: Option<String>,
        pub last_error: Option<String>,
        pub failed: bool,
    }
}
