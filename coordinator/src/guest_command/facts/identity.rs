//! Who a guest says that it is.

facts! {
    /// Of `/etc/os-release`, `systeminfo`, `uptime` or the guest agent.
    pub struct Identity {
        /// `debian`, `mswindows`.
        pub os_id: Option<String>,
        pub os_name: Option<String>,
        /// `12`, `22.04`, `2019`.
        pub version: Option<String>,
        /// `Debian GNU/Linux 12 (bookworm)`.
        pub pretty_name: Option<String>,
        /// Release of the kernel; of Windows the version with its build.
        pub kernel: Option<String>,
        pub architecture: Option<String>,
        pub hostname: Option<String>,
        pub uptime_seconds: Option<u64>,
        /// When it started, in the guest's own words and its own time zone.
        pub booted: Option<String>,
        pub users_logged_in: Option<u32>,
        pub time_zone: Option<String>,
    }

    /// The guest agent itself.
    pub struct GuestAgent {
        /// It answered. Only ever true: who does not answer has no output.
        pub answers: bool,
        pub version: Option<String>,
        pub commands_total: Option<u32>,
        /// What its configuration blocks, sorted by name.
        pub disabled_commands: Vec<String>,
        /// Programs can be started: `guest-exec` is there and not blocked.
        pub can_exec: Option<bool>,
    }

    /// Processors as the guest agent lists them.
    pub struct VirtualCpus {
        pub total: u32,
        pub online: u32,
    }
}
