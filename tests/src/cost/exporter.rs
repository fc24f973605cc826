//! What a scrape of prometheus-node-exporter costs.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::text;

const ADDRESS: &str = "127.0.0.1:19100";
const SCRAPES: u32 = 50;

struct Exporter(Child);

impl Drop for Exporter {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Milliseconds of its CPU per scrape.
pub(super) fn measure() -> Result<f64> {
    let exporter = Command::new("prometheus-node-exporter")
        .arg(format!("--web.listen-address={ADDRESS}"))
        .stderr(Stdio::null())
        .spawn()
        .context("starting it")?;
    let exporter = Exporter(exporter);
    let mut attempts = 0;
    while scrape().is_err() {
        attempts += 1;
        if attempts > 50 {
            bail!("it does not answer");
        }
        thread::sleep(Duration::from_millis(100));
    }
    let before = jiffies(exporter.0.id())?;
    for _ in 0..SCRAPES {
        scrape()?;
    }
    let after = jiffies(exporter.0.id())?;
    let hertz = u32::try_from(rustix::param::clock_ticks_per_second())?;
    Ok(f64::from(after - before) * 1e3 / f64::from(hertz) / f64::from(SCRAPES))
}

fn scrape() -> Result<()> {
    let mut connection = TcpStream::connect(ADDRESS)?;
    connection.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut page = Vec::new();
    connection.read_to_end(&mut page)?;
    if page.len() < 10_000 {
        bail!("a scrape of {} bytes", page.len());
    }
    Ok(())
}

/// CPU time of a process.
fn jiffies(process: u32) -> Result<u32> {
    let stat = text(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no command")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |index: usize| -> Result<u32> { Ok(fields.get(index).context("short")?.parse()?) };
    // utime and stime, the fields 14 and 15 of proc(5).
    Ok(number(11)? + number(12)?)
}
