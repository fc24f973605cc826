//! A [`Disk`] as a file system of the kernel, by FUSE.
//!
//! The kernel keeps pages of its files as it does of others, so that they can be mapped
//! into memory, and hands over what is written at once. Locks are its own business.

use std::{
    ffi::CString,
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
};

use rustix::{
    fs::{Mode, OFlags, open},
    io::{Errno, read, write},
    mount::{MountFlags, UnmountFlags, mount, unmount},
};

use super::{
    disk::{Disk, Inode, State, narrow, wide},
    message::{self, Body, Operation, Request},
};

/// The number of the one directory.
const ROOT: Inode = 1;
/// That of the empty one in it, over which something else is mounted.
const PLACE: Inode = Inode::MAX;
/// Room for the largest request.
const BUFFER: usize = message::MOST_WRITTEN as usize + 4096;

/// A mounted disk; dropped, it is unmounted.
#[derive(Debug)]
pub struct Mounted {
    path: PathBuf,
    serving: Option<JoinHandle<()>>,
}

impl Mounted {
    /// Mounts a disk on a directory.
    ///
    /// # Errors
    /// Where this is not allowed: only root may, where the kernel has FUSE.
    pub fn over(path: &Path, disk: &Arc<Disk>) -> io::Result<Self> {
        Self::with_place(path, disk, "")
    }

    /// As [`over`](Self::over); the disk has an empty directory of this name, which
    /// nothing can be written to.
    ///
    /// # Errors
    /// As there.
    pub fn with_place(path: &Path, disk: &Arc<Disk>, place: &'static str) -> io::Result<Self> {
        let device = open("/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        let options = format!(
            "fd={},rootmode=40700,user_id=0,group_id=0,default_permissions",
            device.as_raw_fd()
        );
        let options = CString::new(options)?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("pvelens-disk", path, "fuse", flags, Some(&*options))?;
        let disk = Arc::clone(disk);
        let serving = thread::spawn(move || serve(&device, &disk, place));
        Ok(Self {
            path: path.to_owned(),
            serving: Some(serving),
        })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // By force, since namespaces that were made meanwhile have it, too: nobody would be
        // told that it has ended. It may have been unmounted by somebody else.
        let flags = UnmountFlags::DETACH | UnmountFlags::FORCE;
        unmount(&self.path, flags).unwrap_or_default();
        if let Some(serving) = self.serving.take() {
            serving.join().unwrap_or_default();
        }
    }
}

/// Answers until the mount is gone.
fn serve(device: &OwnedFd, disk: &Disk, place: &str) {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = match read(device, buffer.as_mut_slice()) {
            Ok(length) => length,
            // A request that was taken back.
            Err(Errno::NOENT | Errno::INTR | Errno::AGAIN) => continue,
            Err(_) => return,
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        let Some(request) = Request::parse(bytes) else {
            return;
        };
        if request.wants_no_answer() {
            continue;
        }
        let answer = match request.operation {
            Operation::Lookup(name) if !place.is_empty() && name == place.as_bytes() => {
                Ok(Body::entry(PLACE, None))
            }
            _ => answer(&request, &mut disk.state()),
        };
        if write(device, &message::reply(request.unique, answer)).is_err_and(is_gone) {
            return;
        }
    }
}

/// Nobody waits for the answer when a process was killed.
fn is_gone(error: Errno) -> bool {
    error == Errno::NODEV
}

fn answer(request: &Request<'_>, state: &mut State) -> Result<Body, Errno> {
    let node = request.node;
    match &request.operation {
        Operation::Init => Ok(Body::init()),
        Operation::Lookup(name) => entry(state, state.named(name)?),
        Operation::Attributes => Ok(Body::attributes(node, length(state, node)?)),
        Operation::SetAttributes { length: new } => {
            if let Some(new) = new {
                state.set_length(node, narrow(*new))?;
            }
            Ok(Body::attributes(node, length(state, node)?))
        }
        Operation::Open { writes } => {
            state.ready()?;
            if *writes {
                state.writable()?;
            }
            Ok(Body::open())
        }
        Operation::Create(name) => {
            let inode = state.create(name)?;
            Ok(entry(state, inode)?.and(Body::open()))
        }
        Operation::Read { at, size } => {
            state.ready()?;
            let content = state.content(node)?;
            let from = narrow(*at).min(content.len());
            let end = from.saturating_add(*size).min(content.len());
            Ok(Body::bytes(content.get(from..end).unwrap_or_default()))
        }
        Operation::Write { at, bytes } => {
            state.write(node, narrow(*at), bytes)?;
            Ok(Body::written(bytes.len()))
        }
        Operation::Sync if node == ROOT => done(state.sync_names()),
        Operation::Sync => done(state.sync(node)),
        Operation::Remove(name) => done(state.remove(name)),
        Operation::Rename { from, to } => done(state.rename(from, to)),
        Operation::ReadDirectory { at, size } => {
            state.ready()?;
            Ok(Body::directory(state.names(), narrow(*at), *size))
        }
        Operation::Room => {
            let (total, free) = state.room();
            Ok(Body::room(total, free))
        }
        Operation::Close => Ok(Body::default()),
        // The kernel does not ask again.
        Operation::Other => Err(Errno::NOSYS),
        Operation::Taken => Err(Errno::INVAL),
    }
}

fn done(result: Result<(), Errno>) -> Result<Body, Errno> {
    result.map(|()| Body::default())
}

fn entry(state: &State, inode: Inode) -> Result<Body, Errno> {
    Ok(Body::entry(inode, length(state, inode)?))
}

/// None = a directory.
fn length(state: &State, inode: Inode) -> Result<Option<u64>, Errno> {
    if inode == ROOT || inode == PLACE {
        return Ok(None);
    }
    Ok(Some(wide(state.content(inode)?.len())))
}
