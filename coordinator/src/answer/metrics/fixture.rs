//! A store with values that tests know.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use crate::{
    metric::Metric,
    store::{
        Batch, Store,
        block::SeriesKey,
        import::{Archive, Column, Formula, Import, Past, PastObject},
        journal::Recorded,
        row::{Object, ObjectKind, ObjectRow, SeriesRow},
    },
    view::fixture::at,
};

/// Bytes that it may take: more than any test writes.
const LIMIT: u64 = 1 << 30;

/// A store of the hand-made cluster.
pub(crate) struct Kept {
    pub(crate) store: Arc<Store>,
    objects: BTreeMap<Object, u32>,
    series: u32,
    _directory: TempDir,
}

/// So long before the instant of the hand-made view.
pub(crate) fn ago(seconds: i64) -> Timestamp {
    at() - SignedDuration::from_secs(seconds)
}

pub(crate) fn object(kind: ObjectKind, name: &str) -> Object {
    Object {
        cluster: "c0ffee".into(),
        kind,
        name: name.into(),
        generation: u32::from(matches!(kind, ObjectKind::Qemu | ObjectKind::Lxc)),
    }
}

impl Kept {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        Self {
            store: Arc::new(Store::open(directory.path(), LIMIT, at()).unwrap()),
            objects: BTreeMap::new(),
            series: 0,
            _directory: directory,
        }
    }

    /// A day of a small cluster: a node, a VM, a container and a storage.
    pub(crate) fn lab() -> Self {
        let mut kept = Self::new();
        let node = object(ObjectKind::Node, "pve1");
        let day = |value: fn(i32) -> f64| {
            (0..1440).map(move |minute| (86_400 - i64::from(minute) * 60, value(minute)))
        };
        kept.put(
            &node,
            Metric::CpuRatio,
            "",
            day(|minute| match minute / 60 % 3 {
                0 => 0.1,
                1 => 0.2,
                _ => 0.4,
            }),
        );
        kept.put(&node, Metric::DiskLatencySeconds, "sda", day(|_| 0.000_3));
        kept.put(
            &node,
            Metric::DiskLatencySeconds,
            "nvme0n1",
            day(|m| 0.001 * f64::from(m % 7)),
        );
        let web = object(ObjectKind::Qemu, "100");
        kept.put(
            &web,
            Metric::CpuRatio,
            "",
            day(|m| if m < 720 { 0.05 } else { 0.95 }),
        );
        kept.put(
            &web,
            Metric::MemoryUsedBytes,
            "",
            day(|m| 1e9 + 1e6 * f64::from(m)),
        );
        // Since the afternoon only.
        let dns = object(ObjectKind::Lxc, "101");
        kept.put(&dns, Metric::CpuRatio, "", day(|_| 0.02).skip(1080));
        let nas = object(ObjectKind::Storage, "nas@pve1");
        kept.put(&nas, Metric::UsedRatio, "", day(|_| 0.75));
        kept
    }

    /// Values of one series, by seconds before the instant of the hand-made view.
    pub(crate) fn put(
        &mut self,
        object: &Object,
        metric: Metric,
        part: &str,
        values: impl Iterator<Item = (i64, f64)>,
    ) {
        self.write(object, metric, part, values, false);
    }

    /// Half hours of one value that end before so many seconds, as a node had kept them.
    pub(crate) fn import(
        &mut self,
        object: &Object,
        metric: Metric,
        column: &'static str,
        (rows, until): (u32, i64),
        value: f32,
    ) {
        self.write(object, metric, "", std::iter::empty(), false);
        let length = usize::try_from(rows).unwrap();
        let column = (
            column,
            Column::new(&[0, rows], vec![value; length], rows).unwrap(),
        );
        let last = ago(until).as_second().div_euclid(1800) * 1800;
        let first = last - i64::from(rows - 1) * 1800;
        let formula = Formula::Column(column.0);
        let archive = Archive::new(1800, first, rows, vec![column]).unwrap();
        let past = Past {
            metric,
            formula,
            object: Arc::new(PastObject::new(vec![archive], Vec::new())),
            since: i64::MIN,
        };
        let key = SeriesKey {
            metric: metric.number(),
            series: self.series - 1,
        };
        let mut import = Import::new("c0ffee/pve1".to_owned(), vec![(key, past)], at());
        while !import.step(&self.store, at()).unwrap() {}
    }

    /// Values whose times had to be corrected.
    pub(crate) fn put_corrected(
        &mut self,
        object: &Object,
        metric: Metric,
        values: impl Iterator<Item = (i64, f64)>,
    ) {
        self.write(object, metric, "", values, true);
    }

    fn write(
        &mut self,
        object: &Object,
        metric: Metric,
        part: &str,
        values: impl Iterator<Item = (i64, f64)>,
        is_corrected: bool,
    ) {
        let next = u32::try_from(self.objects.len()).unwrap();
        let id = *self.objects.entry(object.clone()).or_insert(next);
        let series = self.series;
        self.series += 1;
        let mut batch = Batch::default();
        batch.rows.objects.push(ObjectRow {
            id,
            object: object.clone(),
            used_at: at(),
        });
        batch.rows.series.push(SeriesRow {
            id: series,
            object: id,
            metric: metric.number(),
            part: part.into(),
        });
        batch.values = values
            .map(|(seconds, value)| Recorded {
                series,
                metric: metric.number(),
                is_corrected,
                at_millis: ago(seconds).as_millisecond(),
                value,
            })
            .collect();
        self.store.write(&batch, at()).unwrap();
    }
}
