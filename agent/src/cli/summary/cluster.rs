//! One line about high availability, firewall, networks and mappings.

use pvelens_proto::agent::v1::sample::Payload;

pub(super) fn line(_: &Payload) -> Option<String> {
    None
}
