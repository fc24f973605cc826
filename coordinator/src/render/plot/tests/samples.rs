//! Plots to look at.

use super::super::*;

pub(super) type Sample = fn() -> Plot;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// Processor use by hour: quiet nights, a morning and an evening peak.
fn daily(hour: f64) -> f64 {
    let peak = |at: f64, wide: f64| (-((hour - at) / wide).powi(2)).exp();
    0.06 + 0.55 * peak(10.5, 2.2) + 0.35 * peak(19.0, 1.8)
}

/// The same in every run, between 0 and 1.
fn noise(number: i64) -> f64 {
    let mixed = number.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    f64::from(u32::try_from((mixed ^ (mixed >> 29)) >> 32).unwrap()) / f64::from(u32::MAX)
}

/// A line of buckets whose mean and spread are functions of the hour since `from`.
fn line(
    name: &str,
    from: Timestamp,
    span: i64,
    step: i64,
    value: impl Fn(f64, f64) -> Option<(f64, f64)>,
) -> Line {
    let point = |number: i64| {
        let at = from + SignedDuration::from_secs(number * step);
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let hour = (number * step) as f64 / 3600.0;
        let (mean, spread) = value(hour, noise(number))?;
        Some(PlotPoint {
            at,
            minimum: (mean - spread).max(if mean < 0.0 { f64::MIN } else { 0.0 }),
            mean,
            maximum: mean + 1.6 * spread,
        })
    };
    let points: Vec<PlotPoint> = (0..span / step).filter_map(point).collect();
    let mut means: Vec<f64> = points.iter().map(|point| point.mean).collect();
    means.sort_by(f64::total_cmp);
    let count = means.len().max(1);
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let figures = points.last().map(|last| Figures {
        minimum: points
            .iter()
            .map(|point| point.minimum)
            .fold(f64::MAX, f64::min),
        mean: means.iter().sum::<f64>() / count as f64,
        p95: means[count * 95 / 100],
        maximum: points
            .iter()
            .map(|point| point.maximum)
            .fold(f64::MIN, f64::max),
        last: last.mean,
    });
    Line {
        name: name.to_owned(),
        points,
        step: SignedDuration::from_secs(step),
        figures,
    }
}

fn plot(from: &str, span: i64, chart: impl Fn(Timestamp) -> Chart) -> Plot {
    let from: Timestamp = from.parse().unwrap();
    Plot {
        from,
        until: from + SignedDuration::from_secs(span),
        charts: vec![chart(from)],
    }
}

fn chart(title: &str, unit: &str, lines: Vec<Line>) -> Chart {
    Chart {
        title: title.to_owned(),
        unit: unit.to_owned(),
        lines,
    }
}

pub(super) fn day() -> Plot {
    plot("2026-11-24T15:10:00Z", DAY, |from| {
        let value = |hour: f64, noise: f64| {
            let mean = daily((hour + 15.2) % 24.0) + 0.05 * noise;
            // Three hours in which the agent did not answer.
            (!(11.0..14.0).contains(&hour)).then_some((mean, 0.04 + mean * 0.2 * noise))
        };
        let line = line("guest/101", from, DAY, 5 * MINUTE, value);
        chart("guest/101 cpu_ratio", "ratio", vec![line])
    })
}

pub(super) fn growth() -> Plot {
    plot("2026-11-19T08:30:00Z", 7 * DAY, |from| {
        let value = |hour: f64, noise: f64| {
            let used = 0.61 + 0.0007 * hour + 0.002 * noise;
            // Old backups are removed on Sunday.
            let used = if hour > 90.0 { used - 0.03 } else { used };
            Some((used * 1024.0 * GIB, 0.2 * GIB))
        };
        let line = line("storage/tank", from, 7 * DAY, 30 * MINUTE, value);
        chart("storage/tank used_bytes", "bytes", vec![line])
    })
}

pub(super) fn two_lines() -> Plot {
    plot("2026-11-24T00:00:00Z", 6 * HOUR, |from| {
        let read = line("guest/101 (web)", from, 6 * HOUR, MINUTE, |hour, noise| {
            let rate = 40e6 + 25e6 * (hour * 2.0).sin() + 8e6 * noise;
            Some((rate, 3e6))
        });
        let write = line(
            "guest/7004 (数据库)",
            from,
            6 * HOUR,
            MINUTE,
            |hour, noise| {
                let rate = if (2.0..2.5).contains(&hour) {
                    90e6
                } else {
                    12e6
                };
                Some((rate + 3e6 * noise, 2e6))
            },
        );
        let lines = vec![read, write];
        chart(
            "network_receive_bytes_per_second",
            "bytes_per_second",
            lines,
        )
    })
}

pub(super) fn eight_lines() -> Plot {
    plot("2026-11-24T00:00:00Z", 3 * DAY, |from| {
        let lines = (1..=8_i32).map(|number| {
            let name = format!("node/pve{number}");
            line(&name, from, 3 * DAY, 15 * MINUTE, move |hour, noise| {
                let phase = f64::from(number);
                let mean = 0.003 * phase + 0.002 * (hour / 4.0 + phase).sin() + 0.0008 * noise;
                Some((mean + 0.001, 0.001))
            })
        });
        chart("disk_latency_seconds", "seconds", lines.collect())
    })
}

pub(super) fn zero() -> Plot {
    plot("2026-11-24T00:00:00Z", DAY, |from| {
        let line = line("guest/101", from, DAY, 5 * MINUTE, |_, _| Some((0.0, 0.0)));
        chart("guest/101 errors", "per_second", vec![line])
    })
}

pub(super) fn temperature() -> Plot {
    plot("2026-01-10T21:00:00Z", 30 * HOUR, |from| {
        let line = line("disk/S4EV", from, 30 * HOUR, 10 * MINUTE, |hour, noise| {
            Some((41.0 + 9.0 * (hour / 5.0).sin() + noise, 1.5))
        });
        chart("node/pve1 disk_temperature", "celsius", vec![line])
    })
}

pub(super) fn hour() -> Plot {
    plot("2026-11-24T12:34:00Z", HOUR, |from| {
        let line = line("node/pve2", from, HOUR, 10, |hour, noise| {
            let burst = if (0.4..0.55).contains(&hour) {
                0.4
            } else {
                0.0
            };
            Some((0.21 + burst + 0.2 * noise, 0.0))
        });
        chart("node/pve2 io_pressure", "ratio", vec![line])
    })
}

pub(super) fn empty() -> Plot {
    plot("2026-11-24T00:00:00Z", DAY, |from| {
        let line = line("guest/101", from, DAY, MINUTE, |_, _| None);
        chart("guest/101 cpu_ratio", "ratio", vec![line])
    })
}

/// A day of one guest: charts with wide and narrow labels, one of them empty.
pub(super) fn stacked() -> Plot {
    let mut plot = day();
    let from = plot.from;
    let memory = line("guest/101", from, DAY, 5 * MINUTE, |hour, noise| {
        (hour < 20.0).then_some(((3.2 + 0.02 * hour + 0.1 * noise) * GIB, 0.02 * GIB))
    });
    let idle = line("guest/101", from, DAY, 5 * MINUTE, |_, _| None);
    plot.charts.extend([
        chart("guest/101 memory_used_bytes", "bytes", vec![memory]),
        chart("guest/101 disk_read", "bytes_per_second", vec![idle]),
    ]);
    plot
}
