//! A small file system in memory, of the kernel's own.

use std::{
    ffi::CStr,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};

const FILLER: &str = "filler";

/// A mounted file system; dropped, it is unmounted, with all that is on it.
#[derive(Debug)]
pub struct Small(PathBuf);

impl Small {
    /// Mounts one on a directory. Its options are those of tmpfs.
    ///
    /// # Errors
    /// Where this is not allowed: only root may.
    pub fn over(path: &Path, options: &CStr) -> io::Result<Self> {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", path, "tmpfs", flags, Some(options))?;
        Ok(Self(path.to_owned()))
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Somebody else takes all the room there is.
    ///
    /// # Errors
    /// When there was none to begin with.
    pub fn fill(&self) -> io::Result<()> {
        let mut filler = File::create(self.0.join(FILLER))?;
        while filler.write_all(&[0; 4096]).is_ok() {}
        Ok(())
    }

    /// Gives it back.
    ///
    /// # Errors
    /// When it was not taken.
    pub fn free(&self) -> io::Result<()> {
        fs::remove_file(self.0.join(FILLER))
    }

    /// Lets nothing be written, or lets it again.
    ///
    /// # Errors
    /// While something is open for writing.
    pub fn set_read_only(&self, is_read_only: bool) -> io::Result<()> {
        let flags = if is_read_only {
            MountFlags::RDONLY
        } else {
            MountFlags::empty()
        };
        Ok(mount_remount(&self.0, flags, c"")?)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // It may have been unmounted by somebody else.
        unmount(&self.0, UnmountFlags::DETACH).unwrap_or_default();
    }
}
