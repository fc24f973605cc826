//! Every threshold of the checks, by name, with the catalogue's value.

use std::time::Duration;

/// Thresholds. Ratios are 0 to 1; durations are hold times and ages.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// An agent that sent nothing for this long is silent: three intervals.
    pub agent_silent: Duration,
    /// Age up to which figures and states count.
    pub state_age: Duration,
    /// Members are compared by samples of one such window (rule G2).
    pub merge_window: Duration,
    /// Age up to which configuration counts (rule G2).
    pub config_age: Duration,
    /// No metric is judged so soon after a start (rule G4).
    pub warm_up: Duration,

    pub clock_skew: f64,
    pub clock_skew_critical: f64,

    pub cpu_pressure: f64,
    pub cpu_pressure_critical: f64,
    pub cpu_pressure_clear: f64,
    pub iowait: f64,
    pub iowait_clear: f64,
    pub io_some: f64,
    pub io_some_clear: f64,
    pub io_full_critical: f64,

    pub memory_some: f64,
    pub memory_some_critical: f64,
    pub memory_some_clear: f64,
    pub memory_full_critical: f64,
    pub memory_full_clear: f64,
    pub memory_available: f64,
    pub memory_available_clear: f64,
    pub memory_available_critical: f64,
    pub memory_available_critical_bytes: u64,
    /// Pages a second that are read back from swap.
    pub swapped_in: f64,
    /// Pages a second in both directions at once.
    pub swapped_both: f64,
    pub swapped_clear: f64,
    pub memory_reserve_bytes: u64,
    pub commitment: f64,
    pub commitment_warning: f64,

    /// Seconds, 95th percentile.
    pub nvme_latency: f64,
    pub ssd_latency: f64,
    pub hdd_latency: f64,
    pub network_disk_latency: f64,
    pub latency_critical_factor: f64,

    pub filesystem_free: f64,
    pub filesystem_free_bytes: u64,
    pub filesystem_free_critical: f64,
    pub filesystem_free_critical_bytes: u64,
    /// Free space above the trigger that clears.
    pub filesystem_free_margin: f64,

    /// What is freer than this is not forecast.
    pub forecast_free: f64,
    pub forecast_free_margin: f64,
    /// What is full within this time is a finding.
    pub forecast_within: Duration,
    /// It is none any more when it takes so many times as long.
    pub forecast_clear_factor: f64,

    pub pvestatd_age: Duration,

    pub storage_used: f64,
    pub storage_used_critical: f64,
    pub storage_used_margin: f64,

    pub thin_data: f64,
    pub thin_data_critical: f64,
    pub thin_metadata: f64,
    pub thin_metadata_critical: f64,
    pub thin_margin: f64,

    /// Age of what the HA master, or the HA manager of a node, wrote last.
    pub ha_master_age: Duration,
    pub ha_manager_age: Duration,
    pub ha_recovery: Duration,
    pub ha_freeze: Duration,

    pub guest_paused: Duration,
    pub guest_cpu: f64,
    /// The 95th percentile of a day.
    pub guest_cpu_day: f64,
    pub guest_cpu_clear: f64,
    /// Available share of a guest's memory that proves that it has enough.
    pub guest_memory_available: f64,
    pub guest_memory_available_clear: f64,
    pub container_memory: f64,
    pub container_memory_pressure: f64,

    pub snapshot_age_info: Duration,
    pub snapshot_age_warning: Duration,
    pub snapshot_age_critical: Duration,
    pub snapshot_pool_critical: f64,
    pub volume_not_backed_up_bytes: u64,
}

const MINUTE: u64 = 60;
const DAY: u64 = 86_400;
const GIB: u64 = 1 << 30;

impl Default for Limits {
    fn default() -> Self {
        Self {
            agent_silent: Duration::from_secs(3 * MINUTE),
            state_age: Duration::from_secs(3 * MINUTE),
            merge_window: Duration::from_secs(30),
            config_age: Duration::from_secs(15 * MINUTE),
            warm_up: Duration::from_secs(10 * MINUTE),
            clock_skew: 0.25,
            clock_skew_critical: 2.0,
            cpu_pressure: 0.25,
            cpu_pressure_critical: 0.50,
            cpu_pressure_clear: 0.15,
            iowait: 0.10,
            iowait_clear: 0.06,
            io_some: 0.20,
            io_some_clear: 0.10,
            io_full_critical: 0.10,
            memory_some: 0.10,
            memory_some_critical: 0.40,
            memory_some_clear: 0.05,
            memory_full_critical: 0.05,
            memory_full_clear: 0.01,
            memory_available: 0.10,
            memory_available_clear: 0.13,
            memory_available_critical: 0.05,
            memory_available_critical_bytes: 2 * GIB,
            swapped_in: 500.0,
            swapped_both: 200.0,
            swapped_clear: 50.0,
            memory_reserve_bytes: 2 * GIB,
            commitment: 1.0,
            commitment_warning: 1.2,
            nvme_latency: 0.005,
            ssd_latency: 0.020,
            hdd_latency: 0.060,
            network_disk_latency: 0.050,
            latency_critical_factor: 4.0,
            filesystem_free: 0.15,
            filesystem_free_bytes: 20 * GIB,
            filesystem_free_critical: 0.05,
            filesystem_free_critical_bytes: 2 * GIB,
            filesystem_free_margin: 0.03,
            forecast_free: 0.40,
            forecast_free_margin: 0.03,
            forecast_within: Duration::from_secs(DAY),
            forecast_clear_factor: 1.2,
            pvestatd_age: Duration::from_secs(120),
            storage_used: 0.85,
            storage_used_critical: 0.95,
            storage_used_margin: 0.05,
            thin_data: 0.80,
            thin_data_critical: 0.90,
            thin_metadata: 0.70,
            thin_metadata_critical: 0.85,
            thin_margin: 0.05,
            ha_master_age: Duration::from_secs(60),
            ha_manager_age: Duration::from_secs(30),
            ha_recovery: Duration::from_secs(5 * MINUTE),
            ha_freeze: Duration::from_secs(15 * MINUTE),
            guest_paused: Duration::from_secs(30 * MINUTE),
            guest_cpu: 0.95,
            guest_cpu_day: 0.90,
            guest_cpu_clear: 0.80,
            guest_memory_available: 0.08,
            guest_memory_available_clear: 0.15,
            container_memory: 0.95,
            container_memory_pressure: 0.05,
            snapshot_age_info: Duration::from_secs(30 * DAY),
            snapshot_age_warning: Duration::from_secs(45 * DAY),
            snapshot_age_critical: Duration::from_secs(180 * DAY),
            snapshot_pool_critical: 0.80,
            volume_not_backed_up_bytes: GIB,
        }
    }
}
