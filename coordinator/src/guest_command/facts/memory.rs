//! Memory of a guest as it sees it itself.

facts! {
    /// RAM and swap.
    pub struct Memory {
        pub total_bytes: Option<u64>,
        /// Total less available; of an old `free` its own figure.
        pub used_bytes: Option<u64>,
        pub free_bytes: Option<u64>,
        /// What programs can still get, caches that give way included.
        pub available_bytes: Option<u64>,
        pub cache_bytes: Option<u64>,
        pub shared_bytes: Option<u64>,
        /// Kernel memory that does not give way.
        pub unreclaimable_bytes: Option<u64>,
        pub dirty_bytes: Option<u64>,
        /// Reserved for huge pages, whether they are used or not.
        pub huge_pages_bytes: Option<u64>,
        pub committed_bytes: Option<u64>,
        pub commit_limit_bytes: Option<u64>,
        /// `Some(0)` = the guest has no swap.
        pub swap_total_bytes: Option<u64>,
        pub swap_used_bytes: Option<u64>,
        /// The most used first.
        pub swap_devices: Vec<SwapDevice>,
    }

    /// One swap partition or file.
    pub struct SwapDevice {
        pub name: String,
        /// `partition`, `file`.
        pub kind: String,
        pub size_bytes: Option<u64>,
        pub used_bytes: Option<u64>,
        pub priority: Option<i64>,
    }
}
