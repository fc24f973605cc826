use super::*;

const NODE: ObjectKey = ObjectKey(1);
const TEN_MINUTES: Duration = Duration::from_secs(600);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn a_window_holds_the_mean_of_each_slot() {
    let mut history = History::default();
    for second in (0..600).step_by(10) {
        let value = if second % 30 == 0 { 0.3 } else { 0.0 };
        history.record(NODE, Metric::CpuRatio, at(second), value);
    }
    let window = history.window(NODE, Metric::CpuRatio, at(599), TEN_MINUTES);
    assert!(window.is_covered());
    assert!((window.mean().unwrap() - 0.1).abs() < 1e-6);
    assert!((window.share_above(0.09) - 1.0).abs() < f64::EPSILON);
}

#[test]
fn missing_slots_lower_the_coverage_and_are_not_interpolated() {
    let mut history = History::default();
    for second in (0..300).step_by(10) {
        history.record(NODE, Metric::CpuRatio, at(second), 1.0);
    }
    let window = history.window(NODE, Metric::CpuRatio, at(599), TEN_MINUTES);
    assert!(!window.is_covered());
    assert_eq!(window.maximum(), Some(1.0));
    let later = history.window(NODE, Metric::CpuRatio, at(2400), TEN_MINUTES);
    assert_eq!(later.latest(), None);
    assert!(later.coverage() < f64::EPSILON);
}

#[test]
fn values_older_than_the_ring_are_gone() {
    let mut history = History::default();
    history.record(NODE, Metric::CpuRatio, at(0), 1.0);
    history.record(NODE, Metric::CpuRatio, at(64 * 30), 0.5);
    let window = history.window(
        NODE,
        Metric::CpuRatio,
        at(64 * 30),
        Duration::from_secs(3600),
    );
    assert_eq!(window.values, vec![0.5]);
    // Too late for the ring: dropped, not written over a newer slot.
    history.record(NODE, Metric::CpuRatio, at(0), 9.0);
    assert_eq!(
        history
            .window(NODE, Metric::CpuRatio, at(64 * 30), TEN_MINUTES)
            .maximum(),
        Some(0.5)
    );
}

#[test]
fn a_clone_does_not_see_what_is_recorded_later() {
    let mut history = History::default();
    history.record(NODE, Metric::CpuRatio, at(0), 1.0);
    let before = history.clone();
    history.record(NODE, Metric::CpuRatio, at(40), 0.5);
    history.record(NODE, Metric::CpuRatio, at(70), f64::NAN);
    let latest = |history: &History| {
        let window = history.window(NODE, Metric::CpuRatio, at(80), TEN_MINUTES);
        window.latest()
    };
    assert_eq!((latest(&before), latest(&history)), (Some(1.0), Some(0.5)));
}

#[test]
fn parts_have_series_of_their_own() {
    let mut history = History::default();
    let disk: Arc<str> = "sda".into();
    history.record_part(NODE, Metric::DiskLatencySeconds, &disk, at(5), 0.02);
    let of_disk =
        history.window_of_part(NODE, Metric::DiskLatencySeconds, "sda", at(5), TEN_MINUTES);
    let of_node = history.window(NODE, Metric::DiskLatencySeconds, at(5), TEN_MINUTES);
    assert_eq!(of_disk.values.len(), 1);
    assert_eq!(of_node.values.len(), 0);
    history.forget_before(at(4000));
    assert_eq!(history.series_count(), 0);
}

#[test]
fn an_object_cannot_have_parts_without_end() {
    let mut history = History::default();
    for second in 0..3 {
        for part in 0..2 * PARTS {
            let part = format!("{second}/{part}").into();
            history.record_part(NODE, Metric::UsedRatio, &part, at(second), 0.5);
        }
    }
    history.record(NODE, Metric::UsedRatio, at(0), 0.5);
    assert_eq!(history.series_count(), 4097);
    history.forget_before(at(4000));
    history.record_part(NODE, Metric::UsedRatio, &"new".into(), at(4000), 0.5);
    assert_eq!(history.series_count(), 1);
}

#[test]
fn percentiles_use_the_nearest_rank() {
    let window = Window {
        values: vec![4.0, 1.0, 3.0, 2.0],
        expected: 4,
    };
    assert_eq!(window.percentile(0.5), Some(2.0));
    assert_eq!(window.percentile(0.95), Some(4.0));
    assert_eq!(window.percentile(0.0), Some(1.0));
}
