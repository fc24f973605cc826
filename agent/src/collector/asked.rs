//! What a collector asks a probe.
//!
//! On a live node the probe of that kind is asked over its socket. A tree of files
//! has the replies that were recorded, whole as they came over the socket, in
//! `/.pvelens/probe/KIND/NAME`; the name is that of the entry, then the values of
//! its parameters as the menu lists them, joined by points: `smart.sda.auto`. What is
//! not recorded counts as a probe that is not there.
//!
//! A host that was given tools ([`Host::with_tools`]) starts them itself where a
//! probe is not there.

use std::time::Duration;

use pvelens_proto::agent::v1::FailureKind;

use crate::{
    host::{Host, SourceError},
    probe::{Header, Outcome, ProbeError, Reply, Request, ask as ask_live, reply_here},
};

/// Bytes of a recorded reply.
const REPLY_LIMIT: u64 = 8 << 20;
/// How the detail begins when the probe answered that its tool, or what it asked,
/// did not end in time. A probe that is silent itself is another failure.
pub(super) const TOOK_TOO_LONG: &str = "took too long";

/// What the tool of a probe wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What failures of it are about: `probe disk: smart sda auto`.
    pub source: String,
    /// Of a tool that ended by itself; 0 when the probe answered without one.
    pub exit_status: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
    /// From the request to the end of the tool.
    pub took: Duration,
}

impl Answer {
    /// The output as text.
    ///
    /// # Errors
    /// When it is not UTF-8.
    pub fn text(&self) -> Result<&str, SourceError> {
        str::from_utf8(&self.stdout).map_err(|error| {
            let detail = format!("not UTF-8 at byte {}", error.valid_up_to());
            SourceError::new(&self.source, FailureKind::NotUtf8, detail)
        })
    }

    /// The output as text, of a tool that says with its status whether it worked.
    ///
    /// # Errors
    /// When the status is not 0, with the first line of what the tool said, or the
    /// output is not UTF-8.
    pub fn success(&self) -> Result<&str, SourceError> {
        if self.exit_status == 0 {
            return self.text();
        }
        let said = self.stderr.lines().find(|line| !line.trim().is_empty());
        let detail = format!(
            "ended with status {}: {}",
            self.exit_status,
            said.unwrap_or("it said nothing").trim()
        );
        Err(SourceError::new(&self.source, FailureKind::Io, detail))
    }
}

/// What failures of an answer are about: `probe disk: smart sda auto`.
pub(super) fn source(request: &Request) -> String {
    format!(
        "probe {}: {}",
        request.kind().name(),
        name(request).replace('.', " ")
    )
}

/// Asks the probe, or the recording in the tree.
pub(super) fn ask(host: &Host, request: &Request) -> Result<Answer, SourceError> {
    let name = name(request);
    let kind = request.kind().name();
    let source = source(request);
    let reply = if host.is_live() {
        let reply = live(host, request).map_err(|error| unanswered(&source, &error))?;
        host.witness(|witness| {
            let key = (kind, name.clone());
            witness.replies.insert(key, reply.to_bytes());
        });
        reply
    } else {
        let path = format!("/.pvelens/probe/{kind}/{name}");
        recorded(host, &path, &source)?
    };
    answer(source, reply)
}

/// The reply of the probe, or of the tool itself where that may be started here.
fn live(host: &Host, request: &Request) -> Result<Reply, ProbeError> {
    match (ask_live(request), host.tools()) {
        (Err(ProbeError::Connect { .. }), Some(tools)) => {
            Ok(reply_here(&tools.host, request, tools.patience))
        }
        (reply, _) => reply,
    }
}

/// The name of a request, from its entry and the values of its parameters.
fn name(request: &Request) -> String {
    let parameters = request.entry().map_or(&[][..], |entry| entry.parameters);
    let values = parameters
        .iter()
        .filter_map(|parameter| request.value(parameter.name));
    let entry = request.entry().map_or("", |entry| entry.name);
    std::iter::once(entry.to_owned())
        .chain(values.map(|value| value.replace('/', "-")))
        .collect::<Vec<_>>()
        .join(".")
}

fn recorded(host: &Host, path: &str, source: &str) -> Result<Reply, SourceError> {
    let bytes = host.read_bytes(path, REPLY_LIMIT).map_err(|error| {
        if error.is_not_found() {
            SourceError::new(source, FailureKind::NotFound, "the probe is not there")
        } else {
            error
        }
    })?;
    let header_end = bytes.iter().position(|byte| *byte == b'\n');
    let (line, stdout) = bytes.split_at(header_end.unwrap_or(bytes.len()));
    let header: Header = serde_json::from_slice(line)
        .map_err(|_| SourceError::new(source, FailureKind::Malformed, "not a reply of a probe"))?;
    let stdout = stdout.strip_prefix(b"\n").unwrap_or(stdout).to_vec();
    Ok(Reply { header, stdout })
}

fn unanswered(source: &str, error: &ProbeError) -> SourceError {
    let (kind, detail) = match error {
        ProbeError::Connect { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            (FailureKind::NotFound, "the probe is not there".to_owned())
        }
        ProbeError::Connect { source, .. } => (FailureKind::Io, format!("{error}: {source}")),
        ProbeError::Talk(source) => (FailureKind::Io, format!("{error}: {source}")),
        ProbeError::TimedOut(_) => (FailureKind::TimedOut, error.to_string()),
        ProbeError::Closed => (FailureKind::Truncated, error.to_string()),
        ProbeError::Malformed(_) | ProbeError::NotOnTheMenu => {
            (FailureKind::Malformed, error.to_string())
        }
    };
    SourceError::new(source, kind, detail)
}

/// What the tool wrote, when it ended by itself.
fn answer(source: String, reply: Reply) -> Result<Answer, SourceError> {
    let Reply { header, stdout } = reply;
    let failed = |kind, detail: String| Err(SourceError::new(&source, kind, detail));
    let exit_status = match header.outcome {
        Outcome::Exited { exit_status } => exit_status,
        Outcome::Answered {} => 0,
        Outcome::Signalled { signal } => {
            return failed(FailureKind::Io, format!("ended by signal {signal}"));
        }
        Outcome::TimedOut { still_running } => {
            let hangs = if still_running {
                ", and still hangs"
            } else {
                ""
            };
            let detail = format!("{TOOK_TOO_LONG}{hangs}");
            return failed(FailureKind::TimedOut, detail);
        }
        Outcome::ProgramMissing { path } => {
            return failed(FailureKind::NotFound, format!("{path} is not installed"));
        }
        Outcome::Refused { reason } => return failed(FailureKind::InProgress, reason),
        Outcome::Failed { reason } => return failed(FailureKind::Io, reason),
    };
    if header.stdout_truncated {
        return failed(FailureKind::TooLarge, "wrote more than is kept".to_owned());
    }
    Ok(Answer {
        source,
        exit_status,
        stdout,
        stderr: header.stderr,
        took: Duration::from_millis(header.duration_milliseconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{collector::tests, probe::Kind};

    const HEADER: &str = r#"{"outcome":OUTCOME,"program":["/x"],"stdout_bytes":3,"stdout_truncated":false,"stderr":"bad\nworse","stderr_truncated":false,"duration_milliseconds":1}"#;

    fn reply(outcome: &str) -> String {
        format!("{}\nout", HEADER.replace("OUTCOME", outcome))
    }

    fn asked(reply: &str) -> Result<Answer, SourceError> {
        let directory = tests::tree(&[(".pvelens/probe/disk/smart.sda.auto", reply)]);
        let host = Host::open(directory.path()).unwrap();
        ask(&host, &request(r#"{"entry":"smart","device":"sda"}"#))
    }

    fn request(json: &str) -> Request {
        Request::parse(Kind::Disk, json.as_bytes()).unwrap()
    }

    #[test]
    fn a_recorded_reply_is_an_answer() {
        let answer = asked(&reply(r#"{"kind":"exited","exit_status":4}"#)).unwrap();
        assert_eq!(answer.source, "probe disk: smart sda auto");
        assert_eq!((answer.exit_status, answer.text()), (4, Ok("out")));
        let error = answer.success().unwrap_err();
        assert_eq!(error.detail, "ended with status 4: bad");
    }

    #[test]
    fn every_other_outcome_is_a_failure_that_says_why() {
        for (outcome, kind) in [
            (r#"{"kind":"signalled","signal":9}"#, FailureKind::Io),
            (
                r#"{"kind":"timed_out","still_running":true}"#,
                FailureKind::TimedOut,
            ),
            (
                r#"{"kind":"program_missing","path":"/x"}"#,
                FailureKind::NotFound,
            ),
            (
                r#"{"kind":"refused","reason":"not now"}"#,
                FailureKind::InProgress,
            ),
            (r#"{"kind":"failed","reason":"no"}"#, FailureKind::Io),
        ] {
            assert_eq!(asked(&reply(outcome)).unwrap_err().kind, kind, "{outcome}");
        }
        for text in ["", "\n", "{}", "x\ny"] {
            assert_eq!(asked(text).unwrap_err().kind, FailureKind::Malformed);
        }
    }

    #[test]
    fn what_is_not_recorded_is_a_probe_that_is_not_there() {
        let directory = tests::tree(&[]);
        let host = Host::open(directory.path()).unwrap();
        let error = ask(&host, &request(r#"{"entry":"lvs"}"#)).unwrap_err();
        assert_eq!(
            error,
            SourceError::new(
                "probe disk: lvs",
                FailureKind::NotFound,
                "the probe is not there"
            )
        );
    }
}
