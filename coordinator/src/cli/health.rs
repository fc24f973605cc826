//! `health`.

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use pvelens_proto::v1::{
    AnalysisKind, AnalyzeRequest, Depth, ErrorReason, GetAnalysisRequest, HealthState,
    ListAnalysesRequest, Report, Scope, analysis_service_client::AnalysisServiceClient,
    analyze_response::Event, history_service_client::HistoryServiceClient,
};
use tonic::{Status, transport::Channel};

use super::{
    FOUND, Failure, NOT_ASSESSED,
    client::{MESSAGE_LIMIT_BYTES, Reading, is_because, refused},
    complain, print,
    when::{at, now},
};

/// What is about one report. Each argument of the list of them says so, since one whose
/// requirement is excluded by another argument is not missed.
const OF_ONE: [&str; 6] = ["at", "fail_on", "full", "node", "guest", "tag"];

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
    /// The report of a cluster as it was kept then, instead of the present: a length such
    /// as 90m, 24h or 7d before now, or a time in UTC such as 2026-11-20T14:00
    #[arg(long, value_name = "WHEN", conflicts_with_all = ["full", "node", "guest", "tag"])]
    at: Option<String>,
    /// The states over time, as far as they are kept, newest first
    #[arg(long, conflicts_with_all = OF_ONE)]
    history: bool,
    /// With --history: from when, in the same forms [default: as long as is kept]
    #[arg(long, value_name = "WHEN", requires = "history", conflicts_with_all = OF_ONE)]
    since: Option<String>,
    /// With --history: until when [default: now]
    #[arg(long, value_name = "WHEN", requires = "history", conflicts_with_all = OF_ONE)]
    until: Option<String>,
    /// With --history: at most so many reports, the newest [default: 50]
    #[arg(long, value_name = "N", requires = "history", conflicts_with_all = OF_ONE, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: Option<u32>,
    #[command(flatten)]
    reading: Reading,
}

/// What is to be asked for.
#[derive(Debug, PartialEq)]
enum Question {
    Present(AnalyzeRequest),
    Past(GetAnalysisRequest),
    History(ListAnalysesRequest),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    Warning,
    Critical,
}

impl Health {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let question = self.question(now())?;
        let channel = self.reading.connection.open().await?;
        let mut analyses = AnalysisServiceClient::new(channel.clone())
            .max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        let mut past =
            HistoryServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        match question {
            Question::Present(request) => {
                let report = present(&mut analyses, request).await?;
                print(&report.rendered)?;
                Ok(status(report.state(), self.fail_on))
            }
            Question::Past(request) => {
                let answer = past.get_analysis(request).await;
                let answer = answer.map_err(|status| not_kept(&status))?.into_inner();
                print(&answer.rendered)?;
                Ok(status_then(
                    &answer.report.unwrap_or_default(),
                    self.fail_on,
                ))
            }
            Question::History(request) => {
                let answer = past.list_analyses(request).await;
                let answer = answer.map_err(|status| refused(&status))?.into_inner();
                print(&answer.rendered)?;
                if answer.older_left_out {
                    complain("there are older ones: raise --limit, or give an earlier --until");
                }
                Ok(0)
            }
        }
    }

    fn question(&self, now: Timestamp) -> Result<Question, Failure> {
        let cluster = self.reading.cluster.clone();
        let render = Some(self.reading.connection.output.render());
        if self.history {
            return Ok(Question::History(ListAnalysesRequest {
                cluster,
                kind: AnalysisKind::ClusterHealth.into(),
                from: at("--since", self.since.as_deref(), now)?,
                until: at("--until", self.until.as_deref(), now)?,
                limit: self.limit.unwrap_or_default(),
                render,
            }));
        }
        if self.at.is_some() {
            return Ok(Question::Past(GetAnalysisRequest {
                cluster,
                kind: AnalysisKind::ClusterHealth.into(),
                at: at("--at", self.at.as_deref(), now)?,
                id: String::new(),
                render,
            }));
        }
        let depth = if self.full {
            Depth::Full
        } else {
            Depth::Summary
        };
        Ok(Question::Present(AnalyzeRequest {
            kind: AnalysisKind::ClusterHealth.into(),
            scope: Some(Scope {
                cluster,
                node: self.node.clone(),
                guest: self.guest.clone(),
                tag: self.tag.clone(),
            }),
            depth: depth.into(),
            render,
        }))
    }
}

async fn present(
    client: &mut AnalysisServiceClient<Channel>,
    request: AnalyzeRequest,
) -> Result<Report, Failure> {
    let events = client.analyze(request).await;
    let mut events = events.map_err(|status| refused(&status))?.into_inner();
    while let Some(response) = events.message().await.map_err(|status| refused(&status))? {
        if let Some(Event::Report(report)) = response.event {
            return Ok(report);
        }
    }
    Err(Failure::NotAssessed(
        "the coordinator ended the analysis without a report; its log may say why".to_owned(),
    ))
}

/// Without a report of that time it is not known how it was, which is no matter of usage.
fn not_kept(status: &Status) -> Failure {
    match is_because(status, ErrorReason::NotFoundAnalysis) {
        true => Failure::NotAssessed(status.message().to_owned()),
        false => refused(status),
    }
}

/// Exit status for a report of the past: one that is too old says nothing about the time
/// that was asked about.
fn status_then(report: &Report, fail_on: FailOn) -> u8 {
    let is_outdated = report.kept.as_ref().is_none_or(|kept| kept.is_outdated);
    match is_outdated {
        true => NOT_ASSESSED,
        false => status(report.state(), fail_on),
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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use pvelens_proto::v1::KeptFor;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        health: Health,
    }

    const NOW: &str = "2026-11-25T20:00:00Z";

    fn question(line: &str) -> Result<Question, Failure> {
        let words = std::iter::once("health").chain(line.split_whitespace());
        let health = Line::try_parse_from(words).unwrap().health;
        health.question(NOW.parse().unwrap())
    }

    #[test]
    fn a_line_becomes_a_question_about_the_present_or_the_past() {
        let before = |hours: i64| {
            let now: Timestamp = NOW.parse().unwrap();
            Some(now.as_second() - hours * 3600)
        };
        let seconds = |at: Option<pvelens_proto::Timestamp>| at.map(|at| at.seconds);
        let Ok(Question::Present(present)) = question("--node pve1 --full") else {
            panic!("not about the present");
        };
        assert_eq!(present.depth(), Depth::Full);
        let Ok(Question::Past(past)) = question("--at 24h --cluster lab --fail-on critical") else {
            panic!("not about the past");
        };
        assert_eq!((seconds(past.at), &*past.cluster), (before(24), "lab"));
        let Ok(Question::History(list)) = question("--history --since 2h --limit 7") else {
            panic!("no history");
        };
        assert_eq!((seconds(list.from), list.limit), (before(2), 7));
        assert!(list.until.is_none());
        for wrong in ["--at yesterday", "--history --since monday"] {
            let error = question(wrong).unwrap_err();
            assert_eq!(error.status(), super::super::USAGE, "{wrong}");
            assert!(error.to_string().contains("24h"), "{error}");
        }
    }

    #[test]
    fn a_report_that_is_missing_or_too_old_leaves_the_state_unknown() {
        let report = |is_outdated| Report {
            state: HealthState::Healthy.into(),
            kept: Some(KeptFor {
                is_outdated,
                ..KeptFor::default()
            }),
            ..Report::default()
        };
        assert_eq!(status_then(&report(false), FailOn::Warning), 0);
        assert_eq!(status_then(&report(true), FailOn::Warning), NOT_ASSESSED);
        assert_eq!(
            status_then(&Report::default(), FailOn::Warning),
            NOT_ASSESSED
        );
        let missing = not_kept(&Status::not_found("no cluster \"x\""));
        assert_eq!(missing.status(), super::super::USAGE);
    }
}
