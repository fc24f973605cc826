//! What holds for any values, names and terminals.

use proptest::prelude::*;

use super::super::*;

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        -1e3..1e3_f64,
        0.0..1.0_f64,
        Just(0.0),
        Just(f64::MAX),
        Just(f64::MIN),
        Just(f64::MIN_POSITIVE),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(1e12),
    ]
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        8 => 1_700_000_000_i64..1_700_600_000,
        1 => Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(),
    ]
    .prop_map(|second| Timestamp::from_second(second).unwrap())
}

fn point() -> impl Strategy<Value = PlotPoint> {
    (timestamp(), value(), value(), value()).prop_map(|(at, minimum, mean, maximum)| PlotPoint {
        at,
        minimum,
        mean,
        maximum,
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z0-9/]{0,90}",
        "[一-龥]{0,40}",
        Just("\x1b[2J\n".into())
    ]
}

fn line() -> impl Strategy<Value = Line> {
    let figures = (value(), value(), value(), value(), value()).prop_map(|figures| Figures {
        minimum: figures.0,
        mean: figures.1,
        p95: figures.2,
        maximum: figures.3,
        last: figures.4,
    });
    let step = prop_oneof![
        4 => 1_i64..100_000,
        1 => any::<i64>(),
    ];
    let points = prop::collection::vec(point(), 0..20);
    (name(), points, step, prop::option::of(figures)).prop_map(|(name, points, step, figures)| {
        Line {
            name,
            points,
            step: SignedDuration::from_secs(step),
            figures,
        }
    })
}

fn chart() -> impl Strategy<Value = Chart> {
    let unit = prop_oneof![
        Just("ratio".to_owned()),
        Just("bytes".to_owned()),
        Just("bytes_per_second".to_owned()),
        Just("seconds".to_owned()),
        Just("celsius".to_owned()),
        Just("per_second".to_owned()),
        Just(String::new()),
        name(),
    ];
    (name(), unit, prop::collection::vec(line(), 0..9)).prop_map(|(title, unit, lines)| Chart {
        title,
        unit,
        lines,
    })
}

fn plot() -> impl Strategy<Value = Plot> {
    (
        timestamp(),
        timestamp(),
        prop::collection::vec(chart(), 0..3),
    )
        .prop_map(|(from, until, charts)| Plot {
            from,
            until,
            charts,
        })
}

fn layout() -> impl Strategy<Value = Layout> {
    let width = prop_oneof![0_u16..60, 40_u16..=300];
    (width, 0_u16..40, any::<bool>(), any::<bool>()).prop_map(|(width, height, color, unicode)| {
        Layout {
            width,
            height,
            color,
            unicode,
        }
    })
}

/// Without the escape sequences that we write ourselves.
fn without_colors(text: &str) -> String {
    let codes = ["0", "1", "2", "31", "32", "34", "35", "36", "2;36"];
    codes.iter().fold(text.to_owned(), |text, code| {
        text.replace(&format!("\x1b[{code}m"), "")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_line_is_too_wide_and_nothing_controls_the_terminal(plot in plot(), layout in layout()) {
        let text = text(&plot, &layout);
        let text = if layout.color { without_colors(&text) } else { text };
        for line in text.lines() {
            let width = unicode_width::UnicodeWidthStr::width(line);
            prop_assert!(width <= usize::from(layout.width), "{width}: {line:?}");
            prop_assert_eq!(line.trim_end(), line);
        }
        prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        prop_assert!(layout.unicode || text.is_ascii(), "{text:?}");
    }

    #[test]
    fn order_of_points_does_not_matter(plot in plot(), layout in layout()) {
        // Of two points at the same moment either may be shown.
        let mut plot = plot;
        for line in plot.charts.iter_mut().flat_map(|chart| &mut chart.lines) {
            line.points.sort_by_key(|point| point.at);
            line.points.dedup_by_key(|point| point.at);
        }
        let sorted = text(&plot, &layout);
        for line in plot.charts.iter_mut().flat_map(|chart| &mut chart.lines) {
            line.points.reverse();
        }
        prop_assert_eq!(text(&plot, &layout), sorted);
    }

    #[test]
    fn a_sparkline_is_as_wide_as_its_values(
        values in prop::collection::vec(prop::option::of(value()), 0..200),
        width in 0_usize..120,
    ) {
        let spark = spark(&values, width);
        prop_assert_eq!(spark.chars().count(), values.len().min(width));
    }
}
