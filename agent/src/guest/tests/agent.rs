//! A guest agent that says yes to everything, or what it is told to, and keeps what it
//! was asked.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::{Value, json};

/// Everything that was asked, but the numbers at the beginning of conversations.
pub(super) type Heard = Arc<Mutex<Vec<Value>>>;

/// Answers at the socket of one VM.
pub(super) struct YesAgent {
    pub(super) heard: Heard,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl YesAgent {
    pub(super) fn answer(listener: UnixListener) -> Self {
        Self::with(listener, |asked| Some(yes(asked)))
    }

    /// Says what `answer` gives; closes the connection without a word when that is
    /// nothing.
    pub(super) fn with(
        listener: UnixListener,
        mut answer: impl FnMut(&Value) -> Option<Value> + Send + 'static,
    ) -> Self {
        listener.set_nonblocking(true).unwrap();
        let (heard, end) = (Heard::default(), Arc::<AtomicBool>::default());
        let (told, ended) = (Arc::clone(&heard), Arc::clone(&end));
        let thread = thread::spawn(move || {
            while !ended.load(Ordering::Acquire) {
                match listener.accept() {
                    Ok((stream, _)) => converse(stream, &told, &mut answer),
                    Err(_) => thread::sleep(Duration::from_millis(1)),
                }
            }
        });
        Self {
            heard,
            end,
            thread: Some(thread),
        }
    }
}

impl Drop for YesAgent {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn converse(
    mut stream: UnixStream,
    heard: &Heard,
    answer: &mut impl FnMut(&Value) -> Option<Value>,
) {
    stream.set_nonblocking(false).unwrap();
    let mut input = BufReader::new(stream.try_clone().unwrap());
    let mut line = Vec::new();
    while input
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        let delimited = line.first() == Some(&0xff);
        let asked: Value = serde_json::from_slice(&line[usize::from(delimited)..]).unwrap();
        line.clear();
        let mut said = Vec::new();
        if delimited {
            said.push(0xff);
        } else {
            heard.lock().unwrap().push(asked.clone());
        }
        let Some(answered) = answer(&asked) else {
            return;
        };
        said.extend(format!("{answered}\n").into_bytes());
        if stream.write_all(&said).is_err() {
            return;
        }
    }
}

/// That everything went well.
pub(super) fn yes(asked: &Value) -> Value {
    json!({"return": match asked["execute"].as_str().unwrap() {
        "guest-sync-delimited" => asked["arguments"]["id"].clone(),
        "guest-fsfreeze-status" => json!("thawed"),
        "guest-exec" => json!({"pid": 4711}),
        "guest-exec-status" => json!({"exited": true, "exitcode": 0, "out-data": "aGk="}),
        _ => json!({}),
    }})
}
