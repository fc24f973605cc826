use super::*;
use crate::{
    analysis::{Depth, Scope, cluster_health},
    answer::{self, FindingFilter, GuestFilter, Page, tests::current},
    coordinator::Current,
    finding::Finding,
    report::{HealthState, Report},
};

mod coordinator;
mod enrollment;
mod guest_command;
mod guest_diagnosis;
mod metrics;
mod sample;

use sample::{broken, large};

fn report(current: &Current, depth: Depth) -> Report {
    Report {
        duration_milliseconds: 1,
        ..cluster_health(current, &Scope::default(), depth).unwrap()
    }
}

fn text_at<T: Render>(answer: &T, width: u16) -> String {
    let style = Style {
        width: Some(width),
        ..Style::default()
    };
    render(answer, &style)
}

#[test]
fn a_health_summary_fits_forty_lines_at_any_size() {
    for (nodes, guests, findings) in [(1, 1, 1), (3, 100, 40), (1000, 50_000, 5000)] {
        let mut current = large(nodes, guests, findings);
        for quorate in [true, false] {
            current.view.clusters[0].memberships[0].quorate = Some(quorate);
            let report = report(&current, Depth::Summary);
            for width in [None, Some(100), Some(80), Some(60)] {
                let style = Style {
                    width,
                    ..Style::default()
                };
                let text = render(&report, &style);
                assert!(text.lines().count() <= 40, "{width:?}\n{text}");
                let widest = text.lines().map(|line| line.chars().count()).max();
                assert!(widest <= Some(width.unwrap_or(100).into()), "{text}");
                assert!(text.contains("Do first"), "{text}");
            }
            assert_eq!(report.findings.len(), findings.min(50) as usize);
        }
    }
}

#[test]
fn many_clusters_fit_forty_lines_too() {
    let mut current = large(3, 10, 10);
    let cluster = current.view.clusters[0].clone();
    current.view.clusters = (0..100)
        .map(|number| crate::view::Cluster {
            id: format!("{number:064}").into(),
            name: format!("site-{number}").into(),
            ..cluster.clone()
        })
        .collect();
    let text = text_at(&report(&current, Depth::Summary), 80);
    assert!(text.lines().count() <= 40, "{text}");
    assert!(text.contains("97 more clusters"), "{text}");
}

#[test]
fn a_healthy_cluster_gets_a_short_green_report() {
    let report = report(&current(), Depth::Summary);
    assert_eq!(report.state, HealthState::Healthy);
    let style = Style {
        width: Some(100),
        color: true,
        ..Style::default()
    };
    let text = render(&report, &style);
    assert!(text.starts_with("\x1b[32m✔ HEALTHY"), "{text}");
    assert!(text.lines().count() <= 10, "{text}");
}

#[test]
fn no_words_of_the_program_reach_people() {
    let current = broken();
    let style = Style::default();
    for text in [
        render(&report(&current, Depth::Full), &style),
        report(&current, Depth::Full).markdown(),
        render(&answer::cluster_status(&current, "").unwrap(), &style),
        render(&all_findings(&current), &style),
        render(&answer::nodes(&current, "").unwrap(), &style),
    ] {
        let text = text.to_lowercase();
        for word in [
            "lane",
            "view",
            "fingerprint",
            "verdict",
            "subject",
            "posture",
        ] {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }
}

#[test]
fn what_guests_chose_is_harmless_in_every_form() {
    let current = broken();
    let texts = [
        render(&report(&current, Depth::Full), &Style::default()),
        render(&all_guests(&current), &Style::default()),
        render(
            &answer::guest(&current, "", "100").unwrap(),
            &Style::default(),
        ),
        render(&answer::agents(&current), &Style::default()),
    ];
    for text in texts {
        assert!(!text.contains(['\x1b', '\u{202e}', '\r']), "{text}");
    }
    let markdowns = [
        report(&current, Depth::Full).markdown(),
        all_guests(&current).markdown(),
        all_findings(&current).markdown(),
        answer::guest(&current, "", "100").unwrap().markdown(),
    ];
    for markdown in markdowns {
        for bad in ["<b>", "`rm`[", "[a](http", "@all", "x|"] {
            assert!(!markdown.contains(bad), "{bad} in {markdown}");
        }
        for row in markdown.lines().filter(|line| line.starts_with("| ")) {
            let cells = row.replace("\\|", "").matches('|').count();
            assert!(cells > 2, "{row}");
        }
    }
}

#[test]
fn tables_fit_the_terminal() {
    let current = broken();
    for width in [60, 80, 100, 120] {
        for text in [
            text_at(&all_guests(&current), width),
            text_at(&answer::nodes(&current, "").unwrap(), width),
            text_at(&answer::storages(&current, "").unwrap(), width),
            text_at(&answer::agents(&current), width),
            text_at(&answer::cluster_status(&current, "").unwrap(), width),
        ] {
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width.into()), "{width}\n{text}");
        }
    }
}

#[test]
fn wide_characters_count_twice() {
    let mut current = current();
    current.view.guests[0].name = "データベース".repeat(10).into();
    let text = text_at(&all_guests(&current), 80);
    let row = text.lines().nth(1).unwrap();
    let columns: usize = row
        .chars()
        .map(|c| if c < '\u{2000}' || c == '…' { 1 } else { 2 })
        .sum();
    assert!(columns <= 80, "{row}");
}

#[test]
fn json_has_the_keys_of_the_schema() {
    let current = broken();
    let json = Style {
        format: Format::Json,
        ..Style::default()
    };
    fn keys<T: schemars::JsonSchema>(text: &str) {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        let schema = schemars::schema_for!(T);
        let known = schema.as_value()["properties"].as_object().unwrap();
        let object = value.as_object().unwrap();
        for key in object.keys() {
            assert!(known.contains_key(key), "{key}");
        }
        for key in schema.as_value()["required"].as_array().unwrap() {
            assert!(object.contains_key(key.as_str().unwrap()), "{key}");
        }
    }
    let status = answer::cluster_status(&current, "").unwrap();
    keys::<answer::ClusterStatus>(&render(&status, &json));
    keys::<answer::Nodes>(&render(&answer::nodes(&current, "").unwrap(), &json));
    keys::<answer::Node>(&render(&answer::node(&current, "", "pve1").unwrap(), &json));
    keys::<answer::Guests>(&render(&all_guests(&current), &json));
    keys::<answer::Guest>(&render(&answer::guest(&current, "", "100").unwrap(), &json));
    keys::<answer::Storages>(&render(&answer::storages(&current, "").unwrap(), &json));
    keys::<answer::Findings>(&render(&all_findings(&current), &json));
    keys::<answer::Agents>(&render(&answer::agents(&current), &json));
    keys::<Report>(&render(&report(&current, Depth::Full), &json));
    // Findings are the one type that is also read back.
    let findings = serde_json::to_string(&current.findings).unwrap();
    let back: Vec<Finding> = serde_json::from_str(&findings).unwrap();
    assert_eq!(back, current.findings);
}

fn all_guests(current: &Current) -> answer::Guests {
    answer::guests(current, &GuestFilter::default(), &Page::default()).unwrap()
}

fn all_findings(current: &Current) -> answer::Findings {
    answer::findings(current, &FindingFilter::default(), &Page::default()).unwrap()
}

/// Text at 100 columns and Markdown, as people get them.
fn both_forms<T: Render>(answer: &T) -> String {
    format!("{}\n----\n\n{}", text_at(answer, 100), answer.markdown())
}

#[test]
fn reports_look_like_this() {
    insta::assert_snapshot!(
        "report_healthy",
        both_forms(&report(&current(), Depth::Summary))
    );
    insta::assert_snapshot!(
        "report_broken",
        both_forms(&report(&broken(), Depth::Summary))
    );
    insta::assert_snapshot!("report_full", both_forms(&report(&broken(), Depth::Full)));
    insta::assert_snapshot!(
        "report_empty",
        both_forms(&report(&Current::default(), Depth::Summary))
    );
    insta::assert_snapshot!(
        "report_large",
        text_at(&report(&large(1000, 50_000, 5000), Depth::Summary), 100)
    );
}

#[test]
fn answers_look_like_this() {
    let current = broken();
    let status = answer::cluster_status(&current, "").unwrap();
    insta::assert_snapshot!("cluster_status", both_forms(&status));
    insta::assert_snapshot!("nodes", both_forms(&answer::nodes(&current, "").unwrap()));
    let node = answer::node(&current, "", "pve1").unwrap();
    insta::assert_snapshot!("node", both_forms(&node));
    insta::assert_snapshot!("guests", both_forms(&all_guests(&current)));
    let guest = answer::guest(&current, "", "100").unwrap();
    insta::assert_snapshot!("guest", both_forms(&guest));
    insta::assert_snapshot!(
        "storages",
        both_forms(&answer::storages(&current, "").unwrap())
    );
    insta::assert_snapshot!("findings", both_forms(&all_findings(&current)));
    insta::assert_snapshot!("agents", both_forms(&answer::agents(&current)));
}
