//! From state to files, for one node: every area in the order in which a node
//! would write it.

use std::io;

use super::{
    cgroup, config, metrics, network, pmxcfs, probe, proc, state::State, system, tree::Tree,
};

pub(super) fn node(
    state: &State,
    versions: &pmxcfs::Versions,
    index: usize,
    tree: &mut Tree,
) -> io::Result<()> {
    config::write(versions.files(), tree)?;
    pmxcfs::write(state, versions, index, tree)?;
    probe::write(state, index, tree)?;
    metrics::write(state, index, tree)?;
    proc::write(state, index, tree)?;
    network::write(state, index, tree)?;
    system::write_mounts(state, index, tree)?;
    cgroup::write(state, index, tree)?;
    tree.write_edited()
}
