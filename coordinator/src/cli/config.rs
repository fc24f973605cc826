//! `config check`.

use std::{
    env,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use super::{Failure, MESSAGE_LIMIT, print};
use crate::{
    config,
    intent::{self, Declared},
    untrusted,
};

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Check the settings and print those in effect
    Check(Check),
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// File of settings [default: /etc/pvelens/pvelens.toml if it is there]. The file
    /// intent.toml beside it is checked too
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Config {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let Self::Check(Check { file }) = self;
        let config = load(file.as_deref())?;
        let path = file.as_deref().unwrap_or(Path::new(config::DEFAULT_PATH));
        let origin = untrusted::line(&path.to_string_lossy(), MESSAGE_LIMIT).into_owned();
        let missing = if path.exists() {
            ""
        } else {
            " is not there: defaults"
        };
        let declared = load_intent(file.as_deref())?;
        let beside = intent::path(file.as_deref());
        let beside = untrusted::line(&beside.to_string_lossy(), MESSAGE_LIMIT).into_owned();
        let stated = match declared.statements.len() {
            0 => "nothing is stated".to_owned(),
            1 => "1 statement".to_owned(),
            count => format!("{count} statements"),
        };
        // Settings are strings, numbers, lists and tables, all of which TOML has.
        let shown = toml::to_string(&config).map_err(|error| Failure::Usage(error.to_string()))?;
        print(&format!(
            "# {origin}{missing}\n# {beside}: {stated}\n{shown}"
        ))?;
        Ok(0)
    }
}

/// The settings of a file and of the environment of this process.
pub(super) fn load(file: Option<&Path>) -> Result<config::Config, Failure> {
    let environment = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    config::Config::load(file, environment)
        .map_err(|error| Failure::Usage(format!("{:#}", anyhow::Error::from(error))))
}

/// What operators state in the file beside the settings.
pub(super) fn load_intent(settings: Option<&Path>) -> Result<Declared, Failure> {
    Declared::load(settings)
        .map_err(|error| Failure::Usage(format!("{:#}", anyhow::Error::from(error))))
}
