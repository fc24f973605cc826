//! What the kernel accounts for running guests: cgroups, and the processes of
//! VMs.

use std::io;

use super::{
    proc::pressure,
    state::{Guest, Kind, State, seconds, whole},
    step::TICKS,
    tree::Tree,
};

pub(super) fn write(state: &State, index: usize, tree: &mut Tree) -> io::Result<()> {
    tree.directory("/sys/fs/cgroup/qemu.slice")?;
    tree.directory("/sys/fs/cgroup/lxc")?;
    let boot = state.nodes[index].boot_millis;
    for guest in &state.guests {
        if guest.node == index && guest.running {
            write_group(guest, tree)?;
            if guest.kind == Kind::Qemu {
                write_process(guest, boot, tree)?;
            }
        } else {
            tree.remove(&directory(guest))?;
            tree.remove(&format!("/run/qemu-server/{}.pid", guest.vmid))?;
            tree.remove(&format!("/proc/{}", guest.pid))?;
        }
    }
    Ok(())
}

fn directory(guest: &Guest) -> String {
    match guest.kind {
        Kind::Qemu => format!("/sys/fs/cgroup/qemu.slice/{}.scope", guest.vmid),
        Kind::Lxc => format!("/sys/fs/cgroup/lxc/{}", guest.vmid),
    }
}

fn write_group(guest: &Guest, tree: &mut Tree) -> io::Result<()> {
    let counters = &guest.counters;
    let group = directory(guest);
    let mut put = |file: &str, text: &str| tree.write(&format!("{group}/{file}"), text);
    let usage = counters.cpu_seconds * 1e6;
    put(
        "cpu.stat",
        &format!(
            "usage_usec {}\nuser_usec {}\nsystem_usec {}\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
            whole(usage),
            whole(usage * 0.8),
            whole(usage * 0.2)
        ),
    )?;
    let (charged, cache) = guest.charged_bytes();
    put("memory.current", &format!("{charged}\n"))?;
    put(
        "memory.stat",
        &format!(
            "anon {}\nfile {cache}\nkernel 1048576\ninactive_file {}\nactive_file {}\n",
            charged - cache,
            cache - cache / 4,
            cache / 4
        ),
    )?;
    let limit = match guest.kind {
        Kind::Qemu => "max".to_owned(),
        Kind::Lxc => guest.memory_bytes.to_string(),
    };
    put("memory.max", &format!("{limit}\n"))?;
    put("memory.swap.current", "0\n")?;
    put(
        "memory.events",
        &format!(
            "low 0\nhigh 0\nmax 0\noom {0}\noom_kill {0}\noom_group_kill 0\n",
            counters.oom_kills
        ),
    )?;
    put(
        "io.stat",
        &format!(
            "259:0 rbytes={} wbytes={} rios={} wios={} dbytes=0 dios=0\n",
            whole(counters.read),
            whole(counters.written),
            whole(counters.read / 16_384.0),
            whole(counters.written / 16_384.0)
        ),
    )?;
    put("pids.current", &format!("{}\n", 40 + guest.cores))?;
    put("cpu.pressure", &pressure(&counters.cpu))?;
    put("memory.pressure", &pressure(&counters.memory))?;
    put("io.pressure", &pressure(&counters.io))?;
    put("cgroup.procs", &format!("{}\n", guest.pid))
}

fn write_process(guest: &Guest, boot_millis: i64, tree: &mut Tree) -> io::Result<()> {
    let Guest { vmid, pid, .. } = guest;
    let path = format!("/run/qemu-server/{vmid}.pid");
    if guest.previous_pid != 0 {
        tree.remove(&format!("/proc/{}", guest.previous_pid))?;
    }
    tree.write(&path, &format!("{pid}\n"))?;
    let counters = &guest.counters;
    let ticks = whole(counters.cpu_seconds * TICKS);
    let start = whole(seconds(guest.start_millis - boot_millis) * TICKS);
    let pages = guest.resident_bytes() / 4096;
    tree.write(
        &format!("/proc/{pid}/stat"),
        &format!(
            "{pid} (kvm) S 1 {pid} {pid} 0 -1 138412480 59912 0 15 0 {} {} 0 0 20 0 9 0 {start} 1402216448 {pages} 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n",
            ticks * 8 / 10,
            ticks * 2 / 10
        ),
    )?;
    for cpu in 0..guest.cores {
        let task = format!("/proc/{pid}/task/{}", pid + 1000 + cpu);
        tree.write(&format!("{task}/comm"), &format!("CPU {cpu}/KVM\n"))?;
        let share = f64::from(guest.cores);
        tree.write(
            &format!("{task}/schedstat"),
            &format!(
                "{} {} 123456\n",
                whole(counters.cpu_seconds / share * 1e9),
                whole(counters.run_delay_seconds / share * 1e9)
            ),
        )?;
    }
    Ok(())
}
