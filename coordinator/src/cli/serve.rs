//! `serve`.

use std::{io, path::PathBuf, sync::Arc};

use clap::Args;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing_subscriber::EnvFilter;

use super::{Failure, config};
use crate::{link::Clock, serve};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// File of settings [default: /etc/pvelens/pvelens.toml if it is there]
    #[arg(long, value_name = "FILE", env = "PVELENS_CONFIG")]
    config: Option<PathBuf>,
}

impl Serve {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let config = config::load(self.config.as_deref())?;
        // The level was checked with the other settings. Libraries report every
        // connection at `info`, with words of the client's choosing.
        let filter = format!("{},rmcp=warn,h2=warn,hyper=warn", config.log.level);
        tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(filter))
            .with_writer(io::stderr)
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .init();
        let failed = |error: anyhow::Error| Failure::Failed(format!("{error:#}"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(error.into()))?;
        runtime.block_on(async {
            let shutdown = CancellationToken::new();
            end_at_signals(shutdown.clone()).map_err(|error| failed(error.into()))?;
            serve::serve(config, clock(), shutdown)
                .await
                .map_err(|error| failed(error.into()))
        })?;
        Ok(0)
    }
}

fn clock() -> Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the coordinator looks at the clock"
    )]
    let now = || Timestamp::now();
    Arc::new(now)
}

fn end_at_signals(shutdown: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let received = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal = received, "stopping");
        shutdown.cancel();
    });
    Ok(())
}
