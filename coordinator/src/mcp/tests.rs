//! The server as a client sees it, on a socket, line by line.

use std::{path::PathBuf, time::Duration};

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

mod faults;
mod guest_command;
mod history;
mod sizes;
mod tools;

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
        Self::of(era, coordinator(current), Role::Reader).await
    }

    async fn of(era: Era, coordinator: Arc<Coordinator>, role: Role) -> Self {
        let (directory, path) = socket();
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(serve_unix(
            coordinator,
            role,
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
