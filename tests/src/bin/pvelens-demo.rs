//! `cargo demo`: a simulated cluster, its agents and a coordinator, on this
//! machine and without anything installed.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

use anyhow::Context;
use clap::Parser;
use jiff::Timestamp;
use pvelens::{
    log::{Level, Log},
    render::{Format, Style},
    serve::{ADMIN_SOCKET, MCP_SOCKET, OPERATE_SOCKET, READ_SOCKET, Server},
};
use pvelens_tests::demo::{Bound, DEFAULT_SEED, Demo, DemoSpec, Live, report, verdict};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Shows pvelens on a simulated Proxmox VE cluster with planted faults.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Print the health report and exit.
    #[arg(long)]
    once: bool,
    /// Which faults are planted.
    #[arg(long, default_value_t = DEFAULT_SEED)]
    seed: u64,
    /// Plant no faults.
    #[arg(long)]
    healthy: bool,
    /// Nodes of the cluster.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=32))]
    nodes: u8,
    /// Keep the files here; otherwise a temporary directory is removed at the end.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Also say what was planted and whether exactly that was found.
    #[arg(long)]
    labels: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let wanted = DemoSpec {
        nodes: usize::from(arguments.nodes),
        seed: arguments.seed,
        healthy: arguments.healthy,
        directory: arguments.dir.clone(),
    };
    let shutdown = CancellationToken::new();
    tokio::spawn(cancel_when_interrupted(shutdown.clone()));
    let demo = Demo::prepare(&wanted, Timestamp::now()).context("writing the simulated nodes")?;
    let started = tokio::select! {
        live = Live::start(demo, shutdown.clone()) => live?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let mut text = report(&started.current(), &style()).context("making the health report")?;
    if arguments.labels {
        text.push('\n');
        text.push_str(&verdict(started.labels(), &started.outcome()));
    }
    print(&text)?;
    if arguments.once {
        started.stop().await;
        return Ok(());
    }
    // Nodes come and go in the simulation, which is no news here.
    let log = Log::start(Level::Error).context("starting the log")?;
    let (server, bound) = started.bind().await?;
    print(&how_to_use(&server, &bound))?;
    Ok(started.live_on(server, log).await?)
}

async fn cancel_when_interrupted(shutdown: CancellationToken) {
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(_) => return,
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    shutdown.cancel();
}

fn how_to_use(server: &Server, bound: &Bound) -> String {
    let directory = bound.directory.as_path();
    let socket = directory.join(READ_SOCKET);
    let mut lines = vec![
        String::new(),
        format!("Serving gRPC on {}", socket.display()),
        format!(
            "  cargo run -q -p pvelens -- guests --socket {}",
            socket.display()
        ),
        format!(
            "Serving operators on {}, and the administrator on {}",
            directory.join(OPERATE_SOCKET).display(),
            directory.join(ADMIN_SOCKET).display()
        ),
    ];
    if let Some(address) = server.http_address() {
        lines.push(format!("Serving MCP on http://{address}/mcp"));
    }
    lines.push(format!(
        "Serving MCP on {}",
        directory.join(MCP_SOCKET).display()
    ));
    lines.push(format!(
        "Serving gRPC over TLS on {}, once a client was issued:",
        bound.remote
    ));
    lines.push(format!(
        "  cargo run -q -p pvelens -- client issue me --role reader --out DIR --socket {}",
        directory.join(ADMIN_SOCKET).display()
    ));
    lines.push("Stop with Ctrl-C.".to_owned());
    lines.join("\n") + "\n"
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Colours for a terminal, unless the user asked for none.
fn style() -> Style {
    let color = io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Style {
        format: Format::Text,
        width: None,
        color,
    }
}
