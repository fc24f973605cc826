//! The monitors and guest agents of a recorded node, answering over sockets what
//! they answered when they were recorded.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

/// Between what came before and the number, in answers of guest agents.
const DELIMITER: u8 = 0xff;

/// A line of `qmp/ID.jsonl` or `qga/ID.jsonl`.
#[derive(Debug, Deserialize)]
pub(crate) struct Exchange {
    #[serde(rename = "t")]
    pub(crate) at: f64,
    /// None for what was said unasked.
    pub(crate) request: Option<Value>,
    #[serde(default)]
    pub(crate) response: Value,
}

impl Exchange {
    /// The command, if it was given without arguments.
    pub(crate) fn command(&self) -> Option<&str> {
        let request = self.request.as_ref()?;
        let plain = request.get("arguments").is_none();
        plain.then(|| request.get("execute")?.as_str()).flatten()
    }
}

/// What was said on one kind of socket of a tree, by VMID.
pub(crate) fn recorded(root: &Path, kind: &str) -> Result<Vec<(u64, Vec<Exchange>)>> {
    let mut all = Vec::new();
    for file in fs::read_dir(root.join(kind)).into_iter().flatten() {
        let path = file?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let vmid = name
            .parse()
            .with_context(|| format!("{}", path.display()))?;
        let lines = fs::read_to_string(&path)?;
        let lines = lines.lines().map(serde_json::from_str);
        all.push((vmid, lines.collect::<Result<_, _>>()?));
    }
    Ok(all)
}

/// Listens on the sockets of a tree until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    over: Arc<AtomicBool>,
    peers: Vec<(PathBuf, JoinHandle<()>)>,
}

impl Peers {
    pub(crate) fn listen(root: &Path) -> Result<Self> {
        let mut peers = Self::default();
        for kind in ["qmp", "qga"] {
            for (vmid, said) in recorded(root, kind)? {
                peers.add(root.join(format!("run/qemu-server/{vmid}.{kind}")), &said)?;
            }
        }
        Ok(peers)
    }

    fn add(&mut self, path: PathBuf, said: &[Exchange]) -> Result<()> {
        let greeting = said.first().map(|first| first.response.clone());
        let peer = Peer {
            greeting: greeting.filter(|greeting| greeting.get("QMP").is_some()),
            answers: said
                .iter()
                .filter_map(|one| Some((one.command()?.to_owned(), one.response.clone())))
                .collect(),
        };
        let listener = UnixListener::bind(&path)?;
        let over = Arc::clone(&self.over);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                // Whoever goes away in the middle of it is of no interest.
                stream.and_then(|stream| peer.serve(stream)).ok();
            }
        });
        self.peers.push((path, thread));
        Ok(())
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for (path, thread) in self.peers.drain(..) {
            UnixStream::connect(&path).ok();
            thread.join().ok();
            fs::remove_file(&path).ok();
        }
    }
}

#[derive(Debug)]
struct Peer {
    /// Of a monitor.
    greeting: Option<Value>,
    answers: BTreeMap<String, Value>,
}

impl Peer {
    fn serve(&self, mut stream: UnixStream) -> std::io::Result<()> {
        if let Some(greeting) = &self.greeting {
            writeln!(stream, "{greeting}")?;
        }
        let mut lines = BufReader::new(stream.try_clone()?);
        loop {
            let mut line = Vec::new();
            if lines.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            let command = line.rsplit(|byte| *byte == DELIMITER).next();
            let command: Value = serde_json::from_slice(command.unwrap_or_default())?;
            let name = command
                .get("execute")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if name == "guest-sync-delimited" {
                stream.write_all(&[DELIMITER])?;
                writeln!(
                    stream,
                    "{}",
                    json!({ "return": command["arguments"]["id"] })
                )?;
                continue;
            }
            let unknown =
                json!({ "error": { "class": "CommandNotFound", "desc": "not recorded" } });
            let mut answer = self.answers.get(name).unwrap_or(&unknown).clone();
            if let (Some(answer), Some(id)) = (answer.as_object_mut(), command.get("id")) {
                answer.insert("id".to_owned(), id.clone());
            }
            writeln!(stream, "{answer}")?;
        }
    }
}
