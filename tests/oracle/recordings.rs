//! The recordings of a real cluster: where they are, and unpacking them.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use pvelens_agent::{
    host::FilesystemSize,
    probe::{Header, Outcome, Reply},
};
use pvelens_tests::record;
use serde::Deserialize;
use tempfile::TempDir;

/// Every archive, by name.
pub(crate) const STATES: &[&str] = &[
    "a-healthy",
    "a2-healthy-later",
    "c-quorum-lost",
    "e-guest-stress",
    "g-backup-snapshot",
];
/// The two moments of each state.
pub(crate) const MOMENTS: [&str; 2] = ["t0", "t1"];

/// Which recorded output is the reply to which entry of which probe. Of the others
/// that collectors ask for there is none.
const REPLIES: &[(&str, &str, &str)] = &[
    ("corosync-cfgtool-s.txt", "cluster", "corosync_links"),
    ("corosync-quorumtool-s.txt", "cluster", "corosync_quorum"),
    ("systemctl-show.txt", "system", "units"),
    ("systemctl-failed.json", "system", "failed_units"),
    ("timedatectl-show.txt", "system", "time"),
];
/// Entries without which a collector says that something is missing.
const NOT_RECORDED: &[&str] = &[
    "probe cluster: corosync_nodes",
    "probe cluster: corosync_stats",
];

/// A line of `cmd/INDEX.jsonl`.
#[derive(Deserialize)]
struct RecordedCommand {
    file: String,
    argv: Vec<String>,
    rc: i32,
    stderr: String,
}

/// One unpacked archive; gone from the disk when dropped.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) name: String,
    pub(crate) nodes: Vec<Node>,
    folder: TempDir,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) trees: [Tree; 2],
}

/// What a root process read on one node at one moment.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) meta: Meta,
    /// When each file was read, in seconds since the epoch.
    pub(crate) read_at: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Meta {
    pub(crate) start: f64,
    /// Reads that failed on the node itself.
    pub(crate) errors: Vec<ReadError>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ReadError {
    pub(crate) path: String,
}

#[derive(Deserialize)]
struct ManifestLine {
    path: String,
    at: Option<f64>,
}

/// A line of `listings/statvfs.json`.
#[derive(Deserialize)]
struct Statvfs {
    path: String,
    frsize: u64,
    blocks: u64,
    bfree: u64,
    bavail: u64,
    files: u64,
    ffree: u64,
}

/// The folder of the archives: `PVELENS_RECORDINGS`, or beside the repository.
pub(crate) fn folder() -> PathBuf {
    std::env::var_os("PVELENS_RECORDINGS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/recordings"),
        PathBuf::from,
    )
}

/// Unpacks the archive of one state.
pub(crate) fn unpack(archives: &Path, name: &str) -> Result<State> {
    let folder = TempDir::new()?;
    let archive = archives.join(format!("{name}.tar.zst"));
    let file = File::open(&archive).with_context(|| format!("opening {}", archive.display()))?;
    let mut bytes = Vec::new();
    ruzstd::decoding::StreamingDecoder::new(BufReader::new(file))?.read_to_end(&mut bytes)?;
    tar::Archive::new(bytes.as_slice()).unpack(folder.path())?;
    let state = folder.path().join(name);
    let mut nodes = Vec::new();
    for entry in fs::read_dir(&state)? {
        let node = entry?.file_name().to_string_lossy().into_owned();
        if node != "oracle" {
            let [t0, t1] = MOMENTS.map(|moment| Tree::open(state.join(&node).join(moment)));
            nodes.push(Node {
                name: node,
                trees: [t0?, t1?],
            });
        }
    }
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    ensure!(!nodes.is_empty(), "{name} holds no node");
    Ok(State {
        name: name.to_owned(),
        nodes,
        folder,
    })
}

impl State {
    /// The answers of the API at a moment.
    pub(crate) fn oracle(&self, moment: &str) -> PathBuf {
        self.folder
            .path()
            .join(&self.name)
            .join("oracle")
            .join(moment)
    }

    pub(crate) fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == name)
    }
}

impl Tree {
    fn open(root: PathBuf) -> Result<Self> {
        let meta = serde_json::from_str(&fs::read_to_string(root.join("META.json"))?)?;
        let mut read_at = BTreeMap::new();
        for line in fs::read_to_string(root.join("MANIFEST.jsonl"))?.lines() {
            let line: ManifestLine = serde_json::from_str(line)?;
            if let Some(at) = line.at {
                read_at.insert(line.path, at);
            }
        }
        // Recorded as directories, which are links on a node: what they say of a disk's
        // way is not there.
        fs::remove_dir_all(root.join("sys/class/block")).ok();
        give_sizes(&root)?;
        give_replies(&root)?;
        // Recorded as root: what the sandbox hides must not help a collector.
        fs::write(
            root.join(record::REFUSED_PATH.trim_start_matches('/')),
            record::REFUSED,
        )?;
        Ok(Self {
            root,
            meta,
            read_at,
        })
    }

    /// Whether the node refused this path, or its recording lacks the output.
    pub(crate) fn lacks(&self, path: &str) -> bool {
        let mut errors = self.meta.errors.iter();
        errors.any(|error| error.path == path) || NOT_RECORDED.contains(&path)
    }

    /// A recorded file.
    pub(crate) fn text(&self, path: &str) -> Result<String> {
        let file = self.root.join(path.trim_start_matches('/'));
        fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))
    }

    /// When a file was read, or when the recording of the tree began.
    pub(crate) fn read_at(&self, path: &str) -> f64 {
        self.read_at.get(path).copied().unwrap_or(self.meta.start)
    }
}

/// What the tools of the probes wrote on the node is put where the agent looks for
/// the replies of a probe in a tree.
fn give_replies(root: &Path) -> Result<()> {
    let index = fs::read_to_string(root.join("cmd/INDEX.jsonl"))?;
    for line in index.lines() {
        let command: RecordedCommand = serde_json::from_str(line)?;
        let Some((_, kind, name)) = REPLIES.iter().find(|(file, ..)| *file == command.file) else {
            continue;
        };
        let stdout = fs::read(root.join("cmd").join(&command.file))?;
        let reply = Reply {
            header: Header {
                outcome: Outcome::Exited {
                    exit_status: command.rc,
                },
                program: command.argv,
                stdout_bytes: stdout.len(),
                stdout_truncated: false,
                stderr: command.stderr,
                stderr_truncated: false,
                duration_milliseconds: 0,
            },
            stdout,
        };
        let folder = root.join(".pvelens/probe").join(kind);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), reply.to_bytes())?;
    }
    Ok(())
}

/// A tree of files has no mounts: what `statvfs` said on the node is put where
/// the agent looks for it in a tree.
fn give_sizes(root: &Path) -> Result<()> {
    let listing = fs::read_to_string(root.join("listings/statvfs.json"))?;
    let listing: Vec<Statvfs> = serde_json::from_str(&listing)?;
    let sizes: BTreeMap<String, FilesystemSize> = listing
        .into_iter()
        .map(|stat| {
            let size = FilesystemSize {
                total_bytes: stat.blocks * stat.frsize,
                free_bytes: stat.bfree * stat.frsize,
                available_bytes: stat.bavail * stat.frsize,
                inodes_total: stat.files,
                inodes_free: stat.ffree,
            };
            (stat.path, size)
        })
        .collect();
    fs::create_dir_all(root.join(".pvelens"))?;
    fs::write(
        root.join(".pvelens/statvfs.json"),
        serde_json::to_string(&sizes)?,
    )?;
    Ok(())
}
