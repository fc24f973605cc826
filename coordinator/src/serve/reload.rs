//! Reading the settings again, at SIGHUP.
//!
//! What can change without a restart does so at once; what cannot is named in the log
//! each time. A file with a mistake changes nothing.

use std::{fmt, sync::Arc};

use tokio::{
    sync::{mpsc, watch},
    task,
};
use toml::{Table, Value};
use tracing::{error, info, warn};

use super::manager::Manager;
use crate::{
    config::Config, coordinator::Coordinator, guest_command::narrow::Narrow, intent::Declared,
    log::Log, trust::Trust,
};

/// Settings that change while the coordinator runs: keys, and whole sections.
const SAFE: [&str; 6] = [
    "evaluation",
    "guest_commands",
    "link.enabled",
    "link.names",
    "log.level",
    "profile",
];

/// How settings come anew.
pub struct Reload {
    /// Each message asks for it.
    pub requests: mpsc::Receiver<()>,
    /// Reads the file and the environment; the error is for people.
    pub read: Box<dyn Fn() -> Result<Config, String> + Send + Sync>,
    /// Reads what operators state, likewise.
    pub read_intent: Box<dyn Fn() -> Result<Declared, String> + Send + Sync>,
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").finish_non_exhaustive()
    }
}

/// What settings have an effect on.
pub(super) struct Affected {
    pub(super) coordinator: Arc<Coordinator>,
    pub(super) log: Arc<Log>,
    pub(super) manager: Arc<Manager>,
    /// The settings in effect.
    pub(super) settings: Arc<watch::Sender<Arc<Config>>>,
    pub(super) trust: Option<Arc<Trust>>,
}

impl Affected {
    /// Answers requests until there can be no more.
    pub(super) async fn follow(self, reload: Reload) {
        let Reload {
            mut requests,
            read,
            read_intent,
        } = reload;
        let (read, read_intent) = (Arc::new(read), Arc::new(read_intent));
        while requests.recv().await.is_some() {
            self.manager.reloading();
            let read = Arc::clone(&read);
            let wanted = task::spawn_blocking(move || read()).await;
            match wanted.unwrap_or_else(|defect| Err(defect.to_string())) {
                Ok(wanted) => self.take(&wanted),
                Err(error) => error!(error, "the settings were not taken over: those before stay"),
            }
            let read_intent = Arc::clone(&read_intent);
            let stated = task::spawn_blocking(move || read_intent()).await;
            match stated.unwrap_or_else(|defect| Err(defect.to_string())) {
                Ok(declared) => {
                    let statements = declared.statements.len();
                    info!(statements, "read again what operators state");
                    self.coordinator.intents().declare(declared);
                }
                Err(error) => error!(error, "what was stated before still holds"),
            }
            self.manager.ready();
        }
    }

    fn take(&self, wanted: &Config) {
        let before = Arc::clone(&self.settings.borrow());
        let Some(Change {
            config,
            taken,
            waiting,
        }) = change(&before, wanted)
        else {
            error!("the settings could not be compared: those before stay");
            return;
        };
        if taken.is_empty() {
            info!("read the settings again: nothing new takes effect");
        } else {
            info!(changed = taken.join(", "), "read the settings again");
        }
        if !waiting.is_empty() {
            let settings = waiting.join(", ");
            warn!(settings, "changed settings need a restart to take effect");
        }
        self.log.configure(config.log.level);
        self.coordinator.set_params(config.params());
        // They were understood when they were read.
        if let Ok(narrow) = Narrow::new(&config.guest_commands) {
            self.coordinator.guest_commands().narrow_to(narrow);
        }
        if let Some(trust) = &self.trust
            && taken.iter().any(|key| key == "link.names")
        {
            trust.set_names(super::names(&config));
        }
        self.settings.send_replace(Arc::new(config));
    }
}

/// The way from settings to others.
#[derive(Debug, PartialEq)]
struct Change {
    /// In effect from now on.
    config: Config,
    /// Keys that changed with it.
    taken: Vec<String>,
    /// Keys that keep their value until a restart.
    waiting: Vec<String>,
}

fn change(before: &Config, wanted: &Config) -> Option<Change> {
    let (mut config, wanted) = (table(before)?, table(wanted)?);
    let (mut taken, mut waiting) = (Vec::new(), Vec::new());
    let sections: std::collections::BTreeSet<String> =
        config.keys().chain(wanted.keys()).cloned().collect();
    for section in sections {
        let keys = |table: &Table| match table.get(&section) {
            Some(Value::Table(keys)) => keys.clone(),
            _ => Table::new(),
        };
        let (old, new) = (keys(&config), keys(&wanted));
        let mut merged = new.clone();
        let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in names {
            if old.get(key) == new.get(key) {
                continue;
            }
            let name = format!("{section}.{key}");
            if SAFE.contains(&section.as_str()) || SAFE.contains(&name.as_str()) {
                taken.push(name);
                continue;
            }
            waiting.push(name);
            match old.get(key) {
                Some(value) => drop(merged.insert(key.clone(), value.clone())),
                None => drop(merged.remove(key)),
            }
        }
        config.insert(section, Value::Table(merged));
    }
    Some(Change {
        config: config.try_into().ok()?,
        taken,
        waiting,
    })
}

/// Settings are strings, numbers, lists and tables, all of which TOML has.
fn table(config: &Config) -> Option<Table> {
    Table::try_from(config).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{
        check::Params,
        config::{self, Opening},
        log::Level,
    };

    fn of(text: &str) -> Config {
        Config::parse(text, std::iter::empty()).unwrap()
    }

    #[test]
    fn what_is_safe_changes_and_the_rest_is_named() {
        let before = of("[profile.lab]\nhosting = true\n");
        let wanted = of(
            "[log]\nlevel = \"debug\"\n[http]\nenabled = false\n[link]\nenabled = \"off\"\nlisten = \"127.0.0.1:1\"\n[profile.other]\n",
        );
        let change = change(&before, &wanted).unwrap();
        assert_eq!(
            change.taken,
            ["link.enabled", "log.level", "profile.lab", "profile.other"]
        );
        assert_eq!(change.waiting, ["http.enabled", "link.listen"]);
        assert!(change.config.http.enabled);
        assert_eq!(change.config.link.enabled, Opening::Off);
        assert_eq!(change.config.link.listen, before.link.listen);
        assert_eq!(change.config.profile, wanted.profile);
    }

    #[test]
    fn every_safe_name_is_a_setting() {
        let all = table(&of("[profile.lab]\n")).unwrap();
        for name in SAFE {
            let (section, key) = name.split_once('.').unwrap_or((name, ""));
            let section = all[section].as_table().unwrap();
            assert!(key.is_empty() || section.contains_key(key), "{name}");
        }
    }

    #[tokio::test]
    async fn a_mistake_keeps_what_was_before() {
        let before = Arc::new(of(""));
        let wanted = Mutex::new(vec![
            Ok(of("[guest_commands]\nenabled = false\n")),
            Err("a mistake".to_owned()),
        ]);
        let (send, requests) = mpsc::channel(2);
        let settings = watch::Sender::new(Arc::clone(&before));
        let mut seen = settings.subscribe();
        let coordinator = Arc::new(Coordinator::new(Params::default()));
        let affected = Affected {
            coordinator: Arc::clone(&coordinator),
            log: Log::of_tests(Level::Info, |_| ()),
            manager: Arc::new(Manager::of_process()),
            settings: Arc::new(settings),
            trust: None,
        };
        for _ in 0..2 {
            send.send(()).await.unwrap();
        }
        drop(send);
        let read = Box::new(move || wanted.lock().unwrap().pop().unwrap());
        let stated = Mutex::new(vec![
            Declared::parse("[[storages.rotated]]\nstorage = 'usb'\nevery_days = 7\nauthor = 'a'\nreason = 'swapped'\n")
                .map_err(|error| error.to_string()),
            Err("a mistake".to_owned()),
        ]);
        let read_intent = Box::new(move || stated.lock().unwrap().remove(0));
        let reload = Reload {
            requests,
            read,
            read_intent,
        };
        affected.follow(reload).await;
        assert_eq!(coordinator.intents().all().statements.len(), 1);
        let expected = config::GuestCommands {
            enabled: false,
            ..config::GuestCommands::default()
        };
        assert_eq!(seen.borrow_and_update().guest_commands, expected);
        assert_eq!(*coordinator.guest_commands().narrow(), Narrow::off());
    }
}
