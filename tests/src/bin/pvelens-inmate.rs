//! `pvelens-inmate`: runs in the place of a product binary under its unit, and
//! tries what must be refused there.
//!
//! Each attempt is a line on standard error, which is the journal: `refused`,
//! `ALLOWED`, `can` or `CANNOT`, its name, and the error.

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
};

use pvelens_tests::inmate::{Outcome, Unit, forbidden, needed, ready};

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some(unit) = Unit::from_arguments(&arguments) else {
        // Started by an attempt that should have been refused.
        return Ok(ExitCode::SUCCESS);
    };
    let mut out = io::stderr().lock();
    for outcome in needed(unit) {
        line(&mut out, &outcome, "CANNOT", "can")?;
    }
    for outcome in forbidden(unit) {
        line(&mut out, &outcome, "refused", "ALLOWED")?;
    }
    writeln!(out, "inmate done")?;
    ready()?;
    Ok(ExitCode::SUCCESS)
}

fn line(out: &mut impl Write, outcome: &Outcome, failed: &str, succeeded: &str) -> io::Result<()> {
    match &outcome.result {
        Ok(()) => writeln!(out, "{succeeded} {}", outcome.name),
        Err(error) => writeln!(out, "{failed} {}: {error}", outcome.name),
    }
}
