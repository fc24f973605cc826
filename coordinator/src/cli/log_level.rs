//! `log-level`.

use clap::{Args, ValueEnum};
use jiff::SignedDuration;
use pvelens_proto::v1::{
    self as message, GetLogLevelRequest, SetLogLevelRequest,
    admin_service_client::AdminServiceClient,
};

use super::{
    Failure,
    client::{Administering, refused},
    print,
};

#[derive(Debug, Args)]
pub(super) struct LogLevel {
    /// What to log from now on [default: only show the level]
    #[arg(value_enum)]
    level: Option<Level>,
    /// When the configured level returns: 10m, 90s or 2h, at least a minute and
    /// at most a day
    #[arg(
        long = "for",
        value_name = "TIME",
        default_value = "10m",
        value_parser = seconds,
        requires = "level"
    )]
    length: u32,
    #[command(flatten)]
    connection: Administering,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let render = Some(self.connection.output.render());
        let mut client = AdminServiceClient::new(self.connection.open().await?);
        let shown = match self.level {
            None => {
                let response = client.get_log_level(GetLogLevelRequest { render }).await;
                response.map(|response| response.into_inner().rendered)
            }
            Some(level) => {
                let level = match level {
                    Level::Error => message::LogLevel::Error,
                    Level::Warn => message::LogLevel::Warn,
                    Level::Info => message::LogLevel::Info,
                    Level::Debug => message::LogLevel::Debug,
                    Level::Trace => message::LogLevel::Trace,
                };
                let request = SetLogLevelRequest {
                    level: level.into(),
                    revert_after_seconds: self.length,
                    render,
                };
                let response = client.set_log_level(request).await;
                response.map(|response| response.into_inner().rendered)
            }
        };
        print(&shown.map_err(|status| refused(&status))?)?;
        Ok(0)
    }
}

fn seconds(text: &str) -> Result<u32, String> {
    let length: SignedDuration = text
        .parse()
        .map_err(|_| "not a time such as 10m, 90s or 2h".to_owned())?;
    u32::try_from(length.as_secs())
        .ok()
        .filter(|seconds| (60..=86_400).contains(seconds))
        .ok_or_else(|| "not from a minute to a day".to_owned())
}
