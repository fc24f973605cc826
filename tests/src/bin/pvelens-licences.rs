//! `pvelens-licences`: prints the licences of what is linked into a program, for
//! its package.

use std::{
    env,
    io::{self, Write},
    process::Command,
};

use anyhow::{Context, ensure};
use clap::Parser;
use pvelens_tests::licences::{document, linked};

/// Where the packages run.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Prints the licences of what is linked into a program.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Package of the program: pvelens-agent or pvelens.
    package: String,
}

fn main() -> anyhow::Result<()> {
    let package = Arguments::parse().package;
    let metadata = cargo(&[
        "metadata",
        "--format-version=1",
        "--filter-platform",
        TARGET,
    ])?;
    // Procedural macros and build scripts are not linked.
    let edges = ["--edges", "normal,no-proc-macro", "--target", TARGET];
    let shape = ["--prefix", "none", "--format", "{p}", "--package", &package];
    let tree = cargo(&[&["tree"][..], &edges, &shape].concat())?;
    let tree = String::from_utf8(tree).context("the tree of crates")?;
    let (linked, all) = linked(&metadata, &tree)?;
    let text = document(&package, &linked, &all)?;
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn cargo(arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(arguments)
        .arg("--locked")
        .output()
        .context("starting cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "cargo {}: {said}",
        arguments.join(" ")
    );
    Ok(output.stdout)
}
