//! From state to files, for one node: every area in the order in which a node
//! would write it.

use std::io;

use super::{
    cgroup, config, ha, metrics, network, past, pmxcfs, probe, proc, state::State, system,
    tree::Tree,
};

pub(super) fn node(
    state: &State,
    versions: &pmxcfs::Versions,
    index: usize,
    tree: &mut Tree,
) -> io::Result<()> {
    // A file system that does not answer takes nothing either.
    if state.nodes[index].pmxcfs {
        versions.remove_gone(tree)?;
        config::write(versions.files(), tree)?;
        pmxcfs::write(state, versions, index, tree)?;
        ha::write(state, index, tree)?;
    }
    pmxcfs::write_refusal(state, index, tree)?;
    past::write_tasks(state, index, tree)?;
    probe::write(state, index, tree)?;
    metrics::write(state, index, tree)?;
    proc::write(state, index, tree)?;
    network::write(state, index, tree)?;
    system::write_mounts(state, index, tree)?;
    cgroup::write(state, index, tree)?;
    tree.write_edited()
}
