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

use super::{KeptError, Manner, look};
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
        let lives = numbers.pause(LONGEST_MILLIS);
        let writer = Writer::start(directory, Manner::Honest, Stdio::inherit())?;
        let told = writer.live_for(lives)?;
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

/// A process that writes. It never outlives the trial.
pub(super) struct Writer(Child);

impl Writer {
    pub(super) fn start(directory: &Path, manner: Manner, errors: Stdio) -> io::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("keep").arg(directory);
        if manner == Manner::Early {
            command.arg("--early");
        }
        command
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map(Self)
    }

    /// Kills it after a while; what it told last.
    fn live_for(mut self, lives: Duration) -> Result<Option<u64>, KeptError> {
        let told = self.listen()?;
        // It counts from the first sign of life: a start may take long.
        let first = told.recv_timeout(Duration::from_secs(60));
        if first.is_ok() {
            thread::sleep(lives);
        }
        self.0.kill()?;
        let last = told.iter().last().or(first.ok());
        match last {
            None => Err(KeptError::Broken("it did not start".to_owned())),
            Some(line) => Ok(line.parse().ok()),
        }
    }

    /// Waits until it ends by itself; what it told last.
    pub(super) fn until_its_end(mut self) -> Result<Option<u64>, KeptError> {
        let told = self.listen()?;
        let last = told.iter().last();
        Ok(last.and_then(|line| line.parse().ok()))
    }

    /// The lines that it tells, until it ends.
    fn listen(&mut self) -> Result<mpsc::Receiver<String>, KeptError> {
        let output = self.0.stdout.take();
        let output = output.ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
        let (sender, told) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(told)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may have ended.
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}
