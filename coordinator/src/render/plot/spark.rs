//! A series in one line.

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Values as blocks of eight heights, at most `width` of them; where several share
/// a block it shows their mean. Blanks where nothing is known. The lowest block is
/// zero, or the lowest value where all are far from zero.
#[must_use]
pub(crate) fn spark(values: &[Option<f64>], width: usize) -> String {
    let count = values.len().min(width);
    let means: Vec<Option<f64>> = (0..count)
        .map(|number| {
            let (from, until) = (
                number * values.len() / count,
                (number + 1) * values.len() / count,
            );
            let known = values.iter().skip(from).take(until - from).flatten();
            mean(known.copied().filter(|value| value.is_finite()))
        })
        .collect();
    let (low, high) = means
        .iter()
        .flatten()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
    let low = if low > 0.0 && low <= high / 2.0 {
        0.0
    } else {
        low
    };
    means
        .iter()
        .map(|mean| mean.map_or(' ', |mean| block(mean, low, high)))
        .collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut mean = None;
    for (value, count) in values.zip(1_u32..) {
        let before = mean.unwrap_or(value);
        // Each part for itself: the difference of two large ones may be infinite.
        mean = Some(before - before / f64::from(count) + value / f64::from(count));
    }
    mean
}

fn block(value: f64, low: f64, high: f64) -> char {
    let [lowest, _, _, middle, ..] = BLOCKS;
    // Halved, so that the difference of two large values stays finite.
    let length = high / 2.0 - low / 2.0;
    if length <= 0.0 {
        return if value == 0.0 { lowest } else { middle };
    }
    let share = (value / 2.0 - low / 2.0) / length;
    let place = super::column::place((share * 7.0).round(), BLOCKS.len());
    BLOCKS.get(place).copied().unwrap_or(lowest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spark_of(values: &[f64], width: usize) -> String {
        let values: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
        spark(&values, width)
    }

    #[test]
    fn heights_follow_the_values() {
        assert_eq!(
            spark_of(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], 20),
            "▁▂▃▄▅▆▇█"
        );
        assert_eq!(spark_of(&[0.0, 0.0], 20), "▁▁");
        assert_eq!(spark_of(&[5.0, 5.0], 20), "▄▄");
        // Not from zero: the values are far from it.
        assert_eq!(spark_of(&[90.0, 95.0, 100.0], 20), "▁▅█");
        assert_eq!(spark_of(&[4.0, 8.0], 20), "▅█");
    }

    #[test]
    fn gaps_stay_and_many_values_share_a_block() {
        assert_eq!(spark(&[Some(1.0), None, Some(8.0)], 20), "▂ █");
        assert_eq!(spark_of(&[0.0, 0.0, 7.0, 7.0], 2), "▁█");
        assert_eq!(spark(&[None, Some(f64::NAN)], 2), "  ");
        assert_eq!(spark(&[], 9), "");
        assert_eq!(spark_of(&[f64::MAX, f64::MIN, f64::MAX], 3), "█▁█");
    }
}
