//! What tools answer and refuse.

use super::*;
use crate::{
    answer::{
        analyses::tests::two_hours,
        metrics::fixture::Kept,
        past::tests::heard,
        tests::{current, open, with},
    },
    finding::Severity,
    guest_command::fixture::World,
    view::{CoverageLevel, fixture},
};

/// A state with something of everything.
fn rich() -> Current {
    let mut current = current();
    current.findings = vec![
        open("storage.pool.space", "storage/nas@pve1", Severity::Critical),
        open("guest.disk.space", "guest/100", Severity::Warning),
        open("node.load", "node/pve1", Severity::Info),
    ];
    current.not_assessed = vec!["3 guests: no backup information".to_owned()];
    current.view.nodes[2].coverage = CoverageLevel::Basic;
    current
}

fn calls() -> Vec<(&'static str, Value)> {
    vec![
        ("analyze_cluster_health", json!({})),
        ("analyze_cluster_health", json!({ "guest": 100 })),
        ("analyze_cluster_health", json!({ "at": "1m" })),
        (
            "execute_vm_command",
            json!({ "node": "pve1", "vmid": 100, "command": "load" }),
        ),
        ("get_cluster_status", json!({ "cluster": "lab" })),
        (
            "get_config_history",
            json!({ "subject": "web", "since": "7d" }),
        ),
        ("get_containers", json!({ "tag": "", "status": null })),
        (
            "get_events",
            json!({ "subjects": 100, "kinds": ["task", "config"], "level": "info" }),
        ),
        (
            "get_findings",
            json!({ "severity": "warning", "lane": "health" }),
        ),
        ("get_guest", json!({ "guest": 100, "node": "pve1" })),
        ("get_guest", json!({ "vmid": "dns" })),
        ("get_node_status", json!({ "node": "pve1" })),
        ("get_nodes", json!({})),
        ("get_storage", json!({})),
        ("get_storage", json!({ "node": "pve2" })),
        ("get_vms", json!({ "node": "pve1", "page_size": 10 })),
        ("list_guest_commands", json!({ "guest": "web" })),
        ("get_operator_intent", json!({ "kind": null })),
        (
            "query_metrics",
            json!({ "subjects": ["node/pve1", "web"], "since": "6h", "limit": null }),
        ),
        (
            "query_metrics",
            json!({ "subjects": 101, "metrics": "cpu_ratio", "step_seconds": 60 }),
        ),
        (
            "suggest_guest_commands",
            json!({ "vmid": 100, "node": "pve1", "issue": "slow" }),
        ),
        (
            "suggest_guest_commands",
            json!({ "guest": "web", "workflow": "disk-full" }),
        ),
    ]
}

#[tokio::test]
async fn the_tool_list_is_stable() {
    let mut client = Client::new(Era::Legacy, current()).await;
    let list = client.request("tools/list", json!({})).await;
    let tools = list["tools"].as_array().unwrap();
    assert!(tools.is_sorted_by_key(|tool| tool["name"].as_str().unwrap()));
    for tool in tools {
        let description = tool["description"].as_str().unwrap();
        assert!(
            description.len() <= 600,
            "{}: {}",
            tool["name"],
            description.len()
        );
        let text = tool.to_string();
        for unwanted in ["$ref", "$defs", "\"null\"", "uint"] {
            assert!(!text.contains(unwanted), "{unwanted} in {text}");
        }
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{text}");
        assert!(tool["outputSchema"]["properties"]["coverage"].is_object());
    }
    insta::assert_json_snapshot!(list);
}

#[tokio::test]
async fn every_tool_answers_what_it_declares_in_both_eras() {
    for era in ERAS {
        let world = World::new().await;
        world.coordinator.publish(rich());
        let kept = Kept::lab();
        two_hours(&kept);
        world
            .coordinator
            .keep_in(Arc::clone(&kept.store), fixture::at())
            .unwrap();
        world.coordinator.chronicle().note(heard(), fixture::at());
        let coordinator = Arc::clone(&world.coordinator);
        let mut client = Client::of(era, coordinator, Role::Operator).await;
        let list = client.request("tools/list", json!({})).await;
        let mut untried: Vec<&str> = Vec::new();
        for tool in list["tools"].as_array().unwrap() {
            untried.push(tool["name"].as_str().unwrap());
        }
        for (tool, arguments) in calls() {
            untried.retain(|name| *name != tool);
            let schema = list["tools"].as_array().unwrap().iter();
            let schema = schema.clone().find(|entry| entry["name"] == tool).unwrap();
            let output = jsonschema::validator_for(&schema["outputSchema"]).unwrap();
            for detail in ["summary", "full"] {
                let mut arguments = arguments.clone();
                arguments["detail"] = json!(detail);
                let result = client.call(tool, arguments).await;
                assert_eq!(result["isError"], false, "{tool}: {result}");
                let structured = &result["structuredContent"];
                let errors: Vec<String> = output
                    .iter_errors(structured)
                    .map(|error| format!("{error} at {}", error.instance_path()))
                    .collect();
                assert!(
                    errors.is_empty(),
                    "{tool} {detail}: {errors:?} in {structured}"
                );
                assert!(structured["coverage"]["at"].is_string(), "{structured}");
                assert!(!text(&result).is_empty());
            }
        }
        assert!(untried.is_empty(), "{untried:?}");
    }
}

#[tokio::test]
async fn discovery_names_the_server_and_lists_may_be_kept_by_their_reader() {
    let mut client = Client::new(Era::Modern, current()).await;
    let result = client.request("server/discover", json!({})).await;
    assert!(
        result["instructions"]
            .as_str()
            .unwrap()
            .contains("Unknown is not healthy")
    );
    let versions = result["supportedVersions"].to_string();
    assert!(
        versions.contains("2026-07-28") && versions.contains("2025-06-18"),
        "{versions}"
    );
    let list = client.request("tools/list", json!({})).await;
    assert_eq!(list["cacheScope"], "private");
    assert_eq!(list["ttlMs"], 300_000);
}

#[tokio::test]
async fn refusals_say_how_to_ask_instead() {
    let mut client = Client::new(Era::Modern, current()).await;
    for (tool, arguments, parts) in [
        (
            "get_guest",
            json!({ "guest": 999 }),
            ["no guest \"999\"", "list the guests"],
        ),
        (
            "get_guest",
            json!({}),
            ["missing field `guest`", "cluster, detail, guest"],
        ),
        (
            "get_guest",
            json!({ "guest": [1] }),
            ["VMID or a name", "It takes"],
        ),
        (
            "get_node_status",
            json!({ "node": "pve9" }),
            ["no node", "pve1, pve2, pve3"],
        ),
        (
            "get_vms",
            json!({ "nodes": "pve1" }),
            ["unknown field `nodes`", "page_token"],
        ),
        (
            "get_vms",
            json!({ "page_size": 0 }),
            ["out of range", "1 to 200"],
        ),
        (
            "get_vms",
            json!({ "page_size": "x" }),
            ["invalid type", "It takes"],
        ),
        (
            "get_vms",
            json!({ "page_token": "zz" }),
            ["page token", "begin again"],
        ),
        (
            "get_nodes",
            json!({ "page_token": "zz" }),
            ["page_token", "begin again"],
        ),
        (
            "get_nodes",
            json!({ "cluster": "other" }),
            ["no cluster", "lab"],
        ),
        (
            "get_findings",
            json!({ "severity": "bad" }),
            ["unknown variant `bad`", "`critical`"],
        ),
        ("get_storage", json!({ "node": "x" }), ["no node", "pve1"]),
    ] {
        let text = client.refused(tool, arguments).await;
        for part in parts {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    let answer = client
        .try_request("tools/call", json!({ "name": "get_vm", "arguments": {} }))
        .await;
    assert_eq!(answer["error"]["code"], -32602);
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("get_vms")
    );
}

#[tokio::test]
async fn before_the_first_evaluation_tools_say_so() {
    let mut client = Client::new(Era::Modern, Current::default()).await;
    let text = client.refused("get_vms", json!({})).await;
    assert!(text.contains("just started"), "{text}");
}

#[tokio::test]
async fn hostile_names_are_shown_without_what_hides_or_reorders_text() {
    let mut view = fixture::healthy();
    let hostile = "\u{1b}[2Jignore\nprevious\u{202e}\u{200b}| <b>`x`</b>";
    view.guests[0].name = hostile.into();
    let mut client = Client::new(Era::Modern, with(view)).await;
    for (tool, arguments) in [
        ("get_vms", json!({})),
        ("get_guest", json!({ "guest": 100, "detail": "full" })),
        ("analyze_cluster_health", json!({ "guest": 100 })),
    ] {
        let result = client.call(tool, arguments).await;
        assert_eq!(result["isError"], false);
        let all = format!("{}{}", text(&result), result["structuredContent"]);
        assert!(!all.contains(['\u{1b}', '\u{202e}', '\u{200b}']), "{all}");
        assert!(!all.contains("ignore\nprevious"), "{all}");
    }
}
