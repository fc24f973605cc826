use super::*;
use crate::{
    analysis,
    answer::{
        FindingFilter, Page, findings,
        tests::{current, open},
    },
    finding::Severity,
    render::Render,
    report::HealthState,
};

#[test]
fn what_is_suppressed_is_counted_and_shown_when_asked_for() {
    let mut current = current();
    let said = |id: &str, kind| {
        Some(Stated {
            id: id.to_owned(),
            kind,
            author: "anna\u{1b}[31m".to_owned(),
            on_behalf_of: String::new(),
            reason: "known\n".to_owned(),
            until: None,
            severity_without: None,
        })
    };
    let of = |subject: &str, state, statement| Finding {
        state,
        statement,
        ..open("storage.pool.space", subject, Severity::Warning)
    };
    current.findings = vec![
        of(
            "storage/nas",
            FindingState::Suppressed,
            said("one", StatementKind::Suppressed),
        ),
        of(
            "storage/local@pve1",
            FindingState::Suppressed,
            said("one", StatementKind::Suppressed),
        ),
        of(
            "storage/local@pve2",
            FindingState::Acknowledged,
            said("two", StatementKind::Acknowledged),
        ),
        open("node.load", "node/pve1", Severity::Info),
    ];
    let ask = |filter: FindingFilter| findings(&current, &filter, &Page::default()).unwrap();
    let shown = ask(FindingFilter::default());
    assert_eq!((shown.total, shown.findings.len()), (2, 2));
    let aside = shown.set_aside.unwrap();
    assert_eq!((aside.suppressed, aside.acknowledged), (2, 1));
    let uses: Vec<(&str, u32)> = aside
        .statements
        .iter()
        .map(|used| (used.statement.id.as_str(), used.findings))
        .collect();
    assert_eq!(uses, [("one", 2), ("two", 1)]);
    let stated = &aside.statements[0].statement;
    assert_eq!(
        (&*stated.author, &*stated.reason),
        ("anna\u{fffd}[31m", "known\u{fffd}")
    );
    let all = ask(FindingFilter {
        include_suppressed: true,
        ..FindingFilter::default()
    });
    assert_eq!(all.total, 4);
    let none = ask(FindingFilter {
        subject: "node/pve1".to_owned(),
        ..FindingFilter::default()
    });
    assert!(none.set_aside.is_none());
    // What is acknowledged is still what is wrong.
    let report =
        analysis::cluster_health(&current, &analysis::Scope::default(), analysis::Depth::Full);
    let report = report.unwrap();
    assert_eq!(report.state, HealthState::Warning);
    assert_eq!(report.findings.len(), 2);
    let text = report.markdown();
    assert!(
        text.contains("2 suppressed and 1 acknowledged by operators"),
        "{text}"
    );
    assert!(text.contains("(acknowledged)"), "{text}");
}
