//! The axis of values: from where to where, and round values with labels.

use super::{
    column::{place, precise},
    value_label::labels,
};

/// Below this a value is drawn as nothing.
const LEAST: f64 = 1e-9;
/// Round steps of times from a minute on: minutes, hours, days.
const TIMES: [f64; 14] = [
    60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0, 43_200.0,
    86_400.0, 172_800.0, 432_000.0,
];

#[derive(Debug)]
pub(super) struct ValueAxis {
    pub(super) rows: usize,
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
}

impl ValueAxis {
    /// An axis for values between these two, on a drawing of so many rows.
    pub(super) fn new(unit: &str, low: f64, high: f64, rows: usize) -> Self {
        let (low, high) = range(unit, low, high);
        let (low, high, step) = steps(unit, low, high)
            .into_iter()
            .filter_map(|step| judge(unit, low, high, step, rows))
            .min_by(|one, other| one.0.total_cmp(&other.0))
            .map_or((low, high, high - low), |(_, low, high, step)| {
                (low, high, step)
            });
        let first = (low / step - 1e-6).ceil();
        let values: Vec<f64> = (0_u8..8)
            .map(|number| (first + f64::from(number)) * step)
            .take_while(|value| *value <= high + step * 1e-6)
            .collect();
        let labels = labels(unit, &values, step);
        Self {
            rows,
            low,
            high,
            ticks: values.into_iter().zip(labels).collect(),
        }
    }

    /// Where a value is, in dots from the bottom.
    pub(super) fn dot(&self, value: f64, dots: usize) -> usize {
        let share = (value - self.low) / (self.high - self.low);
        place((share * precise(dots - 1)).round(), dots)
    }

    /// The label of a row, counted from the top, whose rows have so many dots each.
    pub(super) fn label(&self, row: usize, dots_down: usize) -> Option<&str> {
        let dots = self.rows * dots_down;
        let of_row = |value| self.rows - 1 - self.dot(value, dots) / dots_down.max(1);
        self.ticks
            .iter()
            .find(|(value, _)| of_row(*value) == row)
            .map(|(_, label)| label.as_str())
    }

    pub(super) fn label_width(&self, words: &super::Words) -> usize {
        self.ticks
            .iter()
            .map(|(_, label)| super::words::width(&words.plain(label)))
            .fold(0, usize::max)
    }

    /// Whether zero is not on it.
    pub(super) fn is_zoomed(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// From where to where the axis must reach. It begins at zero, unless that is so
/// far from the values that their course could not be seen. Rates and shares are
/// judged by their size and keep the zero longer than levels do; what hardly
/// moves keeps it always, or its noise would look like news.
fn range(unit: &str, low: f64, high: f64) -> (f64, f64) {
    let size = low.abs().max(high.abs());
    let least = match unit {
        "bytes" | "bytes_per_second" => 4.0,
        _ => LEAST,
    };
    if size < least {
        let high = match unit {
            "bytes" | "bytes_per_second" => 1024.0,
            _ => 1.0,
        };
        return (0.0, high);
    }
    let level = matches!(unit, "bytes" | "celsius" | "");
    let (far, moving) = if level { (0.5, 0.01) } else { (0.8, 0.05) };
    let nearest = if low <= 0.0 && high >= 0.0 {
        0.0
    } else {
        low.abs().min(high.abs())
    };
    if nearest > far * size && high - low >= moving * size {
        (low, high)
    } else {
        (low.min(0.0), high.max(0.0))
    }
}

/// Round steps for an axis of this length.
fn steps(unit: &str, low: f64, high: f64) -> Vec<f64> {
    let length = high - low;
    match unit {
        "bytes" | "bytes_per_second" => {
            let exponent = length.log2().floor();
            let below = [4.0, 3.0, 2.0, 1.0, 0.0, -1.0];
            below.map(|less| (exponent - less).max(0.0).exp2()).into()
        }
        "seconds" if length > 120.0 && length < 2e6 => TIMES.into(),
        _ => {
            // Days are counted like anything else.
            let base = if unit == "seconds" && length > 120.0 {
                86_400.0
            } else {
                1.0
            };
            let power = 10_f64.powf((length / base).log10().floor()) * base;
            [0.2, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0]
                .map(|part| part * power)
                .into()
        }
    }
}

/// Labels need a free row between them.
fn most_labels(rows: usize) -> usize {
    rows.div_ceil(2).clamp(2, 5)
}

/// How bad an axis with this step would be, and its ends: at round values, with
/// three to five labels, little wasted and labels at both ends.
fn judge(unit: &str, low: f64, high: f64, step: f64, rows: usize) -> Option<(f64, f64, f64, f64)> {
    let part = step / 4.0;
    let from = (low / part + 1e-6).floor() * part;
    let until = (high / part - 1e-6).ceil() * part;
    let (first, last) = (
        (from / step - 1e-6).ceil() * step,
        (until / step + 1e-6).floor() * step,
    );
    let labels = place((last - first) / step + 1.5, 1000);
    let most = most_labels(rows);
    if labels < 2 || labels > most {
        return None;
    }
    let wasted = 1.0 - (high - low) / (until - from);
    let missing = precise(3_usize.saturating_sub(labels));
    let mut score = wasted + 0.3 * missing + 0.03 * precise(most - labels);
    // An end without a label, worse at the bottom; and worse when a row cannot hold
    // the label and the end apart.
    let row = (until - from) / precise(rows);
    for (distance, weight) in [(until - last, 0.06), (first - from, 0.2)] {
        if distance > step * 1e-3 {
            score += weight;
        }
        if distance > step * 1e-3 && distance < row * 0.9 {
            score += 0.15;
        }
    }
    // Parts of a GiB are short down to a quarter.
    let named = 1024_f64.powf((high.max(1.0).log2() / 10.0).floor());
    if unit.starts_with("bytes") && named > 1.0 && step < named / 4.0 {
        score += 0.15;
    }
    // Quarters are familiar as percent only.
    let quarter = step.log10().rem_euclid(1.0);
    if unit != "ratio" && (quarter - 2.5_f64.log10()).abs() < 1e-6 {
        score += 0.1;
    }
    Some((score, from, until, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(unit: &str, low: f64, high: f64) -> String {
        let axis = ValueAxis::new(unit, low, high, 12);
        let labels: Vec<&str> = axis.ticks.iter().map(|(_, label)| label.as_str()).collect();
        labels.join(", ")
    }

    #[test]
    fn ticks_are_round() {
        const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
        let tests = [
            ("ratio", 0.02, 0.97, "0 %, 25 %, 50 %, 75 %, 100 %"),
            ("ratio", 0.0, 0.41, "0 %, 20 %, 40 %"),
            ("ratio", 0.0, 0.0031, "0 %, 0.1 %, 0.2 %, 0.3 %"),
            ("ratio", 0.0, 0.0, "0 %, 25 %, 50 %, 75 %, 100 %"),
            ("bytes", 0.0, GIB, "0, 256 MiB, 512 MiB, 768 MiB, 1 GiB"),
            (
                "bytes",
                624.0 * GIB,
                701.0 * GIB,
                "640 GiB, 672 GiB, 704 GiB",
            ),
            ("bytes", 0.0, 3.1 * 1024.0 * GIB, "0, 1 TiB, 2 TiB, 3 TiB"),
            (
                "bytes_per_second",
                0.0,
                0.0,
                "0/s, 256 B/s, 512 B/s, 768 B/s, 1 KiB/s",
            ),
            ("seconds", 0.0, 0.018, "0 ms, 5 ms, 10 ms, 15 ms"),
            ("seconds", 0.0, 7.4, "0 s, 2 s, 4 s, 6 s"),
            ("seconds", 0.0, 7300.0, "0 s, 1 h, 2 h"),
            (
                "seconds",
                0.0,
                40.0 * 86_400.0,
                "0 s, 10 d, 20 d, 30 d, 40 d",
            ),
            ("celsius", 41.0, 58.0, "40 °C, 45 °C, 50 °C, 55 °C"),
            ("celsius", -7.0, 12.0, "-5 °C, 0 °C, 5 °C, 10 °C"),
            ("celsius", 45.0, 45.0, "0 °C, 10 °C, 20 °C, 30 °C, 40 °C"),
            ("", 0.0, 3.0, "0, 1, 2, 3"),
            (
                "per_second",
                0.0,
                182_000.0,
                "0/s, 50 k/s, 100 k/s, 150 k/s",
            ),
        ];
        let shown: Vec<_> = tests
            .iter()
            .map(|(unit, low, high, _)| (*unit, *low, *high, ticks(unit, *low, *high)))
            .collect();
        let wanted: Vec<_> = tests
            .iter()
            .map(|(unit, low, high, ticks)| (*unit, *low, *high, (*ticks).to_owned()))
            .collect();
        assert_eq!(shown, wanted);
    }

    #[test]
    fn rates_keep_the_zero_and_levels_show_their_course() {
        assert_eq!(range("ratio", 0.6, 0.9), (0.0, 0.9));
        assert_eq!(range("ratio", 0.85, 0.97), (0.85, 0.97));
        assert_eq!(range("bytes", 600.0, 900.0), (600.0, 900.0));
        assert_eq!(range("bytes", 899.0, 900.0), (0.0, 900.0));
        assert_eq!(range("celsius", -5.0, -5.0), (-5.0, 0.0));
    }
}
