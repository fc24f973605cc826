//! `history`.

use clap::Args;
use pvelens_proto::v1::{
    GetConfigurationRequest, ListRevisionsRequest, history_service_client::HistoryServiceClient,
};

use super::{
    Failure,
    client::{MESSAGE_LIMIT_BYTES, Reading, refused},
    complain, print,
    when::{at, now},
};

#[derive(Debug, Args)]
pub(super) struct History {
    /// What: guest/101 or its name, storage/tank, node/pve1, cluster/access,
    /// cluster/firewall, ... [default: everything]
    #[arg(
        value_name = "SUBJECT",
        default_value = "",
        hide_default_value = true,
        required_unless_present = "all"
    )]
    subject: String,
    /// Of everything there is
    #[arg(long, conflicts_with = "subject")]
    all: bool,
    /// The whole configuration as it was then, instead of its changes; now is a time, too
    #[arg(long, value_name = "WHEN", requires = "subject", conflicts_with_all = ["since", "until", "limit"])]
    at: Option<String>,
    /// From when: a length such as 90m, 24h or 7d before now, or a time in UTC such as
    /// 2026-11-20 or 2026-11-20T14:00 [default: as long as is kept]
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Until when, in the same forms [default: now]
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// At most so many changes, the newest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    #[command(flatten)]
    reading: Reading,
}

impl History {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let render = Some(self.reading.connection.output.render());
        let channel = self.reading.connection.open().await?;
        let mut client =
            HistoryServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        if let Some(when) = self.at.as_deref() {
            let request = GetConfigurationRequest {
                cluster: self.reading.cluster,
                subject: self.subject,
                at: match when {
                    "now" => None,
                    when => at("--at", Some(when), now())?,
                },
                render,
            };
            let response = client.get_configuration(request).await;
            let response = response.map_err(|status| refused(&status))?.into_inner();
            print(&response.rendered)?;
            return Ok(0);
        }
        let request = ListRevisionsRequest {
            cluster: self.reading.cluster,
            subject: self.subject,
            from: at("--since", self.since.as_deref(), now())?,
            until: at("--until", self.until.as_deref(), now())?,
            limit: self.limit,
            render,
        };
        let response = client.list_revisions(request).await;
        let response = response.map_err(|status| refused(&status))?.into_inner();
        print(&response.rendered)?;
        if response.older_left_out {
            complain("there are older ones: raise --limit, or give an earlier --until");
        }
        Ok(0)
    }
}
