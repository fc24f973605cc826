//! The answers of QEMU that are understood (`qemu@qapi/{block-core,run-state}.json`,
//! `pve-qemu@debian/patches` for the balloon).
//!
//! Names of files are in them and not taken: a path can hold a password.

use std::collections::HashMap;

use pvelens_proto::{
    agent::v1::{GuestBalloon, GuestBlockDevice, GuestIoStatus},
    timestamp_from_millis,
};
use serde::Deserialize;

use crate::guest_socket::{Bounded, natural, text};

/// Devices of one VM that are carried; PVE knows some 60 names of disks.
const DEVICE_LIMIT: usize = 128;
/// Bytes of a name.
pub(super) const NAME_LIMIT: usize = 64;

pub(super) type Devices<T> = Bounded<T, DEVICE_LIMIT>;

#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) status: String,
    pub(super) running: bool,
}

#[derive(Debug, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct Balloon {
    #[serde(deserialize_with = "natural")]
    actual: Option<u64>,
    #[serde(deserialize_with = "natural")]
    max_mem: Option<u64>,
    #[serde(deserialize_with = "natural")]
    total_mem: Option<u64>,
    #[serde(deserialize_with = "natural")]
    free_mem: Option<u64>,
    #[serde(deserialize_with = "natural")]
    mem_swapped_in: Option<u64>,
    #[serde(deserialize_with = "natural")]
    mem_swapped_out: Option<u64>,
    #[serde(deserialize_with = "natural")]
    major_page_faults: Option<u64>,
    #[serde(deserialize_with = "natural")]
    minor_page_faults: Option<u64>,
    #[serde(deserialize_with = "natural")]
    last_update: Option<u64>,
}

impl Balloon {
    pub(super) fn into_fact(self) -> Option<GuestBalloon> {
        let reported = self.last_update.filter(|seconds| *seconds > 0);
        let millis = reported.and_then(|seconds| i64::try_from(seconds).ok()?.checked_mul(1000));
        Some(GuestBalloon {
            actual_bytes: self.actual?,
            max_bytes: self.max_mem,
            total_bytes: self.total_mem,
            free_bytes: self.free_mem,
            swapped_in_bytes_total: self.mem_swapped_in,
            swapped_out_bytes_total: self.mem_swapped_out,
            major_faults_total: self.major_page_faults,
            minor_faults_total: self.minor_page_faults,
            reported_at: millis.map(timestamp_from_millis),
        })
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct DeviceStats {
    #[serde(default)]
    device: String,
    #[serde(default)]
    qdev: String,
    stats: Stats,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stats {
    #[serde(deserialize_with = "natural")]
    rd_bytes: Option<u64>,
    #[serde(deserialize_with = "natural")]
    wr_bytes: Option<u64>,
    #[serde(deserialize_with = "natural")]
    rd_operations: Option<u64>,
    #[serde(deserialize_with = "natural")]
    wr_operations: Option<u64>,
    #[serde(deserialize_with = "natural")]
    flush_operations: Option<u64>,
    #[serde(deserialize_with = "natural")]
    rd_total_time_ns: Option<u64>,
    #[serde(deserialize_with = "natural")]
    wr_total_time_ns: Option<u64>,
    #[serde(deserialize_with = "natural")]
    flush_total_time_ns: Option<u64>,
    #[serde(deserialize_with = "natural")]
    failed_rd_operations: Option<u64>,
    #[serde(deserialize_with = "natural")]
    failed_wr_operations: Option<u64>,
    #[serde(deserialize_with = "natural")]
    failed_flush_operations: Option<u64>,
    #[serde(deserialize_with = "natural")]
    invalid_rd_operations: Option<u64>,
    #[serde(deserialize_with = "natural")]
    invalid_wr_operations: Option<u64>,
    #[serde(deserialize_with = "natural")]
    wr_highest_offset: Option<u64>,
}

pub(super) fn devices(all: Devices<DeviceStats>) -> Vec<GuestBlockDevice> {
    let named = all.items.into_iter().filter_map(|item| {
        let stats = item.stats;
        Some(GuestBlockDevice {
            name: name(&item.device, &item.qdev)?,
            read_bytes_total: stats.rd_bytes,
            written_bytes_total: stats.wr_bytes,
            reads_total: stats.rd_operations,
            writes_total: stats.wr_operations,
            flushes_total: stats.flush_operations,
            read_seconds_total: stats.rd_total_time_ns.map(seconds),
            write_seconds_total: stats.wr_total_time_ns.map(seconds),
            flush_seconds_total: stats.flush_total_time_ns.map(seconds),
            failed_reads_total: stats.failed_rd_operations,
            failed_writes_total: stats.failed_wr_operations,
            failed_flushes_total: stats.failed_flush_operations,
            invalid_reads_total: stats.invalid_rd_operations,
            invalid_writes_total: stats.invalid_wr_operations,
            highest_offset_bytes: stats.wr_highest_offset,
            ..GuestBlockDevice::default()
        })
    });
    named.collect()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct DeviceState {
    #[serde(default)]
    device: String,
    #[serde(default)]
    qdev: String,
    #[serde(default)]
    removable: bool,
    io_status: Option<String>,
    inserted: Option<Medium>,
}

#[derive(Debug, Deserialize)]
struct Medium {
    #[serde(default)]
    ro: bool,
    #[serde(default)]
    drv: String,
    #[serde(default, deserialize_with = "natural")]
    backing_file_depth: Option<u64>,
    image: Option<Image>,
}

impl Medium {
    /// PVE 9 puts a filter before each image, which QEMU counts.
    fn depth(&self) -> Option<u32> {
        let filters = u64::from(self.drv == "throttle");
        let depth = self.backing_file_depth?.saturating_sub(filters);
        u32::try_from(depth).ok()
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    #[serde(default, deserialize_with = "natural")]
    virtual_size: Option<u64>,
    #[serde(default, deserialize_with = "natural")]
    actual_size: Option<u64>,
}

/// Adds to each device what `query-block` knows of it.
pub(super) fn add_states(devices: &mut [GuestBlockDevice], all: Devices<DeviceState>) {
    let named = all.items.into_iter();
    let mut states: HashMap<String, DeviceState> = named
        .filter_map(|state| Some((name(&state.device, &state.qdev)?, state)))
        .collect();
    for device in devices {
        let Some(state) = states.remove(&device.name) else {
            continue;
        };
        device.set_io_status(match state.io_status.as_deref() {
            Some("ok") => GuestIoStatus::Ok,
            Some("failed") => GuestIoStatus::Failed,
            Some("nospace") => GuestIoStatus::NoSpace,
            _ => GuestIoStatus::Unspecified,
        });
        device.removable = state.removable;
        device.has_medium = state.inserted.is_some();
        device.read_only = state.inserted.as_ref().is_some_and(|medium| medium.ro);
        device.backing_depth = state.inserted.as_ref().and_then(Medium::depth);
        let image = state.inserted.and_then(|medium| medium.image);
        device.virtual_size_bytes = image.as_ref().and_then(|image| image.virtual_size);
        device.allocated_bytes = image.and_then(|image| image.actual_size);
    }
}

/// The name in the configuration: PVE 8 calls the backend `drive-scsi0`; with PVE 9
/// it has no name, and the device is `scsi0` or `/machine/peripheral/virtio0/virtio-backend`.
fn name(device: &str, qdev: &str) -> Option<String> {
    let name = if device.is_empty() {
        match qdev.strip_prefix("/machine/peripheral/") {
            Some(path) => path.split('/').next().unwrap_or_default(),
            None => qdev,
        }
    } else {
        device.strip_prefix("drive-").unwrap_or(device)
    };
    (!name.is_empty()).then(|| text(name, NAME_LIMIT))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a counter of time; 53 bits keep 100 nanoseconds for 28 years"
)]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn devices_have_the_names_of_the_configuration() {
        for (device, qdev, expected) in [
            ("drive-scsi0", "scsi0", Some("scsi0")),
            ("", "scsi0", Some("scsi0")),
            (
                "",
                "/machine/peripheral/virtio0/virtio-backend",
                Some("virtio0"),
            ),
            ("drive-efidisk0", "", Some("efidisk0")),
            ("pflash0", "", Some("pflash0")),
            ("", "", None),
        ] {
            assert_eq!(name(device, qdev).as_deref(), expected);
        }
    }

    #[test]
    fn a_pve_balloon_with_a_silent_driver_has_only_what_the_host_knows() {
        let fact = |text| serde_json::from_str::<Balloon>(text).unwrap().into_fact();
        let silent = fact(r#"{"actual":7,"max_mem":9,"last_update":0,"free_mem":-1}"#).unwrap();
        assert_eq!((silent.actual_bytes, silent.max_bytes), (7, Some(9)));
        assert_eq!((silent.free_bytes, silent.reported_at), (None, None));
        let full = r#"{"actual":8,"max_mem":8,"total_mem":7,"free_mem":3,"mem_swapped_in":1,"mem_swapped_out":2,"major_page_faults":4,"minor_page_faults":5,"last_update":1795349087}"#;
        let full = fact(full).unwrap();
        assert_eq!((full.total_bytes, full.free_bytes), (Some(7), Some(3)));
        assert_eq!(full.swapped_out_bytes_total, Some(2));
        assert_eq!(full.reported_at.unwrap().seconds, 1_795_349_087);
        assert!(fact("{}").is_none());
    }

    #[test]
    fn a_full_storage_stops_a_device() {
        let stats = r#"[{"device":"","qdev":"scsi0","stats":{"wr_operations":2,"wr_total_time_ns":1500000000,"failed_wr_operations":1},"parent":{"stats":{}}},{"stats":{},"node-name":"x"}]"#;
        let mut all = devices(serde_json::from_str(stats).unwrap());
        let states = r##"[{"device":"","qdev":"scsi0","removable":false,"locked":false,"type":"unknown","io-status":"nospace","inserted":{"file":"nbd://user:secret@x","ro":true,"drv":"throttle","backing_file_depth":2,"image":{"virtual-size":42,"actual-size":7}}}]"##;
        add_states(&mut all, serde_json::from_str(states).unwrap());
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].io_status(), GuestIoStatus::NoSpace);
        assert_eq!(all[0].write_seconds_total, Some(1.5));
        assert_eq!(all[0].virtual_size_bytes, Some(42));
        assert_eq!(
            (all[0].allocated_bytes, all[0].backing_depth),
            (Some(7), Some(1))
        );
        assert!(all[0].has_medium && all[0].read_only);
        assert!(!format!("{all:?}").contains("secret"));
    }

    #[test]
    fn a_chain_of_images_without_end_is_passed_over() {
        let deep = 20_000;
        let text = format!(
            r#"[{{"qdev":"scsi0","stats":{{}},"backing":{}1{}}}]"#,
            r#"{"backing":"#.repeat(deep),
            "}".repeat(deep)
        );
        assert_eq!(devices(serde_json::from_str(&text).unwrap()).len(), 1);
        let wrong = format!(r#"[{{"stats":{}"#, "[".repeat(deep));
        serde_json::from_str::<Devices<DeviceStats>>(&wrong).unwrap_err();
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "\\[?(\\{\"(device|qdev|stats|inserted|io-status|actual)\":(\"\\PC{0,5}\"|[0-9-]{1,22}|\\{\\}|null|\\[)\\},?){0,3}\\]?") {
            drop(serde_json::from_str::<Balloon>(&text).map(Balloon::into_fact));
            let mut all = serde_json::from_str(&text).map(devices).unwrap_or_default();
            if let Ok(states) = serde_json::from_str(&text) {
                add_states(&mut all, states);
            }
        }
    }
}
