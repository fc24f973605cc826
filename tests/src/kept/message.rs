//! What the kernel and a file system say to each other over `/dev/fuse`, as far as it
//! is needed here (`include/uapi/linux/fuse.h`). All of it is in the order of bytes of
//! this machine.

use std::ffi::CStr;

use rustix::io::Errno;

use super::disk::{Inode, wide};

/// Bytes of one write.
pub(super) const MOST_WRITTEN: u32 = 128 << 10;
/// Version 7.31; a newer kernel speaks it.
const VERSION: [u32; 2] = [7, 31];
/// Writes may be larger than a page.
const BIG_WRITES: u32 = 1 << 5;
/// Of a change of attributes: the length.
const LENGTH: u32 = 1 << 3;
/// Nobody else changes anything, so that the kernel need not ask.
const VALID_SECONDS: u64 = 3600;
const HEADER: usize = 40;
const FILE: u32 = 0o100_600;
const DIRECTORY: u32 = 0o040_700;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) unique: u64,
    pub(super) node: Inode,
    pub(super) operation: Operation<'a>,
}

#[derive(Debug)]
pub(super) enum Operation<'a> {
    Init,
    Lookup(&'a [u8]),
    Attributes,
    SetAttributes {
        length: Option<u64>,
    },
    Open {
        writes: bool,
    },
    Create(&'a [u8]),
    Read {
        at: u64,
        size: usize,
    },
    Write {
        at: u64,
        bytes: &'a [u8],
    },
    Sync,
    Remove(&'a [u8]),
    Rename {
        from: &'a [u8],
        to: &'a [u8],
    },
    ReadDirectory {
        at: u64,
        size: usize,
    },
    Room,
    /// A file or directory, or the whole.
    Close,
    /// Taken note of, and not answered.
    Taken,
    Other,
}

impl<'a> Request<'a> {
    /// None = it is cut short.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header = Fields(bytes);
        let body = Fields(bytes.get(HEADER..)?);
        let operation = match header.u32(4)? {
            1 => Operation::Lookup(body.text(0)?),
            2 | 36 | 42 => Operation::Taken,
            3 => Operation::Attributes,
            4 => Operation::SetAttributes {
                length: (body.u32(0)? & LENGTH != 0).then_some(body.u64(16)?),
            },
            10 => Operation::Remove(body.text(0)?),
            12 => rename(body, 8)?,
            14 => Operation::Open {
                writes: body.u32(0)? & 3 != 0,
            },
            15 => Operation::Read {
                at: body.u64(8)?,
                size: usize::try_from(body.u32(16)?).ok()?,
            },
            16 => Operation::Write {
                at: body.u64(8)?,
                bytes: body.0.get(40..)?,
            },
            17 => Operation::Room,
            18 | 29 | 38 => Operation::Close,
            20 | 30 => Operation::Sync,
            26 => Operation::Init,
            27 => Operation::Open { writes: false },
            28 => Operation::ReadDirectory {
                at: body.u64(8)?,
                size: usize::try_from(body.u32(16)?).ok()?,
            },
            35 => Operation::Create(body.text(16)?),
            45 => rename(body, 16)?,
            _ => Operation::Other,
        };
        Some(Self {
            unique: header.u64(8)?,
            node: header.u64(16)?,
            operation,
        })
    }

    pub(super) fn wants_no_answer(&self) -> bool {
        matches!(self.operation, Operation::Taken)
    }
}

fn rename(body: Fields<'_>, names: usize) -> Option<Operation<'_>> {
    let from = body.text(names)?;
    let to = body.text(names + from.len() + 1)?;
    Some(Operation::Rename { from, to })
}

#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn u32(self, at: usize) -> Option<u32> {
        let bytes = self.0.get(at..)?.first_chunk()?;
        Some(u32::from_ne_bytes(*bytes))
    }

    fn u64(self, at: usize) -> Option<u64> {
        let bytes = self.0.get(at..)?.first_chunk()?;
        Some(u64::from_ne_bytes(*bytes))
    }

    fn text(self, at: usize) -> Option<&'a [u8]> {
        let text = CStr::from_bytes_until_nul(self.0.get(at..)?).ok()?;
        Some(text.to_bytes())
    }
}

/// An answer with its header.
pub(super) fn reply(unique: u64, answer: Result<Body, Errno>) -> Vec<u8> {
    let (error, body) = match answer {
        Ok(body) => (0, body.0),
        Err(error) => (-error.raw_os_error(), Vec::new()),
    };
    let mut reply = Body::default();
    let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
    reply.0.extend(length.to_ne_bytes());
    reply.0.extend(error.to_ne_bytes());
    reply.longs([unique]);
    reply.0.extend(body);
    reply.0
}

/// What an answer says.
#[derive(Debug, Default)]
pub(super) struct Body(Vec<u8>);

impl Body {
    pub(super) fn init() -> Self {
        let mut body = Self::default();
        body.words(VERSION);
        // Read ahead, abilities, requests in the background (two of two bytes), bytes of
        // a write, nanoseconds of a time, and what is not used.
        body.words([128 << 10, BIG_WRITES, 12 | 9 << 16, MOST_WRITTEN, 1]);
        body.words([0; 9]);
        body
    }

    pub(super) fn entry(inode: Inode, length: Option<u64>) -> Self {
        let mut body = Self::default();
        body.longs([inode, 0, VALID_SECONDS, VALID_SECONDS, 0]);
        body.attribute(inode, length);
        body
    }

    pub(super) fn attributes(inode: Inode, length: Option<u64>) -> Self {
        let mut body = Self::default();
        body.longs([VALID_SECONDS, 0]);
        body.attribute(inode, length);
        body
    }

    pub(super) fn open() -> Self {
        let mut body = Self::default();
        body.longs([0, 0]);
        body
    }

    pub(super) fn bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    pub(super) fn written(length: usize) -> Self {
        let mut body = Self::default();
        body.words([u32::try_from(length).unwrap_or(u32::MAX), 0]);
        body
    }

    /// The names from the one of this number on.
    pub(super) fn directory<'a>(
        names: impl Iterator<Item = (&'a [u8], Inode)>,
        at: usize,
        size: usize,
    ) -> Self {
        const REGULAR: u32 = 8;
        let mut body = Self::default();
        for (number, (name, inode)) in names.enumerate().skip(at) {
            if body.0.len() + 24 + name.len() + 8 > size {
                break;
            }
            body.longs([inode, wide(number) + 1]);
            body.words([u32::try_from(name.len()).unwrap_or(0), REGULAR]);
            body.0.extend(name);
            body.0.resize(body.0.len().next_multiple_of(8), 0);
        }
        body
    }

    pub(super) fn room(total: u64, free: u64) -> Self {
        const BLOCK: u64 = 4096;
        const MANY: u64 = 1 << 20;
        let mut body = Self::default();
        body.longs([total / BLOCK, free / BLOCK, free / BLOCK, MANY, MANY]);
        body.words([4096, 255, 4096, 0]);
        body.words([0; 6]);
        body
    }

    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    fn attribute(&mut self, inode: Inode, length: Option<u64>) {
        let size = length.unwrap_or(0);
        self.longs([inode, size, size.div_ceil(512), 0, 0, 0]);
        let mode = if length.is_some() { FILE } else { DIRECTORY };
        // Nanoseconds of three times, mode, links, owner, group, device, block, flags.
        self.words([0, 0, 0, mode, 1, 0, 0, 0, 4096, 0]);
    }

    fn longs<const N: usize>(&mut self, longs: [u64; N]) {
        self.0.extend(longs.into_iter().flat_map(u64::to_ne_bytes));
    }

    fn words<const N: usize>(&mut self, words: [u32; N]) {
        self.0.extend(words.into_iter().flat_map(u32::to_ne_bytes));
    }
}
