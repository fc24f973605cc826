//! The report as people see it.

use pvelens_proto::{
    agent::v1::{
        AgentProcess, CollectorReport, FailureKind, FailureReport, ReaderReport, SamplingReport,
        SourceFailure, SpoolReport,
    },
    timestamp_from_millis,
};

use super::*;
use crate::identity::testing::Authority;

const NOW: i64 = 1_795_349_000_000;

fn collector(name: &str) -> CollectorReport {
    CollectorReport {
        name: name.to_owned(),
        interval_seconds: 10,
        last_started_at: Some(timestamp_from_millis(NOW - 4000)),
        last_payload_at: Some(timestamp_from_millis(NOW - 4000)),
        payload_age_seconds: Some(4.0),
        runs_total: 8640,
        last_duration_microseconds: 310,
        max_duration_microseconds: 2150,
        last_read_bytes: 1900,
        read_bytes_total: 16_400_000,
        ..CollectorReport::default()
    }
}

fn failure(path: &str, kind: FailureKind, detail: &str) -> SourceFailure {
    SourceFailure {
        path: path.to_owned(),
        kind: kind.into(),
        detail: detail.to_owned(),
    }
}

fn well() -> Answer {
    let names = ["cpu", "memory", "storage_config", "zfs", "guest_config"];
    Answer {
        node_name: "pve1".to_owned(),
        identity: Identified::NotJoined,
        report: SelfReport {
            reported_at: Some(timestamp_from_millis(NOW)),
            process: Some(AgentProcess {
                agent_version: "0.1.0".to_owned(),
                uptime_seconds: 86_400.0,
                cpu_seconds_total: 43.2,
                resident_bytes: 13 << 20,
                resident_max_bytes: 15 << 20,
                threads: 2,
                open_files: Some(31),
            }),
            sampling: Some(SamplingReport {
                ticks_total: 8640,
                last_tick_age_seconds: 4.0,
                collectors: 5,
                ..SamplingReport::default()
            }),
            spool: Some(SpoolReport {
                bytes: 11 << 20,
                limit_bytes: 24 << 20,
                updates: 20_000,
                is_in_files: true,
                ..SpoolReport::default()
            }),
            readers: Some(ReaderReport {
                streams: 1,
                streams_total: 3,
                ..ReaderReport::default()
            }),
            collectors: names.map(collector).to_vec(),
            ..SelfReport::default()
        },
    }
}

fn ill() -> Answer {
    let mut answer = well();
    let report = &mut answer.report;
    let ages = |one: &mut CollectorReport, age: f64| {
        one.payload_age_seconds = Some(age);
        one.last_payload_at = Some(timestamp_from_millis(NOW - 900_000));
    };
    let storage = &mut report.collectors[2];
    ages(storage, 900.0);
    storage.last_failures = 1;
    storage.last_failure = Some(failure(
        "/etc/pve/storage.cfg",
        FailureKind::InProgress,
        "the previous run still hangs",
    ));
    storage.refused_runs_total = 14;
    storage.is_hung = true;
    storage.in_flight_seconds = Some(840.0);
    let zfs = &mut report.collectors[3];
    zfs.last_failures = 3;
    zfs.last_failure = Some(failure(
        "/proc/spl/kstat/zfs/arcstats",
        FailureKind::Malformed,
        "not a number\u{1b}[2J",
    ));
    let guests = &mut report.collectors[4];
    ages(guests, 130.0);
    guests.last_failures = 1;
    guests.last_failure = Some(failure(
        "/etc/pve/.vmlist",
        FailureKind::Disconnected,
        "Transport endpoint is not connected",
    ));
    report.failures = vec![FailureReport {
        collector: "memory".to_owned(),
        failure: Some(failure(
            "/proc/meminfo",
            FailureKind::Truncated,
            "the last line does not end",
        )),
        first_at: Some(timestamp_from_millis(NOW - 7_200_000)),
        last_at: Some(timestamp_from_millis(NOW - 3_600_000)),
        runs: 12,
        returns: 1,
        is_current: false,
    }];
    if let Some(sampling) = &mut report.sampling {
        sampling.clock_jumps_back_total = 1;
        sampling.last_clock_jump_seconds = Some(-7200.0);
        sampling.last_clock_jump_at = Some(timestamp_from_millis(NOW - 60_000));
    }
    answer
}

#[test]
fn an_agent_that_is_well_says_so_in_its_first_line() {
    let answer = well();
    assert!(is_well(&answer));
    insta::assert_snapshot!(text::text(&answer, false).unwrap());
}

#[test]
fn what_is_wrong_comes_first_worst_first() {
    let answer = ill();
    assert!(!is_well(&answer));
    insta::assert_snapshot!(text::text(&answer, true).unwrap());
}

#[test]
fn a_broken_node_fits_on_a_page() {
    let mut answer = ill();
    let report = &mut answer.report;
    let (one, gone) = (report.collectors[2].clone(), report.failures[0].clone());
    report.collectors.extend(std::iter::repeat_n(one, 60));
    report.failures.extend(std::iter::repeat_n(gone, 60));
    let text = text::text(&answer, false).unwrap();
    assert!(text.lines().count() <= 40, "{text}");
    assert!(text.contains("more; --all or --output json"));
}

#[test]
fn a_loop_that_is_stuck_is_the_first_problem() {
    let mut answer = well();
    answer.report.sampling = Some(SamplingReport {
        last_tick_age_seconds: 95.0,
        ..SamplingReport::default()
    });
    assert_eq!(
        text::problems(&answer),
        ["nothing is sampled: the last tick was 95 s ago"]
    );
}

#[test]
fn an_identity_is_named_and_one_that_cannot_be_used_is_a_problem() {
    let mut answer = well();
    let joined = Authority::new("a").joined();
    answer.identity = Identified::Joined(Box::new(joined));
    let text = text::text(&answer, false).unwrap();
    assert!(
        text.contains("joined to mon.example.org:8440 as pve1 of cluster ab12; certificate good until 2090-01-01"),
        "{text}"
    );
    assert_eq!(object(&answer).unwrap()["identity"]["is_expired"], false);
    answer.report.reported_at = Some(timestamp_from_millis(3_786_912_000_000));
    let text = text::text(&answer, false).unwrap();
    assert!(text.contains("ended on 2090-01-01"), "{text}");
    answer.identity = Identified::Unusable("its mode is 0644".to_owned());
    assert!(!is_well(&answer));
    let text = text::text(&answer, false).unwrap();
    assert!(
        text.contains("can link to this node: its mode is 0644"),
        "{text}"
    );
}

#[test]
fn json_has_the_whole_report() {
    let object = object(&ill()).unwrap();
    assert_eq!(object["is_well"], false);
    assert_eq!(object["report"]["collectors"][2]["is_hung"], true);
    assert_eq!(
        object["report"]["failures"][0]["failure"]["kind"],
        "truncated"
    );
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_said_to_be_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("local.sock");
    let error = explained(&socket, ask(&socket).await.unwrap_err());
    assert!(
        error
            .to_string()
            .contains("the agent does not run: there is no socket")
    );
    drop(tokio::net::UnixListener::bind(&socket).unwrap());
    let error = explained(&socket, ask(&socket).await.unwrap_err());
    assert!(error.to_string().contains("nobody hears on"), "{error}");
}
