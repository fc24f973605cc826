//! LVM: volume groups, volumes, thin pools and physical volumes.
//!
//! The reports come from the disk probe, since metadata and fill are behind block
//! devices. It is asked only where the kernel has device-mapper. The two settings
//! that tell how thin pools grow and are checked are in `/etc/lvm/lvm.conf`.

use std::time::Duration;

use pvelens_proto::agent::v1::{CollectionClass, FailureKind, LogicalVolumeKind, Lvm, LvmSettings};
use serde_json::Value;

use super::{Answer, CollectError, Collector, Payload, Reading};
use crate::{
    host::SourceError,
    probe::{
        Request,
        request::{DiskRequest, DmTarget},
    },
};

mod report;
mod settings;
mod thin_status;

const CONF: &str = "/etc/lvm/lvm.conf";
/// Debian's file is 110 KB, nearly all of it comments.
const CONF_LIMIT: u64 = 1 << 20;
const DEVICE_MAPPER: &str = "/sys/class/misc/device-mapper";

pub(super) const COLLECTOR: Collector = Collector {
    name: "lvm",
    summary: "LVM volume groups, volumes and the fill of thin pools",
    class: CollectionClass::State,
    interval: Duration::from_secs(60),
    // A report may take 30 s. When the scan of devices is that slow, the first one
    // ends the run.
    deadline: Duration::from_secs(50),
    paths: &[CONF],
    probes: &["vgs", "lvs", "pvs", "dm_status"],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    if !reading.exists(DEVICE_MAPPER) {
        return Err(CollectError::NoData("no device-mapper, so no LVM"));
    }
    let groups = match reading.ask(&Request::Disk(DiskRequest::Vgs {})) {
        Err(error) if error.is_not_found() => {
            return Err(CollectError::NoData(
                "LVM or the disk probe is not installed",
            ));
        }
        answer => answer?,
    };
    let volume_groups = rows(reading, &groups, "vg", report::volume_group)?;
    if volume_groups.is_empty() {
        return Err(CollectError::NoData("no LVM volume group"));
    }
    let mut lvm = Lvm {
        volume_groups,
        settings: settings(reading),
        ..Lvm::default()
    };
    lvm.logical_volumes = asked(reading, DiskRequest::Lvs {}, "lv", report::logical_volume);
    lvm.physical_volumes = asked(reading, DiskRequest::Pvs {}, "pv", report::physical_volume);
    let has_pools = lvm
        .logical_volumes
        .iter()
        .any(|volume| volume.kind() == LogicalVolumeKind::ThinPool);
    if has_pools {
        add_status(reading, &mut lvm);
    }
    lvm.volume_groups.sort_by(|a, b| a.name.cmp(&b.name));
    lvm.logical_volumes
        .sort_by(|a, b| (&a.volume_group, &a.name).cmp(&(&b.volume_group, &b.name)));
    lvm.physical_volumes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Payload::Lvm(lvm))
}

/// The rows of one report; why there are none is named.
fn asked<T>(
    reading: &mut Reading<'_>,
    request: DiskRequest,
    table: &str,
    row: fn(&Value) -> Option<T>,
) -> Vec<T> {
    let rows = reading
        .ask(&Request::Disk(request))
        .and_then(|answer| rows(reading, &answer, table, row));
    reading.keep(rows).unwrap_or_default()
}

/// The rows of a report. A status other than 0 with a report, as for a group that
/// lacks a volume, is named and the report counts.
fn rows<T>(
    reading: &mut Reading<'_>,
    answer: &Answer,
    table: &str,
    row: fn(&Value) -> Option<T>,
) -> Result<Vec<T>, SourceError> {
    let report = answer
        .text()
        .and_then(|text| report::parse(text, table, row).map_err(|e| e.at(&answer.source)));
    match (report, answer.success()) {
        (Ok(report), said) => {
            if let Err(error) = said {
                reading.fail(error);
            }
            if report.is_cut {
                let cut = format!("more than {} rows", report::ROW_LIMIT);
                reading.fail(SourceError::new(&answer.source, FailureKind::TooLarge, cut));
            }
            Ok(report.rows)
        }
        // What the tool said tells more than that its report is none.
        (Err(_), Err(error)) | (Err(error), Ok(_)) => Err(error),
    }
}

fn add_status(reading: &mut Reading<'_>, lvm: &mut Lvm) {
    let request = Request::Disk(DiskRequest::DmStatus {
        target: DmTarget::ThinPool,
    });
    let lines = reading.ask(&request).and_then(|answer| {
        let text = answer.success()?;
        thin_status::parse(text).map_err(|error| error.at(&answer.source))
    });
    let Some(lines) = reading.keep(lines) else {
        return;
    };
    for volume in &mut lvm.logical_volumes {
        if let Some(pool) = &mut volume.thin_pool {
            pool.status = thin_status::of(&lines, &volume.volume_group, &volume.name);
        }
    }
}

fn settings(reading: &mut Reading<'_>) -> Option<LvmSettings> {
    let text = reading.read_optional(CONF, CONF_LIMIT)?;
    Some(settings::parse(&text))
}

#[cfg(test)]
mod tests {
    use pvelens_proto::agent::v1::ThinPoolMode;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const MAPPER: (&str, &str) = ("sys/class/misc/device-mapper/dev", "10:236\n");

    fn reply(status: u8, stdout: &str) -> String {
        format!(
            "{{\"outcome\":{{\"kind\":\"exited\",\"exit_status\":{status}}},\"program\":[],\"stdout_bytes\":{},\"stdout_truncated\":false,\"stderr\":\"  WARNING: something.\",\"stderr_truncated\":false,\"duration_milliseconds\":9}}\n{stdout}",
            stdout.len()
        )
    }

    const VGS: &str = r#"{"report":[{"vg":[{"vg_name":"pve","vg_uuid":"u","vg_attr":"wz-pn-","vg_size":"100","vg_free":"10","vg_extent_size":"4","pv_count":"2","vg_missing_pv_count":"1","lv_count":"1","snap_count":"0"}]}]}"#;
    const LVS: &str = r#"{"report":[{"lv":[{"vg_name":"pve","lv_name":"data","lv_attr":"twi-aotz--","lv_size":"50","segtype":"thin-pool","data_percent":"45.12","metadata_percent":"3.10"}]}]}"#;

    #[test]
    fn a_node_without_device_mapper_or_tools_has_nothing() {
        for files in [&[][..], &[MAPPER][..]] {
            let node = sample(&COLLECTOR, files);
            assert!(matches!(node.payload, Some(Payload::NoData(_))), "{node:?}");
            assert_eq!(kinds(&node), []);
        }
    }

    #[test]
    fn a_report_with_a_complaint_counts_and_the_complaint_is_named() {
        let (vgs, lvs) = (reply(5, VGS), reply(0, LVS));
        let status = reply(
            0,
            "pve-data-tpool: 0 100 thin-pool 1 2/3 4/5 - out_of_data_space discard_passdown error_if_no_space needs_check 6\n",
        );
        let node = sample(
            &COLLECTOR,
            &[
                MAPPER,
                (".pvelens/probe/disk/vgs", &vgs),
                (".pvelens/probe/disk/lvs", &lvs),
                (".pvelens/probe/disk/dm_status.thin-pool", &status),
            ],
        );
        // Of vgs what it said, of pvs that there is no reply.
        assert_eq!(kinds(&node), [FailureKind::Io, FailureKind::NotFound]);
        let Some(Payload::Lvm(lvm)) = node.payload else {
            panic!("{node:?}");
        };
        assert!(lvm.volume_groups[0].partial);
        assert_eq!(lvm.volume_groups[0].missing_physical_volumes, 1);
        let status = lvm.logical_volumes[0].thin_pool.as_ref().unwrap().status;
        assert_eq!(status.unwrap().mode(), ThinPoolMode::OutOfDataSpace);
        assert!(status.unwrap().needs_check);
    }

    #[test]
    fn a_report_that_is_none_is_a_failure() {
        let node = sample(
            &COLLECTOR,
            &[MAPPER, (".pvelens/probe/disk/vgs", &reply(0, "{\"rep"))],
        );
        assert_eq!(
            (kinds(&node), node.payload),
            (vec![FailureKind::Truncated], None)
        );
    }
}
