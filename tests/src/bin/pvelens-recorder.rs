//! `pvelens-recorder`: records what the agent's sandbox shows, in the place of the
//! agent; see `tests/record-sandboxed`.
//!
//! `pvelens-recorder outside` lists what root can read without a sandbox; `run`, as
//! the unit starts the agent, records.

use anyhow::bail;
use pvelens_tests::{inmate, record};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        ["outside"] => record::outside(),
        ["run"] => {
            record::inside()?;
            Ok(inmate::ready()?)
        }
        _ => bail!("usage: pvelens-recorder outside|run"),
    }
}
