//! Processes of a guest.

facts! {
    /// A count by state and the biggest.
    pub struct Processes {
        pub total: u32,
        pub running: u32,
        /// State `D`: waits for a disk or a server and cannot be killed meanwhile.
        pub uninterruptible: u32,
        /// State `Z`: ended, but its parent did not look.
        pub zombies: u32,
        /// State `T`.
        pub stopped: u32,
        /// The list has states at all; that of Windows has none.
        pub has_states: bool,
        pub top_by_cpu: Vec<Process>,
        pub top_by_memory: Vec<Process>,
        /// The first of those in state `D`.
        pub waiting: Vec<Process>,
        /// Memory of all of one name, the biggest first: web servers have many.
        pub groups: Vec<ProcessGroup>,
    }

    /// One process.
    pub struct Process {
        pub pid: Option<u32>,
        pub parent: Option<u32>,
        pub user: Option<String>,
        /// As `ps` has it: `Ssl`, `D`, `R+`.
        pub state: Option<String>,
        /// Since it started, of one processor: more than 100 with several threads.
        pub cpu_percent: Option<f64>,
        pub memory_percent: Option<f64>,
        pub resident_bytes: Option<u64>,
        pub virtual_bytes: Option<u64>,
        pub elapsed_seconds: Option<u64>,
        pub command: String,
    }

    /// All processes with the same command.
    pub struct ProcessGroup {
        pub command: String,
        pub count: u32,
        /// Shared memory counts once for each.
        pub resident_bytes: u64,
    }
}
