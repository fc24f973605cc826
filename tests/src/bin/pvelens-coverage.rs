//! `pvelens-coverage`: prints which facts the checks need and who collects them.

use std::io::Write;

fn main() -> anyhow::Result<()> {
    let coverage = pvelens_tests::coverage::Coverage::measure()?;
    std::io::stdout().write_all(coverage.table().as_bytes())?;
    Ok(())
}
