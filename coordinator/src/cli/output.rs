//! How an answer is shown: format, width and colour.

use std::{
    env,
    ffi::OsStr,
    io::{self, IsTerminal},
};

use clap::{Args, ValueEnum};
use pvelens_proto::v1::{RenderFormat, RenderOptions};

use crate::render::{Format, Style};

#[derive(Debug, Args)]
pub(super) struct OutputArguments {
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub(super) output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For a terminal
    Text,
    /// For programs
    Json,
    /// For chat and tickets
    Markdown,
}

impl OutputArguments {
    /// As [`render`](Self::render), for what is laid out here.
    pub(super) fn style(&self) -> Style {
        let options = self.render();
        Style {
            format: match self.output {
                Output::Text => Format::Text,
                Output::Json => Format::Json,
                Output::Markdown => Format::Markdown,
            },
            width: u16::try_from(options.width_columns)
                .ok()
                .filter(|width| *width > 0),
            color: options.color,
        }
    }

    /// What to ask the coordinator for, given where standard output goes.
    pub(super) fn render(&self) -> RenderOptions {
        let terminal = io::stdout().is_terminal();
        render(
            self.output,
            terminal.then(width).flatten(),
            terminal
                && color(
                    env::var_os("NO_COLOR").as_deref(),
                    env::var_os("TERM").as_deref(),
                ),
        )
    }
}

pub(super) fn render(output: Output, width: Option<u16>, color: bool) -> RenderOptions {
    let format = match output {
        Output::Text => RenderFormat::Text,
        Output::Json => RenderFormat::Json,
        Output::Markdown => RenderFormat::Markdown,
    };
    RenderOptions {
        format: format.into(),
        width_columns: width.unwrap_or_default().into(),
        color: color && output == Output::Text,
    }
}

/// Whether what is drawn must do with ASCII: a locale that names a character set
/// other than UTF-8 has no other characters for sure.
pub(super) fn is_ascii() -> bool {
    // The first that is set counts.
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(env::var_os)
        .find(|locale| !locale.is_empty());
    !takes_utf8(locale.as_deref())
}

fn takes_utf8(locale: Option<&OsStr>) -> bool {
    let name = locale.unwrap_or_default().to_string_lossy().to_lowercase();
    name.contains("utf-8") || name.contains("utf8")
}

fn width() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}

/// Whether a terminal gets colours: see <https://no-color.org>.
pub(super) fn color(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    no_color.is_none_or(OsStr::is_empty) && term.is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_have_other_characters_where_the_locale_has_them() {
        for (locale, utf8) in [
            (Some("de_DE.UTF-8"), true),
            (Some("C.utf8"), true),
            (Some("de_DE.ISO-8859-1"), false),
            (Some("POSIX"), false),
            (None, false),
        ] {
            assert_eq!(takes_utf8(locale.map(OsStr::new)), utf8, "{locale:?}");
        }
    }

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        let xterm = Some(OsStr::new("xterm"));
        assert!(color(None, xterm));
        assert!(color(Some(OsStr::new("")), xterm));
        assert!(!color(Some(OsStr::new("1")), xterm));
        assert!(!color(None, Some(OsStr::new("dumb"))));
        assert!(!render(Output::Json, Some(80), true).color);
        assert_eq!(render(Output::Text, None, true).width_columns, 0);
    }
}
