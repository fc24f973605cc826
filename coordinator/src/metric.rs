//! What is measured over time: every figure that has series, in one table.
//!
//! The number of a metric is stored with its values and never given to another
//! one. Its name ends in its unit, and people write it: `cpu_ratio`.

/// How a metric is stored and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricInfo {
    pub metric: Metric,
    /// In the store, for ever.
    pub number: u16,
    pub name: &'static str,
    /// `ratio`, `bytes`, `bytes_per_second`, `per_second`, `seconds`, `celsius`;
    /// empty = a plain number.
    pub unit: &'static str,
    /// What it is, in words.
    pub title: &'static str,
    /// What a part of the object is, where the metric is of parts: `disk`.
    pub part: Option<&'static str>,
    /// Checks judge it over time, so its newest values are also in memory.
    pub(crate) is_judged: bool,
}

macro_rules! metrics {
    ($($number:literal $variant:ident $name:literal $unit:literal $part:tt $judged:ident $title:literal;)+) => {
        /// What is measured. The unit is part of the name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Metric {
            $(#[doc = $title] $variant = $number,)+
        }

        /// All metrics, by number.
        pub const METRICS: &[MetricInfo] = &[
            $(MetricInfo {
                metric: Metric::$variant,
                number: $number,
                name: $name,
                unit: $unit,
                title: $title,
                part: part!($part),
                is_judged: judged!($judged),
            },)+
        ];
    };
}

macro_rules! part {
    (-) => {
        None
    };
    ($part:literal) => {
        Some($part)
    };
}

macro_rules! judged {
    (judged) => {
        true
    };
    (kept) => {
        false
    };
}

metrics! {
    1 CpuRatio "cpu_ratio" "ratio" - judged "CPU in use, of all that the object has";
    2 IowaitRatio "iowait_ratio" "ratio" - judged "CPU idle while it waits for disks";
    3 CpuPressureSomeRatio "cpu_pressure_some_ratio" "ratio" - judged "Time in which a task waited for CPU";
    4 MemoryPressureSomeRatio "memory_pressure_some_ratio" "ratio" - judged "Time in which a task waited for memory";
    5 MemoryPressureFullRatio "memory_pressure_full_ratio" "ratio" - judged "Time in which all tasks waited for memory";
    6 IoPressureSomeRatio "io_pressure_some_ratio" "ratio" - judged "Time in which a task waited for disks";
    7 IoPressureFullRatio "io_pressure_full_ratio" "ratio" - judged "Time in which all tasks waited for disks";
    8 MemoryAvailableRatio "memory_available_ratio" "ratio" - judged "Memory available, with the part of the ARC that can be reclaimed";
    9 MemoryAvailableBytes "memory_available_bytes" "bytes" - judged "Memory available, with the part of the ARC that can be reclaimed";
    10 SwappedInPagesPerSecond "swapped_in_pages_per_second" "per_second" - judged "Pages read from swap";
    11 SwappedOutPagesPerSecond "swapped_out_pages_per_second" "per_second" - judged "Pages written to swap";
    12 OomKills "oom_kills" "" - judged "Processes killed for lack of memory since the value before";
    13 DiskLatencySeconds "disk_latency_seconds" "seconds" "disk" judged "Mean time of a request, the slower of reads and writes, at ten or more a second";
    14 UsedRatio "used_ratio" "ratio" "mount point" judged "Space in use";
    15 MemoryUsedRatio "memory_used_ratio" "ratio" - judged "Memory in use, of what the guest may have";
    16 StealRatio "steal_ratio" "ratio" - kept "CPU that another machine had instead";
    17 Load1 "load1" "" - kept "Tasks that run or wait, over a minute";
    18 MemoryUsedBytes "memory_used_bytes" "bytes" - kept "Memory in use";
    19 MemoryHostBytes "memory_host_bytes" "bytes" - kept "Memory of the host that a VM takes";
    20 ArcBytes "arc_bytes" "bytes" - kept "Cache of ZFS";
    21 SwapUsedBytes "swap_used_bytes" "bytes" - kept "Swap in use";
    22 ReadBytesPerSecond "read_bytes_per_second" "bytes_per_second" "disk" kept "Read from disks";
    23 WriteBytesPerSecond "write_bytes_per_second" "bytes_per_second" "disk" kept "Written to disks";
    24 ReadsPerSecond "reads_per_second" "per_second" "disk" kept "Read requests";
    25 WritesPerSecond "writes_per_second" "per_second" "disk" kept "Write requests";
    26 DiskBusyRatio "disk_busy_ratio" "ratio" "disk" kept "Time in which the disk had requests";
    27 ReceivedBytesPerSecond "received_bytes_per_second" "bytes_per_second" "interface" kept "Received from the network";
    28 TransmittedBytesPerSecond "transmitted_bytes_per_second" "bytes_per_second" "interface" kept "Sent to the network";
    29 NetworkErrorsPerSecond "network_errors_per_second" "per_second" "interface" kept "Packets with errors";
    30 UsedBytes "used_bytes" "bytes" "mount point" kept "Space in use";
    31 TotalBytes "total_bytes" "bytes" "mount point" kept "Space there is";
    32 TemperatureCelsius "temperature_celsius" "celsius" "sensor" kept "Temperature";
    33 VcpuRunDelayRatio "vcpu_run_delay_ratio" "ratio" - kept "Time in which a virtual CPU was ready and did not run";
    34 MemoryTotalBytes "memory_total_bytes" "bytes" - kept "Memory there is";
}

impl Metric {
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }

    #[must_use]
    pub fn info(self) -> &'static MetricInfo {
        let position = usize::from(self.number()).saturating_sub(1);
        // Numbers begin at one and have no gap: a test makes sure.
        METRICS.get(position).unwrap_or(&METRICS[0])
    }

    /// The metric of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let info = METRICS.iter().find(|info| info.name == name)?;
        Some(info.metric)
    }

    /// The metric that was stored under this number, if this version knows it.
    #[must_use]
    pub fn numbered(number: u16) -> Option<Self> {
        let info = METRICS.iter().find(|info| info.number == number)?;
        Some(info.metric)
    }

    /// The value as it is stored: more digits than the measurement has would take
    /// most of the room. Bytes and counts stay as they are; shares have a
    /// hundredth of a percent, rates and times four digits.
    pub(crate) fn rounded(self, value: f64) -> f64 {
        match self.info().unit {
            "ratio" => (value * 1e4).round() / 1e4,
            "bytes_per_second" | "per_second" | "seconds" => significant(value),
            "celsius" => (value * 10.0).round() / 10.0,
            "" => (value * 100.0).round() / 100.0,
            _ => value,
        }
    }
}

/// The value with 14 significant bits: wrong by one part in 32,768 at most.
fn significant(value: f64) -> f64 {
    const DROPPED: u32 = f64::MANTISSA_DIGITS - 14;
    let bits = value.to_bits();
    let half = 1_u64 << (DROPPED - 1);
    let rounded = f64::from_bits(bits.saturating_add(half) >> DROPPED << DROPPED);
    if rounded.is_finite() { rounded } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_gap_and_names_tell_the_unit() {
        for (position, info) in METRICS.iter().enumerate() {
            assert_eq!(usize::from(info.number), position + 1, "{}", info.name);
            assert_eq!(info.metric.info(), info);
            assert_eq!(Metric::named(info.name), Some(info.metric));
            assert_eq!(Metric::numbered(info.number), Some(info.metric));
            assert!(info.name.ends_with(info.unit), "{}", info.name);
        }
        assert_eq!(Metric::numbered(0), None);
        assert_eq!(Metric::named("cpu"), None);
    }

    #[test]
    fn rounding_keeps_what_matters() {
        assert_eq!(Metric::CpuRatio.rounded(0.049_922_654), 0.0499);
        assert_eq!(
            Metric::UsedBytes.rounded(46_247_485_440.0),
            46_247_485_440.0
        );
        assert_eq!(Metric::OomKills.rounded(3.0), 3.0);
        for value in [1.0, 0.018_237_61, 123_456_789.0, 1e300, 1e-300, 0.0, -7.3] {
            let rounded = Metric::ReadBytesPerSecond.rounded(value);
            assert!((rounded - value).abs() <= value.abs() / 16_384.0, "{value}");
        }
        assert_eq!(significant(f64::MAX), f64::MAX);
    }
}
