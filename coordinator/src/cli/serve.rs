//! `serve`.

use std::{io, path::PathBuf, sync::Arc};

use clap::Args;
use jiff::Timestamp;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Failure, config};
use crate::{
    link::Clock,
    log::Log,
    serve::{self, Handover, Reload},
};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// File of settings [default: /etc/pvelens/pvelens.toml if it is there]
    #[arg(long, value_name = "FILE", env = "PVELENS_CONFIG")]
    config: Option<PathBuf>,
}

impl Serve {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let config = config::load(self.config.as_deref())?;
        let declared = config::load_intent(self.config.as_deref())?;
        // Before there are other threads. Starting again does not mend this.
        let handover = Handover::take()
            .map_err(|error| Failure::Usage(format!("{:#}", anyhow::Error::from(error))))?;
        let failed = |error: anyhow::Error| Failure::Failed(format!("{error:#}"));
        let log = Log::start(config.log.level).map_err(|error| failed(error.into()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(error.into()))?;
        runtime.block_on(async {
            let shutdown = CancellationToken::new();
            end_at_signals(shutdown.clone()).map_err(|error| failed(error.into()))?;
            let reload = reload_at_signals(self.config).map_err(|error| failed(error.into()))?;
            serve::serve(config, declared, handover, reload, log, clock(), shutdown)
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

fn reload_at_signals(file: Option<PathBuf>) -> io::Result<Reload> {
    let mut hangup = signal(SignalKind::hangup())?;
    // One that waits is enough: it reads what is there then.
    let (send, requests) = mpsc::channel(1);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            info!(signal = "SIGHUP", "reading the settings again");
            if send.send(()).await.is_err() {
                return;
            }
        }
    });
    let of_intent = file.clone();
    Ok(Reload {
        requests,
        read: Box::new(move || config::load(file.as_deref()).map_err(|error| error.to_string())),
        read_intent: Box::new(move || {
            config::load_intent(of_intent.as_deref()).map_err(|error| error.to_string())
        }),
    })
}
