//! Membership and links of the cluster, from `/etc/pve/corosync.conf`.

use pvelens_proto::agent::v1::CollectionClass;

use super::{
    CONFIG, CollectError, Collector, FILE_DEADLINE, PMXCFS_FILE_LIMIT, Payload, Reading, pmxcfs,
};
use crate::format::corosync_conf;

const PATH: &str = "/etc/pve/corosync.conf";

pub(super) const COLLECTOR: Collector = Collector {
    name: "corosync",
    summary: "configured members, links and quorum of the cluster",
    class: CollectionClass::Config,
    interval: CONFIG,
    deadline: FILE_DEADLINE,
    paths: &[PATH],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let text = match reading.read(PATH, PMXCFS_FILE_LIMIT) {
        Err(error) if error.is_not_found() && reading.is_pve_node() => {
            return Err(CollectError::NoData("a standalone node: no corosync.conf"));
        }
        result => result.map_err(|error| pmxcfs::unread(reading, error))?,
    };
    let mut config = corosync_conf::parse(&text).map_err(|error| error.at(PATH))?;
    config.sha256 = pmxcfs::sha256(&text);
    Ok(Payload::CorosyncConfig(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::tests::{kinds, sample};
    use pvelens_proto::agent::v1::FailureKind;

    #[test]
    fn a_node_without_the_file_stands_alone() {
        let node = sample(&COLLECTOR, &[("etc/pve/local@", "nodes/solo")]);
        assert!(matches!(node.payload, Some(Payload::NoData(_))));
        assert_eq!(kinds(&node), []);
    }

    #[test]
    fn pmxcfs_that_is_not_mounted_is_a_failure_and_no_pmxcfs_is_none() {
        let unmounted = sample(&COLLECTOR, &[("etc/pve/x", "")]);
        assert_eq!(kinds(&unmounted), [FailureKind::NotFound]);
        let other = sample(&COLLECTOR, &[("etc/hostname", "x\n")]);
        assert_eq!(kinds(&other), []);
        assert!(matches!(other.payload, Some(Payload::NoData(_))));
    }

    #[test]
    fn the_hash_is_that_of_the_file() {
        let node = sample(
            &COLLECTOR,
            &[("etc/pve/corosync.conf", "totem {\n  cluster_name: c\n}\n")],
        );
        let Some(Payload::CorosyncConfig(config)) = node.payload else {
            panic!("{node:?}");
        };
        assert_eq!(config.cluster_name, "c");
        assert_eq!(config.sha256.len(), 64);
    }
}
