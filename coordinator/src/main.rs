//! The program `pvelens`.

use std::process::ExitCode;

fn main() -> ExitCode {
    pvelens::cli::main()
}
