//! The log, on standard error: for a terminal, or as the journal likes it.

use std::{
    env, fmt,
    io::{self, IsTerminal},
};

use anyhow::Context;
use tracing::{Event, Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Full, Writer},
    },
    registry::LookupSpan,
};

use super::plain;

/// Logs from here on what is of this level or graver.
pub(super) fn start(level: &str) -> anyhow::Result<()> {
    let level: LevelFilter = level.parse().context("the level of the log")?;
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    if is_journal() {
        log.event_format(Journal::new()).init();
    } else {
        log.init();
    }
    Ok(())
}

/// Whether the journal reads standard error.
pub(super) fn is_journal() -> bool {
    is_journal_stream(env::var("JOURNAL_STREAM").ok().as_deref(), io::stderr())
}

/// Whether a stream is the one that systemd connected with the journal:
/// `JOURNAL_STREAM` has its device and inode (systemd.exec(5)).
fn is_journal_stream(variable: Option<&str>, stream: impl std::os::fd::AsFd) -> bool {
    rustix::fs::fstat(stream)
        .is_ok_and(|stat| variable == Some(format!("{}:{}", stat.st_dev, stat.st_ino).as_str()))
}

/// One line per event, with the priority as the journal reads it, `<4>`, and
/// without the time, which it has itself. A line break in a value would begin an
/// entry of its own, with a priority of its own.
struct Journal(Format<Full, ()>);

impl Journal {
    fn new() -> Self {
        Self(
            Format::default()
                .without_time()
                .with_level(false)
                .with_target(false)
                .with_ansi(false),
        )
    }
}

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        let priority = priority(*event.metadata().level());
        writeln!(writer, "<{priority}>{}", plain(line.trim_end()))
    }
}

/// Of syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::Read,
        os::unix::{fs::MetadataExt, net::UnixStream},
        sync::Mutex,
    };

    use tracing::{debug, error, info, warn};

    use super::*;

    #[test]
    fn only_the_stream_that_is_named_is_the_journal() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let metadata = File::from(std::os::fd::OwnedFd::from(ours.try_clone().unwrap()))
            .metadata()
            .unwrap();
        let name = format!("{}:{}", metadata.dev(), metadata.ino());
        assert!(is_journal_stream(Some(&name), &ours));
        assert!(!is_journal_stream(None, &ours));
        assert!(!is_journal_stream(Some("8:1"), &ours));
        assert!(!is_journal_stream(Some(""), &ours));
    }

    #[test]
    fn the_journal_gets_one_line_per_event_with_its_priority() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let log = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::INFO)
            .with_writer(Mutex::new(writer))
            .with_ansi(false)
            .event_format(Journal::new())
            .finish();
        tracing::subscriber::with_default(log, || {
            error!("broken");
            warn!(path = %"/a\n<0>forged", "odd");
            info!(number = 7, "fine");
            debug!("left out");
        });
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(
            text,
            "<3>broken\n<4>odd path=/a\u{fffd}<0>forged\n<6>fine number=7\n"
        );
    }
}
