//! What a process costs, and how figures are distributed.

use std::{fs, io, time::Duration};

/// CPU time of a process since its start, user and system.
///
/// # Errors
/// When it has ended.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold anything but ends at the last bracket.
    let (_, fields) = stat.rsplit_once(") ").unwrap_or_default();
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_millis(ticks * 1000 / per_second))
}

/// The most memory that a process had resident, in bytes.
///
/// # Errors
/// When it has ended.
pub fn peak_resident_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line
        .and_then(|line| line.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok());
    Ok(kibibytes.unwrap_or(0) * 1024)
}

/// What a process caused to be written to disks, in bytes, by the kernel's account.
///
/// # Errors
/// When it has ended, or is somebody else's.
pub fn written_bytes(pid: u32) -> io::Result<u64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io"))?;
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|number| number.parse().ok())
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Values by size.
#[derive(Debug, Default)]
pub struct Distribution(Vec<f64>);

impl Distribution {
    pub fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The smallest value that so many of a hundred are not above.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(place).copied().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut values = Distribution::default();
        assert!(values.percentile(50).is_nan());
        for value in (1..=200).rev() {
            values.add(f64::from(value));
        }
        assert_eq!(values.percentile(50), 100.0);
        assert_eq!(values.percentile(99), 198.0);
        assert_eq!(values.percentile(100), 200.0);
    }

    #[test]
    fn a_process_has_figures() {
        let pid = std::process::id();
        assert!(peak_resident_bytes(pid).unwrap() > 1 << 20);
        assert!(cpu_time(pid).unwrap() < Duration::from_secs(3600));
        assert!(cpu_time(u32::MAX).is_err());
        assert!(written_bytes(pid).is_ok());
        assert!(written_bytes(u32::MAX).is_err());
    }
}
