//! Messages that were kept of each release, and what neighbouring versions make of them.
//!
//! `tests/wire/README.md` says what is kept and how a release adds its own.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage, Value};

mod fill;
mod keep;
pub mod old;

pub use fill::{fill, payloads};
pub use keep::keep;

/// The descriptors of a release, in its directory.
pub const DESCRIPTORS: &str = "pvelens.binpb";
/// Of a node of the agent's tests: one file a collector.
pub const SAMPLES: &str = "samples";
/// With every field set: one file a payload.
pub const FILLED: &str = "filled";
/// Requests and answers by the name of their message, with every field set.
pub const MESSAGES: &str = "messages";
/// Who that node is.
pub const DESCRIBED: &str = "described.binpb";

/// What was kept of one release.
#[derive(Debug)]
pub struct Release {
    pub version: String,
    pub pool: DescriptorPool,
    directory: PathBuf,
}

/// Every release of which something was kept, oldest first.
///
/// # Errors
/// When something cannot be read.
pub fn releases() -> Result<Vec<Release>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("wire");
    let mut releases = Vec::new();
    for entry in fs::read_dir(&directory)? {
        let path = entry?.path();
        if path.is_dir() {
            releases.push(Release::open(path)?);
        }
    }
    releases.sort_by(|a, b| a.version.cmp(&b.version));
    Ok(releases)
}

/// The descriptors of this version.
///
/// # Errors
/// When they are damaged.
pub fn today() -> Result<DescriptorPool> {
    Ok(DescriptorPool::decode(pvelens_proto::FILE_DESCRIPTOR_SET)?)
}

impl Release {
    fn open(directory: PathBuf) -> Result<Self> {
        let version = directory.file_name().unwrap_or_default();
        let descriptors = fs::read(directory.join(DESCRIPTORS)).context("its descriptors")?;
        Ok(Self {
            version: version.to_string_lossy().into_owned(),
            pool: DescriptorPool::decode(&*descriptors)?,
            directory,
        })
    }

    /// One file that was kept.
    ///
    /// # Errors
    /// When it was not.
    pub fn kept(&self, file: &str) -> Result<Vec<u8>> {
        let path = self.directory.join(file);
        fs::read(&path).with_context(|| path.display().to_string())
    }

    /// All of a kind, by name.
    ///
    /// # Errors
    /// When there is none.
    pub fn all(&self, kind: &str) -> Result<BTreeMap<String, Vec<u8>>> {
        let directory = self.directory.join(kind);
        let files = fs::read_dir(&directory).with_context(|| directory.display().to_string())?;
        let mut all = BTreeMap::new();
        for file in files {
            let path = file?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            all.insert(name.into_owned(), fs::read(&path)?);
        }
        if all.is_empty() {
            bail!("nothing is in {}", directory.display());
        }
        Ok(all)
    }

    /// The message of a name as this release knew it.
    ///
    /// # Errors
    /// When it knew none.
    pub fn message(&self, name: &str) -> Result<MessageDescriptor> {
        let found = self.pool.get_message_by_name(name);
        found.with_context(|| format!("{} knows no {name}", self.version))
    }
}

/// Whether everything that one says is said by the other, too.
///
/// # Errors
/// Names the first field of which that is not so.
pub fn agrees(one: &DynamicMessage, other: &DynamicMessage) -> Result<()> {
    let name = one.descriptor().full_name().to_owned();
    for (field, value) in one.fields() {
        let place = || format!("{name}.{}", field.name());
        let Some(other) = other.get_field_by_number(field.number()) else {
            bail!("{} is not known", place());
        };
        same(value, &other).with_context(place)?;
    }
    Ok(())
}

fn same(one: &Value, other: &Value) -> Result<()> {
    match (one, other) {
        (Value::Message(one), Value::Message(other)) => agrees(one, other),
        (Value::List(one), Value::List(other)) if one.len() == other.len() => {
            let mut pairs = one.iter().zip(other);
            pairs.try_for_each(|(one, other)| same(one, other))
        }
        (Value::Map(one), Value::Map(other)) if one.len() == other.len() => {
            for (key, value) in one {
                let other = other.get(key).context("an entry is missing")?;
                same(value, other)?;
            }
            Ok(())
        }
        _ if one == other => Ok(()),
        _ => bail!("{one:?} became {other:?}"),
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, bytes)
}
