//! Where an agent keeps who it is.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;

use crate::{
    cli::SettingsArguments,
    config::{Config, DEFAULT_PATH},
};

const DEFAULT_DIRECTORY: &str = "/etc/pvelens";

#[derive(Debug, Args)]
pub(in crate::cli) struct PlacesArguments {
    /// Directory of the settings, where joined.toml is
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIRECTORY)]
    config_directory: PathBuf,
}

/// Where everything is.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Places {
    /// With agent.toml and joined.toml.
    pub(in crate::cli) config: PathBuf,
    pub(in crate::cli) identity: PathBuf,
    pub(in crate::cli) root: PathBuf,
}

impl PlacesArguments {
    /// As the settings in that directory say.
    pub(in crate::cli) fn find(&self) -> anyhow::Result<Places> {
        let is_default = self.config_directory == Path::new(DEFAULT_DIRECTORY);
        let file = Path::new(DEFAULT_PATH).file_name().unwrap_or_default();
        let settings = SettingsArguments {
            // The default file may be missing, another one must be there.
            config: (!is_default).then(|| self.config_directory.join(file)),
        };
        let config = settings.load()?;
        let identity = config.identity.directory;
        let places = Places {
            config: self.config_directory.clone(),
            root: config.agent.root,
            identity,
        };
        let is_default = is_default || places.identity == Config::default().identity.directory;
        if is_default && !rustix::process::geteuid().is_root() {
            bail!("only root can do that: use sudo, or a shell of root");
        }
        Ok(places)
    }
}
