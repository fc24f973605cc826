//! What the monitors of Ceph tell.

use super::{Entry, Is, Kind, ROW, guard, seconds};

const CEPH: Entry = Entry {
    probe: Kind::Ceph,
    why: "the monitors answer over the network, to a key of the administrator's making",
    program: Some("/usr/bin/ceph"),
    timeout: seconds(20),
    stdout_limit: 4 << 20,
    needs: "uid 0, no capability; the monitors' network; /etc/ceph, /etc/pve/ceph.conf",
    guard: guard::ceph,
    ..ROW
};

macro_rules! ceph {
    ($($word:literal),+) => {
        &[
            Is("--name=client.pvelens"),
            Is("--keyring=/etc/ceph/ceph.client.pvelens.keyring"),
            Is("--connect-timeout=3"),
            Is("--format=json"),
            $(Is($word)),+
        ]
    };
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "status",
        title: "state of the Ceph cluster",
        words: ceph!("status"),
        ..CEPH
    },
    Entry {
        name: "df",
        title: "space of the Ceph cluster and its pools",
        words: ceph!("df"),
        ..CEPH
    },
    Entry {
        name: "osd_df",
        title: "space of each OSD",
        words: ceph!("osd", "df"),
        ..CEPH
    },
    Entry {
        name: "osd_tree",
        title: "OSDs by host, up or down",
        words: ceph!("osd", "tree"),
        ..CEPH
    },
    Entry {
        name: "osd_dump",
        title: "settings of the OSDs and pools of Ceph",
        words: ceph!("osd", "dump"),
        ..CEPH
    },
    Entry {
        name: "crush_rules",
        title: "rules by which Ceph spreads copies",
        words: ceph!("osd", "crush", "rule", "dump"),
        ..CEPH
    },
    Entry {
        name: "health_detail",
        title: "what Ceph says is wrong",
        words: ceph!("health", "detail"),
        ..CEPH
    },
    Entry {
        name: "versions",
        title: "versions of Ceph's daemons",
        words: ceph!("versions"),
        ..CEPH
    },
];
