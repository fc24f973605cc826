//! One line about settings of the cluster.

use pvelens_proto::agent::v1::sample::Payload;

pub(super) fn line(_: &Payload) -> Option<String> {
    None
}
