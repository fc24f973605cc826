//! How large answers become.

use super::*;
use crate::{
    answer::tests::{open, with},
    finding::Severity,
    view::{self, CoverageLevel, View, fixture},
};

/// A cluster of so many nodes and guests, as large as its parts can be.
fn large(nodes: u32, guests: u32) -> View {
    let mut view = fixture::healthy();
    let model = view.nodes[0].clone();
    view.nodes = (0..nodes)
        .map(|number| {
            let name = format!("node-with-a-rather-long-name-{number:05}");
            view::Node {
                name: name.as_str().into(),
                coverage: CoverageLevel::Basic,
                ..model.clone()
            }
        })
        .collect();
    view.clusters[0].nodes = 0..nodes;
    let model = view.guests[0].clone();
    view.guests = (0..guests)
        .map(|number| {
            let name = format!("{number}-{}", "ä".repeat(60));
            view::Guest {
                vmid: 100 + number,
                name: name.as_str().into(),
                ..model.clone()
            }
        })
        .collect();
    view.clusters[0].guests = 0..guests;
    for storage in &mut view.storages {
        let on_node = storage.nodes[0];
        storage.nodes = (0..nodes)
            .map(|number| view::StorageOnNode {
                node: view::NodeIndex(number),
                status: view::StorageStatus::Inactive,
                ..on_node
            })
            .collect();
    }
    view
}

#[tokio::test]
async fn answers_about_five_thousand_guests_stay_under_the_ceiling() {
    let mut current = with(large(1000, 5000));
    current.findings = (0..5000)
        .map(|number| {
            open(
                "guest.disk.space",
                &format!("guest/{}", 100 + number),
                Severity::Warning,
            )
        })
        .collect();
    let mut client = Client::new(Era::Modern, current).await;
    for detail in ["summary", "full"] {
        for (tool, arguments) in [
            ("analyze_cluster_health", json!({})),
            ("get_cluster_status", json!({})),
            ("get_findings", json!({ "page_size": 200 })),
            ("get_guest", json!({ "guest": 100 })),
            ("get_nodes", json!({ "page_size": 200 })),
            ("get_storage", json!({ "page_size": 200 })),
            ("get_vms", json!({ "page_size": 200 })),
        ] {
            let mut arguments = arguments.clone();
            arguments["detail"] = json!(detail);
            let result = client.call(tool, arguments).await;
            assert_eq!(result["isError"], false, "{tool}: {}", text(&result));
            let (text, structured) = (text(&result), &result["structuredContent"]);
            let size = structured.to_string().len();
            assert!(
                text.len() <= reply::CEILING,
                "{tool} {detail}: {}",
                text.len()
            );
            assert!(size <= reply::CEILING, "{tool} {detail}: {size}");
            let says = structured.get("truncated").is_some();
            assert!(says || structured.get("next_page_token").is_some() || size < 20_000);
        }
    }
}

#[tokio::test]
async fn a_summary_of_fifty_guests_is_small() {
    let mut view = large(3, 50);
    for guest in &mut view.guests {
        guest.name = "web-frontend".into();
    }
    let mut client = Client::new(Era::Modern, with(view)).await;
    let result = client.call("get_vms", json!({})).await;
    let structured = &result["structuredContent"];
    assert_eq!(structured["guests"].as_array().unwrap().len(), 50);
    let size = structured.to_string().len();
    assert!(size < 14_000, "{size}: {}", structured["guests"][0]);
}

#[tokio::test]
async fn pages_that_were_shortened_lose_no_guest() {
    let mut client = Client::new(Era::Modern, with(large(3, 700))).await;
    let mut arguments = json!({ "page_size": 200, "detail": "full" });
    let mut seen = Vec::new();
    loop {
        let result = client.call("get_vms", arguments.clone()).await;
        let structured = &result["structuredContent"];
        let guests = structured["guests"].as_array().unwrap();
        seen.extend(guests.iter().map(|guest| guest["vmid"].as_u64().unwrap()));
        match structured.get("next_page_token") {
            Some(token) => {
                assert!(text(&result).contains(token.as_str().unwrap()));
                arguments["page_token"] = token.clone();
            }
            None => break,
        }
    }
    assert_eq!(seen, (100..800).collect::<Vec<_>>());
}
