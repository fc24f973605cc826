//! `pvelens-manual`: writes the manual pages and completions that the packages
//! ship.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Parser;
use pvelens_tests::manual::{PROGRAMS, Page};

/// Writes `DIR/PROGRAM/man/*` and `DIR/PROGRAM/completions/*`.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Date of the pages, as 2026-01-31.
    #[arg(long)]
    date: String,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    for program in PROGRAMS {
        let directory = arguments.directory.join(program.name);
        write(&directory.join("man"), &program.pages(&arguments.date)?)?;
        write(&directory.join("completions"), &program.completions())?;
    }
    Ok(())
}

fn write(directory: &Path, pages: &[Page]) -> anyhow::Result<()> {
    let failed = || directory.display().to_string();
    fs::create_dir_all(directory).with_context(failed)?;
    for page in pages {
        fs::write(directory.join(&page.file_name), &page.text).with_context(failed)?;
    }
    Ok(())
}
