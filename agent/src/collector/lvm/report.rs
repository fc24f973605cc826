//! The JSON reports of `vgs`, `lvs` and `pvs`: `{"report":[{"vg":[{…}]}]}`, every
//! value as text (`lvmreport(7)`). What the characters of the attributes stand for
//! is in `vgs(8)`, `lvs(8)` and `pvs(8)`.

use pvelens_proto::agent::v1::{
    LogicalVolume, LogicalVolumeHealth as Health, LogicalVolumeKind as Kind,
    LogicalVolumeState as State, PhysicalVolume, ThinPool, VolumeGroup,
};
use serde_json::Value;

use crate::format::{
    FormatError,
    loose::{list, number, ratio, small, text},
};

/// Rows of one report; a volume for each disk of each guest.
pub(super) const ROW_LIMIT: usize = 10_000;

#[derive(Debug)]
pub(super) struct Report<T> {
    pub(super) rows: Vec<T>,
    pub(super) is_cut: bool,
}

/// The rows of one table.
pub(super) fn parse<T>(
    text: &str,
    table: &str,
    row: fn(&Value) -> Option<T>,
) -> Result<Report<T>, FormatError> {
    let document: Value = serde_json::from_str(text).map_err(|error| {
        if error.is_eof() {
            FormatError::truncated("the report does not end")
        } else {
            FormatError::malformed("not a report")
        }
    })?;
    let reports = list(&document, "report");
    if !reports.iter().any(|report| report.get(table).is_some()) {
        return Err(FormatError::malformed("not a report of this table"));
    }
    let all = reports.iter().flat_map(|report| list(report, table));
    let mut rows: Vec<T> = all
        .take(ROW_LIMIT.saturating_add(1))
        .filter_map(row)
        .collect();
    let is_cut = rows.len() > ROW_LIMIT;
    rows.truncate(ROW_LIMIT);
    Ok(Report { rows, is_cut })
}

pub(super) fn volume_group(row: &Value) -> Option<VolumeGroup> {
    let attributes = text(row, "vg_attr");
    Some(VolumeGroup {
        name: name(row, "vg_name")?,
        uuid: text(row, "vg_uuid"),
        size_bytes: number(row, "vg_size").unwrap_or_default(),
        free_bytes: number(row, "vg_free").unwrap_or_default(),
        extent_bytes: number(row, "vg_extent_size").unwrap_or_default(),
        physical_volumes: small(row, "pv_count").unwrap_or_default(),
        missing_physical_volumes: small(row, "vg_missing_pv_count").unwrap_or_default(),
        logical_volumes: small(row, "lv_count").unwrap_or_default(),
        snapshots: small(row, "snap_count").unwrap_or_default(),
        read_only: at(&attributes, 0) == 'r',
        exported: at(&attributes, 2) == 'x',
        partial: at(&attributes, 3) == 'p',
        clustered_or_shared: matches!(at(&attributes, 5), 'c' | 's'),
    })
}

pub(super) fn logical_volume(row: &Value) -> Option<LogicalVolume> {
    let attributes = text(row, "lv_attr");
    let kind = match at(&attributes, 0) {
        '-' => Kind::Plain,
        't' => Kind::ThinPool,
        'V' => Kind::Thin,
        's' | 'S' => Kind::Snapshot,
        'o' | 'O' => Kind::Origin,
        'r' | 'R' | 'm' | 'M' => Kind::Raid,
        'C' => Kind::Cache,
        _ => Kind::Other,
    };
    let state = match at(&attributes, 4) {
        '-' => State::Inactive,
        'a' => State::Active,
        's' => State::Suspended,
        'I' | 'S' => State::InvalidSnapshot,
        'c' | 'C' => State::CheckNeeded,
        _ => State::Other,
    };
    let thin_pool = (kind == Kind::ThinPool).then(|| ThinPool {
        metadata_ratio: ratio(row, "metadata_percent"),
        metadata_size_bytes: number(row, "lv_metadata_size").unwrap_or_default(),
        chunk_bytes: number(row, "chunk_size").unwrap_or_default(),
        when_full: text(row, "lv_when_full"),
        discards: text(row, "discards"),
        status: None,
    });
    Some(LogicalVolume {
        volume_group: name(row, "vg_name")?,
        name: name(row, "lv_name")?,
        uuid: text(row, "lv_uuid"),
        kind: kind.into(),
        segment_type: text(row, "segtype"),
        size_bytes: number(row, "lv_size").unwrap_or_default(),
        pool: text(row, "pool_lv"),
        origin: text(row, "origin"),
        state: state.into(),
        open: at(&attributes, 5) == 'o',
        read_only: matches!(at(&attributes, 1), 'r' | 'R'),
        data_ratio: ratio(row, "data_percent"),
        health: health(&text(row, "lv_health_status"), at(&attributes, 8)).into(),
        autoactivation: row
            .get("lv_autoactivation")
            .and_then(Value::as_str)
            .map(|word| word == "enabled"),
        skips_activation: at(&attributes, 9) == 'k',
        raid_sync_action: text(row, "raid_sync_action"),
        raid_mismatches: number(row, "raid_mismatch_count"),
        sync_ratio: ratio(row, "sync_percent"),
        thin_pool,
    })
}

pub(super) fn physical_volume(row: &Value) -> Option<PhysicalVolume> {
    let attributes = text(row, "pv_attr");
    Some(PhysicalVolume {
        name: name(row, "pv_name")?,
        uuid: text(row, "pv_uuid"),
        volume_group: text(row, "vg_name"),
        size_bytes: number(row, "pv_size").unwrap_or_default(),
        free_bytes: number(row, "pv_free").unwrap_or_default(),
        device_bytes: number(row, "dev_size").unwrap_or_default(),
        missing: at(&attributes, 2) == 'm' || is_set(row, "pv_missing"),
        duplicate: at(&attributes, 0) == 'd' || is_set(row, "pv_duplicate"),
        allocatable: at(&attributes, 0) == 'a',
    })
}

fn health(word: &str, attribute: char) -> Health {
    match (word, attribute) {
        ("partial", _) | ("", 'p') => Health::Partial,
        ("refresh needed", _) | ("", 'r') => Health::RefreshNeeded,
        ("mismatches exist", _) | ("", 'm') => Health::Mismatches,
        ("out_of_data", _) | ("", 'D') => Health::OutOfDataSpace,
        ("metadata_read_only", _) | ("", 'M') => Health::MetadataReadOnly,
        ("failed", _) | ("", 'F') => Health::Failed,
        // `w` is a member that is written mostly.
        ("", '-' | 'w' | '\0') => Health::Good,
        _ => Health::Other,
    }
}

/// Of a row that is one.
fn name(row: &Value, key: &str) -> Option<String> {
    Some(text(row, key)).filter(|name| !name.is_empty())
}

/// A flag is `missing` or `1`, by the settings of the report, and else empty or `0`.
fn is_set(row: &Value, key: &str) -> bool {
    !matches!(text(row, key).as_str(), "" | "0")
}

fn at(attributes: &str, position: usize) -> char {
    attributes.chars().nth(position).unwrap_or('\0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn volume(attributes: &str, more: &str) -> LogicalVolume {
        let report = format!(
            r#"{{"report":[{{"lv":[{{"vg_name":"pve","lv_name":"x","lv_attr":"{attributes}"{more}}}]}}],"log":[]}}"#
        );
        let mut rows = parse(&report, "lv", logical_volume).unwrap().rows;
        rows.pop().unwrap()
    }

    #[test]
    fn attributes_say_what_a_volume_is_and_how_it_is() {
        let pool = volume(
            "twi-cotzM-",
            r#","data_percent":"100.00","lv_when_full":"queue""#,
        );
        assert_eq!(pool.kind(), Kind::ThinPool);
        assert_eq!(pool.state(), State::CheckNeeded);
        assert_eq!(pool.health(), Health::MetadataReadOnly);
        assert_eq!(pool.data_ratio, Some(1.0));
        assert_eq!(pool.thin_pool.unwrap().when_full, "queue");
        let thin = volume("Vri---tz-k", r#","pool_lv":"data","data_percent":"""#);
        assert_eq!((thin.kind(), thin.state()), (Kind::Thin, State::Inactive));
        assert!(thin.read_only && thin.skips_activation && !thin.open);
        assert_eq!((thin.data_ratio, thin.autoactivation), (None, None));
        let raid = volume(
            "rwi-aor-r-",
            r#","lv_autoactivation":"","sync_percent":"12.50""#,
        );
        assert_eq!(raid.health(), Health::RefreshNeeded);
        assert_eq!(raid.sync_ratio, Some(0.125));
        assert_eq!(raid.autoactivation, Some(false));
        assert_eq!(volume("-wi-a-----", "").health(), Health::Good);
        assert_eq!(volume("", "").health(), Health::Good);
        let failed = volume("twi-aotzF-", r#","lv_health_status":"failed""#);
        assert_eq!(failed.health(), Health::Failed);
    }

    #[test]
    fn a_missing_volume_is_told_by_flag_or_attribute() {
        for row in [
            r#"{"pv_name":"[unknown]","pv_attr":"a-m"}"#,
            r#"{"pv_name":"[unknown]","pv_attr":"","pv_missing":"missing"}"#,
            r#"{"pv_name":"[unknown]","pv_missing":1}"#,
        ] {
            let row: Value = serde_json::from_str(row).unwrap();
            assert!(physical_volume(&row).unwrap().missing, "{row}");
        }
    }

    #[test]
    fn other_documents_are_no_reports() {
        for text in ["", "{}", "[]", r#"{"report":[{"vg":[]}]}"#] {
            assert!(parse(text, "lv", logical_volume).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "(\\{\"report\":\\[\\{\"lv\":\\[\\{\"(vg_name|lv_name|lv_attr)\":\"\\PC{0,9}\"\\}\\]\\}\\]\\}|\\PC{0,40})") {
            drop(parse(&text, "lv", logical_volume));
        }
    }
}
