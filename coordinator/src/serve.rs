//! The running coordinator process: links, evaluation, surfaces.

use std::{io, net::SocketAddr, path::PathBuf, pin::pin, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    select,
    sync::{Notify, watch},
    task,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info};

use crate::{
    config::{AGENT_SOCKET, Config},
    coordinator::Coordinator,
    grpc::{Backend, Remote},
    guest_command::{GuestCommands, heads::Heads, narrow::Narrow},
    intent::Declared,
    link::{Clock, Listening},
    log::Log,
    port::PortState,
    store::StoreError,
    trust::{Names, Trust, TrustError},
};

mod handover;
mod keeper;
mod local;
mod manager;
mod reload;
mod socket;
mod store;
mod surfaces;
#[cfg(test)]
mod tests;

pub use handover::{Handover, HandoverError};
pub use reload::Reload;
pub use socket::SocketError;
pub use store::open_store;
pub use surfaces::{ADMIN_SOCKET, MCP_OPERATE_SOCKET, MCP_SOCKET, OPERATE_SOCKET, READ_SOCKET};

use keeper::Keeper;
use local::Local;
use manager::Manager;
use reload::Affected;
use surfaces::Surfaces;

/// Why the coordinator cannot start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error("listening on {address}; is another coordinator running? See http.listen")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error(
        "listening on {address} for other machines: {source}. Something else listens there, or the \
         address is not of this machine; see {key}"
    )]
    Port {
        key: &'static str,
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    /// It would be written twice, or not understood.
    #[error("opening the store in {directory}: {source}")]
    Store {
        directory: String,
        #[source]
        source: StoreError,
    },
    /// The service manager starts it again.
    #[error(
        "the store could not be opened when this was started, and can be now: to be started \
         again, so that something is kept"
    )]
    StoreMended,
    #[error("serving {surface}")]
    Surface {
        surface: &'static str,
        #[source]
        source: io::Error,
    },
}

/// A coordinator whose sockets are bound, so that clients may connect.
#[derive(Debug)]
pub struct Server {
    coordinator: Arc<Coordinator>,
    config: Config,
    surfaces: Surfaces,
    /// Absent when nothing is kept.
    trust: Option<Arc<Trust>>,
    reload: Option<Reload>,
}

/// Serves until `shutdown`, and returns when everything has ended and the
/// sockets that are ours are removed.
///
/// # Errors
/// When a socket cannot be bound, or serving fails.
pub async fn serve(
    config: Config,
    declared: Declared,
    handover: Option<Handover>,
    reload: Reload,
    log: Arc<Log>,
    clock: Clock,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    // The settings were understood when they were read.
    let narrow = Narrow::new(&config.guest_commands).unwrap_or_else(|_| Narrow::off());
    let directory = config.store.directory.clone();
    let heads = if directory.as_os_str().is_empty() {
        Heads::default()
    } else {
        Heads::load(&directory)
    };
    let guest_commands = GuestCommands::new(narrow, heads);
    let coordinator = Coordinator::with_guest_commands(config.params(), guest_commands);
    coordinator.intents().declare(declared);
    let coordinator = Arc::new(coordinator);
    let trust = open_trust(&coordinator, &config, clock()).await;
    open_store(&coordinator, &config, clock()).await?;
    let waiting = (Arc::clone(&coordinator), config.clone(), Arc::clone(&clock));
    let server = Server::bind(coordinator, config, handover).await?;
    let end = shutdown.child_token();
    let serving = server
        .trusting(trust)
        .reloading(reload)
        .run(log, clock, end.clone());
    let mut serving = pin!(serving);
    let (coordinator, config, clock) = waiting;
    select! {
        result = &mut serving => result,
        () = store::until_usable(&coordinator, &config, &clock) => {
            end.cancel();
            serving.await?;
            Err(ServeError::StoreMended)
        }
    }
}

impl Server {
    /// Takes the sockets that were handed over, or binds them.
    ///
    /// # Errors
    /// When another coordinator serves there, or a socket cannot be made.
    pub async fn bind(
        coordinator: Arc<Coordinator>,
        config: Config,
        handover: Option<Handover>,
    ) -> Result<Self, ServeError> {
        Ok(Self {
            surfaces: Surfaces::bind(&config, handover).await?,
            coordinator,
            config,
            trust: None,
            reload: None,
        })
    }

    /// Knows nodes and clients elsewhere.
    #[must_use]
    pub fn trusting(mut self, trust: Option<Arc<Trust>>) -> Self {
        self.trust = trust;
        self
    }

    /// Reads its settings again when asked.
    #[must_use]
    pub fn reloading(mut self, reload: Reload) -> Self {
        self.reload = Some(reload);
        self
    }

    /// Where HTTP is served, when it is: the port may have been left to the
    /// system.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.surfaces.http_address()
    }

    /// Follows the agents and serves until `shutdown`.
    ///
    /// # Errors
    /// When serving fails.
    pub async fn run(
        self,
        log: Arc<Log>,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        let Self {
            coordinator,
            config,
            mut surfaces,
            trust,
            reload,
        } = self;
        let heads_of = Arc::clone(&coordinator);
        let manager = Arc::new(Manager::of_process());
        let backend = Backend {
            coordinator: Arc::clone(&coordinator),
            log: Arc::clone(&log),
            clock: Arc::clone(&clock),
            started_at: clock(),
            trust: trust.clone(),
        };
        // It lives as long as this: without it nobody could wait for a change.
        let settings = Arc::new(watch::Sender::new(Arc::new(config.clone())));
        let news = Arc::new(Notify::new());
        // The first client shall not see a state of the year 1970.
        evaluate(&coordinator, &clock).await;
        let tasks = TaskTracker::new();
        let evaluations = Evaluations {
            coordinator: Arc::clone(&coordinator),
            clock: Arc::clone(&clock),
            news: Arc::clone(&news),
            settings: settings.subscribe(),
            manager: Arc::clone(&manager),
        };
        tasks.spawn(
            shutdown
                .clone()
                .run_until_cancelled_owned(evaluations.on_news()),
        );
        if let Some(trust) = trust.clone() {
            let remote = Remote {
                backend: backend.clone(),
                trust: Arc::clone(&trust),
                settings: settings.subscribe(),
            };
            tasks.spawn(remote.serve(surfaces.take_api(), shutdown.clone()));
            let listening = Listening {
                coordinator: Arc::clone(&coordinator),
                trust,
                clock: Arc::clone(&clock),
                news: Arc::clone(&news),
                settings: settings.subscribe(),
            };
            tasks.spawn(listening.run(shutdown.clone()));
        }
        if let Some(store) = coordinator.store() {
            let keeper = Keeper {
                coordinator: Arc::clone(&coordinator),
                store: Arc::clone(store),
                clock: Arc::clone(&clock),
                log: Arc::clone(&log),
                interval: Duration::from_secs(config.store.write_interval_seconds.into()),
            };
            tasks.spawn(keeper.run(shutdown.clone()));
        }
        let local = Local {
            coordinator: Arc::clone(&coordinator),
            clock,
            news,
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
        };
        let following = local.follow(config.agents.clone(), PathBuf::from(AGENT_SOCKET));
        tasks.spawn(shutdown.clone().run_until_cancelled_owned(following));
        if let Some(reload) = reload {
            let affected = Affected {
                coordinator: Arc::clone(&coordinator),
                log,
                manager: Arc::clone(&manager),
                settings: Arc::clone(&settings),
                trust: trust.clone(),
            };
            tasks.spawn(
                shutdown
                    .clone()
                    .run_until_cancelled_owned(affected.follow(reload)),
            );
        }
        let serving = surfaces.serve(&backend, &shutdown);
        manager.ready();
        tasks.spawn(
            shutdown
                .clone()
                .run_until_cancelled_owned(Arc::clone(&manager).tell_status(coordinator)),
        );
        let end = shutdown.clone().cancelled_owned();
        tasks.spawn(async move {
            end.await;
            manager.stopping();
        });
        let result = serving.ended().await;
        // Surfaces end at shutdown or with a failure; either way the rest does.
        shutdown.cancel();
        tasks.close();
        tasks.wait().await;
        // What was noted since the last time it was written.
        let save = move || heads_of.guest_commands().heads().save_pending();
        task::spawn_blocking(save).await.ok();
        info!("stopped");
        result
    }
}

/// Opens the trust, where something is kept. What is there and cannot be used is never
/// replaced; until somebody mends it there are no links, and all else goes on.
pub async fn open_trust(
    coordinator: &Coordinator,
    config: &Config,
    now: Timestamp,
) -> Option<Arc<Trust>> {
    let store = config.store.directory.clone();
    if store.as_os_str().is_empty() {
        return None;
    }
    let names = names(config);
    let opening = task::spawn_blocking(move || Trust::open(&store, names, now).map_err(chain));
    let problem = match opening.await {
        Ok(Ok(trust)) => return Some(Arc::new(trust)),
        Ok(Err(problem)) => problem,
        Err(defect) => defect.to_string(),
    };
    error!(error = problem, "no links and no access from elsewhere");
    let ports = coordinator.ports();
    for port in [&ports.link, &ports.api] {
        port.set_state(PortState::Failed(problem.clone()));
    }
    None
}

fn chain(error: TrustError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

fn names(config: &Config) -> Names {
    let (link, api) = (config.link.listen.port(), config.api.listen.port());
    Names::new(&config.link.names, link, api)
}

/// What repeated evaluations need.
struct Evaluations {
    coordinator: Arc<Coordinator>,
    clock: Clock,
    news: Arc<Notify>,
    settings: watch::Receiver<Arc<Config>>,
    manager: Arc<Manager>,
}

impl Evaluations {
    /// Evaluates after news, but not too often, and without news now and then:
    /// time alone makes facts old.
    async fn on_news(mut self) {
        // The shortest and the longest time between two.
        let mut intervals = self.intervals();
        loop {
            if self.settings.has_changed().unwrap_or(false) {
                intervals = self.intervals();
            }
            let (minimum, maximum) = intervals;
            let rest = maximum.saturating_sub(minimum);
            sleep(minimum).await;
            // Either way it is time.
            timeout(rest, self.news.notified()).await.unwrap_or(());
            evaluate(&self.coordinator, &self.clock).await;
            self.manager.turned();
        }
    }

    fn intervals(&mut self) -> (Duration, Duration) {
        let settings = Arc::clone(&self.settings.borrow_and_update());
        self.manager.intervals(&settings.evaluation)
    }
}

async fn evaluate(coordinator: &Arc<Coordinator>, clock: &Clock) {
    let (judge, clock) = (Arc::clone(coordinator), Arc::clone(clock));
    // The instant is that of its turn, not of the wait for it.
    let evaluated = coordinator.turns().take(move || judge.evaluate(clock()));
    if evaluated.await.is_none() {
        error!("an evaluation failed; the last state stays");
    }
}
