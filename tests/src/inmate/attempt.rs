//! Attempts on files, devices, the kernel, the network and other programs.

use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{self, Read},
    net::{TcpListener, TcpStream, UdpSocket},
    os::{
        fd::AsRawFd,
        linux::net::SocketAddrExt,
        unix::{
            fs::FileExt,
            net::{SocketAddr, UnixStream},
        },
    },
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::{
    fs::{CWD, FileType, MemfdFlags, Mode, memfd_create, mknodat},
    mount::{MountFlags, mount},
    net::{AddressFamily, SocketType, socket},
    process::chroot,
    system::sethostname,
    thread::UnshareFlags,
    time::{ClockId, Timespec, clock_settime},
};

use super::{Outcome, Unit};

/// Something to try.
pub(super) struct Attempt {
    name: String,
    run: Box<dyn FnOnce() -> io::Result<()>>,
}

impl Attempt {
    pub(super) fn new(
        name: impl Into<String>,
        run: impl FnOnce() -> io::Result<()> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            run: Box::new(run),
        }
    }

    pub(super) fn run(self) -> Outcome {
        Outcome {
            name: self.name,
            result: (self.run)(),
        }
    }
}

/// Directories outside its own in which nothing may appear.
const PLACES: &[&str] = &[
    "/",
    "/boot",
    "/dev",
    "/dev/shm",
    "/etc",
    "/etc/pve",
    "/etc/pve/nodes/pve1/qemu-server",
    "/etc/pvelens",
    "/etc/systemd/system",
    "/home",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/run/pve",
    "/run/qemu-server",
    "/run/lock",
    "/run/pvelens-probe",
    "/run/systemd",
    "/run/systemd/system",
    "/srv",
    "/sys/fs/cgroup",
    "/usr/bin",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local",
    "/usr/sbin",
    "/var/cache",
    "/var/lib",
    "/var/lib/vz",
    "/var/log",
    "/var/spool/cron",
];

/// Files of others.
const FILES: &[&str] = &[
    "/etc/passwd",
    "/etc/pve/nodes/pve1/qemu-server/100.conf",
    "/etc/pve/storage.cfg",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/vm/drop_caches",
    "/proc/sysrq-trigger",
    "/run/pve/metrics",
    "/sys/kernel/mm/ksm/run",
];

/// Held open by others; a program that could reach them would act as root.
const SOCKETS: &[&str] = &[
    "/run/dbus/system_bus_socket",
    "/run/systemd/private",
    "/run/systemd/journal/stdout",
    "/run/qmeventd.sock",
    "/run/pvelens-agent/local.sock",
];

/// What the agent connects to.
const CALLED: &[&str] = &[
    "/run/pvelens-probe/disk.sock",
    "/run/pvelens-probe/cluster.sock",
    "/run/pvelens-probe/ceph.sock",
    "/run/pvelens-probe/system.sock",
    "/run/pvelens-probe/container.sock",
    "/run/qemu-server/100.qmp",
];

const DEVICES: &[&str] = &["/dev/mem", "/dev/kmsg", "/dev/vda", "/dev/fuse", "/dev/kvm"];

pub(super) fn writes(unit: Unit) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    for place in PLACES.iter().filter(|place| !unit.is_its_own(place)) {
        let path = Path::new(place).join("pvelens-was-here");
        attempts.push(Attempt::new(
            format!("create a file in {place}"),
            move || File::create_new(path).map(drop),
        ));
        let path = Path::new(place).join("pvelens-was-here.d");
        attempts.push(Attempt::new(
            format!("make a directory in {place}"),
            move || fs::create_dir(path),
        ));
    }
    for file in FILES {
        attempts.push(Attempt::new(
            format!("open {file} for writing"),
            move || OpenOptions::new().append(true).open(file).map(drop),
        ));
    }
    // The locks of PVE are directories.
    attempts.push(Attempt::new("take a lock of PVE", || {
        fs::create_dir("/etc/pve/priv/lock/file-storage_cfg")
    }));
    attempts.push(Attempt::new("remove a guest's configuration", || {
        fs::remove_file("/etc/pve/nodes/pve1/qemu-server/100.conf")
    }));
    attempts.push(Attempt::new("move a guest's configuration", || {
        fs::rename(
            "/etc/pve/nodes/pve1/qemu-server/100.conf",
            "/etc/pve/nodes/pve1/qemu-server/999.conf",
        )
    }));
    attempts.push(Attempt::new("change the mode of /etc/passwd", || {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions("/etc/passwd", fs::Permissions::from_mode(0o666))
    }));
    for own in unit.own().iter().copied().chain(["/tmp"]) {
        let path = Path::new(own).join("set-id");
        attempts.push(Attempt::new(
            format!("make a set-id file in {own}"),
            move || {
                use std::os::unix::fs::PermissionsExt;
                fs::write(&path, "")?;
                let made = fs::set_permissions(&path, fs::Permissions::from_mode(0o4755));
                fs::remove_file(&path)?;
                made
            },
        ));
    }
    if let Some(own) = unit.own().first() {
        let path = Path::new(own).join("foreign");
        attempts.push(Attempt::new("give a file away", move || {
            fs::write(&path, "")?;
            let given = std::os::unix::fs::chown(&path, Some(33), Some(33));
            fs::remove_file(&path)?;
            given
        }));
    }
    attempts
}

pub(super) fn secrets(unit: Unit) -> Vec<Attempt> {
    let mut paths = vec![
        "/etc/pve/priv",
        "/etc/pve/priv/authkey.key",
        "/etc/pve/nodes/pve1/priv/authkey.key",
        "/var/lib/pve-cluster",
        "/etc/shadow",
        "/etc/gshadow",
        "/root",
        "/home",
    ];
    match unit {
        Unit::Agent | Unit::ClusterProbe => {}
        Unit::DiskProbe => paths.extend(["/etc/pve", "/run/qemu-server"]),
        Unit::Coordinator => paths.extend([
            "/etc/pve",
            "/etc/pvelens/guest-policy.toml",
            "/run/qemu-server",
            "/var/lib/pvelens-agent/audit",
        ]),
        // Of it only ceph.conf is shown.
        Unit::CephProbe => paths.extend([
            "/etc/pve/.members",
            "/etc/pve/nodes",
            "/etc/passwd",
            "/etc/pvelens/agent.toml",
            "/run/qemu-server",
            "/run/pvelens-agent",
            "/var/lib",
            "/boot",
        ]),
        Unit::SystemProbe => paths.extend([
            "/etc/pve",
            "/etc/passwd",
            "/etc/pvelens/agent.toml",
            "/run/qemu-server",
            "/run/pvelens-agent",
            "/run/systemd/private",
            "/var/lib",
            "/boot",
        ]),
        Unit::ContainerProbe => paths.extend([
            "/etc/pve",
            "/etc/passwd",
            "/etc/pvelens/agent.toml",
            "/run/qemu-server",
            "/run/pvelens-agent",
            "/run/systemd/private",
            "/usr/bin",
            "/var/lib",
            "/boot",
        ]),
        Unit::Link => paths.extend([
            "/etc/pve",
            "/run/qemu-server",
            "/run/pvelens-agent/spool",
            "/etc/passwd",
            "/etc/pvelens/guest-policy.toml",
            "/etc/pvelens/pvelens.toml",
            "/var/lib",
            "/usr/bin",
            "/boot",
        ]),
    }
    let mut attempts: Vec<Attempt> = paths
        .into_iter()
        .map(|path| Attempt::new(format!("open {path}"), move || open(path)))
        .collect();
    attempts.extend(DEVICES.iter().map(|device| {
        Attempt::new(format!("open {device}"), move || {
            // The kernel log would block without it.
            let device = rustix::fs::open(
                *device,
                rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK,
                Mode::empty(),
            )?;
            drop(device);
            Ok(())
        })
    }));
    attempts
}

/// Opens a file or a directory and takes something out of it.
fn open(path: &str) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() {
        // A directory that is empty has nothing to give; a hidden one is refused.
        return match fs::read_dir(path)?.next() {
            Some(entry) => entry.map(drop),
            None => Err(io::Error::other("empty")),
        };
    }
    File::open(path)?.read(&mut [0_u8; 1]).map(drop)
}

pub(super) fn kernel() -> Vec<Attempt> {
    vec![
        Attempt::new("mount a file system", || {
            Ok(mount(
                c"none",
                c"/tmp",
                c"tmpfs",
                MountFlags::empty(),
                None,
            )?)
        }),
        Attempt::new("remount /proc for writing", || {
            Ok(rustix::mount::mount_remount(
                c"/proc",
                MountFlags::BIND,
                c"",
            )?)
        }),
        Attempt::new("make a user namespace", || leave(UnshareFlags::NEWUSER)),
        Attempt::new("leave the mount namespace", || leave(UnshareFlags::NEWNS)),
        Attempt::new("change the root", || Ok(chroot("/tmp")?)),
        Attempt::new("name the host", || Ok(sethostname(b"mine")?)),
        Attempt::new("set the clock", || {
            let now = rustix::time::clock_gettime(ClockId::Realtime);
            Ok(clock_settime(
                ClockId::Realtime,
                Timespec {
                    tv_sec: now.tv_sec,
                    tv_nsec: now.tv_nsec,
                },
            )?)
        }),
        Attempt::new("make a device", || {
            let disk = rustix::fs::makedev(254, 0);
            Ok(mknodat(
                CWD,
                "/tmp/disk",
                FileType::BlockDevice,
                Mode::RUSR,
                disk,
            )?)
        }),
        // It could open and connect past the filter of system calls.
        Attempt::new("make an io_uring", || io_uring::IoUring::new(2).map(drop)),
    ]
}

#[expect(
    deprecated,
    reason = "its successor is unsafe because of file descriptors, which this does not unshare"
)]
fn leave(namespace: UnshareFlags) -> io::Result<()> {
    Ok(rustix::thread::unshare(namespace)?)
}

pub(super) fn network(unit: Unit) -> Vec<Attempt> {
    let raw = |name: &str, family: AddressFamily, kind: SocketType| {
        Attempt::new(format!("make a {name} socket"), move || {
            Ok(socket(family, kind, None).map(drop)?)
        })
    };
    let mut attempts = vec![
        raw("packet", AddressFamily::PACKET, SocketType::RAW),
        raw("raw IP", AddressFamily::INET, SocketType::RAW),
        raw("Bluetooth", AddressFamily::BLUETOOTH, SocketType::RAW),
        raw("vsock", AddressFamily::VSOCK, SocketType::STREAM),
    ];
    if unit == Unit::SystemProbe {
        // Root may stop units over D-Bus, also without capabilities.
        for orders in [
            &["stop", "pve-cluster.service"][..],
            &["kill", "pve-cluster.service"],
            &["set-property", "pve-cluster.service", "CPUWeight=1"],
            &["start", "rescue.target"],
            &["daemon-reload"],
            &["poweroff"],
        ] {
            let name = format!("tell systemd to {}", orders.join(" "));
            attempts.push(Attempt::new(name, move || {
                run_with("/usr/bin/systemctl", orders)
            }));
        }
        attempts.push(Attempt::new("connect over IPv4", || {
            let address = "192.0.2.1:9".parse().map_err(io::Error::other)?;
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).map(drop)
        }));
    }
    if unit != Unit::ClusterProbe {
        attempts.push(raw("netlink", AddressFamily::NETLINK, SocketType::RAW));
    }
    if matches!(unit, Unit::Agent | Unit::DiskProbe | Unit::ContainerProbe) {
        attempts.push(Attempt::new("connect over IPv4", || {
            let address = "192.0.2.1:9".parse().map_err(io::Error::other)?;
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).map(drop)
        }));
        attempts.push(Attempt::new("connect over IPv6", || {
            let address = "[::1]:9".parse().map_err(io::Error::other)?;
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).map(drop)
        }));
        attempts.push(Attempt::new("send a datagram", || {
            UdpSocket::bind("0.0.0.0:0").map(drop)
        }));
        attempts.push(Attempt::new("listen on a port", || {
            TcpListener::bind("127.0.0.1:0").map(drop)
        }));
    }
    if matches!(
        unit,
        Unit::Agent | Unit::Link | Unit::DiskProbe | Unit::CephProbe | Unit::ContainerProbe
    ) {
        // Its own socket is none of others.
        let is_own = |path: &str| unit == Unit::Agent && path.starts_with("/run/pvelens-agent/");
        for path in SOCKETS.iter().filter(|path| !is_own(path)) {
            attempts.push(Attempt::new(format!("connect to {path}"), move || {
                UnixStream::connect(path).map(drop)
            }));
        }
        // The test system serves this name for everybody in its own namespace.
        attempts.push(Attempt::new("connect to an abstract socket", || {
            UnixStream::connect_addr(&SocketAddr::from_abstract_name("pvelens-test")?).map(drop)
        }));
    }
    attempts
}

pub(super) fn programs(unit: Unit) -> Vec<Attempt> {
    if unit.starts_programs() {
        return vec![Attempt::new("run a program from /tmp", || {
            fs::copy("/usr/sbin/pvelens-agent", "/tmp/program")?;
            run("/tmp/program")
        })];
    }
    let mut attempts: Vec<Attempt> = ["/bin/sh", "/usr/bin/env", "/usr/bin/python3"]
        .into_iter()
        .map(|program| Attempt::new(format!("run {program}"), move || run(program)))
        .collect();
    attempts.push(Attempt::new("run a program from memory", || {
        let file = memfd_create("program", MemfdFlags::empty())?;
        io::copy(
            &mut File::open("/proc/self/exe")?,
            &mut File::from(file.try_clone()?),
        )?;
        run(&format!("/proc/self/fd/{}", file.as_raw_fd()))
    }));
    for own in unit.own().iter().chain(&["/tmp"]) {
        attempts.push(Attempt::new(
            format!("run a program from {own}"),
            move || {
                let path = Path::new(own).join("program");
                fs::copy("/proc/self/exe", &path)?;
                let result = run(path.to_str().unwrap_or_default());
                fs::remove_file(&path)?;
                result
            },
        ));
    }
    attempts
}

fn run(program: &str) -> io::Result<()> {
    run_with(program, &["--version"])
}

fn run_with(program: &str, arguments: &[&str]) -> io::Result<()> {
    CString::new(program)?;
    let mut command = Command::new(program);
    // The output of a probe is its connection, which may be gone.
    let status = command.args(arguments).stdout(Stdio::null()).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(status.to_string()))
    }
}

pub(super) fn needs(unit: Unit) -> Vec<Attempt> {
    let mut attempts: Vec<Attempt> = unit
        .own()
        .iter()
        .map(|own| {
            Attempt::new(format!("write in {own}"), move || {
                let path = Path::new(own).join("written");
                // As the record of guest commands is written.
                let file = File::create(&path)?;
                file.try_lock()?;
                file.write_all_at(b"xy", 0)?;
                file.sync_data()?;
                file.set_len(1)?;
                file.sync_all()?;
                fs::remove_file(path)
            })
        })
        .collect();
    let readable: &[&str] = match unit {
        Unit::Agent => &[
            "/etc/pve/.members",
            "/etc/pve/nodes/pve1/qemu-server/100.conf",
            "/proc/1/mountinfo",
            "/proc/1/net/dev",
            "/run/pve/metrics",
            "/etc/pvelens/agent.toml",
            "/etc/pvelens/guest-policy.toml",
        ],
        Unit::Link => &["/etc/pvelens/agent.toml", "/etc/resolv.conf"],
        Unit::Coordinator => &["/etc/pvelens/pvelens.toml"],
        Unit::DiskProbe => &["/proc/devices", "/sys/block"],
        Unit::ClusterProbe => &["/proc/self/mountinfo"],
        Unit::CephProbe => &["/etc/pve/ceph.conf"],
        Unit::SystemProbe => &["/run/dbus"],
        // Of the node itself, which it sees as it sees a container.
        Unit::ContainerProbe => &["/sys/fs/cgroup", "/proc/1/mountinfo", "/proc/1/root"],
    };
    attempts.extend(
        readable
            .iter()
            .map(|path| Attempt::new(format!("read {path}"), move || open(path))),
    );
    if unit == Unit::Agent {
        for path in CALLED {
            attempts.push(Attempt::new(format!("connect to {path}"), move || {
                UnixStream::connect(path).map(drop)
            }));
        }
    }
    let program = match unit {
        Unit::Agent | Unit::Link | Unit::Coordinator | Unit::ContainerProbe => return attempts,
        Unit::DiskProbe => "/usr/sbin/blkid",
        Unit::ClusterProbe => "/usr/bin/journalctl",
        Unit::CephProbe => "/usr/bin/python3",
        Unit::SystemProbe => "/usr/bin/systemctl",
    };
    attempts.push(Attempt::new(format!("run {program}"), move || run(program)));
    if unit == Unit::SystemProbe {
        attempts.push(Attempt::new("ask systemd for a unit", || {
            run_with("/usr/bin/systemctl", &["show", "pve-cluster.service"])
        }));
    }
    attempts
}
