//! `events`.

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use pvelens_proto::v1::{
    self as message, ListEventsRequest, history_service_client::HistoryServiceClient,
};

use super::{
    Failure,
    client::{MESSAGE_LIMIT_BYTES, Reading, refused},
    complain, print,
    when::{at, now},
};

#[derive(Debug, Args)]
pub(super) struct Events {
    /// Only of these: node/pve1 and all that happened there, guest/101 or its name,
    /// storage/tank, cluster/access
    #[arg(value_name = "SUBJECT")]
    subjects: Vec<String>,
    /// One line of time, the oldest first
    #[arg(long)]
    timeline: bool,
    /// From when: a length such as 90m, 24h or 7d before now, or a time in UTC such as
    /// 2026-11-20 or 2026-11-20T14:00 [default: a day before the end]
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Until when, in the same forms [default: now]
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Only of this kind; may be given several times
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Vec<Kind>,
    /// Only what matters at least so much
    #[arg(long, value_enum, value_name = "LEVEL")]
    level: Option<Level>,
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Task,
    Log,
    Login,
    Kernel,
    Link,
    Quorum,
    Ha,
    Node,
    Guest,
    Agent,
    Config,
    Finding,
    Intent,
    Audit,
    Health,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    Warning,
    Error,
}

impl Events {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let request = ListEventsRequest {
            render: Some(self.reading.connection.output.render()),
            ..self.request(now())?
        };
        let channel = self.reading.connection.open().await?;
        let mut client =
            HistoryServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        let response = client.list_events(request).await;
        let response = response.map_err(|status| refused(&status))?.into_inner();
        print(&response.rendered)?;
        if response.older_left_out {
            complain("there are older ones: raise --limit, or give an earlier --until");
        }
        Ok(0)
    }

    /// What to ask for, without how to show it.
    fn request(&self, now: Timestamp) -> Result<ListEventsRequest, Failure> {
        let level = match self.level {
            None => message::EventLevel::Unspecified,
            Some(Level::Warning) => message::EventLevel::Warning,
            Some(Level::Error) => message::EventLevel::Error,
        };
        Ok(ListEventsRequest {
            cluster: self.reading.cluster.clone(),
            subjects: self.subjects.clone(),
            kinds: self.kind.iter().map(|kind| kind.message().into()).collect(),
            minimum_level: level.into(),
            from: at("--since", self.since.as_deref(), now)?,
            until: at("--until", self.until.as_deref(), now)?,
            limit: self.limit,
            render: None,
            timeline: self.timeline,
        })
    }
}

impl Kind {
    fn message(self) -> message::EventKind {
        match self {
            Self::Task => message::EventKind::Task,
            Self::Log => message::EventKind::Log,
            Self::Login => message::EventKind::Login,
            Self::Kernel => message::EventKind::Kernel,
            Self::Link => message::EventKind::Link,
            Self::Quorum => message::EventKind::Quorum,
            Self::Ha => message::EventKind::Ha,
            Self::Node => message::EventKind::Node,
            Self::Guest => message::EventKind::Guest,
            Self::Agent => message::EventKind::Agent,
            Self::Config => message::EventKind::Config,
            Self::Finding => message::EventKind::Finding,
            Self::Intent => message::EventKind::Intent,
            Self::Audit => message::EventKind::Audit,
            Self::Health => message::EventKind::Health,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        events: Events,
    }

    fn request(line: &str) -> Result<ListEventsRequest, Failure> {
        let words = std::iter::once("events").chain(line.split(' '));
        let now = "2026-11-25T20:00:00Z".parse().unwrap();
        Line::try_parse_from(words).unwrap().events.request(now)
    }

    #[test]
    fn a_line_becomes_a_question() {
        let asked = request(
            "node/pve1 web --timeline --since 2h --kind task --kind config --level error --limit 7",
        );
        let asked = asked.unwrap();
        assert_eq!(asked.subjects, ["node/pve1", "web"]);
        assert!(asked.timeline && asked.until.is_none());
        assert_eq!(asked.kinds, [1, 11]);
        assert_eq!((asked.minimum_level, asked.limit), (3, 7));
        let now: Timestamp = "2026-11-25T18:00:00Z".parse().unwrap();
        assert_eq!(asked.from.unwrap().seconds, now.as_second());
        let wrong = request("--since yesterday").unwrap_err().to_string();
        assert!(wrong.contains("24h"), "{wrong}");
    }
}
