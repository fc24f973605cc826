//! `guests` and `guest`.

use clap::{Args, ValueEnum};
use pvelens_proto::v1::{GetGuestRequest, GuestKind, ListGuestsRequest};

use super::{
    Failure,
    client::{Reading, refused},
    findings::say_more,
    inventory::inventory,
    print,
};

#[derive(Debug, Args)]
pub(super) struct Guests {
    /// Only those on this node
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    node: String,
    /// Only VMs or only containers
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Only those in this state: running, stopped, paused, io-error, ...
    #[arg(
        long,
        value_name = "STATUS",
        default_value = "",
        hide_default_value = true
    )]
    status: String,
    /// Only those with this tag
    #[arg(
        long,
        value_name = "TAG",
        default_value = "",
        hide_default_value = true
    )]
    tag: String,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Go on after the last listing
    #[arg(
        long,
        value_name = "TOKEN",
        default_value = "",
        hide_default_value = true
    )]
    page: String,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Virtual machine
    Qemu,
    /// Container
    Lxc,
}

#[derive(Debug, Args)]
pub(super) struct Guest {
    /// VMID or exact name
    #[arg(value_name = "ID")]
    guest: String,
    #[command(flatten)]
    reading: Reading,
}

impl Guests {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let kind = match self.kind {
            None => GuestKind::Unspecified,
            Some(Kind::Qemu) => GuestKind::Qemu,
            Some(Kind::Lxc) => GuestKind::Lxc,
        };
        let request = ListGuestsRequest {
            render: Some(self.reading.connection.output.render()),
            cluster: self.reading.cluster.clone(),
            node: self.node,
            kind: kind.into(),
            status: self.status,
            tag: self.tag,
            page_size: self.limit,
            page_token: self.page,
        };
        let mut client = inventory(&self.reading).await?;
        let response = client.list_guests(request).await;
        let response = response.map_err(|status| refused(&status))?.into_inner();
        print(&response.rendered)?;
        say_more(response.total, &response.next_page_token);
        Ok(0)
    }
}

impl Guest {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let request = GetGuestRequest {
            render: Some(self.reading.connection.output.render()),
            cluster: self.reading.cluster.clone(),
            guest: self.guest,
        };
        let mut client = inventory(&self.reading).await?;
        let response = client.get_guest(request).await;
        let response = response.map_err(|status| refused(&status))?.into_inner();
        print(&response.rendered)?;
        Ok(0)
    }
}
