//! `health`.

use clap::{Args, ValueEnum};
use pvelens_proto::v1::{
    AnalysisKind, AnalyzeRequest, Depth, HealthState, Scope,
    analysis_service_client::AnalysisServiceClient, analyze_response::Event,
};

use super::{
    FOUND, Failure, NOT_ASSESSED,
    client::{MESSAGE_LIMIT_BYTES, Reading, refused},
    print,
};

#[derive(Debug, Args)]
pub(super) struct Health {
    /// Exit with 1 at open findings of at least this severity
    #[arg(long, value_enum, default_value_t = FailOn::Warning, value_name = "SEVERITY")]
    fail_on: FailOn,
    /// Every finding with its evidence and fix, not one page
    #[arg(long)]
    full: bool,
    /// Only about this node
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    node: String,
    /// Only about this guest: VMID or exact name
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    guest: String,
    /// Only about guests with this tag
    #[arg(
        long,
        value_name = "TAG",
        default_value = "",
        hide_default_value = true
    )]
    tag: String,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    Warning,
    Critical,
}

impl Health {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let depth = if self.full {
            Depth::Full
        } else {
            Depth::Summary
        };
        let request = AnalyzeRequest {
            kind: AnalysisKind::ClusterHealth.into(),
            scope: Some(Scope {
                cluster: self.reading.cluster.clone(),
                node: self.node,
                guest: self.guest,
                tag: self.tag,
            }),
            depth: depth.into(),
            render: Some(self.reading.connection.output.render()),
        };
        let channel = self.reading.connection.open().await?;
        let mut client =
            AnalysisServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        let events = client.analyze(request).await;
        let mut events = events.map_err(|status| refused(&status))?.into_inner();
        while let Some(response) = events.message().await.map_err(|status| refused(&status))? {
            if let Some(Event::Report(report)) = response.event {
                print(&report.rendered)?;
                return Ok(status(report.state(), self.fail_on));
            }
        }
        Err(Failure::NotAssessed(
            "the coordinator ended the analysis without a report; its log may say why".to_owned(),
        ))
    }
}

/// Exit status for a state. Unknown is never healthy, nor is a state of a newer
/// coordinator that we do not know.
pub(super) fn status(state: HealthState, fail_on: FailOn) -> u8 {
    match (state, fail_on) {
        (HealthState::Healthy, _) | (HealthState::Warning, FailOn::Critical) => 0,
        (HealthState::Warning, FailOn::Warning) | (HealthState::Critical, _) => FOUND,
        (HealthState::Unknown | HealthState::Unspecified, _) => NOT_ASSESSED,
    }
}
