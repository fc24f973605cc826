//! Units, services of Windows and containers in a guest.

facts! {
    /// Services and what became of them.
    pub struct Units {
        /// Names of those that failed, sorted. Empty and understood = none did,
        /// as far as the command looks.
        pub failed: Vec<String>,
        /// `running`, `degraded`, `maintenance`, `starting`.
        pub system_state: Option<String>,
        /// Failed ones first.
        pub units: Vec<Unit>,
        /// The command lists all of them: what is not in `failed` did not fail.
        pub is_complete: bool,
        pub running: Option<u32>,
        pub stopped: Option<u32>,
    }

    /// One unit of systemd or `OpenRC`, or one service of Windows.
    pub struct Unit {
        pub name: String,
        pub description: Option<String>,
        /// `loaded`, `not-found`, `masked`.
        pub load: Option<String>,
        /// `active`, `inactive`, `failed`, `activating`; for Windows and `OpenRC` in
        /// the words of systemd.
        pub active: Option<String>,
        /// `running`, `dead`, `auto-restart`, ...; of the others their own word.
        pub sub: Option<String>,
        /// `success`, `exit-code`, `signal`, `oom-kill`, `start-limit-hit`, ...
        pub result: Option<String>,
        /// Status or signal with which its main process ended.
        pub exit_status: Option<i64>,
        pub was_signalled: bool,
        pub restarts: Option<u32>,
        pub pid: Option<u32>,
        pub memory_bytes: Option<u64>,
        pub tasks: Option<u64>,
        /// In the guest's words.
        pub active_since: Option<String>,
        pub inactive_since: Option<String>,
    }

    /// Containers that run in a guest.
    pub struct Containers {
        pub total: u32,
        pub running: u32,
        pub restarting: u32,
        pub unhealthy: u32,
        pub exited: u32,
        /// Those in trouble first.
        pub containers: Vec<Container>,
    }

    /// One container.
    pub struct Container {
        pub name: String,
        pub image: String,
        /// `running`, `exited`, `restarting`, `created`, `paused`, `dead`.
        pub state: String,
        /// `Up 3 hours (healthy)`.
        pub status: String,
        pub exit_code: Option<i64>,
        /// `healthy`, `unhealthy`, `starting`.
        pub health: Option<String>,
    }
}
