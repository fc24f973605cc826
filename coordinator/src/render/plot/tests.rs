//! Whole plots: what they look like, and what no plot may do.

mod properties;
mod samples;

use super::*;
use samples::Sample;

fn layout(width: u16, color: bool, unicode: bool) -> Layout {
    Layout {
        width,
        height: 10,
        color,
        unicode,
    }
}

/// At both widths in three looks, with escape sequences made visible.
fn looks(sample: Sample) -> String {
    let plot = sample();
    let mut out = String::new();
    for width in [80, 200] {
        for (name, color, unicode) in [
            ("plain", false, true),
            ("colors", true, true),
            ("ASCII", false, false),
        ] {
            out.extend(["\n", &format!("# {width} columns, {name}"), "\n\n"]);
            out.push_str(&text(&plot, &layout(width, color, unicode)).replace('\x1b', "␛"));
        }
    }
    out
}

#[test]
fn a_day_of_processor_use_with_a_gap() {
    insta::assert_snapshot!(looks(samples::day));
}

#[test]
fn a_week_of_growth() {
    insta::assert_snapshot!(looks(samples::growth));
}

#[test]
fn several_lines_share_a_chart() {
    insta::assert_snapshot!(looks(samples::two_lines));
}

#[test]
fn more_lines_than_can_be_told_apart() {
    insta::assert_snapshot!(looks(samples::eight_lines));
}

#[test]
fn nothing_but_zero() {
    insta::assert_snapshot!(looks(samples::zero));
}

#[test]
fn a_temperature() {
    insta::assert_snapshot!(looks(samples::temperature));
}

#[test]
fn an_hour_of_ten_seconds() {
    insta::assert_snapshot!(looks(samples::hour));
}

#[test]
fn without_data() {
    insta::assert_snapshot!(looks(samples::empty));
}

#[test]
fn charts_stand_below_each_other() {
    insta::assert_snapshot!(looks(samples::stacked));
}

#[test]
fn narrow_terminals() {
    let shown: String = [20, 39, 40, 60]
        .map(|width| {
            let plot = samples::stacked();
            let text = text(&plot, &layout(width, false, true));
            format!("\n# {width} columns\n\n{text}")
        })
        .concat();
    insta::assert_snapshot!(shown);
}

#[test]
fn a_single_point_can_be_seen() {
    let mut plot = samples::day();
    for line in &mut plot.charts[0].lines {
        line.points.truncate(1);
    }
    let text = text(&plot, &layout(80, false, true));
    // In the drawing and in the legend.
    assert_eq!(text.matches('●').count(), 2, "{text}");
    assert!(text.contains("data for 0.3 % of the time"), "{text}");
}

#[test]
fn names_cannot_write_to_the_terminal() {
    let mut plot = samples::two_lines();
    plot.charts[0].title = "guest\x1b[2J/101\r\n".to_owned();
    plot.charts[0].lines[0].name = "a\x1b]0;b\x07\u{202e}".to_owned();
    let text = text(&plot, &layout(80, false, true));
    assert!(text.contains("guest\u{fffd}[2J/101"), "{text}");
    assert!(!text.contains(['\x1b', '\x07', '\r', '\u{202e}']), "{text}");
}
