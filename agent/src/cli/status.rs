//! `status`: what the running agent says of itself, what is wrong first.
//!
//! It asks over the agent's own socket and starts nothing: an agent that does not
//! run is said to be stopped.

use std::{io, path::Path, process::ExitCode};

use anyhow::{Context, anyhow, bail};
use jiff::Timestamp;
use pvelens_proto::agent::v1::{DescribeRequest, GetSelfReportRequest, SelfReport};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    INCOMPLETE, Output, StatusArguments,
    collect::runtime,
    doctor::{self, AskError},
    identified::{Identified, Standing, standing},
    json::Writer,
    print,
};

mod text;

/// Its name in the descriptions of the messages.
const REPORT: &str = "pvelens.agent.v1.SelfReport";

/// A running agent.
#[derive(Debug)]
struct Answer {
    /// Empty when it does not know.
    node_name: String,
    report: SelfReport,
    identity: Identified,
}

pub(super) fn status(arguments: &StatusArguments) -> anyhow::Result<ExitCode> {
    let config = arguments.settings.load()?;
    let socket = config.agent.socket;
    if doctor::is_stopped(&socket)? {
        bail!(
            "the agent does not run: {unit} is stopped; `journalctl -u {unit} -n 30` may say why, \
             `systemctl start {unit}` starts it",
            unit = doctor::UNIT
        );
    }
    let answer = runtime()?
        .block_on(ask(&socket))
        .map_err(|error| explained(&socket, error))?;
    let (node_name, report) = answer;
    let answer = Answer {
        node_name,
        report,
        identity: Identified::look(&config.identity.directory),
    };
    match arguments.output.output {
        Output::Text => print(&text::text(&answer, arguments.all)?)?,
        Output::Json => print(&format!("{:#}\n", object(&answer)?))?,
    }
    Ok(if is_well(&answer) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(INCOMPLETE)
    })
}

/// What the node is called, and what its agent says of itself.
async fn ask(socket: &Path) -> Result<(String, SelfReport), AskError> {
    let ask = async {
        let (mut client, _) = doctor::connect(socket).await?;
        let agent = client.describe(DescribeRequest {}).await?.into_inner();
        let answer = client.get_self_report(GetSelfReportRequest {}).await?;
        let report = answer.into_inner().report.unwrap_or_default();
        Ok((agent.node_name, report))
    };
    timeout(doctor::DEADLINE, ask)
        .await
        .unwrap_or(Err(AskError::Deadline))
}

/// Why there is no answer, and what would help.
fn explained(socket: &Path, error: AskError) -> anyhow::Error {
    let shown = socket.display();
    match error {
        AskError::Connect(error) => match error.kind() {
            io::ErrorKind::NotFound => anyhow!(
                "the agent does not run: there is no socket {shown}; `pvelens-agent doctor` says more"
            ),
            io::ErrorKind::ConnectionRefused => anyhow!(
                "the agent does not run: nobody hears on {shown}; `pvelens-agent doctor` says more"
            ),
            io::ErrorKind::PermissionDenied => anyhow!(
                "{shown} is closed to this user: only root and the group of the socket may ask"
            ),
            _ => anyhow::Error::new(error).context(format!("connecting to {shown}")),
        },
        AskError::Refused(status) if status.code() == tonic::Code::Unimplemented => anyhow!(
            "the running agent is older than this program and cannot tell; \
             `systemctl restart {}`",
            doctor::UNIT
        ),
        error => anyhow!("the agent does not answer at {shown}: {error}"),
    }
}

/// Everything was read, and the loop goes on.
fn is_well(answer: &Answer) -> bool {
    text::problems(answer).is_empty()
}

fn object(answer: &Answer) -> anyhow::Result<Value> {
    let report = Writer::new()?
        .message(REPORT, &answer.report)
        .context("writing the report")?;
    Ok(json!({
        "node_name": answer.node_name,
        "is_well": is_well(answer),
        "identity": identity(&answer.identity),
        "report": report,
    }))
}

fn identity(identity: &Identified) -> Value {
    match identity {
        Identified::NotJoined => json!({ "state": "not_joined" }),
        Identified::Closed => json!({ "state": "unknown" }),
        Identified::Unusable(why) => json!({ "state": "unusable", "why": why }),
        Identified::Joined(identity) => json!({
            "state": "joined",
            "cluster_id": identity.cluster,
            "node_name": identity.node,
            "coordinators": identity.coordinators,
            "authority": identity.authority_fingerprint(),
            "expires_at": identity.expires_at(),
            "is_expired": standing(identity, Timestamp::now()) == Standing::Expired,
        }),
    }
}

#[cfg(test)]
mod tests;
