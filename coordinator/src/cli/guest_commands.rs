//! `guest-commands` and `run`.

use std::time::Duration;

use clap::Args;
use pvelens_proto::v1::{
    GuestCommandArgument, GuestCommandResult, ListGuestCommandsRequest, RunGuestCommandRequest,
    guest_command_service_client::GuestCommandServiceClient, run_guest_command_response::Event,
};
use tonic::transport::Channel;

use super::{
    FOUND, Failure, USAGE,
    client::{MESSAGE_LIMIT_BYTES, Operating, Reading, refused},
    complain,
    output::Output,
    print,
};

/// The longest a command may take, with waiting for its turn and the way there.
pub(super) const DEADLINE: Duration = Duration::from_secs(150);
/// Seconds between two words about a command that takes long.
const PATIENCE_SECONDS: f64 = 5.0;

#[derive(Debug, Args)]
pub(super) struct GuestCommands {
    /// VMID or exact name
    #[arg(value_name = "GUEST")]
    guest: String,
    /// Only commands of this group, such as disk, memory or network
    #[arg(
        long,
        value_name = "GROUP",
        default_value = "",
        hide_default_value = true
    )]
    group: String,
    /// Only what would run
    #[arg(long)]
    allowed: bool,
    /// The same as --output json
    #[arg(long, conflicts_with = "output")]
    json: bool,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 it completed and succeeded, 1 its exit code is no success, 2 refused or not run, 3 the coordinator does not answer"
)]
pub(super) struct Run {
    /// VMID or exact name
    #[arg(value_name = "GUEST")]
    guest: String,
    /// Id of the command, as pvelens guest-commands lists it
    #[arg(value_name = "COMMAND")]
    command: String,
    /// Values for its parameters
    #[arg(value_name = "NAME=VALUE")]
    arguments: Vec<String>,
    /// For whom, for the record of the node: a person, a ticket
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    on_behalf_of: String,
    /// The same as --output json
    #[arg(long, conflicts_with = "output")]
    json: bool,
    /// Only needed when several clusters have this guest: name, id or the
    /// beginning of the id
    #[arg(
        long,
        value_name = "CLUSTER",
        default_value = "",
        hide_default_value = true
    )]
    cluster: String,
    #[command(flatten)]
    connection: Operating,
}

/// A client of the guest commands.
pub(super) fn client(channel: Channel) -> GuestCommandServiceClient<Channel> {
    GuestCommandServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES)
}

impl GuestCommands {
    pub(super) async fn run(mut self) -> Result<u8, Failure> {
        let connection = &mut self.reading.connection;
        if self.json {
            connection.output.output = Output::Json;
        }
        let request = ListGuestCommandsRequest {
            render: Some(connection.output.render()),
            cluster: self.reading.cluster,
            guest: self.guest,
            group: self.group,
            only_allowed: self.allowed,
        };
        let mut client = client(connection.open().await?);
        let response = client.list_guest_commands(request).await;
        let response = response.map_err(|status| refused(&status))?.into_inner();
        print(&response.rendered)?;
        Ok(0)
    }
}

impl Run {
    pub(super) async fn run(mut self) -> Result<u8, Failure> {
        if self.json {
            self.connection.output.output = Output::Json;
        }
        let (command, arguments) = command(self.command, &self.arguments);
        let request = RunGuestCommandRequest {
            render: Some(self.connection.output.render()),
            cluster: self.cluster,
            guest: self.guest,
            command,
            arguments,
            on_behalf_of: self.on_behalf_of,
        };
        let mut client = client(self.connection.open().await?);
        let result = result(&mut client, request).await?;
        print(&result.rendered)?;
        Ok(status(&result))
    }
}

/// The id and the values. Words that are no values belong to a line for a shell: the
/// coordinator runs none, and says which commands do the same.
fn command(mut command: String, arguments: &[String]) -> (String, Vec<GuestCommandArgument>) {
    let mut values = Vec::new();
    for argument in arguments {
        match argument.split_once('=') {
            Some((name, value)) => values.push(GuestCommandArgument {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            None => {
                command.push(' ');
                command.push_str(argument);
            }
        }
    }
    (command, values)
}

/// Runs a command to its end, and says now and then that it still runs.
pub(super) async fn result(
    client: &mut GuestCommandServiceClient<Channel>,
    request: RunGuestCommandRequest,
) -> Result<GuestCommandResult, Failure> {
    let (guest, command) = (request.guest.clone(), request.command.clone());
    let events = client.run_guest_command(request).await;
    let mut events = events.map_err(|status| refused(&status))?.into_inner();
    // Of what takes less than a second nobody wants to hear.
    let mut next_seconds = 1.0;
    while let Some(response) = events.message().await.map_err(|status| refused(&status))? {
        match response.event {
            Some(Event::Result(result)) => return Ok(result),
            Some(Event::Progress(progress)) if progress.elapsed_seconds >= next_seconds => {
                let seconds = progress.elapsed_seconds;
                complain(&format!("{command} runs in {guest} since {seconds:.0} s"));
                next_seconds = seconds + PATIENCE_SECONDS;
            }
            _ => {}
        }
    }
    Err(Failure::NotAssessed(
        "the coordinator ended the connection before the result".to_owned(),
    ))
}

pub(super) fn status(result: &GuestCommandResult) -> u8 {
    match (&*result.outcome, result.succeeded, result.signal) {
        ("completed", Some(false), _) | ("completed", _, Some(_)) => FOUND,
        ("completed", ..) => 0,
        _ => USAGE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_tells_success_failure_and_what_did_not_run() {
        for (outcome, succeeded, signal, wanted) in [
            ("completed", Some(true), None, 0),
            ("completed", None, None, 0),
            ("completed", Some(false), None, FOUND),
            ("completed", None, Some(9), FOUND),
            ("refused", None, None, USAGE),
            ("still_running", None, None, USAGE),
            ("node_unreachable", None, None, USAGE),
        ] {
            let result = GuestCommandResult {
                outcome: outcome.to_owned(),
                succeeded,
                signal,
                ..GuestCommandResult::default()
            };
            assert_eq!(status(&result), wanted, "{outcome}");
        }
    }

    #[test]
    fn values_are_told_from_words() {
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        let (id, values) = command("unit-status".to_owned(), &words(&["unit=a=b.service"]));
        assert_eq!(id, "unit-status");
        assert_eq!(
            (&*values[0].name, &*values[0].value),
            ("unit", "a=b.service")
        );
        let (line, values) = command("systemctl".to_owned(), &words(&["status", "nginx"]));
        assert_eq!(line, "systemctl status nginx");
        assert!(values.is_empty());
    }
}
