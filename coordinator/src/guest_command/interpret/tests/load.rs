//! Load, memory and processes.

use super::{all, fixtures::*, interpret, whole};

#[test]
fn load_and_uptime_in_their_forms() {
    let load = all("loadavg", LOADAVG).load.unwrap();
    assert_eq!(
        (load.one_minute, load.runnable, load.tasks),
        (Some(12.5), Some(3), Some(412))
    );
    let facts = all("uptime", UPTIME);
    assert_eq!(facts.load.unwrap().fifteen_minutes, Some(1.3));
    let identity = facts.identity.unwrap();
    assert_eq!(
        identity.uptime_seconds,
        Some(12 * 86_400 + 3 * 3600 + 4 * 60)
    );
    assert_eq!(identity.users_logged_in, Some(2));
    for (text, seconds) in [
        (UPTIME_BUSYBOX, 180),
        (
            " 10:00:00 up  1:58,  0 user,  load average: 4.07, 2.94, 2.25\n",
            7080,
        ),
        (
            " 10:00:00 up 1 day, 5 min,  1 user,  load average: 0.00, 0.01, 0.05\n",
            86_700,
        ),
        (
            "10:00  up 2 days, 20 hours, load averages: 1.00 2.00 3.00\n",
            244_800,
        ),
    ] {
        let facts = all("uptime", text);
        assert_eq!(
            facts.identity.unwrap().uptime_seconds,
            Some(seconds),
            "{text}"
        );
        assert!(facts.load.is_some(), "{text}");
    }
    assert!(!interpret("uptime", "uptime: not found\n", false).understood);
    assert!(!interpret("loadavg", "nan inf 1e9 1/2 3\n", false).understood);
    assert_eq!(
        all("rpc-load", RPC_LOAD).load.unwrap().five_minutes,
        Some(0.25)
    );
}

#[test]
fn pressure_comes_from_several_files() {
    let facts = all("pressure", PRESSURE);
    let pressure = facts.pressure.as_ref().unwrap();
    assert_eq!(
        pressure.memory.as_ref().unwrap().full_60_seconds_percent,
        Some(8.0)
    );
    assert_eq!(
        facts.words(),
        ["Tasks waited for memory 34 % of the last 10 s"]
    );
    let facts = whole(
        "pressure",
        "==> /proc/pressure/io <==\nsome avg10=900.00 avg60=1.00 avg300=0.00 total=1\n",
    );
    assert_eq!(
        facts.pressure.unwrap().io.unwrap().some_10_seconds_percent,
        None
    );
}

#[test]
fn the_first_sample_of_vmstat_does_not_count() {
    let facts = all("vmstat", VMSTAT);
    let cpu = facts.cpu.as_ref().unwrap();
    assert_eq!((cpu.samples, cpu.since_start), (2, false));
    assert_eq!(
        (cpu.blocked, cpu.wait_percent, cpu.idle_percent),
        (Some(3.0), Some(48.0), Some(35.0))
    );
    assert_eq!(cpu.swap_in_bytes_per_second, Some(3072.0 * 1024.0));
    assert_eq!(
        facts.words()[0],
        "The processors wait for disks 48 % of the time"
    );
    let first: String = VMSTAT
        .lines()
        .take(3)
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(all("vmstat", &first).cpu.unwrap().since_start);
    // A sample that was cut is none.
    let cut = VMSTAT.trim_end().strip_suffix("51  0  0").unwrap();
    assert_eq!(interpret("vmstat", cut, true).cpu.unwrap().samples, 1);
}

#[test]
fn processors_of_the_guest_agent() {
    let cpu = all("rpc-cpu-stats", RPC_CPU_STATS).cpu.unwrap();
    assert_eq!(
        (cpu.cpus, cpu.idle_percent, cpu.busy_percent),
        (Some(2), Some(80.0), Some(16.0))
    );
    assert!(cpu.since_start);
    let facts = all("rpc-vcpus", RPC_VCPUS);
    assert_eq!(facts.words(), ["1 of 2 virtual processors online"]);
}

#[test]
fn memory_in_its_forms() {
    let facts = all("free", FREE);
    assert_eq!(
        facts.words(),
        [
            "Only 295.6 MiB of 7.6 GiB memory are available",
            "921.6 MiB of 1.0 GiB swap are used",
        ]
    );
    // Before 3.3.10 the cache was counted as used.
    let old = all("free", FREE_OLD).memory.unwrap();
    assert_eq!(
        (old.available_bytes, old.used_bytes),
        (Some(2_345_455_104), Some(1_800_000_000))
    );
    assert_eq!(old.swap_total_bytes, Some(0));
    let german = all("free", FREE_GERMAN).memory.unwrap();
    assert_eq!(
        (german.available_bytes, german.swap_used_bytes),
        (Some(1_400_000_000), Some(0))
    );
    let facts = all("meminfo", MEMINFO);
    let memory = facts.memory.as_ref().unwrap();
    assert_eq!(memory.unreclaimable_bytes, Some(2_500_000 * 1024));
    assert_eq!(
        facts.words()[1],
        "The kernel itself holds 2.4 GiB that it cannot give back"
    );
    let odd = whole(
        "free",
        "total used free\nMem: 100 900 50 0 0 400\nSwap: 10 20 0\n",
    )
    .memory
    .unwrap();
    assert_eq!(
        (odd.used_bytes, odd.available_bytes, odd.swap_used_bytes),
        (None, None, None)
    );
}

#[test]
fn swap_devices_are_summed_up_when_all_are_there() {
    let memory = all("swaps", SWAPS).memory.unwrap();
    assert_eq!(memory.swap_used_bytes, Some(900_000 * 1024));
    assert_eq!(memory.swap_devices[0].priority, Some(-2));
    let none = all(
        "swaps",
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
    );
    assert_eq!(none.words(), ["There is no swap"]);
    let cut = interpret("swaps", SWAPS.trim_end(), true).memory.unwrap();
    assert_eq!((cut.swap_total_bytes, cut.swap_devices.len()), (None, 1));
}

#[test]
fn processes_are_ranked_and_counted() {
    let facts = all("processes", PROCESSES);
    let processes = facts.processes.as_ref().unwrap();
    assert_eq!(
        (
            processes.total,
            processes.uninterruptible,
            processes.zombies
        ),
        (8, 2, 1)
    );
    assert_eq!(processes.top_by_cpu[2].command, "php-fpm: pool www");
    assert_eq!(processes.top_by_cpu[2].cpu_percent, Some(1.2));
    assert_eq!(processes.waiting.len(), 2);
    assert_eq!(processes.groups[0].count, 2);
    assert_eq!(
        facts.words()[0],
        "2 processes wait for a disk or a server (state D): kworker/u8:2+flush-253:0, rsync"
    );
    let facts = all("processes-basic", PROCESSES_BASIC);
    let top = &facts.processes.as_ref().unwrap().top_by_memory[0];
    assert_eq!(
        (top.command.as_str(), top.resident_bytes),
        ("postgres", Some(210 << 20))
    );
}

#[test]
fn a_cut_list_of_processes_ranks_only_as_it_came() {
    let cut = interpret("processes", PROCESSES, true).processes.unwrap();
    assert_eq!(cut.top_by_cpu[0].command, "mysqld");
    // By memory the last two are out of order: what is cut off may be larger.
    assert!(cut.top_by_memory.is_empty() && cut.groups.is_empty());
}
