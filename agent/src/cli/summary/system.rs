//! One line about the operating system.

use pvelens_proto::agent::v1::sample::Payload;

use super::count;

pub(super) fn line(payload: &Payload) -> Option<String> {
    Some(match payload {
        Payload::KernelSettings(all) => format!(
            "{}, {} configured, {}, {}",
            count(all.values.len(), "value"),
            all.configured.len(),
            count(all.swaps.len(), "swap device"),
            count(all.modules.len(), "known module")
        ),
        Payload::Listeners(all) => {
            let defaults = all.routes.iter().filter(|route| route.prefix_length == 0);
            format!(
                "{}, {} IP addresses, {}, {}",
                count(all.sockets.len(), "listening socket"),
                all.addresses.len(),
                count(defaults.count(), "default route"),
                count(all.neighbours.len(), "neighbour")
            )
        }
        _ => return None,
    })
}
