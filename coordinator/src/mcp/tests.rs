use std::{path::PathBuf, time::Duration};

use rmcp::{handler::server::tool::ToolRoute, model::Tool as ToolModel};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    answer::tests::{current, open, with},
    finding::Severity,
    view::{self, CoverageLevel, View, fixture},
};

/// Which form of the protocol a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Era {
    /// `initialize` first.
    Legacy,
    /// Requests on their own.
    Modern,
}

const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

/// A client that speaks lines of JSON, so that the wire is what is tested.
struct Client {
    era: Era,
    read: tokio::io::Lines<BufReader<OwnedReadHalf>>,
    write: OwnedWriteHalf,
    id: u64,
    _directory: TempDir,
}

fn socket() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mcp.sock");
    (directory, path)
}

fn coordinator(current: Current) -> Arc<Coordinator> {
    let coordinator = Coordinator::new(current.params.clone());
    coordinator.publish(current);
    Arc::new(coordinator)
}

impl Client {
    async fn new(era: Era, current: Current) -> Self {
        let (directory, path) = socket();
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(serve_unix(
            coordinator(current),
            listener,
            CancellationToken::new(),
        ));
        let stream = UnixStream::connect(&path).await.unwrap();
        Self::on(era, stream, directory).await
    }

    async fn on(era: Era, stream: UnixStream, directory: TempDir) -> Self {
        let (read, write) = stream.into_split();
        let mut client = Self {
            era,
            read: BufReader::new(read).lines(),
            write,
            id: 0,
            _directory: directory,
        };
        if era == Era::Legacy {
            let result = client
                .request(
                    "initialize",
                    json!({
                        "protocolVersion": "2025-06-18",
                        "capabilities": {},
                        "clientInfo": { "name": "test", "version": "1" },
                    }),
                )
                .await;
            assert_eq!(result["serverInfo"]["name"], "pvelens");
            assert!(result["instructions"].as_str().unwrap().len() <= 1500);
            client
                .send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
                .await;
        }
        client
    }

    async fn send(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.write.write_all(line.as_bytes()).await.unwrap();
    }

    async fn answer(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_secs(30), self.read.next_line());
        let line = line.await.expect("no answer").unwrap().expect("closed");
        serde_json::from_str(&line).unwrap()
    }

    async fn try_request(&mut self, method: &str, mut params: Value) -> Value {
        self.id += 1;
        if self.era == Era::Modern {
            params["_meta"] = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
            });
        }
        let id = self.id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
            .await;
        let answer = self.answer().await;
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }

    async fn request(&mut self, method: &str, params: Value) -> Value {
        let answer = self.try_request(method, params).await;
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.request(
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
        )
        .await
    }

    /// The text of a refusal.
    async fn refused(&mut self, tool: &str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await;
        assert_eq!(result["isError"], true, "{result}");
        assert!(result.get("structuredContent").is_none(), "{result}");
        text(&result)
    }
}

fn text(result: &Value) -> String {
    let blocks = result["content"].as_array().unwrap();
    let texts = blocks.iter().map(|block| block["text"].as_str().unwrap());
    texts.collect::<Vec<_>>().join("\n")
}

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
        ("get_cluster_status", json!({ "cluster": "lab" })),
        ("get_containers", json!({ "tag": "", "status": null })),
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
        let mut client = Client::new(era, rich()).await;
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

/// A server with tools that fail in ways the real ones should not.
fn broken() -> Server {
    let server = Server::new(coordinator(current()));
    let tool = |name: &'static str| ToolModel::new(name, "", Arc::new(Default::default()));
    let mut tools = (*server.tools).clone();
    tools.add_route(ToolRoute::new_dyn(tool("panics"), |_| {
        Box::pin(async { panic!("in a handler") })
    }));
    tools.add_route(ToolRoute::new_dyn(
        tool("panics_inside"),
        |context: ToolCallContext<'_, Server>| {
            let answer = context.service.answer(|_| panic!("in an answer"));
            Box::pin(async move { Ok(answer.await.into()) })
        },
    ));
    tools.add_route(ToolRoute::new_dyn(tool("hangs"), |_| {
        Box::pin(std::future::pending())
    }));
    Server::with_tools(server.coordinator, tools)
}

async fn broken_client(era: Era) -> Client {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = broken();
    tokio::spawn(async move {
        let (read, write) = theirs.into_split();
        let running = rmcp::service::serve_server(server, (read, write)).await;
        running.unwrap().waiting().await.unwrap()
    });
    Client::on(era, ours, tempfile::tempdir().unwrap()).await
}

#[tokio::test]
async fn a_tool_that_panics_answers_and_the_next_call_works() {
    for era in ERAS {
        let mut client = broken_client(era).await;
        for tool in ["panics", "panics_inside"] {
            let text = client.refused(tool, json!({})).await;
            assert!(text.contains("defect"), "{text}");
        }
        let result = client.call("get_nodes", json!({})).await;
        assert_eq!(result["isError"], false);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_hangs_answers_before_clients_give_up() {
    let server = broken();
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (read, write) = tokio::io::split(theirs);
    tokio::spawn(async move {
        let running = rmcp::service::serve_server(server, (read, write)).await;
        running.unwrap().waiting().await.unwrap()
    });
    let (read, mut write) = tokio::io::split(ours);
    let request = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {
            "name": "hangs", "arguments": {},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    });
    write
        .write_all(format!("{request}\n").as_bytes())
        .await
        .unwrap();
    let line = BufReader::new(read)
        .lines()
        .next_line()
        .await
        .unwrap()
        .unwrap();
    assert!(line.contains("took too long"), "{line}");
}

#[tokio::test]
async fn garbage_and_endless_lines_do_not_end_a_connection() {
    let mut client = Client::new(Era::Legacy, current()).await;
    client
        .write
        .write_all(b"not json\n\xff\xfe\n{}\n")
        .await
        .unwrap();
    let endless = vec![b'x'; 3 << 20];
    client.write.write_all(&endless).await.unwrap();
    client.write.write_all(b"\n").await.unwrap();
    client.id += 1;
    let id = client.id;
    client
        .send(&json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list", "params": {} }))
        .await;
    loop {
        let answer = client.answer().await;
        if answer["id"] == id {
            assert!(answer["result"]["tools"].is_array(), "{answer}");
            break;
        }
        assert!(answer["error"].is_object(), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_disturbs_no_other() {
    let (directory, path) = socket();
    let listener = UnixListener::bind(&path).unwrap();
    let shutdown = CancellationToken::new();
    tokio::spawn(serve_unix(coordinator(current()), listener, shutdown));
    let connect = async |era| {
        let stream = UnixStream::connect(&path).await.unwrap();
        Client::on(era, stream, tempfile::tempdir().unwrap()).await
    };
    let mut stays = connect(Era::Modern).await;
    stays.call("get_nodes", json!({})).await;
    for era in ERAS {
        let mut leaves = connect(era).await;
        leaves.call("get_nodes", json!({})).await;
        leaves.write.shutdown().await.unwrap();
        // The server closes its side once it has noticed.
        assert!(leaves.read.next_line().await.unwrap().is_none());
    }
    stays.call("get_nodes", json!({})).await;
    connect(Era::Legacy)
        .await
        .call("get_nodes", json!({}))
        .await;
    drop(directory);
}

#[tokio::test]
async fn clients_beyond_the_limit_are_told_and_shutdown_ends_the_others() {
    let (_directory, path) = socket();
    let listener = UnixListener::bind(&path).unwrap();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve_unix(
        coordinator(current()),
        listener,
        shutdown.clone(),
    ));
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(UnixStream::connect(&path).await.unwrap());
    }
    let extra = UnixStream::connect(&path).await.unwrap();
    let line = BufReader::new(extra)
        .lines()
        .next_line()
        .await
        .unwrap()
        .unwrap();
    assert!(line.contains("too many clients"), "{line}");
    shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(5), serving).await;
    ended.unwrap().unwrap().unwrap();
}
