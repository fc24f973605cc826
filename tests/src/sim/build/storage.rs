//! Storages of a healthy cluster: three local ones and a shared one.

use std::collections::BTreeMap;

use super::super::{
    noise::unit,
    state::{GIB, Storage, StorageOnNode, small},
};

pub(super) fn storages(nodes: usize, seed: u64) -> Vec<Storage> {
    let on = |total_bytes, used_ratio: f64, name: &str| -> BTreeMap<usize, StorageOnNode> {
        (0..nodes)
            .map(|node| {
                let used_ratio = used_ratio + 0.1 * unit(seed, name, u64::from(small(node)));
                (
                    node,
                    StorageOnNode {
                        active: true,
                        total_bytes,
                        used_ratio,
                    },
                )
            })
            .collect()
    };
    let storage = |name: &str, kind, shared, options: &[(&str, &str)], nodes, follows| Storage {
        name: name.to_owned(),
        kind,
        shared,
        options: options
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        nodes,
        follows,
    };
    vec![
        storage(
            "local",
            "dir",
            false,
            &[("path", "/var/lib/vz"), ("content", "iso,vztmpl,snippets")],
            on(94 * GIB, 0.22, "local"),
            Some("/"),
        ),
        storage(
            "local-lvm",
            "lvmthin",
            false,
            &[
                ("thinpool", "data"),
                ("vgname", "pve"),
                ("content", "images,rootdir"),
            ],
            on(1600 * GIB, 0.30, "local-lvm"),
            None,
        ),
        storage(
            "backup",
            "dir",
            false,
            &[
                ("path", "/mnt/backup"),
                ("content", "backup"),
                ("is_mountpoint", "yes"),
                ("prune-backups", "keep-daily=7,keep-weekly=4"),
            ],
            on(4000 * GIB, 0.41, "backup"),
            Some("/mnt/backup"),
        ),
        storage(
            "nas",
            "nfs",
            true,
            &[
                ("export", "/export/nas"),
                ("path", "/mnt/pve/nas"),
                ("server", "10.0.9.1"),
                ("content", "images,rootdir,iso"),
            ],
            on(8000 * GIB, 0.35, "nas"),
            None,
        ),
    ]
}
