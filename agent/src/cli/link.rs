//! `link`: carry bytes between coordinators elsewhere and the agent of this node
//! until told to stop.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{
    LinkArguments, log,
    signals::Signals,
    systemd::{Systemd, watchdog},
};
use crate::{
    config::{Config, ConfigError},
    joined,
    link::{States, merged, run, summary},
};

pub(super) fn link(arguments: &LinkArguments) -> anyhow::Result<ExitCode> {
    let mut config = arguments.settings.load()?;
    config.link.coordinators = if arguments.coordinators.is_empty() {
        let joined = joined::load(arguments.settings.directory())
            .map_err(|error| ConfigError::Joined(Box::new(error)))?;
        merged(joined, &config.link.coordinators)
    } else {
        arguments.coordinators.clone()
    };
    // Twice the same, or too many, is no better there.
    let mut config = config.validated()?;
    if let Some(socket) = &arguments.socket {
        config.link.socket.clone_from(socket);
    }
    if config.link.coordinators.is_empty() {
        return Err(arguments.settings.context(nowhere_to_go()));
    }
    log::start(&config.log.level)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(linking(&config))
}

fn nowhere_to_go() -> ConfigError {
    ConfigError::Value {
        key: "link.coordinators".to_owned(),
        problem:
            "is empty, and this node has not joined a coordinator: `pvelens-agent join` does both; \
                  a coordinator on this node needs no link"
                .to_owned(),
    }
}

async fn linking(config: &Config) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let coordinators = &config.link.coordinators;
    let systemd = Systemd::new();
    let (states, mut news) = watch::channel(States::new(coordinators));
    let shutdown = CancellationToken::new();
    let names: Vec<_> = coordinators.iter().map(ToString::to_string).collect();
    info!(
        version = env!("CARGO_PKG_VERSION"),
        coordinators = names.join(", "),
        socket = %config.link.socket.display(),
        "link started"
    );
    systemd.tell("READY=1\n".to_owned()).await;
    let mut links = Box::pin(run(coordinators, &config.link.socket, &states, &shutdown));
    let mut watchdog = watchdog().map(ticks);
    loop {
        tokio::select! {
            // They end by themselves only when they cannot go on.
            result = &mut links => return result.context("a link ended").map(|()| ExitCode::FAILURE),
            name = signals.next() => {
                info!(signal = name, "stopping");
                break;
            }
            () = tick(watchdog.as_mut()) => systemd.tell("WATCHDOG=1\n".to_owned()).await,
            Ok(()) = news.changed() => {
                let status = summary(&news.borrow_and_update());
                systemd.tell(format!("STATUS={status}\n")).await;
            }
        }
    }
    systemd.tell("STOPPING=1\n".to_owned()).await;
    shutdown.cancel();
    links.await.context("a link ended")?;
    info!("link stopped");
    Ok(ExitCode::SUCCESS)
}

/// Twice as often as systemd wants to hear of it.
fn ticks(watchdog: Duration) -> Interval {
    let period = watchdog / 2;
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn tick(ticks: Option<&mut Interval>) {
    match ticks {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => std::future::pending().await,
    }
}
