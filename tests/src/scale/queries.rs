//! What clients ask meanwhile.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use jiff::Timestamp;
use pvelens_proto::{
    timestamp_to_millis,
    v1::{ListGuestsRequest, ListGuestsResponse, inventory_service_client::InventoryServiceClient},
};
use tokio::{runtime::Builder, time::sleep};
use tonic::transport::Channel;

use crate::rig::{Coordinator, coordinator::channel, figures::Distribution};

const MESSAGE_LIMIT: usize = 64 << 20;
const PAUSE: Duration = Duration::from_millis(40);
/// The most that a client may ask for at once.
const LARGE_PAGE: u32 = 1000;
/// Every so many calls one for a large page.
const LARGE_EVERY: usize = 10;

/// How the answers were.
#[derive(Debug, Default)]
pub(super) struct Queries {
    /// Seconds between the instant that an answer describes and its arrival.
    pub(super) view_age: Distribution,
    /// Seconds of a call for a page as clients ask for it, anywhere in the list.
    pub(super) list_guests: Distribution,
    pub(super) list_all: Distribution,
    next: String,
}

impl Queries {
    /// Asks again and again for some time, on this thread alone.
    pub(super) fn ask_for(time: Duration, socket: &Path) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let channel = channel(socket).await?;
            let mut queries = Self::default();
            let began = Instant::now();
            while began.elapsed() < time {
                queries.ask(channel.clone()).await?;
            }
            Ok(queries)
        })
    }

    /// One call, and a pause.
    async fn ask(&mut self, channel: Channel) -> Result<()> {
        let is_large = self.list_guests.count() % LARGE_EVERY == LARGE_EVERY - 1
            && self.list_all.count() * LARGE_EVERY < self.list_guests.count();
        let request = ListGuestsRequest {
            page_size: if is_large { LARGE_PAGE } else { 0 },
            page_token: std::mem::take(&mut self.next),
            ..ListGuestsRequest::default()
        };
        let began = Instant::now();
        let response = list(channel, request).await?;
        let took = began.elapsed().as_secs_f64();
        let age = age(&response);
        if is_large {
            self.list_all.add(took);
        } else {
            self.list_guests.add(took);
        }
        self.view_age.add(age);
        self.next = response.next_page_token;
        sleep(PAUSE).await;
        Ok(())
    }
}

async fn list(channel: Channel, request: ListGuestsRequest) -> Result<ListGuestsResponse> {
    let mut client = InventoryServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT);
    Ok(client.list_guests(request).await?.into_inner())
}

fn age(response: &ListGuestsResponse) -> f64 {
    let coverage = response.coverage.as_ref();
    let at = coverage.and_then(|coverage| coverage.at.as_ref());
    let at = at.map_or(0, timestamp_to_millis);
    let age = Timestamp::now().as_millisecond().saturating_sub(at);
    Duration::from_millis(u64::try_from(age).unwrap_or(0)).as_secs_f64()
}

/// How many guests the view has.
pub(super) async fn total_guests(coordinator: &Coordinator) -> Result<u32> {
    let channel = coordinator.channel("read.sock").await?;
    let request = ListGuestsRequest {
        page_size: 1,
        ..ListGuestsRequest::default()
    };
    Ok(list(channel, request).await?.total)
}
