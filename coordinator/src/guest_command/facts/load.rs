//! How busy a guest says that it is.

facts! {
    /// Tasks that run or wait, averaged.
    pub struct Load {
        pub one_minute: Option<f64>,
        pub five_minutes: Option<f64>,
        pub fifteen_minutes: Option<f64>,
        /// Tasks that can run now, and all there are.
        pub runnable: Option<u32>,
        pub tasks: Option<u32>,
    }

    /// Where the time of the processors went, averaged over the samples.
    pub struct Cpu {
        /// Samples that count; the first of `vmstat` is since start and does not.
        pub samples: u32,
        /// The figures are since the guest started, not of now.
        pub since_start: bool,
        /// Tasks that can run, and tasks that wait for a disk or a server.
        pub run_queue: Option<f64>,
        pub blocked: Option<f64>,
        /// Memory that moves between RAM and swap.
        pub swap_in_bytes_per_second: Option<f64>,
        pub swap_out_bytes_per_second: Option<f64>,
        pub block_in_bytes_per_second: Option<f64>,
        pub block_out_bytes_per_second: Option<f64>,
        pub context_switches_per_second: Option<f64>,
        pub user_percent: Option<f64>,
        pub system_percent: Option<f64>,
        pub idle_percent: Option<f64>,
        /// Idle, but only because of a disk.
        pub wait_percent: Option<f64>,
        /// The node ran others meanwhile.
        pub steal_percent: Option<f64>,
        /// Everything but idle and waiting.
        pub busy_percent: Option<f64>,
        /// Of Windows: page faults that went to a disk, and requests that queue there.
        pub pages_per_second: Option<f64>,
        pub disk_queue: Option<f64>,
        pub cpus: Option<u32>,
    }

    /// Pressure stall information of the kernel.
    pub struct Pressure {
        pub cpu: Option<PressureShare>,
        pub memory: Option<PressureShare>,
        pub io: Option<PressureShare>,
    }

    /// Share of time in which some tasks, or all of them, were held up.
    pub struct PressureShare {
        pub some_10_seconds_percent: Option<f64>,
        pub some_60_seconds_percent: Option<f64>,
        pub some_300_seconds_percent: Option<f64>,
        pub full_10_seconds_percent: Option<f64>,
        pub full_60_seconds_percent: Option<f64>,
        pub full_300_seconds_percent: Option<f64>,
    }
}
