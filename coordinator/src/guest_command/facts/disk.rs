//! File systems, disks and what is on them.

facts! {
    /// One mounted file system, or a drive of Windows.
    pub struct FileSystem {
        /// `/var`, `C:`.
        pub mount: String,
        pub device: Option<String>,
        /// `ext4`, `NTFS`. Not every `df` tells it.
        pub kind: Option<String>,
        pub size_bytes: Option<u64>,
        pub used_bytes: Option<u64>,
        /// What programs without special rights can still write.
        pub available_bytes: Option<u64>,
        /// Of what programs can use at all, as `df` counts: without the reserve of
        /// root.
        pub used_percent: Option<f64>,
        pub inodes_total: Option<u64>,
        pub inodes_used: Option<u64>,
        pub inodes_free: Option<u64>,
        pub inode_percent: Option<f64>,
        /// In memory, read-only by nature or a view of another one: being full says
        /// nothing (tmpfs, overlay, squashfs, iso9660, ...).
        pub is_pseudo: bool,
        /// On a server: NFS, SMB, ...
        pub is_network: bool,
        pub read_only: Option<bool>,
        /// Disks below it, as the guest agent names them.
        pub disks: Vec<String>,
    }

    /// What a directory and everything in it takes, on its own file system.
    pub struct Directory {
        pub path: String,
        pub size_bytes: u64,
        /// It is the directory that was asked for: the sum of the others.
        pub is_total: bool,
    }

    /// A deleted file that a process keeps open: its space is not free yet.
    pub struct DeletedFile {
        pub path: String,
        pub size_bytes: Option<u64>,
        pub process: String,
        pub pid: Option<u32>,
    }

    /// A disk, partition or volume.
    pub struct BlockDevice {
        pub name: String,
        /// `disk`, `part`, `lvm`, `crypt`, `raid1`, `rom`, `loop`.
        pub kind: String,
        pub size_bytes: Option<u64>,
        pub file_system: Option<String>,
        pub mount: Option<String>,
        pub read_only: Option<bool>,
        pub rotational: Option<bool>,
    }

    /// Counters of one disk since the guest started.
    pub struct DiskStatistics {
        pub name: String,
        pub reads_total: Option<u64>,
        pub read_bytes_total: Option<u64>,
        pub writes_total: Option<u64>,
        pub written_bytes_total: Option<u64>,
        /// Requests under way now.
        pub in_flight: Option<u64>,
        /// Average time of one request since the start.
        pub read_milliseconds: Option<f64>,
        pub write_milliseconds: Option<f64>,
        /// Time with at least one request under way.
        pub busy_seconds_total: Option<f64>,
    }

    /// A disk as the guest agent lists it.
    pub struct GuestDisk {
        pub name: String,
        pub is_partition: bool,
        /// `virtio`, `scsi`, `sata`, `ide`, `nvme`.
        pub bus: Option<String>,
        pub serial: Option<String>,
        pub device: Option<String>,
        /// Name of a volume: `vg0-root`.
        pub alias: Option<String>,
        pub depends_on: Vec<String>,
    }

    /// A software RAID of Linux.
    pub struct Array {
        pub name: String,
        /// `raid1`, `raid5`.
        pub level: Option<String>,
        pub is_active: bool,
        pub is_read_only: bool,
        pub devices_total: Option<u32>,
        pub devices_working: Option<u32>,
        pub failed_devices: Vec<String>,
        /// A member is missing or failed.
        pub is_degraded: bool,
        /// `recovery`, `resync`, `check`, `reshape`.
        pub action: Option<String>,
        pub action_percent: Option<f64>,
    }
}
