//! `pvelens-recorder`: records what the agent's sandbox shows, in the place of the
//! agent; see `tests/record-sandboxed`.
//!
//! `pvelens-recorder outside` lists what root can read without a sandbox; `run`, as
//! the unit starts the agent, records; `answer-probe`, as the units of the probes
//! start it, is the agent's own. By any other name it stands for a tool that a probe
//! starts, and writes what that has written on a node.

use std::{io, path::Path, process::ExitCode, sync::Arc};

use anyhow::{Context, bail};
use clap::ValueEnum;
use pvelens_agent::{
    host::Host,
    probe::{Kind, answer},
};
use pvelens_tests::{inmate, record};

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args();
    let name = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    let name = Path::new(&name).file_name().unwrap_or_default();
    if name != "pvelens-agent" && name != "pvelens-recorder" {
        let name = name.to_str().context("a name that is not UTF-8")?;
        return record::stand_in_for(name, &arguments);
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *words.as_slice() {
        ["outside"] => record::outside()?,
        ["run"] => {
            record::inside()?;
            inmate::ready()?;
        }
        ["answer-probe", kind] => {
            let Ok(kind) = Kind::from_str(kind, false) else {
                bail!("there is no probe of that name");
            };
            let host = Arc::new(Host::open(Path::new("/"))?);
            answer(kind, &host, io::stdin(), io::stdout())?;
        }
        _ => bail!("usage: pvelens-recorder outside|run|answer-probe KIND"),
    }
    Ok(ExitCode::SUCCESS)
}
