//! One line about the machine and its kernel.

use pvelens_proto::agent::v1::sample::Payload;

pub(super) fn line(_: &Payload) -> Option<String> {
    None
}
