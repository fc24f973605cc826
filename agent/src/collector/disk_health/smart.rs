//! The JSON of `smartctl --json --all`, of smartmontools 7.3 (PVE 8) and 7.4 (PVE 9).
//!
//! Nothing but what is named here is carried. Attribute numbers mean what most
//! vendors mean by them; names are those of smartmontools' database.

use pvelens_proto::agent::v1::{
    DiskHealthEntry, DiskHealthState as State, NvmeHealth, ScsiHealth, SelfTest, SmartAttribute,
};
use serde_json::Value;

use crate::format::{
    FormatError,
    loose::{decimal, list, number, ratio, short, small, text},
};

/// Attributes that are carried: sectors and errors (1, 5, 10, 183, 184, 187, 188,
/// 196 to 199), wear and spare (169, 170, 173, 177, 202, 230 to 233), what was
/// written and read (241, 242, 246).
pub(super) const SMART_ATTRIBUTES: &[u32] = &[
    1, 5, 10, 169, 170, 173, 177, 183, 184, 187, 188, 196, 197, 198, 199, 202, 230, 231, 232, 233,
    241, 242, 246,
];

/// Attributes whose normalised value is the remaining life in percent
/// (`pve-storage@src/PVE/Diskmanage.pm`).
const REMAINING_LIFE: &[&str] = &[
    "Lifetime_Left",
    "Lifetime_Remaining",
    "Media_Wearout_Indicator",
    "PCT_Life_Remaining",
    "Perc_Rated_Life_Remain",
    "Perc_Rated_Life_Used",
    "Perc_Write/Erase_Ct_BC",
    "Percent_Life_Remaining",
    "Percent_Lifetime_Remain",
    "Percent_Lifetime_Used",
    "Remaining_Lifetime_Perc",
    "SSD_Life_Left",
    "Wear_Leveling_Count",
];

/// Flags of the exit status: the command line or the device were not understood.
const NOT_OPENED: u32 = 0b11;
/// In messages about what needs another way to be asked, or has none.
const NO_WAY: &[&str] = &[
    "Unable to detect device type",
    "Unknown USB bridge",
    "please specify",
    "please try",
    "requires option",
];
/// An NVMe disk counts in thousands of 512-byte units.
const NVME_UNIT_BYTES: u64 = 512_000;

pub(super) fn document(text: &str) -> Result<Value, FormatError> {
    let document: Value = serde_json::from_str(text).map_err(|error| {
        if error.is_eof() {
            FormatError::truncated("the document does not end")
        } else {
            FormatError::malformed("not JSON")
        }
    })?;
    match document.get("smartctl") {
        Some(Value::Object(_)) => Ok(document),
        _ => Err(FormatError::malformed("not a document of smartctl")),
    }
}

/// Adds what smartctl says to what sysfs said.
pub(super) fn fill(disk: &mut DiskHealthEntry, document: &Value) {
    let at = |pointer: &str| document.pointer(pointer);
    let status = at("/smartctl/exit_status")
        .and_then(Value::as_u64)
        .and_then(|status| u32::try_from(status).ok());
    disk.exit_status = status;
    identify(disk, document);
    disk.state = state(document, status.unwrap_or_default()).into();
    if disk.state() != State::Measured {
        return;
    }
    let flag = |pointer: &str| at(pointer).and_then(Value::as_bool);
    disk.smart_available = flag("/smart_support/available");
    disk.smart_enabled = flag("/smart_support/enabled");
    disk.passed = flag("/smart_status/passed");
    disk.temperature_celsius = at("/temperature").and_then(|all| decimal(all, "current"));
    disk.power_on_hours = at("/power_on_time").and_then(|time| number(time, "hours"));
    disk.power_cycles_total = number(document, "power_cycle_count");
    disk.attributes = attributes(document);
    let nvme = at("/nvme_smart_health_information_log");
    disk.nvme = nvme.map(nvme_health);
    disk.scsi = scsi_health(document);
    disk.logged_errors_total = at("/ata_smart_error_log/summary")
        .and_then(|summary| number(summary, "count"))
        .or_else(|| number(nvme?, "num_err_log_entries"));
    disk.life_used_ratio = at("/endurance_used")
        .and_then(|used| ratio(used, "current_percent"))
        .or_else(|| ratio(nvme?, "percentage_used"))
        .or_else(|| ratio(document, "scsi_percentage_used_endurance_indicator"))
        .or_else(|| life_used(&disk.attributes, disk.rotation_per_minute));
    disk.last_self_test = self_test(document);
    disk.self_test_runs = self_test_runs(document);
}

fn identify(disk: &mut DiskHealthEntry, document: &Value) {
    let first = |keys: &[&str]| {
        let mut texts = keys.iter().map(|key| text(document, key));
        texts.find(|text| !text.is_empty()).unwrap_or_default()
    };
    let model = first(&["model_name", "scsi_model_name", "scsi_product"]);
    if !model.is_empty() {
        disk.model = model;
    }
    disk.serial = first(&["serial_number"]);
    disk.firmware = first(&["firmware_version", "scsi_revision"]);
    disk.protocol = document
        .get("device")
        .map(|device| text(device, "protocol"))
        .unwrap_or_default();
    disk.wwn = wwn(document).unwrap_or_default();
    disk.rotation_per_minute = small(document, "rotation_rate");
}

/// Both kinds of 64 bits: 4 of type, 24 of vendor, 36 of number, or 24 and 40.
fn wwn(document: &Value) -> Option<String> {
    if let Some(wwn) = document.get("wwn") {
        let (naa, oui, id) = (number(wwn, "naa")?, number(wwn, "oui")?, number(wwn, "id")?);
        return Some(format!(
            "{:01x}{:06x}{:09x}",
            naa & 0xf,
            oui & 0xff_ffff,
            id & 0xf_ffff_ffff
        ));
    }
    if let Some(unit) = document.get("logical_unit_id").and_then(Value::as_str) {
        return Some(short(unit.trim_start_matches("0x")));
    }
    let eui64 = document.pointer("/nvme_namespaces/0/eui64")?;
    let (oui, id) = (number(eui64, "oui")?, number(eui64, "ext_id")?);
    Some(format!(
        "{:06x}{:010x}",
        oui & 0xff_ffff,
        id & 0xff_ffff_ffff
    ))
}

fn state(document: &Value, status: u32) -> State {
    let messages = document
        .get("smartctl")
        .map_or(&[][..], |smartctl| list(smartctl, "messages"));
    let says = |parts: &[&str]| {
        messages.iter().any(|message| {
            let message = text(message, "string");
            parts.iter().any(|part| message.contains(part))
        })
    };
    let has_data = [
        "/smart_status/passed",
        "/ata_smart_attributes",
        "/nvme_smart_health_information_log",
        "/scsi_grown_defect_list",
    ]
    .iter()
    .any(|pointer| document.pointer(pointer).is_some());
    if has_data {
        State::Measured
    } else if says(&["STANDBY", "SLEEP mode"]) {
        State::Standby
    } else if says(NO_WAY) || status & NOT_OPENED == 0 {
        State::Unsupported
    } else {
        State::NoAnswer
    }
}

fn attributes(document: &Value) -> Vec<SmartAttribute> {
    let Some(table) = document.get("ata_smart_attributes") else {
        return Vec::new();
    };
    // A table has 30 places.
    let rows = list(table, "table").iter().take(64);
    rows.filter_map(|row| {
        let id = small(row, "id").filter(|id| SMART_ATTRIBUTES.contains(id))?;
        Some(SmartAttribute {
            id,
            name: text(row, "name"),
            value: small(row, "value").unwrap_or_default(),
            worst: small(row, "worst").unwrap_or_default(),
            threshold: small(row, "thresh").unwrap_or_default(),
            raw: number(row.get("raw")?, "value")?,
            when_failed: text(row, "when_failed"),
        })
    })
    .collect()
}

/// Of a disk without platters: the first attribute that tells its remaining life.
fn life_used(attributes: &[SmartAttribute], rotation: Option<u32>) -> Option<f64> {
    if rotation.is_some_and(|rotation| rotation > 0) {
        return None;
    }
    let mut all = attributes.iter();
    let found = all.find(|each| REMAINING_LIFE.contains(&each.name.as_str()) && each.value <= 100);
    found.map(|each| f64::from(100_u32.saturating_sub(each.value)) / 100.0)
}

fn nvme_health(log: &Value) -> NvmeHealth {
    let bytes = |key| number(log, key).map(|units| units.saturating_mul(NVME_UNIT_BYTES));
    NvmeHealth {
        critical_warning: small(log, "critical_warning").unwrap_or_default(),
        available_spare_ratio: ratio(log, "available_spare"),
        available_spare_threshold_ratio: ratio(log, "available_spare_threshold"),
        media_errors_total: number(log, "media_errors"),
        unsafe_shutdowns_total: number(log, "unsafe_shutdowns"),
        written_bytes_total: bytes("data_units_written"),
        read_bytes_total: bytes("data_units_read"),
        warning_temperature_minutes_total: number(log, "warning_temp_time"),
        critical_temperature_minutes_total: number(log, "critical_comp_time"),
    }
}

fn scsi_health(document: &Value) -> Option<ScsiHealth> {
    let uncorrected = |which: &str| {
        let log = document.pointer(&format!("/scsi_error_counter_log/{which}"))?;
        number(log, "total_uncorrected_errors")
    };
    let health = ScsiHealth {
        grown_defects: number(document, "scsi_grown_defect_list"),
        read_uncorrected_errors_total: uncorrected("read"),
        write_uncorrected_errors_total: uncorrected("write"),
        verify_uncorrected_errors_total: uncorrected("verify"),
    };
    (health != ScsiHealth::default()).then_some(health)
}

/// ATA has it in the upper four bits of its status, SCSI as the newest result, both
/// as 15; NVMe says which test it is, 0 being none.
fn self_test_runs(document: &Value) -> Option<bool> {
    let at = |pointer: &str| document.pointer(pointer).and_then(Value::as_u64);
    let ata = at("/ata_smart_data/self_test/status/value").map(|status| status >> 4 == 15);
    let nvme = || at("/nvme_self_test_log/current_self_test_operation/value").map(|test| test != 0);
    let scsi = || at("/scsi_self_test_0/result/value").map(|result| result == 15);
    ata.or_else(nvme).or_else(scsi)
}

/// The newest of the log; each protocol has its own names.
fn self_test(document: &Value) -> Option<SelfTest> {
    let first = |pointers: &[&str]| pointers.iter().find_map(|each| document.pointer(each));
    let (test, kind, result, hours) = if let Some(test) = first(&[
        "/ata_smart_self_test_log/standard/table/0",
        "/ata_smart_self_test_log/extended/table/0",
    ]) {
        (test, "type", "status", number(test, "lifetime_hours"))
    } else if let Some(test) = first(&["/nvme_self_test_log/table/0"]) {
        let hours = number(test, "power_on_hours");
        (test, "self_test_code", "self_test_result", hours)
    } else {
        let test = first(&["/scsi_self_test_0"])?;
        let hours = test
            .get("power_on_time")
            .and_then(|time| number(time, "hours"));
        (test, "code", "result", hours)
    };
    let result = test.get(result)?;
    let passed = result.get("passed").and_then(Value::as_bool);
    Some(SelfTest {
        kind: test
            .get(kind)
            .map(|kind| text(kind, "string"))
            .unwrap_or_default(),
        status: text(result, "string"),
        // Of NVMe and SCSI disks 0 is success, 1, 2 and 15 say nothing of the disk.
        passed: passed.or_else(|| match number(result, "value")? {
            0 => Some(true),
            1 | 2 | 15 => None,
            _ => Some(false),
        }),
        at_power_on_hours: hours,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str) -> DiskHealthEntry {
        let mut disk = DiskHealthEntry::default();
        fill(&mut disk, &document(text).unwrap());
        disk
    }

    #[test]
    fn a_test_that_runs_is_told_by_each_protocol() {
        for (text, runs) in [
            (
                r#"{"ata_smart_data":{"self_test":{"status":{"value":249}}}}"#,
                Some(true),
            ),
            (
                r#"{"ata_smart_data":{"self_test":{"status":{"value":0}}}}"#,
                Some(false),
            ),
            (
                r#"{"nvme_self_test_log":{"current_self_test_operation":{"value":1}}}"#,
                Some(true),
            ),
            (
                r#"{"nvme_self_test_log":{"current_self_test_operation":{"value":0}}}"#,
                Some(false),
            ),
            (
                r#"{"scsi_self_test_0":{"result":{"value":15}}}"#,
                Some(true),
            ),
            (r#"{"scsi_self_test_0":{"result":{"value":"x"}}}"#, None),
            ("{}", None),
        ] {
            let document = serde_json::from_str(text).unwrap();
            assert_eq!(self_test_runs(&document), runs, "{text}");
        }
    }

    #[test]
    fn an_ata_disk_has_its_attributes() {
        let disk = filled(
            r#"{"smartctl":{"version":[7,4],"exit_status":64},"device":{"name":"/dev/sda","type":"sat","protocol":"ATA"},"model_name":"ACME SSD","serial_number":"S1","wwn":{"naa":5,"oui":9528,"id":4100000001},"firmware_version":"F1","rotation_rate":0,"smart_support":{"available":true,"enabled":true},"smart_status":{"passed":true},
            "ata_smart_attributes":{"revision":1,"table":[{"id":5,"name":"Reallocated_Sector_Ct","value":100,"worst":100,"thresh":10,"when_failed":"","raw":{"value":3,"string":"3"}},{"id":9,"name":"Power_On_Hours","value":95,"raw":{"value":20000,"string":"20000"}},{"id":177,"name":"Wear_Leveling_Count","value":82,"worst":82,"thresh":0,"when_failed":"","raw":{"value":350,"string":"350"}}]},
            "power_on_time":{"hours":20000},"power_cycle_count":42,"temperature":{"current":33},"ata_smart_error_log":{"summary":{"revision":1,"count":4}},"ata_smart_self_test_log":{"standard":{"revision":1,"table":[{"type":{"value":2,"string":"Extended offline"},"status":{"value":112,"string":"Completed: read failure","passed":false},"lifetime_hours":19990}]}}}"#,
        );
        assert_eq!(disk.state(), State::Measured);
        let attributes: Vec<(u32, u64)> = disk.attributes.iter().map(|a| (a.id, a.raw)).collect();
        assert_eq!(attributes, [(5, 3), (177, 350)]);
        assert_eq!(disk.life_used_ratio, Some(0.18));
        assert_eq!(disk.wwn, "50025380f4610901");
        assert_eq!(
            (disk.logged_errors_total, disk.exit_status),
            (Some(4), Some(64))
        );
        let test = disk.last_self_test.unwrap();
        assert_eq!(
            (test.passed, test.at_power_on_hours),
            (Some(false), Some(19_990))
        );
        assert_eq!((disk.nvme, disk.scsi), (None, None));
    }

    #[test]
    fn an_nvme_disk_has_its_log() {
        let disk = filled(
            r#"{"smartctl":{"exit_status":8},"device":{"protocol":"NVMe"},"model_name":"ACME NVMe","nvme_namespaces":[{"id":1,"eui64":{"oui":9528,"ext_id":7}}],"smart_status":{"passed":false,"nvme":{"value":1}},"nvme_smart_health_information_log":{"critical_warning":1,"temperature":40,"available_spare":5,"available_spare_threshold":10,"percentage_used":103,"data_units_read":1,"data_units_written":2,"power_on_hours":9,"unsafe_shutdowns":6,"media_errors":2,"num_err_log_entries":11},"nvme_self_test_log":{"table":[{"self_test_code":{"value":1,"string":"Short"},"self_test_result":{"value":0,"string":"Completed without error"},"power_on_hours":8}]}}"#,
        );
        assert_eq!(disk.passed, Some(false));
        let nvme = disk.nvme.unwrap();
        assert_eq!(
            (nvme.critical_warning, nvme.media_errors_total),
            (1, Some(2))
        );
        assert_eq!(nvme.available_spare_ratio, Some(0.05));
        assert_eq!(nvme.written_bytes_total, Some(1_024_000));
        assert_eq!(
            (disk.life_used_ratio, disk.logged_errors_total),
            (Some(1.03), Some(11))
        );
        assert_eq!(disk.wwn, "0025380000000007");
        assert_eq!(disk.last_self_test.unwrap().passed, Some(true));
    }

    #[test]
    fn a_sas_disk_has_defects_and_errors() {
        let disk = filled(
            r#"{"smartctl":{"exit_status":0},"device":{"protocol":"SCSI"},"scsi_vendor":"ACME","scsi_product":"SAS1","scsi_revision":"0001","logical_unit_id":"0x5000c50012345678","serial_number":"Z","rotation_rate":7200,"smart_support":{"available":true,"enabled":true},"smart_status":{"passed":true},"scsi_grown_defect_list":12,"scsi_error_counter_log":{"read":{"total_uncorrected_errors":1},"write":{"total_uncorrected_errors":0}},"scsi_self_test_0":{"code":{"string":"Background long"},"result":{"value":2,"string":"Aborted"},"power_on_time":{"hours":5}}}"#,
        );
        let scsi = disk.scsi.unwrap();
        assert_eq!(
            (scsi.grown_defects, scsi.read_uncorrected_errors_total),
            (Some(12), Some(1))
        );
        assert_eq!(scsi.verify_uncorrected_errors_total, None);
        assert_eq!(
            (disk.model.as_str(), disk.wwn.as_str()),
            ("SAS1", "5000c50012345678")
        );
        assert_eq!(disk.last_self_test.unwrap().passed, None);
        assert_eq!(disk.life_used_ratio, None);
    }

    #[test]
    fn a_disk_without_data_says_why() {
        for (status, message, state) in [
            (2, "Device is in STANDBY mode, exit(2)", State::Standby),
            (2, "Device is in SLEEP mode, exit(2)", State::Standby),
            (
                1,
                "/dev/sdb: Unknown USB bridge [0x0:0x1 (0x2)]",
                State::Unsupported,
            ),
            (
                1,
                "/dev/vda: Unable to detect device type",
                State::Unsupported,
            ),
            (
                2,
                "Smartctl open device: /dev/sda failed: DELL or MegaRaid controller, please try adding '-d megaraid,N'",
                State::Unsupported,
            ),
            (
                2,
                "Smartctl open device: /dev/sda failed: No such device",
                State::NoAnswer,
            ),
            (0, "", State::Unsupported),
        ] {
            let disk = filled(&format!(
                r#"{{"smartctl":{{"messages":[{{"string":"{message}","severity":"error"}}],"exit_status":{status}}}}}"#
            ));
            assert_eq!(disk.state(), state, "{message}");
            assert_eq!((disk.passed, disk.power_on_hours), (None, None));
        }
    }

    #[test]
    fn other_documents_are_no_answer() {
        for text in ["", "{", "[]", "{}", "{\"smartctl\":1}"] {
            assert!(document(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_document_is_understood_or_fails(text in "(\\{\"smartctl\":\\{\\},\"(wwn|ata_smart_attributes|nvme_smart_health_information_log|smart_status|nvme_namespaces)\":(\\{\"[a-z_]{1,5}\":[0-9]{1,20}\\}|\\[\\{\\}\\]|[0-9]{1,20})\\}|\\PC{0,40})") {
            if let Ok(document) = document(&text) {
                fill(&mut DiskHealthEntry::default(), &document);
            }
        }
    }
}
