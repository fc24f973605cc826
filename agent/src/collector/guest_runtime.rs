//! What the kernel accounts for the guests that run on this node.
//!
//! Cgroups give CPU, memory, I/O and pressure; the PID file of a VM leads to the
//! run-queue delay of its vCPU threads. Read directly: sysinfo knows no cgroup.
//! `/proc/PID/io` and `smaps_rollup` would need a capability that the agent
//! does not have, so they are not used.
//!
//! Guests come and go while this reads: a file that vanished is a figure that
//! is absent, never a failure.

use pvelens_proto::agent::v1::{
    CollectionClass, GuestDeviceIo, GuestKind, GuestRuntime, GuestRuntimes,
};

use super::{
    CollectError, Collector, FAST, FILE_DEADLINE, KERNEL_FILE_LIMIT, Payload, Reading, cpu,
    memory::PAGE_BYTES, pressure,
};
use crate::{
    format::{FormatError, KeyValues, whole_lines},
    host::SourceError,
};

const VMS: &str = "/sys/fs/cgroup/qemu.slice";
const CONTAINERS: &str = "/sys/fs/cgroup/lxc";
/// Block devices of one guest that are carried one by one.
const DEVICE_LIMIT: usize = 16;

pub(super) const COLLECTOR: Collector = Collector {
    name: "guest_runtime",
    summary: "CPU, memory, I/O and pressure of every running guest",
    class: CollectionClass::Fast,
    interval: FAST,
    deadline: FILE_DEADLINE,
    paths: &[
        "/sys/fs/cgroup/qemu.slice/*/cpu.stat",
        "/sys/fs/cgroup/qemu.slice/*/memory.*",
        "/sys/fs/cgroup/qemu.slice/*/io.stat",
        "/sys/fs/cgroup/qemu.slice/*/pids.current",
        "/sys/fs/cgroup/qemu.slice/*/cpu.pressure",
        "/sys/fs/cgroup/qemu.slice/*/io.pressure",
        "/sys/fs/cgroup/lxc/*/cpu.stat",
        "/sys/fs/cgroup/lxc/*/memory.*",
        "/sys/fs/cgroup/lxc/*/io.stat",
        "/sys/fs/cgroup/lxc/*/pids.current",
        "/sys/fs/cgroup/lxc/*/cpu.pressure",
        "/sys/fs/cgroup/lxc/*/io.pressure",
        "/run/qemu-server/*.pid",
        "/proc/*/stat",
        "/proc/*/task/*/comm",
        "/proc/*/task/*/schedstat",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut guests = Vec::new();
    for name in list_if_present(reading, VMS)? {
        if let Some(vmid) = name.strip_suffix(".scope").and_then(|id| id.parse().ok()) {
            let mut guest = accounted(reading, &format!("{VMS}/{name}"), vmid);
            guest.set_kind(GuestKind::Qemu);
            add_process(reading, &mut guest);
            guests.push(guest);
        }
    }
    for name in list_if_present(reading, CONTAINERS)? {
        let directory = format!("{CONTAINERS}/{name}");
        // The same directory holds the control files of `lxc` itself.
        if let Ok(vmid) = name.parse()
            && reading.exists(&format!("{directory}/cgroup.procs"))
        {
            let mut guest = accounted(reading, &directory, vmid);
            guest.set_kind(GuestKind::Lxc);
            guests.push(guest);
        }
    }
    if guests.is_empty() && !reading.exists("/etc/pve") {
        return Err(CollectError::NoData("not a Proxmox VE node"));
    }
    guests.sort_by_key(|guest| guest.vmid);
    Ok(Payload::GuestRuntimes(GuestRuntimes { guests }))
}

fn list_if_present(reading: &Reading<'_>, path: &str) -> Result<Vec<String>, SourceError> {
    match reading.list(path) {
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        result => result,
    }
}

/// The figures of one cgroup.
fn accounted(reading: &mut Reading<'_>, directory: &str, vmid: u32) -> GuestRuntime {
    let mut guest = GuestRuntime {
        vmid,
        cpu_pressure: pressure::read(reading, &format!("{directory}/cpu.pressure")),
        memory_pressure: pressure::read(reading, &format!("{directory}/memory.pressure")),
        io_pressure: pressure::read(reading, &format!("{directory}/io.pressure")),
        memory_current_bytes: number(reading, directory, "memory.current"),
        memory_max_bytes: number(reading, directory, "memory.max"),
        swap_current_bytes: number(reading, directory, "memory.swap.current"),
        tasks: number(reading, directory, "pids.current").and_then(|n| u32::try_from(n).ok()),
        ..GuestRuntime::default()
    };
    apply(reading, directory, "cpu.stat", &mut guest, parse_cpu);
    apply(
        reading,
        directory,
        "memory.stat",
        &mut guest,
        |text, guest| {
            let values = KeyValues::parse(text)?;
            guest.memory_file_bytes = Some(values.required("file")?);
            guest.memory_inactive_file_bytes = values.optional("inactive_file")?;
            Ok(())
        },
    );
    apply(
        reading,
        directory,
        "memory.events",
        &mut guest,
        |text, guest| {
            let values = KeyValues::parse(text)?;
            guest.oom_kills_total = Some(values.required("oom_kill")?);
            guest.memory_limit_hits_total = values.optional("max")?;
            Ok(())
        },
    );
    apply(reading, directory, "io.stat", &mut guest, parse_io);
    guest
}

/// Lets `parse` fill in what a file of the cgroup says, if it is there.
fn apply(
    reading: &mut Reading<'_>,
    directory: &str,
    file: &str,
    guest: &mut GuestRuntime,
    parse: fn(&str, &mut GuestRuntime) -> Result<(), FormatError>,
) {
    let path = format!("{directory}/{file}");
    if let Some(text) = reading.read_optional(&path, KERNEL_FILE_LIMIT) {
        let parsed = parse(&text, guest).map_err(|error| error.at(&path));
        reading.keep(parsed);
    }
}

/// One number; `max` means no limit and is absent.
fn number(reading: &mut Reading<'_>, directory: &str, file: &str) -> Option<u64> {
    let path = format!("{directory}/{file}");
    match reading.read_word(&path)?.as_str() {
        "max" => None,
        word => {
            let number = word.parse();
            reading.keep(number.map_err(|_| FormatError::malformed("not a number").at(&path)))
        }
    }
}

fn parse_cpu(text: &str, guest: &mut GuestRuntime) -> Result<(), FormatError> {
    let values = KeyValues::parse(text)?;
    guest.cpu_seconds_total = Some(micros(values.required("usage_usec")?));
    guest.cpu_user_seconds_total = Some(micros(values.required("user_usec")?));
    guest.cpu_system_seconds_total = Some(micros(values.required("system_usec")?));
    guest.cpu_throttled_seconds_total = values.optional("throttled_usec")?.map(micros);
    guest.cpu_throttled_periods_total = values.optional("nr_throttled")?;
    guest.cpu_periods_total = values.optional("nr_periods")?;
    Ok(())
}

/// Lines `MAJ:MIN rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`, one per
/// device. Empty before the first request.
fn parse_io(text: &str, guest: &mut GuestRuntime) -> Result<(), FormatError> {
    if !text.is_empty() {
        whole_lines(text)?;
    }
    let mut sum = GuestDeviceIo::default();
    for line in text.lines() {
        let (device, io) = parse_device_io(line)?;
        sum.read_bytes_total = sum.read_bytes_total.saturating_add(io.read_bytes_total);
        sum.written_bytes_total = sum
            .written_bytes_total
            .saturating_add(io.written_bytes_total);
        sum.reads_total = sum.reads_total.saturating_add(io.reads_total);
        sum.writes_total = sum.writes_total.saturating_add(io.writes_total);
        // A device without counters has its number and nothing else.
        if let Some((major, minor)) = device
            && io != GuestDeviceIo::default()
            && guest.devices.len() < DEVICE_LIMIT
        {
            guest.devices.push(GuestDeviceIo { major, minor, ..io });
        }
    }
    guest.read_bytes_total = Some(sum.read_bytes_total);
    guest.written_bytes_total = Some(sum.written_bytes_total);
    guest.reads_total = Some(sum.reads_total);
    guest.writes_total = Some(sum.writes_total);
    Ok(())
}

/// The numbers of the device, and what went to and from it.
fn parse_device_io(line: &str) -> Result<(Option<(u32, u32)>, GuestDeviceIo), FormatError> {
    let mut io = GuestDeviceIo::default();
    let mut device = None;
    for word in line.split_ascii_whitespace() {
        let Some((key, value)) = word.split_once('=') else {
            device = word
                .split_once(':')
                .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
            continue;
        };
        let counter = match key {
            "rbytes" => &mut io.read_bytes_total,
            "wbytes" => &mut io.written_bytes_total,
            "rios" => &mut io.reads_total,
            "wios" => &mut io.writes_total,
            _ => continue,
        };
        let value: u64 = value
            .parse()
            .map_err(|_| FormatError::malformed("a counter is not a number"))?;
        *counter = counter.saturating_add(value);
    }
    Ok((device, io))
}

/// Adds CPU time, memory and start of the QEMU process, and the time its vCPU
/// threads waited for a CPU.
fn add_process(reading: &mut Reading<'_>, guest: &mut GuestRuntime) {
    let path = format!("/run/qemu-server/{}.pid", guest.vmid);
    let Some(pid) = reading.read_number(&path) else {
        return;
    };
    let path = format!("/proc/{pid}/stat");
    let Some(text) = reading.read_optional(&path, KERNEL_FILE_LIMIT) else {
        return;
    };
    let Some(process) = reading.keep(parse_process(&text).map_err(|error| error.at(&path))) else {
        return;
    };
    guest.pid = u32::try_from(pid).ok();
    guest.start_ticks = Some(process.start_ticks);
    guest.process_cpu_seconds_total = Some(process.cpu_seconds);
    guest.process_resident_bytes = Some(process.resident_pages.saturating_mul(PAGE_BYTES));
    add_run_delay(reading, pid, guest);
}

/// vCPU threads are named `CPU 0/KVM`, `CPU 1/KVM`, ... (`qemu@accel/kvm`),
/// or `CPU 0/TCG` under emulation.
fn add_run_delay(reading: &mut Reading<'_>, pid: u64, guest: &mut GuestRuntime) {
    let tasks = format!("/proc/{pid}/task");
    let mut cpu_seconds = 0.0;
    let mut delay_seconds = 0.0;
    let mut threads = 0_u32;
    for tid in reading.list(&tasks).unwrap_or_default() {
        let directory = format!("{tasks}/{tid}");
        let is_vcpu = reading
            .read_word(&format!("{directory}/comm"))
            .is_some_and(|comm| comm.starts_with("CPU "));
        let path = format!("{directory}/schedstat");
        if is_vcpu && let Some(text) = reading.read_optional(&path, 256) {
            let times = parse_schedstat(&text).map_err(|error| error.at(&path));
            if let Some((cpu, delay)) = reading.keep(times) {
                cpu_seconds += cpu;
                delay_seconds += delay;
                threads = threads.saturating_add(1);
            }
        }
    }
    if threads > 0 {
        guest.vcpu_threads = Some(threads);
        guest.vcpu_cpu_seconds_total = Some(cpu_seconds);
        guest.vcpu_run_delay_seconds_total = Some(delay_seconds);
    }
}

pub(super) struct Process {
    cpu_seconds: f64,
    pub(super) start_ticks: u64,
    resident_pages: u64,
}

/// Fields 14, 15, 22 and 24 of `/proc/PID/stat` (`man 5 proc`). The second field
/// is the command in parentheses and may contain anything, also parentheses.
pub(super) fn parse_process(text: &str) -> Result<Process, FormatError> {
    let fields: Vec<&str> = whole_lines(text)?
        .rsplit_once(')')
        .ok_or_else(|| FormatError::malformed("no command"))?
        .1
        .split_ascii_whitespace()
        .collect();
    // The first field after the command is number 3.
    let field = |number: usize| {
        fields
            .get(number - 3)
            .ok_or_else(|| FormatError::truncated("too few fields"))?
            .parse::<u64>()
            .map_err(|_| FormatError::malformed("a field is not a number"))
    };
    let ticks = field(14)?.saturating_add(field(15)?);
    Ok(Process {
        cpu_seconds: precise(ticks) / cpu::TICKS_PER_SECOND,
        start_ticks: field(22)?,
        resident_pages: field(24)?,
    })
}

/// Start of a process in kernel ticks since boot, by its `/proc/PID/stat`.
pub(crate) fn start_ticks(text: &str) -> Result<u64, FormatError> {
    parse_process(text).map(|process| process.start_ticks)
}

/// `on_cpu_ns run_delay_ns timeslices` (kernel `Documentation/scheduler/sched-stats.rst`):
/// the first two, in seconds.
fn parse_schedstat(text: &str) -> Result<(f64, f64), FormatError> {
    let mut words = whole_lines(text)?.split_ascii_whitespace();
    let mut seconds = || {
        let nanos: u64 = words.next()?.parse().ok()?;
        Some(precise(nanos) / 1e9)
    };
    seconds()
        .zip(seconds())
        .ok_or_else(|| FormatError::malformed("no run delay"))
}

fn micros(micros: u64) -> f64 {
    precise(micros) / 1e6
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a counter of time; 53 bits keep a microsecond for 285 years"
)]
fn precise(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_command_with_parentheses_does_not_shift_the_fields() {
        let text = "233 (evil) R 1) S 1 231 231 0 -1 138412480 59912 35443 15 5 7303 432 48 21 20 0 5 0 401128 1402216448 83140 0\n";
        let process = parse_process(text).unwrap();
        assert!((process.cpu_seconds - 77.35).abs() < 1e-9);
        assert_eq!(process.start_ticks, 401_128);
        assert_eq!(process.resident_pages, 83_140);
    }

    #[test]
    fn io_is_summed_over_devices() {
        let mut guest = GuestRuntime::default();
        parse_io("8:0 rbytes=1 wbytes=2 rios=3 wios=4\n8:16 rbytes=10 wbytes=20 rios=30 wios=40 dbytes=9\n", &mut guest).unwrap();
        assert_eq!(guest.read_bytes_total, Some(11));
        assert_eq!(guest.writes_total, Some(44));
        let devices: Vec<_> = guest
            .devices
            .iter()
            .map(|device| (device.major, device.minor, device.read_bytes_total))
            .collect();
        assert_eq!(devices, [(8, 0, 1), (8, 16, 10)]);
        parse_io("", &mut guest).unwrap();
        assert_eq!(guest.read_bytes_total, Some(0));
        assert!(parse_io("8:0 rbytes=1", &mut guest).is_err());
    }

    #[test]
    fn many_devices_are_summed_and_not_all_named() {
        let mut guest = GuestRuntime::default();
        let lines: String = (0..40)
            .map(|minor| format!("8:{minor} rbytes=1 wbytes=0 rios=1 wios=0\n"))
            .collect();
        parse_io(&format!("{lines}7:0 \n"), &mut guest).unwrap();
        assert_eq!(guest.read_bytes_total, Some(40));
        assert_eq!(guest.devices.len(), DEVICE_LIMIT);
    }

    #[test]
    fn a_thread_ran_and_waited() {
        assert_eq!(parse_schedstat("1500000000 250000000 7\n"), Ok((1.5, 0.25)));
        assert!(parse_schedstat("1500000000\n").is_err());
    }

    #[test]
    fn a_cut_cpu_file_is_truncated() {
        let mut guest = GuestRuntime::default();
        assert!(parse_cpu("usage_usec 781", &mut guest).is_err());
        assert!(parse_cpu("usage_usec 781\n", &mut guest).is_err());
        parse_cpu(
            "usage_usec 2000000\nuser_usec 1\nsystem_usec 1\n",
            &mut guest,
        )
        .unwrap();
        assert_eq!(guest.cpu_seconds_total, Some(2.0));
        assert_eq!(guest.cpu_throttled_periods_total, None);
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "([0-9]{0,20} \\([a-z )]{0,9}\\)( [0-9-]{1,21}){0,25}\n?|[a-z_]{1,9}[ =][0-9]{0,21}\n?|\\PC{0,20}\n?){0,4}") {
            let mut guest = GuestRuntime::default();
            drop(parse_process(&text));
            drop(parse_schedstat(&text));
            drop(parse_io(&text, &mut guest));
            drop(parse_cpu(&text, &mut guest));
        }
    }
}
