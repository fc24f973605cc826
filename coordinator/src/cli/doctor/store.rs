//! What outlives the coordinator, as it says.

use std::time::Duration;

use jiff::Timestamp;
use pvelens_proto::{Timestamp as WireTime, timestamp_to_millis, v1::GetStoreResponse};

use super::item::Item;
use crate::figure;

/// It is written every minute at least, as the settings allow.
const OLD: Duration = Duration::from_secs(15 * 60);

/// One line about a store that is well, else what is wrong with it.
pub(super) fn kept(store: &GetStoreResponse, now: Timestamp) -> Vec<Item> {
    if !store.is_kept {
        return vec![Item::ok(
            "nothing is kept over a restart, as the settings say",
        )];
    }
    let mut items = vec![present(store, now)];
    if let Some(at) = &store.replaced_at {
        let place = match store.set_aside.as_str() {
            "" => "it".to_owned(),
            place => place.to_owned(),
        };
        items.push(
            Item::warning(format!("the store was damaged {} ago", age(at, now)))
                .why(format!(
                    "{place} is set aside; what it had since the newest backup is missing"
                ))
                .fix("look at the disk of this machine, and delete that file when nobody needs it"),
        );
    }
    if store.shortened_to.is_some() {
        items.push(
            Item::warning("the store keeps less than 400 days")
                .why("its oldest values had to go, since all take more than it may")
                .fix("raise limit_mebibytes in the section [store] of the settings"),
        );
    }
    items
}

fn present(store: &GetStoreResponse, now: Timestamp) -> Item {
    if !store.failing.is_empty() {
        let since = store.failing_since.as_ref();
        let since = since.map_or(String::new(), |at| format!(" for {}", age(at, now)));
        let lost = match store.lost_values_total {
            0 => String::new(),
            lost => format!("; {lost} values are lost"),
        };
        return Item::problem(format!("the store takes nothing{since}"))
            .why(format!("{}{lost}", store.failing))
            .fix("make room or mend the disk; `pvelens store check` reads the file");
    }
    let size = format!(
        "{} of {}",
        figure::bytes(store.total_bytes.saturating_sub(store.free_bytes)),
        figure::bytes(store.limit_bytes)
    );
    match &store.written_at {
        None => Item::ok(format!("the store takes {size}; nothing was written yet")),
        Some(at) if length(at, now) >= OLD => {
            Item::warning(format!("the store was written last {} ago", age(at, now)))
                .why("nothing has arrived since, or writing does not come to an end")
                .fix("see the agents below; `journalctl -u pvelens -n 30`")
        }
        Some(at) => Item::ok(format!(
            "the store takes {size}, written {} ago",
            age(at, now)
        )),
    }
}

fn age(at: &WireTime, now: Timestamp) -> String {
    figure::duration(length(at, now))
}

fn length(at: &WireTime, now: Timestamp) -> Duration {
    let millis = now.as_millisecond().saturating_sub(timestamp_to_millis(at));
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
