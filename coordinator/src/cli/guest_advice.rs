//! `suggest` and `workflow`.

use std::path::PathBuf;

use clap::Args;
use pvelens_proto::v1::{
    GetWorkflowStepRequest, RunGuestCommandRequest, SuggestGuestCommandsRequest, WorkflowStep,
};

use super::{
    Failure,
    client::{self, Reading, refused},
    complain, guest_commands,
    output::{Output, OutputArguments},
    print,
};
use crate::grpc::Role;

#[derive(Debug, Args)]
pub(super) struct Suggest {
    /// VMID or exact name
    #[arg(value_name = "GUEST")]
    guest: String,
    /// The complaint in words: "slow since monday". Only words are looked for in it
    #[arg(value_name = "ISSUE", default_value = "", hide_default_value = true)]
    issue: String,
    /// The same as --output json
    #[arg(long, conflicts_with = "output")]
    json: bool,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0, or with --run as `pvelens run`: 1 the exit code of the command is no success, 2 refused or not run"
)]
pub(super) struct Workflow {
    /// VMID or exact name
    #[arg(value_name = "GUEST")]
    guest: String,
    /// slow-guest, disk-full, no-network, service-down, high-memory, time-drift or
    /// will-not-boot
    #[arg(value_name = "NAME")]
    workflow: String,
    /// The service in question: nginx.service
    #[arg(
        long,
        value_name = "SERVICE",
        default_value = "",
        hide_default_value = true
    )]
    service: String,
    /// Run the step after showing it (for operators)
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
    /// Socket of the coordinator [default: read.sock in /run/pvelens, with --run
    /// operate.sock]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
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
            issue: self.issue,
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
        let role = if self.run {
            Role::Operator
        } else {
            Role::Reader
        };
        let render = Some(self.output.render());
        let channel = client::open_as(role, self.socket.as_deref()).await?;
        let mut client = guest_commands::client(channel);
        let request = GetWorkflowStepRequest {
            render,
            cluster: self.cluster.clone(),
            guest: self.guest.clone(),
            workflow: self.workflow,
            service: self.service,
        };
        let response = client.get_workflow_step(request).await;
        let response = response.map_err(|status| refused(&status))?.into_inner();
        print(&response.rendered)?;
        let step = response.next.filter(|_| self.run);
        let Some(WorkflowStep {
            command, arguments, ..
        }) = step
        else {
            if self.run {
                complain("there is nothing to run: the workflow is at its end");
            }
            return Ok(0);
        };
        let request = RunGuestCommandRequest {
            render,
            cluster: self.cluster,
            guest: self.guest,
            command,
            arguments,
            on_behalf_of: self.on_behalf_of,
        };
        let result = guest_commands::result(&mut client, request).await?;
        print(&result.rendered)?;
        Ok(guest_commands::status(&result))
    }
}
