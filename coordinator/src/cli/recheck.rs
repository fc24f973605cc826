//! `recheck`.

use clap::Args;
use pvelens_proto::v1::{RecheckRequest, finding_service_client::FindingServiceClient};

use super::{
    FOUND, Failure, NOT_ASSESSED,
    client::{MESSAGE_LIMIT_BYTES, Operating, refused},
    print,
};

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 nothing of it fails any more, 1 something still fails, 2 usage, 3 something could not be decided"
)]
pub(super) struct Recheck {
    /// Only findings of this check, such as storage.pool.space. Naming it says
    /// that they were dealt with: events and figures just below their trigger
    /// are resolved too
    #[arg(value_name = "CHECK", default_value = "", hide_default_value = true)]
    check: String,
    /// Only about this: node/pve1, guest/104, storage/tank
    #[arg(
        long,
        value_name = "SUBJECT",
        default_value = "",
        hide_default_value = true
    )]
    subject: String,
    /// Only this cluster: its name, its id or the beginning of it
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

impl Recheck {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let request = RecheckRequest {
            render: Some(self.connection.output.render()),
            cluster: self.cluster,
            check_id: self.check,
            subject: self.subject,
        };
        let channel = self.connection.open().await?;
        let mut client =
            FindingServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        let response = client.recheck(request).await;
        let response = response.map_err(|status| refused(&status))?.into_inner();
        print(&response.rendered)?;
        Ok(if response.failing_total > 0 {
            FOUND
        } else if response.undecided_total > 0 {
            NOT_ASSESSED
        } else {
            0
        })
    }
}
