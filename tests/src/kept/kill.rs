//! Processes that are killed while they write.

use std::{
    env,
    io::{self, BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::{KeptError, look};
use crate::numbers::Numbers;

/// The longest that one lives after its first sign of life, in which it writes some
/// hundred times.
const LONGEST_MILLIS: u64 = 1500;

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    pub kills: u32,
    /// Of these, those after at least one write.
    pub after_writes: u32,
    /// Updates that are kept at the end.
    pub kept: u64,
    /// Kept, though the process died before it could say so.
    pub untold: u64,
}

/// Kills `kills` processes, and looks after each.
///
/// # Errors
/// When something that was said to be kept is not.
pub fn run(directory: &Path, kills: u32, seed: u64) -> Result<Outcome, KeptError> {
    let mut numbers = Numbers::new(seed);
    let mut outcome = Outcome::default();
    for kill in 0..kills {
        let told = live_for(directory, numbers.pause(LONGEST_MILLIS))?;
        let expected = told.unwrap_or(outcome.kept);
        let kept = look(directory, expected)
            .map_err(|error| KeptError::Broken(format!("kill {kill}: {error}")))?;
        outcome.kills += 1;
        outcome.after_writes += u32::from(told.is_some());
        outcome.untold += kept - expected;
        outcome.kept = kept;
    }
    Ok(outcome)
}

/// Lets a process live for a while; what it told last.
fn live_for(directory: &Path, lives: Duration) -> Result<Option<u64>, KeptError> {
    let mut child = Writer::start(directory)?;
    let lines = BufReader::new(
        child
            .0
            .stdout
            .take()
            .ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?,
    );
    let (sender, told) = mpsc::channel();
    let reading = thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    // It counts from the first sign of life: a start may take long.
    let first = told.recv_timeout(Duration::from_secs(60));
    if first.is_ok() {
        thread::sleep(lives);
    }
    child.0.kill()?;
    child.0.wait()?;
    // The pipe has what it told before.
    reading
        .join()
        .map_err(|_| KeptError::Broken("nobody read what it told".to_owned()))?;
    let last = told.try_iter().last().or(first.ok());
    match last.map(|line| line.parse()) {
        None => Err(KeptError::Broken("it did not start".to_owned())),
        Some(Ok(sequence)) => Ok(Some(sequence)),
        Some(Err(_)) => Ok(None),
    }
}

/// Never outlives the trial.
struct Writer(Child);

impl Writer {
    fn start(directory: &Path) -> io::Result<Self> {
        Command::new(env::current_exe()?)
            .arg("keep")
            .arg(directory)
            .stdout(Stdio::piped())
            .spawn()
            .map(Self)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may have ended.
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}
