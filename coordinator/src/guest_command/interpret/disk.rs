//! File systems and disks.

pub(super) mod block_devices;
pub(super) mod deleted_files;
pub(super) mod df;
pub(super) mod du;
pub(super) mod file_system;
pub(super) mod md_arrays;
pub(super) mod mounts;
pub(super) mod statistics;
