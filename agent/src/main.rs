//! The program `pvelens-agent`.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    cli::main()
}
