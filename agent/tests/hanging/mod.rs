//! A file or directory that neither opens nor fails: a FUSE mount that nobody
//! serves.

use std::{
    ffi::CString,
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
};

use rustix::{
    fs::{Mode, OFlags, open},
    mount::{MountFlags, UnmountFlags, mount, unmount},
};

#[derive(Debug)]
pub(crate) struct Hanging {
    path: PathBuf,
    /// Closing it ends the wait of everybody.
    device: Option<OwnedFd>,
}

impl Hanging {
    /// `None` where this is not allowed.
    pub(crate) fn over(path: PathBuf) -> Option<Self> {
        let device = open("/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let options = format!(
            "fd={},rootmode={},user_id=0,group_id=0",
            device.as_raw_fd(),
            if path.is_dir() { "40755" } else { "100644" }
        );
        let options = CString::new(options).ok()?;
        mount(
            "hanging",
            &path,
            "fuse",
            MountFlags::NOSUID | MountFlags::NODEV,
            Some(options.as_c_str()),
        )
        .ok()?;
        Some(Self {
            path,
            device: Some(device),
        })
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.device = None;
        unmount(&self.path, UnmountFlags::DETACH).ok();
    }
}
