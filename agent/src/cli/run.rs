//! `run`: sample this node and serve the samples until told to stop.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use crate::{
    cage::{self, Cage, Violation},
    collector::is_pve_node,
    config::{self, Config},
    host::Host,
    identity::Slot,
    recorder::{self, Recorder},
    sampler::Sampler,
    service::{self, NodeAgent, serve_both},
    spool::Spool,
};
use anyhow::Context;
use listenfd::ListenFd;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    RunArguments, guests, log, oversee::Overseer, signals::Signals, socket::Sockets,
    systemd::Systemd,
};

/// Time for open calls to end after a signal.
const GRACE: Duration = Duration::from_secs(5);

pub(super) fn run(arguments: &RunArguments) -> anyhow::Result<ExitCode> {
    let mut config = arguments.settings.load()?;
    if let Some(root) = &arguments.root {
        config.agent.root.clone_from(root);
    }
    if let Some(socket) = &arguments.socket {
        config.agent.socket.clone_from(socket);
    }
    log::start(&config.log.level)?;
    // It changes the environment, so before there is a second thread.
    let handed_over = ListenFd::from_env();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let result = runtime.block_on(serving(
        &config,
        handed_over,
        arguments.link_socket.as_deref(),
    ));
    // Threads of hung reads end with the process.
    runtime.shutdown_background();
    result
}

async fn serving(
    config: &Config,
    handed_over: ListenFd,
    link_socket: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let host = Arc::new(Host::open(&config.agent.root).context("opening the root")?);
    let mut signals = Signals::listen()?;
    let mut sockets = Sockets::open(handed_over, &config.agent.socket, link_socket)?;
    // Whoever starts the agent by hand has no cage. There is no setting for it:
    // it could be left off by accident.
    let is_caged = host.is_live() && sockets.are_handed_over();
    let mut cage = is_caged.then(|| Cage::new(Arc::clone(&host)));
    if let Some(cage) = &mut cage
        && let Some(violation) = cage.check().await
    {
        return Ok(broken(&violation));
    }
    let spool = Arc::new(spool(&host, &config.spool)?);
    let mut sampler = Sampler::new(Arc::clone(&host), Arc::clone(&spool));
    if let Some(recorder) = recorder(&host, &config.recorder, &spool)? {
        sampler = sampler.with_recorder(Arc::new(recorder));
    }
    let shutdown = CancellationToken::new();
    let guests = guests::start(&host, &config.audit, &shutdown);
    let agent = NodeAgent::with_guests(
        Arc::clone(&host),
        Arc::clone(&spool),
        sampler.ledger(),
        guests,
    );
    let identity = Arc::new(Slot::new(identity(&host, &config.identity)));
    let agent = agent.with_identity(Arc::clone(&identity));
    info!(
        version = env!("CARGO_PKG_VERSION"),
        root = %config.agent.root.display(),
        socket = %sockets.local_path.display(),
        epoch = spool.epoch(),
        sandbox = if is_caged { "checked" } else { "none" },
        "agent started"
    );
    warn_if_not_pve(&host).await;

    let mut overseer = Overseer {
        ticks: sampler.ticks(),
        spool,
        agent: agent.clone(),
        cage,
        systemd: Systemd::new(),
    };
    let link = sockets.link.take().map(|listener| {
        // Ends with the runtime.
        drop(tokio::spawn(Arc::clone(&identity).follow()));
        (listener, identity)
    });
    let mut sampling = tokio::spawn(sampler.run(shutdown.clone()));
    let listening = service::Sockets {
        local: sockets.local,
        link,
    };
    let mut served = Box::pin(serve_both(listening, agent, shutdown.clone()));
    let status = tokio::select! {
        // Both end by themselves only when they cannot go on.
        result = &mut served => return result.context("the service ended").map(|()| ExitCode::FAILURE),
        result = &mut sampling => return result.context("the sampling ended").map(|()| ExitCode::FAILURE),
        violation = overseer.run() => broken(&violation),
        name = signals.next() => {
            info!(signal = name, "stopping");
            ExitCode::SUCCESS
        }
    };
    overseer.systemd.tell("STOPPING=1\n".to_owned()).await;
    shutdown.cancel();
    match timeout(GRACE, served).await {
        Ok(result) => result.context("the service ended")?,
        Err(_) => warn!("a reader did not let go in time"),
    }
    match timeout(GRACE, sampling).await {
        Ok(result) => result.context("the sampling ended")?,
        Err(_) => warn!("the sampling did not end in time"),
    }
    info!("agent stopped");
    Ok(status)
}

/// The process ends, since a namespace cannot be mended from inside.
fn broken(violation: &Violation) -> ExitCode {
    error!(
        status = cage::EXIT_STATUS,
        "{violation}; ending, so that systemd builds the sandbox anew"
    );
    ExitCode::from(cage::EXIT_STATUS)
}

/// Says so when this is no Proxmox VE node. On a thread of its own, since
/// `/etc/pve` may hang.
async fn warn_if_not_pve(host: &Arc<Host>) {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let host = Arc::clone(host);
    std::thread::spawn(move || {
        // Nobody waits any more after the deadline.
        sender
            .send((is_pve_node(&host), host.exists("/etc/pve")))
            .ok();
    });
    match timeout(Duration::from_secs(2), receiver).await {
        Ok(Ok((true, _))) => {}
        Ok(Ok((false, true))) => {
            warn!("/etc/pve is there, but the cluster file system is not: pve-cluster does not run")
        }
        Ok(_) => warn!("this is not a Proxmox VE node; only facts of the host are read"),
        Err(_) => warn!("/etc/pve does not answer; its sources will be named as hanging"),
    }
}

/// In files only for the node that the agent runs on: another one must not go on
/// with what this one gave.
fn spool(host: &Host, settings: &config::Spool) -> anyhow::Result<Spool> {
    let limit = usize::try_from(settings.limit_mebibytes)?.saturating_mul(1 << 20);
    let is_kept = host.is_live() && !settings.directory.as_os_str().is_empty();
    Ok(if is_kept {
        Spool::open(&settings.directory, epoch(host), limit)
    } else {
        Spool::with_limit(epoch(host), limit)
    })
}

/// Only of the node that the agent runs on. What is there of an earlier emergency is
/// said in the log.
fn recorder(
    host: &Host,
    settings: &config::Recorder,
    spool: &Arc<Spool>,
) -> anyhow::Result<Option<Recorder>> {
    if !host.is_live() || settings.directory.as_os_str().is_empty() {
        return Ok(None);
    }
    let limit = usize::try_from(settings.limit_mebibytes)?.saturating_mul(1 << 20);
    let directory = settings.directory.clone();
    // The disk may hang, and nobody waits for it.
    std::thread::spawn(move || announce(&directory));
    let directory = settings.directory.clone();
    Ok(Some(Recorder::new(directory, limit, Arc::clone(spool))))
}

fn announce(directory: &Path) {
    let shown = directory.display();
    match recorder::read(directory, |_, _| {}) {
        Ok(recorded) => {
            if let Some(last) = recorded.emergencies.last() {
                let signs: Vec<_> = last.signs.iter().map(|sign| sign.words()).collect();
                warn!(
                    recorded = recorded.emergencies.len(),
                    began = %last.began,
                    last_record = %last.last,
                    is_ended = last.ended.is_some(),
                    why = signs.join(", "),
                    "there is a record of an emergency; `pvelens-agent flight` shows it"
                );
            }
        }
        Err(error) => warn!(directory = %shown, %error, "records of emergencies cannot be read"),
    }
}

/// A simulated node is not the one that it runs on: it has an identity of its own or
/// none.
fn identity(host: &Host, settings: &config::Identity) -> PathBuf {
    if !host.is_live() && *settings == config::Identity::default() {
        return PathBuf::new();
    }
    settings.directory.clone()
}

/// Differs at each start: the time, and the process in case two start at once.
fn epoch(host: &Host) -> String {
    format!("{:x}-{:x}", host.now().as_microsecond(), std::process::id())
}
