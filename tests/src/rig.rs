//! What tests of whole processes are made of: a coordinator as a process of its own,
//! nodes that join it by the documented command, and the figures of a process.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};

pub mod coordinator;
pub mod figures;
pub mod node;

pub use coordinator::Coordinator;

/// Between two looks at something that is waited for.
pub const POLL: Duration = Duration::from_millis(50);

/// The programs under test.
#[derive(Debug, Clone)]
pub struct Programs {
    pub coordinator: PathBuf,
    pub agent: PathBuf,
}

impl Programs {
    /// Those that were built beside this one.
    ///
    /// # Errors
    /// When they were not.
    pub fn beside() -> io::Result<Self> {
        let here = std::env::current_exe()?;
        let mut directory = here.parent().unwrap_or(Path::new("/"));
        // Tests are built one directory below.
        if directory.ends_with("deps") {
            directory = directory.parent().unwrap_or(directory);
        }
        let programs = Self {
            coordinator: directory.join("pvelens"),
            agent: directory.join("pvelens-agent"),
        };
        for program in [&programs.coordinator, &programs.agent] {
            if !program.exists() {
                let words = format!("{} was not built", program.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, words));
            }
        }
        Ok(programs)
    }
}

/// Runs a command to its end.
///
/// # Errors
/// When it fails, with what it said.
pub fn run(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command.output().with_context(|| shown.clone())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{shown}: {}: {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A line for a file of settings.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display())
}

/// Writes a file whose directory may not be there.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, text)
}
