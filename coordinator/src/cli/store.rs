//! `store`.
//!
//! Works on the file itself, beside a coordinator that runs or without one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{Failure, MESSAGE_LIMIT, config, print};
use crate::{
    figure,
    store::{BACKUPS, FILE, SUSPECT, StoreError, sqlite},
    untrusted,
};

/// The store has problems.
const DAMAGED: u8 = 1;

#[derive(Debug, Subcommand)]
pub(super) enum Store {
    /// Copy the store; the coordinator may go on meanwhile
    Backup(Backup),
    /// Read the whole store and say what is wrong with it
    Check(Check),
}

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// File to write, which must not be there yet [default: the time as its name, in
    /// backups/ in the directory of the store, where a damaged store is replaced from]
    #[arg(value_name = "FILE")]
    to: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// A backup to check, instead of the store
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Place {
    /// Directory of the store [default: that of the settings]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// File of settings [default: /etc/pvelens/pvelens.toml if it is there]
    #[arg(long, value_name = "FILE", conflicts_with = "directory")]
    config: Option<PathBuf>,
}

impl Store {
    pub(super) fn run(self) -> Result<u8, Failure> {
        match self {
            Self::Backup(backup) => backup.run(),
            Self::Check(check) => check.run(),
        }
    }
}

impl Backup {
    fn run(self) -> Result<u8, Failure> {
        let directory = self.place.directory()?;
        let file = file(&directory)?;
        let to = match self.to {
            Some(to) => to,
            None => default_name(&directory)?,
        };
        sqlite::backup_file(&file, &to).map_err(|error| failed(&error))?;
        let bytes = fs::metadata(&to).map_or(0, |copy| copy.len());
        print(&format!(
            "{}: {}, read back and good\n",
            shown(&to),
            figure::bytes(bytes)
        ))?;
        Ok(0)
    }
}

impl Check {
    fn run(self) -> Result<u8, Failure> {
        let (file, suspect) = match self.file {
            Some(file) => (existing(file)?, None),
            None => {
                let directory = self.place.directory()?;
                (file(&directory)?, Some(directory.join(SUSPECT)))
            }
        };
        let problems = sqlite::check_file(&file).map_err(|error| failed(&error))?;
        if problems.is_empty() {
            print(&format!("{}: good\n", shown(&file)))?;
            return Ok(0);
        }
        let mut text = format!("{}: damaged\n", shown(&file));
        for problem in &problems {
            text.push_str("  ");
            text.push_str(&untrusted::line(problem, MESSAGE_LIMIT));
            text.push('\n');
        }
        if let Some(suspect) = suspect {
            // The next start looks for itself, and believes nobody.
            text.push_str(match fs::write(suspect, []) {
                Ok(()) => {
                    "Restart the coordinator: it sets the file aside and goes on with the newest \
                     good backup, or a new file.\n"
                }
                Err(_) => "Ask again as root, and then restart the coordinator.\n",
            });
        }
        print(&text)?;
        Ok(DAMAGED)
    }
}

impl Place {
    fn directory(&self) -> Result<PathBuf, Failure> {
        if let Some(directory) = &self.directory {
            return Ok(directory.clone());
        }
        let directory = config::load(self.config.as_deref())?.store.directory;
        if directory.as_os_str().is_empty() {
            return Err(Failure::Usage(
                "nothing is kept: directory in the section [store] of the settings is empty"
                    .to_owned(),
            ));
        }
        Ok(directory)
    }
}

fn file(directory: &Path) -> Result<PathBuf, Failure> {
    existing(directory.join(FILE))
}

/// SQLite would make a new one.
fn existing(file: PathBuf) -> Result<PathBuf, Failure> {
    match fs::metadata(&file) {
        Ok(_) => Ok(file),
        Err(error) => Err(Failure::Usage(format!("{}: {error}", shown(&file)))),
    }
}

fn default_name(directory: &Path) -> Result<PathBuf, Failure> {
    let backups = directory.join(BACKUPS);
    fs::create_dir_all(&backups)
        .map_err(|error| Failure::Usage(format!("{}: {error}", shown(&backups))))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the command line names a file by the time"
    )]
    let now = Timestamp::now();
    Ok(backups.join(format!("{}.db", now.strftime("%Y%m%dT%H%M%SZ"))))
}

fn failed(error: &StoreError) -> Failure {
    Failure::NotAssessed(error.to_string())
}

fn shown(path: &Path) -> String {
    untrusted::line(&path.to_string_lossy(), MESSAGE_LIMIT).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;

    fn place(directory: &Path) -> Place {
        Place {
            directory: Some(directory.to_owned()),
            config: None,
        }
    }

    #[test]
    fn a_backup_is_good_and_is_never_written_over() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path();
        let backup = |to: Option<PathBuf>| Backup {
            to,
            place: place(path),
        };
        // Nothing is there, and nothing is made.
        assert!(backup(None).run().is_err());
        assert!(!path.join(FILE).exists());

        let running = store::Store::open(path, 1 << 30, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(backup(None).run().unwrap(), 0);
        let to = path.join("copy.db");
        assert_eq!(backup(Some(to.clone())).run().unwrap(), 0);
        assert!(backup(Some(to.clone())).run().is_err());
        drop(running);
        let check = |file: Option<PathBuf>| Check {
            file,
            place: place(path),
        };
        assert_eq!(check(None).run().unwrap(), 0);
        assert_eq!(check(Some(to.clone())).run().unwrap(), 0);
        assert!(check(Some(path.join("none.db"))).run().is_err());

        // A page of the copy is damaged.
        let mut bytes = fs::read(&to).unwrap();
        let page = bytes.get_mut(4096..8192).unwrap();
        page.fill(0x55);
        fs::write(&to, bytes).unwrap();
        let checked = check(Some(to)).run();
        assert!(!matches!(checked, Ok(0)), "{checked:?}");
    }
}
