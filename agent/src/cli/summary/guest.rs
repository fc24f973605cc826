//! One line about QEMU and its guest agent.

use pvelens_proto::agent::v1::sample::Payload;

pub(super) fn line(_: &Payload) -> Option<String> {
    None
}
