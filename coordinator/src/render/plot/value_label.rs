//! Labels of round values, short and in the unit of the chart.

use crate::figure;

const KIBI: f64 = 1024.0;

/// One for each value; the values are a step apart.
pub(super) fn labels(unit: &str, values: &[f64], step: f64) -> Vec<String> {
    let size = values
        .iter()
        .fold(0.0, |size: f64, value| size.max(value.abs()));
    let each = |label: &dyn Fn(f64) -> String| values.iter().map(|value| label(*value)).collect();
    match unit {
        "bytes" | "bytes_per_second" => {
            let rate = if unit == "bytes" { "" } else { "/s" };
            let largest = largest_unit(values);
            each(&|value| format!("{}{rate}", bytes(value, largest)))
        }
        "ratio" => each(&|value| format!("{} %", decimal(value * 100.0, step * 100.0))),
        "seconds" if size >= 120.0 => each(&time),
        "seconds" => {
            let (factor, name) = match size {
                size if size >= 1.0 => (1.0, "s"),
                size if size >= 1e-3 => (1e3, "ms"),
                _ => (1e6, "µs"),
            };
            each(&|value| format!("{} {name}", decimal(value * factor, step * factor)))
        }
        "celsius" => each(&|value| format!("{} °C", decimal(value, step))),
        _ => {
            let (factor, name) = match size {
                size if size >= 1e15 => (1.0, ""),
                size if size >= 1e12 => (1e-12, " T"),
                size if size >= 1e9 => (1e-9, " G"),
                size if size >= 1e6 => (1e-6, " M"),
                size if size >= 1e4 => (1e-3, " k"),
                _ => (1.0, ""),
            };
            let rate = if unit == "per_second" { "/s" } else { "" };
            each(&|value| {
                let name = if value == 0.0 { "" } else { name };
                format!("{}{name}{rate}", decimal(value * factor, step * factor))
            })
        }
    }
}

/// With as many decimals as the step needs; very large ones as a power of ten.
fn decimal(value: f64, step: f64) -> String {
    if value.abs() < step * 1e-3 {
        return "0".to_owned();
    }
    if value.abs() >= 1e6 && step >= 1e5 {
        return format!("{value:.1e}");
    }
    let decimals = (0..12)
        .find(|decimals| {
            let scaled = step * 10_f64.powi(*decimals);
            (scaled - scaled.round()).abs() < scaled * 1e-6
        })
        .and_then(|decimals| usize::try_from(decimals).ok())
        .unwrap_or(0);
    format!("{value:.decimals$}")
}

/// `0 s`, `30 min`, `1 h 30 min`.
fn time(seconds: f64) -> String {
    if seconds == 0.0 {
        return "0 s".to_owned();
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let days = seconds.abs() / 86_400.0;
    if days >= 1000.0 {
        return format!("{sign}{} d", decimal(days, 1.0));
    }
    let time = std::time::Duration::try_from_secs_f64(seconds.abs().round()).unwrap_or_default();
    format!("{sign}{}", figure::duration(time))
}

/// The largest unit in which all values that reach it are short.
fn largest_unit(values: &[f64]) -> i32 {
    let size = values
        .iter()
        .fold(0.0, |size: f64, value| size.max(value.abs()));
    (1..=6)
        .rev()
        .find(|unit| {
            let unit = KIBI.powi(*unit);
            let short =
                |value: &f64| value.abs() < unit || (value / unit * 4.0).fract().abs() < 1e-9;
            size >= unit && values.iter().all(short)
        })
        .unwrap_or(0)
}

/// In this unit, or in a smaller one that it reaches.
fn bytes(value: f64, largest: i32) -> String {
    const NAMES: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = (0..=largest)
        .rev()
        .find(|unit| value.abs() >= KIBI.powi(*unit))
        .filter(|_| value != 0.0)
        .unwrap_or(0);
    let number = value / KIBI.powi(unit);
    let name = usize::try_from(unit)
        .ok()
        .and_then(|unit| NAMES.get(unit))
        .unwrap_or(&"B");
    match number {
        0.0 => "0".to_owned(),
        number if number.abs() >= 1e5 => format!("{number:.1e} {name}"),
        number => {
            let short = format!("{number:.2}");
            let short = short.trim_end_matches('0').trim_end_matches('.');
            format!("{short} {name}")
        }
    }
}
