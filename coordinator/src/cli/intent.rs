//! `ack`, `suppress`, `maintenance`, `expect`, and `intent` for what was stated so far.

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use pvelens_proto::v1::{
    ListStatementEventsRequest, ListStatementsRequest, MakeStatementRequest, StatementKind,
    WithdrawStatementRequest, intent_service_client::IntentServiceClient,
};

use super::{
    Failure,
    client::{Connection, MESSAGE_LIMIT_BYTES, Operating},
    length, print, refusal,
};
use crate::moment;

/// From a minute to ten years.
const LENGTH_SECONDS: std::ops::RangeInclusive<u32> = 60..=315_576_000;

/// Why, for whom and until when.
#[derive(Debug, Args)]
struct Said {
    /// Why, in a sentence that others understand in half a year
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// How long it holds: 90m, 24h or 7d
    #[arg(
        long = "for",
        value_name = "TIME",
        value_parser = length,
        required_unless_present = "until",
        conflicts_with = "until"
    )]
    length: Option<u32>,
    /// When it ends, in UTC: 2026-11-20 or 2026-11-20T14:00
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// Name or ticket of whom it is for. The author is who runs the command
    #[arg(
        long,
        value_name = "WHOM",
        default_value = "",
        hide_default_value = true
    )]
    on_behalf_of: String,
    /// Only this cluster: its name, its id or the beginning of it
    #[arg(
        long,
        value_name = "CLUSTER",
        default_value = "",
        hide_default_value = true
    )]
    cluster: String,
    #[command(flatten)]
    connection: Operating,
}

#[derive(Debug, Args)]
pub(super) struct Decide {
    /// The finding, by the digits that pvelens findings shows last, or a check, such as
    /// storage.pool.space, with an object
    #[arg(value_name = "FINDING|CHECK")]
    what: String,
    /// With a check, what it is about: node/NAME, guest/VMID, storage/NAME,
    /// storage/NAME@NODE, tag/TAG, pool/NAME, cluster or * for everything
    #[arg(value_name = "OBJECT")]
    objects: Vec<String>,
    #[command(flatten)]
    said: Said,
}

#[derive(Debug, Args)]
pub(super) struct Maintenance {
    /// What is worked on: node/NAME, storage/NAME, cluster or * for everything
    #[arg(value_name = "OBJECT", required = true)]
    objects: Vec<String>,
    /// When it begins, in UTC: 2026-11-20T14:00 [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    #[command(flatten)]
    said: Said,
}

#[derive(Debug, Subcommand)]
pub(super) enum Expect {
    /// Nodes or storages are off on purpose, all the time or over and over
    ///
    /// While they are, what follows from it is no finding.
    Off(Off),
    /// A storage is there from time to time, such as a disk that is swapped
    ///
    /// While it is away for no longer than it may be, its findings are information.
    Rotated(Rotated),
    /// The data of guests needs no backup
    NoBackup(NoBackup),
}

#[derive(Debug, Args)]
pub(super) struct Off {
    /// What is off: node/NAME, storage/NAME, cluster or * for everything
    #[arg(value_name = "OBJECT", required = true)]
    objects: Vec<String>,
    /// When, over and over, in UTC, as in "mon-fri 19:00-07:00, sat, sun" [default: always]
    #[arg(
        long,
        value_name = "CALENDAR",
        default_value = "",
        hide_default_value = true
    )]
    calendar: String,
    /// Minutes after each time off until it must be up again [default: 15]
    #[arg(long, value_name = "MINUTES")]
    grace: Option<u32>,
    #[command(flatten)]
    said: Said,
}

#[derive(Debug, Args)]
pub(super) struct Rotated {
    /// The storages: storage/NAME
    #[arg(value_name = "STORAGE", required = true)]
    objects: Vec<String>,
    /// Days that each may be away
    #[arg(long, value_name = "DAYS")]
    every: u32,
    #[command(flatten)]
    said: Said,
}

#[derive(Debug, Args)]
pub(super) struct NoBackup {
    /// The guests: guest/VMID, tag/TAG, pool/NAME or * for all
    #[arg(value_name = "OBJECT", required = true)]
    objects: Vec<String>,
    #[command(flatten)]
    said: Said,
}

#[derive(Debug, Subcommand)]
pub(super) enum Intent {
    /// What is stated, in intent.toml and by commands
    List(List),
    /// What became of statements that commands made: made, withdrawn, ended
    Log(Log),
    /// Take a statement back that a command made (for operators)
    Withdraw(Withdraw),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only statements of this kind
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Acknowledged,
    Suppressed,
    Maintenance,
    Off,
    Rotated,
    NoBackup,
}

#[derive(Debug, Args)]
pub(super) struct Log {
    /// At most this many, the newest first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(super) struct Withdraw {
    /// Its id, as intent list shows it
    #[arg(value_name = "ID")]
    id: String,
    /// Why
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
    #[command(flatten)]
    connection: Operating,
}

impl Said {
    /// Makes the statement.
    async fn make(self, request: MakeStatementRequest) -> Result<u8, Failure> {
        let request = MakeStatementRequest {
            cluster: self.cluster,
            reason: self.reason,
            on_behalf_of: self.on_behalf_of,
            until: self.until.map(timestamp),
            length_seconds: self.length.unwrap_or_default(),
            render: Some(self.connection.output.render()),
            ..request
        };
        let mut client = IntentServiceClient::new(self.connection.open().await?);
        let response = client.make_statement(request).await;
        print(&response.map_err(refusal)?.into_inner().rendered)?;
        Ok(0)
    }
}

impl Decide {
    pub(super) async fn acknowledge(self) -> Result<u8, Failure> {
        self.make(StatementKind::Acknowledged).await
    }

    pub(super) async fn suppress(self) -> Result<u8, Failure> {
        self.make(StatementKind::Suppressed).await
    }

    async fn make(self, kind: StatementKind) -> Result<u8, Failure> {
        let Self {
            what,
            objects,
            said,
        } = self;
        // Ids of checks have dots, digits of findings have none.
        let (check_id, fingerprint) = match (what.contains('.'), objects.is_empty()) {
            (true, true) => {
                return Err(Failure::Usage(format!(
                    "name what the findings of {what} are about, such as guest/104, or * for \
                     everything"
                )));
            }
            (false, true) => (String::new(), what),
            (_, false) => (what, String::new()),
        };
        said.make(MakeStatementRequest {
            kind: kind.into(),
            check_id,
            fingerprint,
            objects,
            ..MakeStatementRequest::default()
        })
        .await
    }
}

impl Maintenance {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let request = MakeStatementRequest {
            kind: StatementKind::Maintenance.into(),
            objects: self.objects,
            from: self.from.map(timestamp),
            ..MakeStatementRequest::default()
        };
        self.said.make(request).await
    }
}

impl Expect {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let (said, request) = match self {
            Self::Off(off) => (
                off.said,
                MakeStatementRequest {
                    kind: StatementKind::Off.into(),
                    objects: off.objects,
                    calendar: off.calendar,
                    grace_minutes: off.grace,
                    ..MakeStatementRequest::default()
                },
            ),
            Self::Rotated(rotated) => (
                rotated.said,
                MakeStatementRequest {
                    kind: StatementKind::Rotated.into(),
                    objects: rotated.objects,
                    every_days: rotated.every,
                    ..MakeStatementRequest::default()
                },
            ),
            Self::NoBackup(guests) => (
                guests.said,
                MakeStatementRequest {
                    kind: StatementKind::NoBackup.into(),
                    objects: guests.objects,
                    ..MakeStatementRequest::default()
                },
            ),
        };
        said.make(request).await
    }
}

impl Intent {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let rendered = match self {
            Self::List(List { kind, connection }) => {
                let kind = match kind {
                    None => StatementKind::Unspecified,
                    Some(Kind::Acknowledged) => StatementKind::Acknowledged,
                    Some(Kind::Suppressed) => StatementKind::Suppressed,
                    Some(Kind::Maintenance) => StatementKind::Maintenance,
                    Some(Kind::Off) => StatementKind::Off,
                    Some(Kind::Rotated) => StatementKind::Rotated,
                    Some(Kind::NoBackup) => StatementKind::NoBackup,
                };
                let request = ListStatementsRequest {
                    kind: kind.into(),
                    render: Some(connection.output.render()),
                };
                let mut client = IntentServiceClient::new(connection.open().await?)
                    .max_decoding_message_size(MESSAGE_LIMIT_BYTES);
                let response = client.list_statements(request).await;
                response.map_err(refusal)?.into_inner().rendered
            }
            Self::Log(Log { limit, connection }) => {
                let request = ListStatementEventsRequest {
                    limit,
                    render: Some(connection.output.render()),
                };
                let mut client = IntentServiceClient::new(connection.open().await?)
                    .max_decoding_message_size(MESSAGE_LIMIT_BYTES);
                let response = client.list_statement_events(request).await;
                response.map_err(refusal)?.into_inner().rendered
            }
            Self::Withdraw(Withdraw {
                id,
                reason,
                connection,
            }) => {
                let request = WithdrawStatementRequest {
                    id,
                    reason,
                    render: Some(connection.output.render()),
                };
                let mut client = IntentServiceClient::new(connection.open().await?);
                let response = client.withdraw_statement(request).await;
                response.map_err(refusal)?.into_inner().rendered
            }
        };
        print(&rendered)?;
        Ok(0)
    }
}

fn length(text: &str) -> Result<u32, String> {
    length::seconds(text, LENGTH_SECONDS).ok_or_else(|| {
        "give a length such as 90m, 24h or 7d, from a minute to ten years".to_owned()
    })
}

/// A moment that the calendar has, so that it means the same whenever it arrives.
fn time(text: &str) -> Result<Timestamp, String> {
    let is_length = moment::length(text).is_some();
    moment::moment(text, Timestamp::UNIX_EPOCH)
        .filter(|_| !is_length)
        .ok_or_else(|| "give a time in UTC such as 2026-11-20 or 2026-11-20T14:00".to_owned())
}

fn timestamp(at: Timestamp) -> pvelens_proto::Timestamp {
    pvelens_proto::Timestamp {
        seconds: at.as_second(),
        nanos: 0,
    }
}
