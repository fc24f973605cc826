//! Digests of files that all members share.

use pvelens_proto::agent::v1::sample::Payload;

use super::{agent::Agent, facts::Stamp, limit};
use crate::view::Name;

/// Characters of a SHA-256 that tell two contents apart.
const LENGTH: usize = 16;

/// Digest of a file, since the first sample that had it.
#[derive(Debug, Clone)]
pub(crate) struct Digest {
    pub(crate) value: Name,
    pub(crate) since: Stamp,
    /// Else of what the agent carries of it.
    pub(crate) is_of_whole_file: bool,
}

impl Agent {
    /// Remembers the digest of the file that the payload was read from.
    pub(super) fn note_digest(&mut self, payload: &Payload, stamp: Stamp) {
        let (path, value) = match payload {
            Payload::StorageConfig(config) => ("/etc/pve/storage.cfg", &config.sha256),
            Payload::DatacenterConfig(config) => ("/etc/pve/datacenter.cfg", &config.sha256),
            Payload::CorosyncConfig(config) => ("/etc/pve/corosync.conf", &config.sha256),
            Payload::AccessConfig(config) => match &config.user_config {
                Some(users) => ("/etc/pve/user.cfg", &users.sha256),
                None => return,
            },
            _ => return,
        };
        let value = limit::cut(value, LENGTH);
        let known = self.digests.get(path);
        if known.is_some_and(|known| *known.value == *value) {
            return;
        }
        let digest = Digest {
            value: value.into(),
            since: stamp,
            is_of_whole_file: path == "/etc/pve/corosync.conf",
        };
        self.digests.insert(path, digest);
    }
}
