use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::{
    answer::tests::{current, open},
    check::Params,
    coordinator::Current,
    finding::Severity,
};

/// A running surface. Requests are raw text, so that headers are as written.
struct Surface {
    address: SocketAddr,
    shutdown: CancellationToken,
    serving: tokio::task::JoinHandle<io::Result<()>>,
}

impl Surface {
    async fn new(current: Option<Current>) -> Self {
        let coordinator = Coordinator::new(Params::default());
        if let Some(current) = current {
            coordinator.publish(current);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(Arc::new(coordinator), listener, shutdown.clone()));
        Self {
            address,
            shutdown,
            serving,
        }
    }

    /// Status and body.
    async fn raw(&self, head: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!("{head}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        // The answer may come, and the connection close, before all is sent.
        drop(stream.write_all(body).await);
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        (status, body.to_owned())
    }

    async fn get(&self, path: &str, headers: &str) -> (u16, String) {
        self.raw(&format!("GET {path} HTTP/1.1\r\n{headers}"), b"")
            .await
    }

    async fn mcp(&self, message: &Value, headers: &str) -> (u16, String) {
        let body = message.to_string();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n{headers}",
            body.len()
        );
        self.raw(&head, body.as_bytes()).await
    }
}

const LOCAL: &str = "Host: localhost:8442";

fn modern(tool: &str) -> (Value, String) {
    let message = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {
            "name": tool, "arguments": {},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    });
    let headers = format!(
        "{LOCAL}\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}"
    );
    (message, headers)
}

#[tokio::test]
async fn tools_answer_plain_json_in_both_eras_without_a_session() {
    let surface = Surface::new(Some(current())).await;
    let (message, headers) = modern("get_nodes");
    let (status, body) = surface.mcp(&message, &headers).await;
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        answer["result"]["structuredContent"]["nodes"][0]["name"],
        "pve1"
    );

    let initialize = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        },
    });
    let (status, body) = surface.mcp(&initialize, LOCAL).await;
    assert_eq!(status, 200, "{body}");
    assert!(
        body.contains("\"protocolVersion\":\"2025-11-25\""),
        "{body}"
    );
    let call = json!({
        "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "get_guest", "arguments": { "guest": "nobody" } },
    });
    let headers = format!("{LOCAL}\r\nMCP-Protocol-Version: 2025-11-25");
    let (status, body) = surface.mcp(&call, &headers).await;
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"isError\":true"), "{body}");
}

#[tokio::test]
async fn other_hosts_and_origins_are_refused_on_every_path() {
    let surface = Surface::new(Some(current())).await;
    for path in ["/mcp", "/metrics", "/healthz", "/readyz", "/other"] {
        for headers in [
            "Host: evil.example",
            "Host: localhost.evil.example",
            "Host: localhost:x",
            "Host: 192.0.2.1:8442",
            "Host: [2001:db8::1]:8442",
            "Host: localhost\r\nHost: evil.example",
            "Host: localhost\r\nOrigin: https://evil.example",
            "Host: localhost\r\nOrigin: http://localhost.evil.example",
            "Host: localhost\r\nOrigin: null",
        ] {
            let (status, body) = surface.get(path, headers).await;
            assert!(
                [400, 403].contains(&status),
                "{path} {headers}: {status} {body}"
            );
        }
    }
    for headers in [
        "Host: LOCALHOST",
        "Host: 127.0.0.1:8442",
        "Host: [::1]:8442",
        "Host: localhost\r\nOrigin: http://localhost:6274",
    ] {
        let (status, _) = surface.get("/healthz", headers).await;
        assert_eq!(status, 200, "{headers}");
    }
    let (message, headers) = modern("get_nodes");
    let headers = format!("{headers}\r\nOrigin: http://127.0.0.1:6274");
    assert_eq!(surface.mcp(&message, &headers).await.0, 200);
}

#[tokio::test]
async fn unknown_paths_and_methods_and_large_bodies_are_refused() {
    let surface = Surface::new(Some(current())).await;
    assert_eq!(surface.get("/", LOCAL).await.0, 404);
    assert_eq!(surface.get("/mcp/x", LOCAL).await.0, 404);
    assert_eq!(surface.get("/mcp", LOCAL).await.0, 405);
    let delete = format!("DELETE /mcp HTTP/1.1\r\n{LOCAL}");
    assert_eq!(surface.raw(&delete, b"").await.0, 405);
    let (mut message, headers) = modern("get_nodes");
    message["params"]["arguments"]["cluster"] = json!("x".repeat(BODY));
    assert_eq!(surface.mcp(&message, &headers).await.0, 413);
}

#[tokio::test]
async fn readiness_waits_for_the_first_evaluation() {
    let surface = Surface::new(None).await;
    assert_eq!(
        surface.get("/healthz", LOCAL).await,
        (200, "ok\n".to_owned())
    );
    assert_eq!(surface.get("/readyz", LOCAL).await.0, 503);
    let (status, text) = surface.get("/metrics", LOCAL).await;
    assert_eq!(status, 200);
    assert!(!text.contains("evaluated_timestamp"), "{text}");
    let surface = Surface::new(Some(current())).await;
    assert_eq!(surface.get("/readyz", LOCAL).await.0, 200);
}

#[tokio::test]
async fn metrics_count_findings_agents_nodes_and_guests() {
    let mut current = current();
    current.findings = vec![open("a.b", "guest/100", Severity::Critical)];
    let surface = Surface::new(Some(current)).await;
    let (_, text) = surface.get("/metrics", LOCAL).await;
    for line in [
        "pvelens_findings{lane=\"health\",severity=\"critical\"} 1",
        "pvelens_findings{lane=\"posture\",severity=\"info\"} 0",
        "pvelens_evaluated_timestamp_seconds 1795600000",
        "pvelens_links 0",
        "pvelens_port_open{port=\"api\"} 0",
        "pvelens_port_turned_away_total{port=\"link\",reason=\"garbage\"} 0",
        "pvelens_enrolments_total 0",
        "pvelens_nodes{coverage=\"full\"} 3",
        "pvelens_guests{kind=\"lxc\",status=\"running\"} 1",
        "pvelens_agents{state=\"disconnected\"} 0",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in {text}");
    }
    for name in text.lines().filter(|line| !line.starts_with('#')) {
        let name = name.split(['{', ' ']).next().unwrap();
        assert!(text.contains(&format!("# TYPE {name} ")), "{name}");
    }
}

#[tokio::test]
async fn shutdown_does_not_wait_for_idle_connections() {
    let surface = Surface::new(Some(current())).await;
    let mut idle = TcpStream::connect(surface.address).await.unwrap();
    idle.write_all(b"GET /heal").await.unwrap();
    // A second connection was served, so the first was accepted.
    assert_eq!(surface.get("/healthz", LOCAL).await.0, 200);
    surface.shutdown.cancel();
    let ended = tokio::time::timeout(GRACE * 2, surface.serving).await;
    ended.unwrap().unwrap().unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(GRACE, idle.read_to_end(&mut rest)).await;
    assert!(closed.is_ok());
}

#[tokio::test]
async fn a_port_that_cannot_be_opened_is_not_ready() {
    let coordinator = Arc::new(Coordinator::new(Params::default()));
    coordinator.publish(current());
    let answer = || ready(State(Arc::clone(&coordinator)));
    assert_eq!(answer().await.status(), StatusCode::OK);
    let failed = crate::port::PortState::Failed("address in use".to_owned());
    coordinator.ports().api.set_state(failed);
    let answer = answer().await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = axum::body::to_bytes(answer.into_body(), 1000)
        .await
        .unwrap();
    assert_eq!(body, "the port api is not open: address in use\n");
}

#[test]
fn the_condition_of_the_store_is_exported() {
    let coordinator = Coordinator::new(Params::default());
    let exposition = |coordinator: &Coordinator| {
        metrics::exposition(&coordinator.current(), &metrics::Counted::of(coordinator))
    };
    // Nothing is to be kept.
    assert!(!exposition(&coordinator).contains("pvelens_store"));

    let directory = tempfile::TempDir::new().unwrap();
    let at = "2026-11-25T20:00:00Z".parse().unwrap();
    let store = Arc::new(crate::store::Store::open(directory.path(), 1 << 30, at).unwrap());
    coordinator.keep_in(Arc::clone(&store), at).unwrap();
    store.write(&crate::store::Batch::default(), at).unwrap();
    store.lost(7);
    let text = exposition(&coordinator);
    for line in [
        "\npvelens_store_limit_bytes 1073741824\n",
        "\npvelens_store_written_timestamp_seconds 1795636800\n",
        "\npvelens_store_failing 0\n",
        "\npvelens_store_replaced 0\n",
        "\n# TYPE pvelens_store_lost_values_total counter\npvelens_store_lost_values_total 7\n",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    let size = text
        .lines()
        .find_map(|line| line.strip_prefix("pvelens_store_size_bytes "));
    assert!(size.unwrap().parse::<u64>().unwrap() > 0, "{text}");
}
