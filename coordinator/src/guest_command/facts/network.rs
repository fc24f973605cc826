//! Network of a guest as it sees it itself.

use super::Count;

facts! {
    /// One interface.
    pub struct Interface {
        pub name: String,
        pub is_loopback: bool,
        /// The administrator switched it on.
        pub is_enabled: Option<bool>,
        /// There is a link: a cable, a bridge.
        pub has_carrier: Option<bool>,
        /// `UP`, `DOWN`, `UNKNOWN`, `LOWERLAYERDOWN`.
        pub state: Option<String>,
        pub mac_address: Option<String>,
        pub mtu: Option<u32>,
        /// With the length of the prefix: `192.0.2.5/24`.
        pub addresses: Vec<String>,
        pub received_bytes_total: Option<u64>,
        pub received_packets_total: Option<u64>,
        pub received_errors_total: Option<u64>,
        pub received_dropped_total: Option<u64>,
        pub transmitted_bytes_total: Option<u64>,
        pub transmitted_packets_total: Option<u64>,
        pub transmitted_errors_total: Option<u64>,
        pub transmitted_dropped_total: Option<u64>,
    }

    /// One route.
    pub struct Route {
        /// `default`, `192.0.2.0/24`.
        pub destination: String,
        pub is_default: bool,
        pub is_ipv6: bool,
        pub gateway: Option<String>,
        pub interface: Option<String>,
        pub source: Option<String>,
        pub metric: Option<u32>,
        /// It leads nowhere by intent: `unreachable`, `blackhole`, `prohibit`.
        pub rejects: bool,
        /// The kernel marked it `linkdown` or `dead`.
        pub is_down: bool,
    }

    /// Who listens and who is connected.
    pub struct Sockets {
        /// Sorted by port.
        pub listening: Vec<Socket>,
        /// Connections by state, sorted by name: `ESTAB`, `TIME-WAIT`. Windows names
        /// them `ESTABLISHED`, `TIME_WAIT`; here they are as `ss` has them.
        pub by_state: Vec<Count>,
        /// Those with most connections first.
        pub peers: Vec<Peer>,
        /// Sockets with data that their program did not take yet, or listeners whose
        /// queue is full; the fullest first.
        pub backlogged: Vec<Socket>,
        pub totals: Option<SocketTotals>,
    }

    /// One socket.
    pub struct Socket {
        /// `tcp`, `udp`.
        pub protocol: String,
        /// Without brackets; `*` is any address.
        pub address: String,
        pub port: Option<u16>,
        /// Reachable from other hosts as far as the address goes.
        pub is_exposed: bool,
        pub state: String,
        pub receive_queue: u64,
        pub send_queue: u64,
        pub process: Option<String>,
        pub pid: Option<u32>,
    }

    /// Connections with one other host.
    pub struct Peer {
        pub address: String,
        pub count: u32,
    }

    /// What `ss -s` sums up.
    pub struct SocketTotals {
        pub all: Option<u32>,
        pub tcp: Option<u32>,
        pub established: Option<u32>,
        pub closed: Option<u32>,
        pub orphaned: Option<u32>,
        pub time_wait: Option<u32>,
        pub udp: Option<u32>,
    }

    /// The table in which the kernel's firewall remembers connections.
    pub struct Conntrack {
        pub count: Option<u64>,
        pub max: Option<u64>,
    }
}
