//! What is inside containers.

use super::{Entry, Kind, ROW, guard, number, seconds};

const CONTAINER: Entry = Entry {
    probe: Kind::Container,
    needs: "CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH; the node's processes",
    guard: guard::container,
    ..ROW
};

pub(super) const ENTRIES: &[Entry] = &[Entry {
    name: "filesystems",
    title: "file systems of running containers as they are inside, and traces of Docker",
    why: "what is mounted in a container is behind /proc/PID/root, which is closed to the agent",
    parameters: &[number(
        "vmid",
        "one container, 100 to 999999999; all that run if absent",
    )],
    timeout: seconds(25),
    stdout_limit: 4 << 20,
    ..CONTAINER
}];
