//! `suggest` and `workflow`.

use std::path::PathBuf;

use clap::Args;
use pvelens_proto::v1::{
    GetWorkflowStepRequest, RunGuestCommandRequest, SuggestGuestCommandsRequest,
};

use super::{
    Failure,
    client::{self, Elsewhere, Reading, refused},
    guest_commands,
    output::{Output, OutputArguments},
    print,
};
use crate::grpc::Role;

#[derive(Debug, Args)]
pub(super) struct Suggest {
    /// VMID or exact name
    #[arg(value_name = "GUEST")]
    guest: String,
    /// The trouble in words, such as: slow since monday
    #[arg(value_name = "ISSUE")]
    issue: Vec<String>,
    /// The same as --output json
    #[arg(long, conflicts_with = "output")]
    json: bool,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Workflows: slow-guest, disk-full, no-network, service-down, high-memory, time-drift, will-not-boot"
)]
pub(super) struct Workflow {
    /// VMID or exact name
    #[arg(value_name = "GUEST")]
    guest: String,
    /// Which one, of those below; pvelens suggest says which fit a trouble
    #[arg(value_name = "WORKFLOW")]
    workflow: String,
    /// The unit or Windows service in question, such as nginx.service
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    service: String,
    /// Run the command that comes next, that one alone, and show what comes then
    #[arg(long)]
    run: bool,
    /// With --run: for whom, for the record of the node
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        requires = "run"
    )]
    on_behalf_of: String,
    /// Only needed when several clusters have this guest: name, id or the beginning of
    /// the id
    #[arg(
        long,
        value_name = "CLUSTER",
        default_value = "",
        hide_default_value = true
    )]
    cluster: String,
    /// Socket of the coordinator; read.sock in /run/pvelens, and with --run operate.sock
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    elsewhere: Elsewhere,
    /// The same as --output json
    #[arg(long, conflicts_with = "output")]
    json: bool,
    #[command(flatten)]
    output: OutputArguments,
}

impl Suggest {
    pub(super) async fn run(mut self) -> Result<u8, Failure> {
        let connection = &mut self.reading.connection;
        if self.json {
            connection.output.output = Output::Json;
        }
        let request = SuggestGuestCommandsRequest {
            render: Some(connection.output.render()),
            cluster: self.reading.cluster,
            guest: self.guest,
            issue: self.issue.join(" "),
        };
        let mut client = guest_commands::client(connection.open().await?);
        let response = client.suggest_guest_commands(request).await;
        let response = response.map_err(|status| refused(&status))?.into_inner();
        print(&response.rendered)?;
        Ok(0)
    }
}

impl Workflow {
    pub(super) async fn run(mut self) -> Result<u8, Failure> {
        if self.json {
            self.output.output = Output::Json;
        }
        let (role, variable) = match self.run {
            true => (Role::Operator, "PVELENS_OPERATE_SOCKET"),
            false => (Role::Reader, "PVELENS_SOCKET"),
        };
        let exported = std::env::var_os(variable).map(PathBuf::from);
        let socket = self.socket.or(exported);
        let way = self.elsewhere.way(socket.as_deref(), variable, role)?;
        let mut client = guest_commands::client(client::open_way(&way, role).await?);
        let question = GetWorkflowStepRequest {
            cluster: self.cluster.clone(),
            guest: self.guest.clone(),
            workflow: self.workflow,
            service: self.service,
            render: Some(self.output.render()),
        };
        let step = client.get_workflow_step(question.clone()).await;
        let mut step = step.map_err(|status| refused(&status))?.into_inner();
        let mut status = 0;
        if let Some(next) = step.next.filter(|_| self.run) {
            let request = RunGuestCommandRequest {
                cluster: self.cluster,
                guest: self.guest,
                command: next.command,
                arguments: next.arguments,
                on_behalf_of: self.on_behalf_of,
                render: Some(self.output.render()),
            };
            let result = guest_commands::result(&mut client, request).await?;
            // Of a document in JSON there is one: the step, which has what was learnt.
            if self.output.output != Output::Json {
                print(&result.rendered)?;
                print("\n")?;
            }
            status = guest_commands::status(&result);
            let again = client.get_workflow_step(question).await;
            step = again.map_err(|status| refused(&status))?.into_inner();
        }
        print(&step.rendered)?;
        Ok(status)
    }
}
