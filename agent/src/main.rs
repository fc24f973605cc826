//! The program `pvelens-agent`.

use std::process::ExitCode;

fn main() -> ExitCode {
    pvelens_agent::cli::main()
}
