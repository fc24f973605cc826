//! The state of the Ceph cluster as its monitors tell it.
//!
//! The Ceph probe asks them, with a key that the administrator makes for it; without
//! that key there is nothing to collect. Whatever answers late ends the run's
//! questions: the next one would wait for the same daemon.

use std::{collections::HashMap, time::Duration};

use pvelens_proto::agent::v1::{CephHealthCheck, CollectionClass, FailureKind};
use serde_json::Value;

use super::{CollectError, Collector, PMXCFS_FILE_LIMIT, Payload, Reading, section_file};
use crate::{
    format::{FormatError, whole_lines},
    host::SourceError,
    probe::{CEPH_KEYRING, Request, request::CephRequest},
};

mod osd;
mod parse;
mod pool;

const CONF: &str = "/etc/pve/ceph.conf";

pub(super) const COLLECTOR: Collector = Collector {
    name: "ceph_state",
    summary: "health, space, pools, OSDs and versions of the Ceph cluster",
    class: CollectionClass::State,
    interval: Duration::from_secs(60),
    // A question may take 20 s, and the first that does is the last.
    deadline: Duration::from_secs(50),
    paths: &[CONF],
    probes: &[
        "status",
        "df",
        "osd_df",
        "osd_tree",
        "osd_dump",
        "crush_rules",
        "health_detail",
        "versions",
    ],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    section_file::nodes(reading)?;
    match reading.read(CONF, PMXCFS_FILE_LIMIT) {
        Err(error) if error.is_not_found() => {
            return Err(CollectError::NoData("Ceph is not configured"));
        }
        // There is one, so the monitors are asked all the same.
        Err(error) => reading.fail(error),
        Ok(text) => {
            reading.keep(whole_lines(&text).map_err(|error| error.at(CONF)));
        }
    }
    let status = match ask(reading, CephRequest::Status {}) {
        Err(error) if error.is_not_found() => {
            return Err(CollectError::NoData(
                "the Ceph probe or its tool is not installed",
            ));
        }
        // Any other refusal is a failure: an earlier request may still hang.
        Err(error)
            if error.kind == FailureKind::InProgress && error.detail.contains(CEPH_KEYRING) =>
        {
            return Err(CollectError::NoData(
                "no key for the Ceph probe; an administrator can make one: ceph auth get-or-create client.pvelens \
                 mon 'allow r' mgr 'allow r' -o /etc/ceph/ceph.client.pvelens.keyring",
            ));
        }
        answer => answer?,
    };
    let (mut state, is_cut) = parse::status(&status.document).map_err(|e| e.at(&status.source))?;
    name_cut(reading, &status.source, is_cut);
    let mut questions = Questions {
        reading,
        goes_on: true,
    };
    if !state.checks.is_empty() {
        let request = CephRequest::HealthDetail {};
        let mut checks = std::mem::take(&mut state.checks);
        questions.ask(request, |document| parse::details(document, &mut checks));
        state.checks = checks;
    }
    questions.ask(CephRequest::Df {}, |document| {
        parse::pools(document, &mut state.pools)
    });
    questions.ask(CephRequest::OsdTree {}, |document| {
        osd::tree(document, &mut state.osds)
    });
    let mut rules = HashMap::new();
    questions.ask(CephRequest::OsdDump {}, |document| {
        rules = pool::settings(document, &mut state)?;
        Ok(false)
    });
    questions.ask(CephRequest::CrushRules {}, |document| {
        pool::rules(document, &rules, &mut state.pools)?;
        Ok(false)
    });
    questions.ask(CephRequest::Versions {}, |document| {
        parse::versions(document, &mut state.versions)
    });
    // The manager answers this one: without it, it would be waited for.
    if state.manager_available != Some(false) {
        questions.ask(CephRequest::OsdDf {}, |document| {
            osd::space(document, &mut state.osds)
        });
    }
    Ok(Payload::CephState(state))
}

/// What a monitor wrote, and what failures of it are about.
struct Answered {
    source: String,
    document: Value,
}

fn ask(reading: &mut Reading<'_>, request: CephRequest) -> Result<Answered, SourceError> {
    let answer = reading.ask(&Request::Ceph(request))?;
    let document = document(answer.success()?).map_err(|error| error.at(&answer.source))?;
    Ok(Answered {
        source: answer.source,
        document,
    })
}

fn document(text: &str) -> Result<Value, FormatError> {
    serde_json::from_str(text).map_err(|error| {
        if error.is_eof() {
            FormatError::truncated("the answer does not end")
        } else {
            FormatError::malformed("not an answer of Ceph")
        }
    })
}

/// What is asked once the monitors have told their status.
struct Questions<'a, 'b> {
    reading: &'a mut Reading<'b>,
    goes_on: bool,
}

impl Questions<'_, '_> {
    /// Takes over what is answered; why nothing is, is named. `understand` tells
    /// whether it left entries out.
    fn ask(
        &mut self,
        request: CephRequest,
        understand: impl FnOnce(&Value) -> Result<bool, FormatError>,
    ) {
        if !self.goes_on {
            return;
        }
        let answered = ask(self.reading, request).and_then(|answered| {
            let is_cut = understand(&answered.document).map_err(|e| e.at(&answered.source))?;
            Ok((answered.source, is_cut))
        });
        match answered {
            Ok((source, is_cut)) => name_cut(self.reading, &source, is_cut),
            Err(error) => {
                self.goes_on = error.kind != FailureKind::TimedOut;
                self.reading.fail(error);
            }
        }
    }
}

fn name_cut(reading: &mut Reading<'_>, source: &str, is_cut: bool) {
    if is_cut {
        let detail = "more entries than are kept; the rest is left out";
        reading.fail(SourceError::new(source, FailureKind::TooLarge, detail));
    }
}

/// Whether a list is longer than its limit; then it is cut.
fn cut<T>(list: &mut Vec<T>, limit: usize) -> bool {
    let is_cut = list.len() > limit;
    list.truncate(limit);
    is_cut
}

/// The check with this code.
fn find<'a>(checks: &'a mut [CephHealthCheck], code: &str) -> Option<&'a mut CephHealthCheck> {
    checks.iter_mut().find(|check| check.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::tests::{kinds, sample};

    const NODE: (&str, &str) = ("etc/pve/nodes/a/host.fw", "");
    const CEPH: (&str, &str) = ("etc/pve/ceph.conf", "[global]\nfsid = 6f1b\n");
    const STATUS: &str = ".pvelens/probe/ceph/status";

    fn reply(outcome: &str, stdout: &str) -> String {
        format!(
            "{{\"outcome\":{outcome},\"program\":[],\"stdout_bytes\":{},\"stdout_truncated\":false,\"stderr\":\"[errno 110] RADOS timed out\",\"stderr_truncated\":false,\"duration_milliseconds\":9}}\n{stdout}",
            stdout.len()
        )
    }

    fn exited(status: u8, stdout: &str) -> String {
        reply(
            &format!("{{\"kind\":\"exited\",\"exit_status\":{status}}}"),
            stdout,
        )
    }

    #[test]
    fn without_ceph_or_its_probe_or_its_key_there_is_nothing() {
        let refused = reply(
            r#"{"kind":"refused","reason":"there is no /etc/ceph/ceph.client.pvelens.keyring; to let pvelens …"}"#,
            "",
        );
        for files in [
            &[NODE][..],
            &[NODE, CEPH],
            &[NODE, CEPH, (STATUS, &refused)],
        ] {
            let node = sample(&COLLECTOR, files);
            assert!(matches!(node.payload, Some(Payload::NoData(_))), "{node:?}");
            assert_eq!(kinds(&node), []);
        }
    }

    #[test]
    fn monitors_that_do_not_answer_and_requests_that_hang_are_failures() {
        let silent = exited(1, "");
        let hangs = reply(
            r#"{"kind":"refused","reason":"the same command of an earlier request still hangs, as process 7"}"#,
            "",
        );
        for (status, kind) in [
            (silent.as_str(), FailureKind::Io),
            (&hangs, FailureKind::InProgress),
            (&exited(0, "{\"health\":"), FailureKind::Truncated),
            (&exited(0, "[]"), FailureKind::Malformed),
        ] {
            let node = sample(&COLLECTOR, &[NODE, CEPH, (STATUS, status)]);
            assert_eq!((kinds(&node), node.payload), (vec![kind], None));
        }
    }

    #[test]
    fn the_first_late_answer_is_the_last_question() {
        let status = exited(0, r#"{"health":{"status":"HEALTH_OK","checks":{}}}"#);
        let late = reply(r#"{"kind":"timed_out","still_running":false}"#, "");
        let df = ".pvelens/probe/ceph/df";
        let node = sample(&COLLECTOR, &[NODE, CEPH, (STATUS, &status), (df, &late)]);
        assert_eq!(kinds(&node), [FailureKind::TimedOut]);
        assert!(matches!(node.payload, Some(Payload::CephState(_))));
    }

    #[test]
    fn no_manager_is_not_asked_for_the_space_of_osds() {
        let status = exited(
            0,
            r#"{"health":{"status":"HEALTH_WARN","checks":{}},"mgrmap":{"available":false}}"#,
        );
        let node = sample(&COLLECTOR, &[NODE, CEPH, (STATUS, &status)]);
        // df, osd tree, osd dump, crush rules and versions are not recorded.
        assert_eq!(kinds(&node), [FailureKind::NotFound; 5]);
    }
}
