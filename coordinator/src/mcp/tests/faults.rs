//! Tools and clients that misbehave.

use rmcp::{handler::server::tool::ToolRoute, model::Tool as ToolModel};

use super::*;
use crate::answer::tests::current;

/// A server with tools that fail in ways the real ones should not.
fn broken() -> Server {
    let server = Server::new(coordinator(current()), Role::Reader);
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
    Server::with_tools(server.coordinator, Role::Reader, tools)
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
    tokio::spawn(serve_unix(
        coordinator(current()),
        Role::Reader,
        listener,
        shutdown,
    ));
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
        Role::Reader,
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
