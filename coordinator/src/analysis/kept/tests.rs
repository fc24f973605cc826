use serde_json::json;

use super::*;
use crate::{
    analysis::{Scope, cluster_health},
    answer::tests::{current, open},
    coordinator::Current,
    finding::Severity,
    view::fixture::at,
};

fn live(current: &Current) -> Report {
    cluster_health(current, &Scope::default(), Depth::Summary).unwrap()
}

fn header(report: &Report) -> Header {
    Header {
        kind: report.kind.as_str().to_owned(),
        source: DETERMINISTIC.to_owned(),
        state: report.state.as_str().to_owned(),
        was: "healthy".to_owned(),
        headline: report.headline.clone(),
        critical: 1,
        mark: "0011223344556677".to_owned(),
        ..Header::default()
    }
}

fn asked() -> KeptFor {
    KeptFor {
        asked_at: at(),
        is_outdated: false,
        notes: Vec::new(),
    }
}

fn full() -> Current {
    Current {
        findings: vec![
            open("storage.pool.space", "storage/nas", Severity::Critical),
            open("guest.agent.silent", "guest/100", Severity::Warning),
        ],
        not_assessed: vec!["3 guests: no backup information".to_owned()],
        ..current()
    }
}

fn body() -> Value {
    let report = live(&full());
    serde_json::from_slice(&write(header(&report), report)).unwrap()
}

fn read(body: &Value) -> Report {
    report(at(), &serde_json::to_vec(body).unwrap(), asked())
}

fn notes(report: &Report) -> Vec<&str> {
    let kept = report.kept.as_ref().unwrap();
    kept.notes.iter().map(String::as_str).collect()
}

#[test]
fn a_report_is_read_as_it_was_written() {
    let live = live(&full());
    let expected = Report {
        kept: Some(asked()),
        ..live.clone()
    };
    let bytes = write(header(&live), live.clone());
    assert_eq!(report(at(), &bytes, asked()), expected);
    assert_eq!(Header::read(&bytes).unwrap(), header(&live));
}

#[test]
fn what_a_newer_version_wrote_is_read_as_far_as_it_is_known() {
    let mut newer = body();
    newer["novelty"] = json!({ "deep": [1, 2] });
    newer["report"]["novelty"] = json!("x");
    newer["report"]["findings"][0]["severity"] = json!("catastrophic");
    newer["report"]["verdicts"] = json!("many");
    newer["report"]["coverage"]["nodes"][0]["novelty"] = json!(1);
    let read = read(&newer);
    assert_eq!(read.findings.len(), 1);
    assert_eq!(read.coverage.nodes.len(), 3);
    assert_eq!(read.sections, live(&full()).sections);
    assert_eq!(
        notes(&read),
        [
            "1 of 2 findings cannot be read",
            "its verdicts cannot be read"
        ]
    );

    let mut newer = body();
    newer["state"] = json!("degraded");
    newer["was"] = json!("degraded");
    let read = super::report(at(), newer.to_string().as_bytes(), asked());
    assert_eq!(read.state, HealthState::Unknown);
    let header = Header::read(newer.to_string().as_bytes()).unwrap();
    assert_eq!(header.was(), Some(HealthState::Unknown));
}

#[test]
fn what_cannot_be_read_is_unknown_and_no_panic() {
    let whole = body().to_string().into_bytes();
    let bodies: [&[u8]; 7] = [
        b"",
        b"\xff\x00",
        b"[]",
        b"{}",
        br#"{"kind":"cluster_health","state":5}"#,
        br#"{"kind":"cluster_health","state":"healthy","report":[]}"#,
        &whole[..whole.len() / 2],
    ];
    for body in bodies {
        let read = report(at(), body, asked());
        assert_eq!(read.state, HealthState::Unknown, "{body:?}");
        assert_eq!(read.headline, UNREADABLE);
        assert_eq!(read.coverage.not_assessed, [UNREADABLE]);
    }
    assert_eq!(Header::read(&vec![b' '; READABLE + 1]), None);
    let mut bare = body();
    bare["report"] = json!({});
    assert_eq!(notes(&read(&bare)), ["only its headline is kept"]);
}

#[test]
fn text_is_cleaned_on_the_way_out_whatever_the_file_says() {
    let hostile = "\u{1b}[2Jignore\nprevious\u{202e}\u{200b}";
    let mut body = body();
    poison(&mut body, hostile);
    // Words that decide how it is read.
    body["kind"] = json!("cluster_health");
    body["state"] = json!("critical");
    let read = read(&body);
    assert_eq!(read.findings.len(), 2, "{read:?}");
    assert!(!read.sections.is_empty() && !read.coverage.nodes.is_empty());
    let shown = serde_json::to_string(&read).unwrap();
    for part in [
        "\\u001b",
        "\u{1b}",
        "\u{202e}",
        "\u{200b}",
        "ignore\\nprevious",
    ] {
        assert!(!shown.contains(part), "{part:?} in {shown}");
    }
}

/// Adds to every text that is not a word or a time of the format.
fn poison(value: &mut Value, with: &str) {
    const FORMAT: [&str; 9] = [
        "lane", "severity", "category", "state", "risk", "level", "kind", "depth", "unit",
    ];
    match value {
        Value::String(text) if text.parse::<Timestamp>().is_err() => text.push_str(with),
        Value::Array(values) => values.iter_mut().for_each(|value| poison(value, with)),
        Value::Object(members) => members
            .iter_mut()
            .filter(|(name, _)| !FORMAT.contains(&name.as_str()))
            .for_each(|(_, value)| poison(value, with)),
        _ => {}
    }
}

#[test]
fn a_report_has_a_ceiling_and_says_what_is_missing() {
    let mut large = full();
    let node = large.view.nodes[0].clone();
    for number in 0..3000 {
        let mut node = node.clone();
        node.name = format!("n{number:04}").into();
        large.view.nodes.push(node);
    }
    large.view.clusters[0].nodes = 0..u32::try_from(large.view.nodes.len()).unwrap();
    large.findings = (0..60)
        .map(|number| {
            let mut finding = open("a.b", &format!("guest/{number}"), Severity::Critical);
            finding.remediation.fix = "x".repeat(1900);
            finding
        })
        .collect();
    let live = live(&large);
    let bytes = write(header(&live), live.clone());
    assert!(bytes.len() <= CEILING, "{}", bytes.len());
    let read = report(at(), &bytes, asked());
    assert_eq!(read.sections, live.sections);
    assert_eq!(read.findings.len(), FINDINGS);
    assert!(!read.coverage.nodes.is_empty());
    let notes = notes(&read);
    assert_eq!(notes[0], "40 findings were too many to be kept");
    assert!(notes[1].ends_with("nodes of what it covers were too many to be kept"));

    let mut huge = live;
    huge.sections[0].lines = vec!["x".repeat(1000); 100];
    let bytes = write(header(&huge), huge);
    assert!(bytes.len() <= CEILING);
    let read = report(at(), &bytes, asked());
    assert_eq!(read.state, HealthState::Critical);
    assert!(read.sections.is_empty());
}
