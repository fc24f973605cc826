use std::sync::Arc;

use jiff::SignedDuration;

use super::*;
use crate::{
    analysis::{Depth, Scope, cluster_health},
    answer::{
        self, FindingFilter, GuestFilter, Page,
        tests::{current, open, with},
    },
    coordinator::Current,
    finding::{Finding, Lane, Severity},
    report::{HealthState, Report},
    store::AgentRecord,
    view::{GuestStatus, NodeStatus, StorageStatus, fixture},
};

const HOSTILE: &str = "x|`rm`[a](http://e.example)<b>@all\x1b[31m\u{202e}";

/// A cluster that has lost two of three nodes, with a handful of findings and
/// a guest whose owner chose its name with care.
fn broken() -> Current {
    let mut view = fixture::healthy();
    let old = fixture::at() - SignedDuration::from_mins(12);
    for node in &mut view.nodes[1..] {
        node.status = NodeStatus::Offline;
        node.facts = crate::view::NodeFacts::default();
        node.broadcast.as_mut().unwrap().at = old;
        let agent = node.agent.as_mut().unwrap();
        (agent.connected, agent.last_update_at) = (false, old);
    }
    view.clusters[0].memberships.truncate(1);
    view.clusters[0].memberships[0].quorate = Some(false);
    view.guests[0].name = HOSTILE.into();
    let config = Arc::make_mut(view.guests[0].config.as_mut().unwrap());
    config.settings.as_mut().unwrap().tags = vec![HOSTILE.to_owned()];
    view.guests[1].status = GuestStatus::Unknown;
    view.guests[1].figures.at = Some(old);
    for on_node in &mut view.storages[1].nodes[1..] {
        (on_node.status, on_node.at) = (StorageStatus::Unknown, Some(old));
    }
    let mut current = with(view);
    let mut quorum = titled("cluster.quorum.lost", "cluster", "Cluster has no quorum");
    quorum.severity = Severity::Critical;
    quorum.summary = "Cluster lab has no quorum: 1 of 3 votes".to_owned();
    quorum.remediation.fix =
        "Bring pve2 and pve3 back or repair the network between the nodes; do not force \
         `pvecm expected` while they may still run guests."
            .to_owned();
    quorum.remediation.risk = crate::finding::Risk::Medium;
    let mut findings = vec![quorum];
    for node in ["pve2", "pve3"] {
        let mut silent = titled(
            "cluster.agent.stale_report",
            &format!("node/{node}"),
            "Agent of a node has stopped reporting",
        );
        silent.caused_by = vec!["cluster.quorum.lost:cluster".to_owned()];
        findings.push(silent);
    }
    let mut cache = titled(
        "guest.disk.cache_unsafe",
        "guest/100",
        "Disk cache is unsafe",
    );
    cache.summary = format!("scsi0 of VM 100 ({HOSTILE}) uses cache=unsafe");
    cache.remediation.fix = "qm set 100 --scsi0 …,cache=none".to_owned();
    findings.push(cache);
    let mut advice = open("storage.cifs.weak", "storage/nas", Severity::Info);
    advice.lane = Lane::Posture;
    findings.push(advice);
    current.findings = findings;
    current.not_assessed = vec!["disk health of pve2 and pve3".to_owned()];
    current.agents = vec![
        agent("pve1", true, ""),
        agent("pve2", false, "connection refused\nby \x1b[2J peer"),
    ];
    current
}

fn titled(check: &str, subject: &str, title: &str) -> Finding {
    Finding {
        title: title.to_owned(),
        ..open(check, subject, Severity::Warning)
    }
}

fn agent(node: &str, connected: bool, error: &str) -> AgentRecord {
    AgentRecord {
        cluster: "c0ffee".to_owned(),
        node: node.to_owned(),
        version: "0.1.0".to_owned(),
        is_pve_node: true,
        address: "unix:/run/pvelens-agent/local.sock".to_owned(),
        connected,
        last_update_at: Some(fixture::at()),
        clock_offset_seconds: Some(-0.2),
        updates_total: 1234,
        skipped_updates_total: 0,
        last_error: error.to_owned(),
    }
}

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

/// So many nodes and guests, and a finding about each of the first guests.
fn large(nodes: u32, guests: u32, findings: u32) -> Current {
    let mut view = fixture::healthy();
    let (node, guest) = (view.nodes[0].clone(), view.guests[0].clone());
    view.nodes = (0..nodes)
        .map(|number| crate::view::Node {
            name: format!("node{number:04}").into(),
            ..node.clone()
        })
        .collect();
    view.guests = (0..guests)
        .map(|number| crate::view::Guest {
            vmid: 100 + number,
            node: crate::view::NodeIndex(number % nodes),
            ..guest.clone()
        })
        .collect();
    for storage in &mut view.storages {
        let on_node = storage.nodes[0];
        storage.nodes = (0..nodes)
            .map(|number| crate::view::StorageOnNode {
                node: crate::view::NodeIndex(number),
                ..on_node
            })
            .collect();
    }
    view.clusters[0].memberships.truncate(1);
    (view.clusters[0].nodes, view.clusters[0].guests) = (0..nodes, 0..guests);
    let mut current = with(view);
    current.findings = (0..findings)
        .map(|number| {
            // Long words, many checks, and every fifth a consequence.
            let check = format!("family.check_{:02}", number % 37);
            let severity = [Severity::Critical, Severity::Warning][(number % 2) as usize];
            let mut finding = titled(&check, &format!("guest/{}", 100 + number), &check);
            finding.severity = severity;
            finding.title = format!("{} and so on", "Something is quite wrong ".repeat(4));
            finding.summary = format!("{HOSTILE} {}", "is far beyond its limit ".repeat(20));
            finding.remediation.fix = "Do this, then that, and mind the gap. ".repeat(12);
            finding.remediation.risk = crate::finding::Risk::High;
            if number % 5 == 4 {
                finding.caused_by = vec![format!(
                    "family.check_{:02}:guest/{}",
                    (number - 1) % 37,
                    99 + number
                )];
            }
            finding
        })
        .collect();
    current.not_assessed = (0..200)
        .map(|number| format!("{} {number}", "something that is hard to see ".repeat(6)))
        .collect();
    current
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
