//! Lines as people type them, against the catalogue of this version.

use proptest::prelude::*;

use super::*;
use crate::{guest_command::refusal::Refusal, link::fixture::commands};

fn listed(system: &str) -> Listed {
    let mut listed = Listed {
        commands: commands().into_iter().map(Command::from).collect(),
        ..Listed::default()
    };
    let others = listed.commands.iter_mut().filter(|command| {
        !system.is_empty() && !command.systems.iter().any(|known| known == system)
    });
    for command in others {
        command.allowed = false;
        command.refusal = Some(Refusal {
            rule: "wrong_system".to_owned(),
            ..Refusal::default()
        });
    }
    listed
}

fn first(line: &str, system: &str) -> String {
    let fits = fit(line, &listed(system));
    fits.first().map(Fit::words).unwrap_or_default()
}

#[test]
fn what_people_type_fits_what_they_mean() {
    for (line, wanted) in [
        ("df -h", "disk-usage"),
        ("df -i", "inodes"),
        ("/bin/df -h /", "disk-usage"),
        ("sudo df -h | grep sda", "disk-usage"),
        ("bash -c \"df -h\"", "disk-usage"),
        ("systemctl status nginx", "unit-status unit=nginx.service"),
        ("service nginx status", "unit-status unit=nginx.service"),
        ("systemctl --failed", "failed-units"),
        ("systemctl list-timers", "timers"),
        ("systemctl is-system-running", "system-state"),
        ("cat /etc/resolv.conf", "resolv-conf"),
        ("less /etc/os-release", "os-release"),
        ("cat /proc/meminfo", "meminfo"),
        ("head -n 2 /proc/pressure/io", "pressure"),
        ("free -m", "memory"),
        ("uptime", "uptime"),
        ("top -b -n 1", "processes"),
        ("ps aux", "processes"),
        ("ip a", "addresses"),
        ("ip addr show", "addresses"),
        ("ip r", "routes"),
        ("ip link show eth0", "link interface=eth0"),
        ("ip n", "neighbours"),
        ("ifconfig", "addresses"),
        ("ss -tulpn", "listening-sockets"),
        ("netstat -tulpn", "listening-sockets"),
        ("uname -a", "kernel-version"),
        ("hostname", "hostname"),
        ("dmesg -T", "kernel-log"),
        ("vmstat 1 5", "vmstat samples=5"),
        ("iostat -x 1 90", "iostat samples=10"),
        ("du -sh /var/log", "directory-usage directory=var-log"),
        ("du -h --max-depth=1 /", "directory-usage directory=root"),
        (
            "journalctl -u nginx -n 50",
            "unit-journal unit=nginx.service lines=50",
        ),
        ("journalctl -p err", "journal priority=error"),
        ("tail -n 20 /var/log/syslog", "log-file lines=20 log=syslog"),
        ("tail -f /var/log/auth.log", "log-file log=auth"),
        ("cat /var/log/apt/history.log", "log-file log=apt-history"),
        ("docker ps -a", "docker-ps"),
        (
            "docker logs web --tail 100",
            "docker-logs container=web lines=100",
        ),
        ("timedatectl", "time-status"),
        ("chronyc tracking", "chrony-tracking"),
        ("apt list --upgradable", "apt-upgradable"),
        ("w", "logged-in"),
        ("lsblk -f", "block-devices"),
        ("disk usage", "disk-usage"),
        ("Memory", "memory"),
    ] {
        assert_eq!(first(line, "linux"), wanted, "{line}");
    }
    for (line, wanted) in [
        ("tasklist", "windows-processes"),
        ("ipconfig /all", "windows-addresses"),
        ("sc query Spooler", "windows-service service=Spooler"),
        ("netstat -ano", "windows-sockets"),
        ("fsutil volume diskfree D:", "windows-disk-free drive=d"),
        (
            "wevtutil qe Application /c:20",
            "windows-events log=application",
        ),
        ("w32tm /query /status", "windows-time"),
    ] {
        assert_eq!(first(line, "windows"), wanted, "{line}");
    }
}

#[test]
fn another_file_or_program_fits_nothing() {
    for line in [
        "cat /etc/shadow",
        "cat /var/log/nginx/error.log",
        "cat ../../etc/os-release",
        "cat",
        "tail -n 5",
        "rm -rf /",
        "ping 8.8.8.8",
        "curl http://example.com",
        "systemctl restart /tmp/x.service",
        "",
        "|",
        "sudo",
        "--help",
    ] {
        let fits = fit(line, &listed("linux"));
        assert!(fits.is_empty(), "{line}: {fits:?}");
    }
    // What comes after the first command is not looked at.
    assert_eq!(first("df; rm -rf /", "linux"), "disk-usage");
}

#[test]
fn commands_of_other_systems_do_not_fit() {
    let fits = fit("netstat -an", &listed("linux"));
    assert!(fits.iter().all(|fit| !fit.command.starts_with("windows")));
    let fits = fit("netstat -an", &listed(""));
    assert!(fits.iter().any(|fit| fit.command.starts_with("windows")));
}

#[test]
fn few_are_suggested_and_those_that_may_run_come_first() {
    let fits = fit("systemctl", &listed("linux"));
    assert!((1..=FITTING).contains(&fits.len()), "{fits:?}");
    let mut listed = listed("linux");
    for command in &mut listed.commands {
        command.allowed = command.id == "inodes";
    }
    let fits = fit("df", &listed);
    assert_eq!(fits[0].command, "inodes");
}

proptest! {
    #[test]
    fn any_line_fits_at_most_five_and_always_the_same(line in "(df|cat|ip|systemctl|sudo|[ -~]{0,9}|\\PC{0,9})( [-/]?(\\PC{0,9}|[0-9]{1,30}|status|/etc/passwd)){0,6}") {
        let listed = listed("linux");
        let fits = fit(&line, &listed);
        prop_assert!(fits.len() <= FITTING);
        prop_assert_eq!(&fits, &fit(&line, &listed));
        for found in fits {
            let command = listed.find(&found.command).unwrap();
            for argument in found.arguments {
                let known = command.parameters.iter().any(|parameter| parameter.name == argument.name);
                prop_assert!(known && argument.value.len() <= VALUE_LIMIT + 8);
            }
        }
    }
}
