//! Guest agents of the demonstration: each VM answers at its socket as a Debian would,
//! and the programs it is asked to start give the outputs that interpreters are tested
//! with.

use std::{
    collections::HashMap,
    fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use pvelens_agent::guest::catalogue::{Catalogue, Command, System};
use serde_json::{Value, json};

const OUTPUTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../coordinator/src/guest_command/interpret/tests/fixtures"
);
/// So many results wait to be fetched.
const RESULTS: usize = 64;

/// Answers at the socket of a VM until the process ends.
///
/// # Errors
/// When the socket cannot be made.
pub(super) fn serve(root: &Path, vmid: u32, catalogue: &Arc<Catalogue>) -> io::Result<()> {
    let path: PathBuf = root.join(format!("run/qemu-server/{vmid}.qga"));
    // Of an earlier run in a directory that was kept.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    let catalogue = Arc::clone(catalogue);
    thread::Builder::new()
        .name(format!("qga-{vmid}"))
        .spawn(move || {
            let mut guest = Guest {
                vmid,
                catalogue,
                results: HashMap::new(),
                newest: 1000,
            };
            // One client at a time, as QEMU has it.
            for stream in listener.incoming().flatten() {
                guest.converse(stream).ok();
            }
        })?;
    Ok(())
}

struct Guest {
    vmid: u32,
    catalogue: Arc<Catalogue>,
    /// What programs wrote, by PID; each can be fetched once.
    results: HashMap<u64, String>,
    newest: u64,
}

impl Guest {
    fn converse(&mut self, mut stream: UnixStream) -> io::Result<()> {
        let mut input = BufReader::new(stream.try_clone()?);
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line)? > 0 {
            let is_marked = line.first() == Some(&0xff);
            let asked = line.get(usize::from(is_marked)..).unwrap_or_default();
            let asked = serde_json::from_slice(asked).unwrap_or_default();
            line.clear();
            let mut said = Vec::new();
            if is_marked {
                said.push(0xff);
            }
            said.extend(format!("{}\n", self.answer(&asked)).into_bytes());
            stream.write_all(&said)?;
        }
        Ok(())
    }

    fn answer(&mut self, asked: &Value) -> Value {
        let arguments = &asked["arguments"];
        match asked["execute"].as_str().unwrap_or_default() {
            "guest-sync-delimited" => json!({ "return": arguments["id"] }),
            "guest-fsfreeze-status" => json!({"return": "thawed"}),
            "guest-get-host-name" => json!({"return": {"host-name": format!("vm{}", self.vmid)}}),
            "guest-get-fsinfo" => json!({"return": [{
                "name": "sda1", "mountpoint": "/", "type": "ext4", "disk": [],
                "used-bytes": 9_663_676_416_u64, "total-bytes": 21_474_836_480_u64,
            }]}),
            "guest-get-time" => {
                let now = jiff::Timestamp::now().as_nanosecond();
                json!({ "return": i64::try_from(now).unwrap_or(i64::MAX) })
            }
            "guest-exec" => self.start(arguments),
            "guest-exec-status" => self.end(arguments),
            question => self.told(question),
        }
    }

    /// A question that the catalogue has.
    fn told(&self, question: &str) -> Value {
        let mut commands = self.catalogue.commands().iter();
        let known = commands.find(|one| one.rpc().is_some_and(|rpc| rpc.name() == question));
        let answer = known.and_then(|command| output(command.reads_name()));
        match answer.and_then(|text| serde_json::from_str::<Value>(&text).ok()) {
            Some(answer) => json!({ "return": answer }),
            None => complaint("CommandNotFound", "The command has not been found"),
        }
    }

    fn start(&mut self, asked: &Value) -> Value {
        let path = asked["path"].as_str().unwrap_or_default();
        let arguments: Vec<&str> = asked["arg"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let commands = self.catalogue.commands().iter();
        let mut fitting = commands.filter(|command| is_started(command, path, &arguments));
        let Some(text) = fitting.find_map(|command| output(command.reads_name())) else {
            let words =
                format!("Failed to execute child process “{path}” (No such file or directory)");
            return complaint("GenericError", &words);
        };
        if self.results.len() >= RESULTS {
            self.results.clear();
        }
        self.newest += 1;
        self.results.insert(self.newest, text);
        json!({"return": {"pid": self.newest}})
    }

    fn end(&mut self, asked: &Value) -> Value {
        match asked["pid"]
            .as_u64()
            .and_then(|pid| self.results.remove(&pid))
        {
            Some(text) => json!({"return": {
                "exited": true, "exitcode": 0, "out-data": STANDARD.encode(text),
            }}),
            None => complaint("GenericError", "PID does not exist"),
        }
    }
}

/// Whether this is how a command of the catalogue is started.
fn is_started(command: &Command, path: &str, arguments: &[&str]) -> bool {
    let template = command.template();
    let mut wanted = template.iter().skip(1);
    command.systems.contains(&System::Linux)
        && command.programs().iter().any(|program| program == path)
        && wanted.len() == arguments.len()
        && arguments.iter().all(|given| {
            // A slot takes anything: the node has looked at it.
            wanted
                .next()
                .is_some_and(|wanted| match wanted.split_once('{') {
                    Some((before, _)) if wanted.ends_with('}') => given.starts_with(before),
                    _ => wanted == given,
                })
        })
}

/// What a kind of program writes.
fn output(reads: &str) -> Option<String> {
    let path = Path::new(OUTPUTS).join(format!("{reads}.txt"));
    match reads {
        "sockets" => fs::read_to_string(path.with_file_name("sockets.listening.txt")).ok(),
        "text" => Some("This guest is a demonstration.\n".to_owned()),
        _ => fs::read_to_string(path).ok(),
    }
}

fn complaint(class: &str, words: &str) -> Value {
    json!({"error": {"class": class, "desc": words}})
}
