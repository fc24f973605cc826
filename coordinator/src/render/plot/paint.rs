//! Colours of a plot: those of the sixteen that can be read on light and dark.

/// How a piece of a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Bold,
    Dim,
    /// The line of this number.
    Line(usize),
    /// Between its minimum and maximum.
    Band,
}

/// Cyan, magenta, green, blue, red, and the text's own colour.
const LINES: [&str; super::MOST_LINES] = ["36", "35", "32", "34", "31", "1"];

pub(super) fn paint(text: &str, tone: Tone, color: bool) -> String {
    let code = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Bold => "1",
        Tone::Dim => "2",
        Tone::Line(number) => LINES.get(number).copied().unwrap_or("1"),
        Tone::Band => "2;36",
    };
    if color && !text.trim().is_empty() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// Of a line, on the canvas and in the legend.
pub(super) fn marker(number: usize, unicode: bool) -> char {
    const SYMBOLS: [char; super::MOST_LINES] = ['●', '▲', '■', '◆', '○', '□'];
    const ASCII: [char; super::MOST_LINES] = ['*', '+', 'o', 'x', '#', '@'];
    let markers = if unicode { SYMBOLS } else { ASCII };
    markers.get(number).copied().unwrap_or('?')
}
