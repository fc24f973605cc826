//! `findings`.

use clap::{Args, ValueEnum};
use pvelens_proto::v1::{self as message, ListFindingsRequest};

use super::{
    Failure,
    client::{MESSAGE_LIMIT_BYTES, Reading, refused},
    complain, print,
    when::{at, now},
};
use message::finding_service_client::FindingServiceClient;

#[derive(Debug, Args)]
pub(super) struct Findings {
    /// Only those at least this severe
    #[arg(long, value_enum)]
    severity: Option<Severity>,
    /// Only this category: backup, capacity, configuration, ha, health,
    /// lifecycle, network, performance, security or storage
    #[arg(
        long,
        value_name = "CATEGORY",
        default_value = "",
        hide_default_value = true
    )]
    category: String,
    /// Only what is broken or about to be (health), or only advice (posture)
    #[arg(long, value_enum)]
    lane: Option<Lane>,
    /// Only about this: node/pve1, guest/104, storage/tank
    #[arg(
        long,
        value_name = "SUBJECT",
        default_value = "",
        hide_default_value = true
    )]
    subject: String,
    /// Also what has not held long enough to count
    #[arg(long)]
    all: bool,
    /// Also what operators suppressed
    #[arg(long)]
    suppressed: bool,
    /// Only what opened, changed or ended since: a length such as 24h or 7d before now, or
    /// a time in UTC such as 2026-11-20T14:00; also what is over
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Go on after the last listing
    #[arg(
        long,
        value_name = "TOKEN",
        default_value = "",
        hide_default_value = true
    )]
    page: String,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Severity {
    Info,
    Warning,
    Critical,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Lane {
    Health,
    Posture,
}

impl Findings {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let severity = match self.severity {
            None => message::Severity::Unspecified,
            Some(Severity::Info) => message::Severity::Info,
            Some(Severity::Warning) => message::Severity::Warning,
            Some(Severity::Critical) => message::Severity::Critical,
        };
        let lane = match self.lane {
            None => message::Lane::Unspecified,
            Some(Lane::Health) => message::Lane::Health,
            Some(Lane::Posture) => message::Lane::Posture,
        };
        let request = ListFindingsRequest {
            render: Some(self.reading.connection.output.render()),
            cluster: self.reading.cluster.clone(),
            minimum_severity: severity.into(),
            lane: lane.into(),
            category: self.category,
            subject: self.subject,
            page_size: self.limit,
            page_token: self.page,
            include_pending: self.all,
            changed_since: at("--since", self.since.as_deref(), now())?,
            include_suppressed: self.suppressed,
        };
        let channel = self.reading.connection.open().await?;
        let mut client =
            FindingServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        let response = client.list_findings(request).await;
        let response = response.map_err(|status| refused(&status))?.into_inner();
        print(&response.rendered)?;
        say_more(response.total, &response.next_page_token);
        Ok(0)
    }
}

/// Says that a listing goes on, and how to see the rest.
pub(super) fn say_more(total: u32, next_page_token: &str) {
    if !next_page_token.is_empty() {
        complain(&format!(
            "{total} in all; see the next ones with --page {next_page_token}"
        ));
    }
}
