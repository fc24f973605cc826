//! One line about storage behind the disk probe.

use pvelens_proto::agent::v1::sample::Payload;

pub(super) fn line(_: &Payload) -> Option<String> {
    None
}
