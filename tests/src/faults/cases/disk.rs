//! Disks of a coordinator that are full, read-only or damaged.
//!
//! What a person asks is asked by the command line. What is kept is compared with what
//! the agent still holds, in the file itself.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use pvelens::store::{BACKUPS, FILE};
use tokio::try_join;

use crate::{
    faults::{Options, world::World},
    kept::{
        disk::{Disk, Image, Nature},
        mount::Mounted,
        power,
        small::Small,
    },
};

mod held;
mod trial;

use trial::Trial;

/// Beside the store, and not on the disk of the tests.
const TRUST: &str = "trust";
const PAGE: usize = 4096;

const FULL: &str = "The disk of the coordinator's store is full";
const FAILS: &str = "The store of the coordinator takes nothing";
const DAMAGED: &str = "The store of the coordinator was damaged";
const DOCTOR_FAILS: &str = "the store takes nothing";
const DOCTOR_DAMAGED: &str = "the store was damaged";

/// All at the same time, since most of it is waiting for samples.
pub(super) async fn all(options: &Options) -> Result<String> {
    if let Some(why) = hindrance() {
        // CI skips nothing.
        let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        ensure!(!in_ci, "{why}");
        return Ok(format!("NOT TESTED: {why}"));
    }
    let (full, read_only, damaged) = try_join!(
        async { full(options).await.context("full") },
        async { read_only(options).await.context("read-only") },
        async { damaged(options).await.context("damaged") },
    )?;
    Ok(format!(
        "full: {full}; read-only: {read_only}; damaged: {damaged}"
    ))
}

/// Why there can be no such disks here.
fn hindrance() -> Option<String> {
    if let Err(error) = power::possible() {
        return Some(format!("no disks of our own: {error}"));
    }
    World::clock_library().err().map(|error| error.to_string())
}

/// Full while it runs, when it is killed and when it starts.
async fn full(options: &Options) -> Result<String> {
    const NAME: &str = "full";
    let state = World::state(options, NAME)?;
    let disk = Small::over(&state, c"size=12m,mode=0700")?;
    let mut trial = Trial::new(options, NAME, state).await?;
    disk.fill()?;
    let said = trial.until_said(&["doctor"], DOCTOR_FAILS).await?;
    ensure!(said.contains("only 0 B are free for"), "{said}");
    let found = trial.until_found(FULL).await?;
    trial.sees_the_present().await?;
    disk.free()?;
    trial.until_mended(FULL).await?;
    let waited = trial.compare().await?;

    // What was measured and not kept is lost with the process, and asked for again.
    trial.start().await?;
    disk.fill()?;
    trial.until_said(&["doctor"], DOCTOR_FAILS).await?;
    trial.sees_the_present().await?;
    trial.world.coordinator.kill()?;
    trial.start().await?;
    trial.sees_the_present().await?;
    disk.free()?;
    trial.until_ended_for_its_store().await?;
    trial.start().await?;
    trial.until_mended(FULL).await?;
    let again = trial.compare().await?;
    Ok(format!(
        "finding: {found}; kept afterwards: {waited}, after it was killed meanwhile: {again}"
    ))
}

/// Read-only while it runs and when it starts.
async fn read_only(options: &Options) -> Result<String> {
    const NAME: &str = "read-only";
    let state = World::state(options, NAME)?;
    // The kernel makes no file system read-only that something is open on; this one
    // becomes so by itself, as one does whose disk fails.
    let disk = Arc::new(Disk::of(Image::new(), Nature::default()));
    let _mounted = Mounted::with_place(&state, &disk, TRUST)?;
    let trust = Small::over(&state.join(TRUST), c"size=4m,mode=0700")?;
    let mut trial = Trial::new(options, NAME, state.clone()).await?;
    disk.change(|nature| nature.is_read_only = true);
    trust.set_read_only(true)?;
    trial.until_said(&["doctor"], DOCTOR_FAILS).await?;
    let found = trial.until_found(FAILS).await?;
    trial.sees_the_present().await?;

    // It is started, and sees its nodes by what it knows of them.
    trial.world.coordinator.kill()?;
    trial.start().await?;
    trial.until_said(&["doctor"], DOCTOR_FAILS).await?;
    trial.until_found(FAILS).await?;
    trial.sees_the_present().await?;

    disk.change(|nature| nature.is_read_only = false);
    trust.set_read_only(false)?;
    trial.until_ended_for_its_store().await?;
    trial.start().await?;
    trial.until_mended(FAILS).await?;
    let kept = trial.compare().await?;
    Ok(format!("finding: {found}; kept afterwards: {kept}"))
}

/// Something else is in the file, with a backup and without one.
async fn damaged(options: &Options) -> Result<String> {
    const NAME: &str = "damaged";
    let state = World::state(options, NAME)?;
    let mut trial = Trial::new(options, NAME, state.clone()).await?;
    let directory = state.display().to_string();
    let words = ["store", "backup", "--directory", &directory];
    let backup = trial.say(&words).await?;
    ensure!(backup.contains("read back and good"), "{backup}");
    // Something is kept that the backup has not.
    trial.until_more_is_written().await?;
    let mut told = Vec::new();
    for has_backup in [true, false] {
        trial.world.coordinator.stop()?;
        let damaged = damage(&state.join(FILE))?;
        if !has_backup {
            fs::remove_dir_all(state.join(BACKUPS))?;
        }
        // Before somebody looks at it, and after one more start.
        for _ in 0..2 {
            trial.start().await?;
            trial.until_said(&["doctor"], DOCTOR_DAMAGED).await?;
            let found = trial.until_found(DAMAGED).await?;
            ensure!(
                found.contains("there was no backup") != has_backup,
                "{found}"
            );
            trial.sees_the_present().await?;
            told.push(found);
            trial.world.coordinator.kill()?;
        }
        let set_aside = set_aside(&state)?;
        ensure!(
            set_aside.iter().any(|file| file == &damaged),
            "none of the {} files that were set aside is the damaged one",
            set_aside.len()
        );
        trial.start().await?;
    }
    trial.until_more_is_written().await?;
    let kept = trial.compare().await?;
    told.dedup();
    Ok(format!("findings: {}; kept: {kept}", told.join(" and ")))
}

/// Something else is in pages of the file; what the file is then.
fn damage(file: &Path) -> Result<Vec<u8>> {
    let opened = OpenOptions::new().write(true).open(file)?;
    let pages = usize::try_from(opened.metadata()?.len())? / PAGE;
    for page in [0, pages / 3, pages / 2] {
        opened.write_all_at(&[0xa5; PAGE], u64::try_from(page * PAGE)?)?;
    }
    Ok(fs::read(file)?)
}

/// The files that were set aside.
fn set_aside(state: &Path) -> Result<Vec<Vec<u8>>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(state)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.contains(".damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm") {
            files.push(fs::read(path)?);
        }
    }
    Ok(files)
}
