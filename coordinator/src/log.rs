//! The log: where it goes, its form, and its level while the program runs.
//!
//! It goes to standard error. When that is the journal, a line begins with its
//! priority instead of a time, which the journal knows itself. The level can be
//! changed for a while: a restart would lose the history that is in memory.

use std::{
    env, fmt,
    io::{self, IsTerminal},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{task::AbortHandle, time::sleep};
use tracing::{Event, Subscriber, error, info};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{FmtContext, FormatEvent, FormatFields, format, format::Writer, layer},
    layer::SubscriberExt,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt,
};

pub mod audit;

use audit::{Act, Acts};

/// Target of events that say who did what: they are logged at every level.
pub const AUDIT: &str = "pvelens::audit";

/// Each level includes those before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl Level {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The level of the log, and what comes after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LevelState {
    /// In effect.
    pub level: Level,
    pub configured: Level,
    /// When the configured level returns; absent while it is in effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverts_at: Option<Timestamp>,
}

/// The log of this process.
pub struct Log {
    apply: Box<dyn Fn(Level) + Send + Sync>,
    running: Mutex<Running>,
    acts: Acts,
}

#[derive(Debug)]
struct Running {
    state: LevelState,
    /// The task that waits for the end.
    revert: Option<AbortHandle>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

impl Log {
    /// A log whose level is changed by `apply`.
    fn new(
        configured: Level,
        acts: Acts,
        apply: impl Fn(Level) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let state = LevelState {
            level: configured,
            configured,
            reverts_at: None,
        };
        Arc::new(Self {
            apply: Box::new(apply),
            running: Mutex::new(Running {
                state,
                revert: None,
            }),
            acts,
        })
    }

    /// Begins to log to standard error.
    ///
    /// # Errors
    /// When something else in this process logs already.
    pub fn start(configured: Level) -> io::Result<Arc<Self>> {
        let (filter, handle) = reload::Layer::new(filter(configured));
        let lines = if is_journal() {
            layer()
                .event_format(JournalLines)
                .with_ansi(false)
                .with_writer(io::stderr)
                .boxed()
        } else {
            layer()
                .with_ansi(io::stderr().is_terminal())
                .with_writer(io::stderr)
                .boxed()
        };
        let acts = Acts::default();
        tracing_subscriber::registry()
            .with(filter)
            .with(acts.clone())
            .with(lines)
            .try_init()
            .map_err(io::Error::other)?;
        Ok(Self::new(configured, acts, move |level| {
            if let Err(defect) = handle.reload(self::filter(level)) {
                error!(error = %defect, "the level of the log was not changed");
            }
        }))
    }

    #[cfg(test)]
    pub(crate) fn of_tests(
        configured: Level,
        apply: impl Fn(Level) + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::new(configured, Acts::default(), apply)
    }

    /// What somebody did since it was asked last.
    #[must_use]
    pub fn take_acts(&self) -> Vec<Act> {
        self.acts.take()
    }

    #[must_use]
    pub fn state(&self) -> LevelState {
        self.lock().state.clone()
    }

    /// Changes the level until that time after `now`. Must be called inside a
    /// runtime.
    pub fn set(
        self: &Arc<Self>,
        level: Level,
        revert_after: Duration,
        now: Timestamp,
    ) -> LevelState {
        let mut running = self.lock();
        if let Some(earlier) = running.revert.take() {
            earlier.abort();
        }
        running.state.level = level;
        running.state.reverts_at = None;
        if level != running.state.configured {
            let length = SignedDuration::try_from(revert_after).unwrap_or(SignedDuration::MAX);
            let end = now.checked_add(length).unwrap_or(Timestamp::MAX);
            running.state.reverts_at = Some(end);
            let log = Arc::clone(self);
            let waiting = tokio::spawn(async move {
                sleep(revert_after).await;
                log.revert(end);
            });
            running.revert = Some(waiting.abort_handle());
        }
        (self.apply)(level);
        running.state.clone()
    }

    /// Changes the level that is meant to last. One that was set for a while goes on
    /// until its end.
    pub fn configure(&self, level: Level) {
        let mut running = self.lock();
        running.state.configured = level;
        if running.state.reverts_at.is_none() && running.state.level != level {
            running.state.level = level;
            (self.apply)(level);
        }
    }

    fn revert(&self, end: Timestamp) {
        let mut running = self.lock();
        // A change that came in between has an end of its own.
        if running.state.reverts_at != Some(end) {
            return;
        }
        let configured = running.state.configured;
        running.state.level = configured;
        running.state.reverts_at = None;
        running.revert = None;
        (self.apply)(configured);
        drop(running);
        info!(target: AUDIT, level = configured.name(), "the configured log level is back");
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Libraries report every connection at `info`, with words of the client's
/// choosing.
fn filter(level: Level) -> EnvFilter {
    EnvFilter::new(format!(
        "{},rmcp=warn,h2=warn,hyper=warn,{AUDIT}=info",
        level.name()
    ))
}

/// Whether standard error is the journal.
pub(crate) fn is_journal() -> bool {
    is_stream(env::var("JOURNAL_STREAM").ok().as_deref())
}

/// systemd tells the journal's device and inode.
fn is_stream(stream: Option<&str>) -> bool {
    let Ok(stderr) = rustix::fs::fstat(io::stderr()) else {
        return false;
    };
    stream.is_some_and(|stream| stream == format!("{}:{}", stderr.st_dev, stderr.st_ino))
}

/// One line per event, with the priority of syslog in front: see sd-daemon(3).
#[derive(Debug)]
struct JournalLines;

impl<S, N> FormatEvent<S, N> for JournalLines
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
        let mut text = String::new();
        format().without_time().with_level(false).format_event(
            context,
            Writer::new(&mut text),
            event,
        )?;
        // What follows a line break would be an event with a priority of its
        // own choosing.
        let text = text.trim_end().replace('\n', "\\n");
        writeln!(writer, "<{}>{text}", priority(*event.metadata().level()))
    }
}

fn priority(level: tracing::Level) -> u8 {
    match level {
        tracing::Level::ERROR => 3,
        tracing::Level::WARN => 4,
        tracing::Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use tracing::{subscriber::with_default, warn};

    use super::*;

    fn at() -> Timestamp {
        Timestamp::from_second(1_795_600_000).unwrap()
    }

    fn recorded() -> (Arc<Log>, Arc<Mutex<Vec<Level>>>) {
        let applied = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&applied);
        let log = Log::of_tests(Level::Info, move |level| seen.lock().unwrap().push(level));
        (log, applied)
    }

    #[tokio::test(start_paused = true)]
    async fn the_configured_level_returns_by_itself() {
        let (log, applied) = recorded();
        let state = log.set(Level::Debug, Duration::from_secs(600), at());
        assert_eq!(
            state.reverts_at,
            Some(at() + SignedDuration::from_secs(600))
        );
        assert_eq!(log.state(), state);
        sleep(Duration::from_secs(599)).await;
        assert_eq!(log.state().level, Level::Debug);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(
            (log.state().level, log.state().reverts_at),
            (Level::Info, None)
        );
        assert_eq!(*applied.lock().unwrap(), [Level::Debug, Level::Info]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_change_has_its_own_end() {
        let (log, applied) = recorded();
        log.set(Level::Debug, Duration::from_secs(60), at());
        sleep(Duration::from_secs(30)).await;
        log.set(Level::Trace, Duration::from_secs(60), at());
        sleep(Duration::from_secs(45)).await;
        assert_eq!(log.state().level, Level::Trace);
        // The configured level ends it at once, and nothing is left to wait for.
        let state = log.set(Level::Info, Duration::from_secs(60), at());
        assert_eq!(state.reverts_at, None);
        sleep(Duration::from_secs(600)).await;
        assert_eq!(
            *applied.lock().unwrap(),
            [Level::Debug, Level::Trace, Level::Info]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn settings_that_change_wait_for_the_end_of_a_level_set_for_a_while() {
        let (log, applied) = recorded();
        log.configure(Level::Info);
        log.configure(Level::Warn);
        assert_eq!(log.state().level, Level::Warn);
        log.set(Level::Debug, Duration::from_secs(60), at());
        log.configure(Level::Error);
        assert_eq!(log.state().level, Level::Debug);
        sleep(Duration::from_secs(61)).await;
        assert_eq!(log.state().level, Level::Error);
        assert_eq!(
            *applied.lock().unwrap(),
            [Level::Warn, Level::Debug, Level::Error]
        );
    }

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_journal_gets_one_line_per_event_with_its_priority() {
        let written = Written::default();
        let writer = written.clone();
        let lines = layer()
            .event_format(JournalLines)
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry()
            .with(filter(Level::Warn))
            .with(lines);
        with_default(subscriber, || {
            let hostile = "a\n<0>b";
            warn!(node = %hostile, "collection failed");
            info!("not at this level");
            info!(target: AUDIT, role = "operator", "recheck");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(
            text,
            "<4>pvelens::log::tests: collection failed node=a\\n<0>b\n\
             <6>pvelens::audit: recheck role=\"operator\"\n"
        );
    }

    #[test]
    fn the_journal_is_known_by_its_inode() {
        let stderr = rustix::fs::fstat(io::stderr()).unwrap();
        let stream = format!("{}:{}", stderr.st_dev, stderr.st_ino);
        assert!(is_stream(Some(&stream)));
        assert!(!is_stream(Some("1:1")));
        assert!(!is_stream(None));
    }
}
