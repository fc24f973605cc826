use std::{collections::BTreeMap, sync::LazyLock};

use proptest::{prelude::*, sample};

use super::{FRESH, Progress, Seen, Situation, Step, Workflow, progress};
use crate::guest_command::{facts::GuestFacts, interpret::interpret};

/// More than any workflow has.
const STEPS: usize = 24;

fn now() -> jiff::Timestamp {
    "2026-11-26T12:00:00Z".parse().unwrap()
}

/// A guest that answers, and how: command (with an argument where that matters), how its
/// output is read, and the output. What is not there has no answer.
struct Guest {
    os: &'static str,
    service: Option<&'static str>,
    answers: &'static [(&'static str, &'static str, &'static str)],
}

impl Guest {
    fn answer(&self, step: &Step) -> Option<GuestFacts> {
        let first = step
            .arguments
            .first()
            .map_or("", |(_, value)| value.as_str());
        let named = format!("{} {first}", step.command);
        let fits =
            |(command, _, _): &&(&str, &str, &str)| *command == step.command || *command == named;
        let (_, reads, text) = self.answers.iter().find(fits)?;
        Some(interpret(reads, text, false))
    }
}

/// What was asked, and what came out.
struct Run {
    asked: Vec<String>,
    end: Progress,
}

/// Works through a workflow to its end.
fn run(workflow: Workflow, guest: &Guest) -> Run {
    let mut log: Vec<(Step, Option<GuestFacts>)> = Vec::new();
    loop {
        let seen: Vec<Seen<'_>> = log
            .iter()
            .map(|(step, facts)| Seen {
                command: step.command,
                arguments: step
                    .arguments
                    .iter()
                    .map(|(n, v)| (*n, v.as_str()))
                    .collect(),
                at: now(),
                outcome: match facts {
                    Some(_) => "completed",
                    None if guest.answers.is_empty() => "unreachable",
                    None => "refused",
                },
                facts: facts.as_ref(),
            })
            .collect();
        let end = progress(
            workflow,
            &Situation {
                operating_system: guest.os,
                now: now(),
                seen: &seen,
                service: guest.service,
                denied: &[],
            },
        );
        let Some(step) = end.next.clone() else {
            let asked = log.iter().map(|(step, _)| shown(step)).collect();
            return Run { asked, end };
        };
        assert!(log.len() < STEPS, "{workflow:?} does not end: {step:?}");
        assert!(
            !log.iter().any(|(before, _)| shown(before) == shown(&step)),
            "{step:?} again"
        );
        let facts = guest.answer(&step);
        log.push((step, facts));
    }
}

fn shown(step: &Step) -> String {
    let mut shown = step.command.to_owned();
    for (_, value) in &step.arguments {
        shown.push(' ');
        shown.push_str(value);
    }
    shown
}

fn says(lines: &[String], words: &str) -> bool {
    lines.iter().any(|line| line.contains(words))
}

const FULL: &str = "Filesystem Type 1024-blocks Used Available Capacity Mounted on\n\
    /dev/sda1 ext4 20000000 19800000 200000 99% /\n\
    tmpfs tmpfs 100 100 0 100% /run\n";
const ROOMY: &str = "Filesystem Type 1024-blocks Used Available Capacity Mounted on\n\
    /dev/sda1 ext4 20000000 1000000 19000000 5% /\n";

#[test]
fn a_full_disk_is_followed_to_what_uses_it() {
    let run = run(
        Workflow::DiskFull,
        &Guest {
            os: "debian",
            service: None,
            answers: &[
                ("disk-usage", "df", FULL),
                (
                    "directory-usage root",
                    "du",
                    "15000000\t/var\n1000000\t/usr\n17000000\t/\n",
                ),
                (
                    "directory-usage var",
                    "du",
                    "14000000\t/var/log\n15000000\t/var\n",
                ),
                (
                    "deleted-files",
                    "deleted-files",
                    "COMMAND PID USER FD TYPE DEVICE SIZE/OFF NLINK NODE NAME\nnginx 812 root 5w REG 8,1 943718400 0 99 /var/log/x (deleted)\n",
                ),
            ],
        },
    );
    let expected = [
        "fsinfo",
        "disk-usage",
        "directory-usage root",
        "directory-usage var",
        "deleted-files",
        "block-devices",
    ];
    assert_eq!(run.asked, expected);
    let end = &run.end;
    assert!(says(&end.conclusions, "/ is full"), "{end:?}");
    assert!(says(&end.conclusions, "There, most is /var/log"), "{end:?}");
    assert!(says(&end.conclusions, "nginx holds 900.0 MiB"), "{end:?}");
    assert!(
        says(&end.advice, "logrotate") && says(&end.advice, "Restart nginx"),
        "{end:?}"
    );
    assert!(
        end.lessons[0].says.contains("no answer: refused"),
        "{end:?}"
    );
}

#[test]
fn where_space_is_left_inodes_are_asked_for() {
    const INODES: &str =
        "Filesystem Inodes IUsed IFree IUse% Mounted on\n/dev/sda1 1000 1000 0 100% /\n";
    let run = run(
        Workflow::DiskFull,
        &Guest {
            os: "debian",
            service: None,
            answers: &[("disk-usage", "df", ROOMY), ("inodes", "df-inodes", INODES)],
        },
    );
    assert_eq!(run.asked, ["fsinfo", "disk-usage", "inodes"]);
    assert!(
        says(&run.end.conclusions, "100 % of its inodes"),
        "{:?}",
        run.end
    );
}

#[test]
fn a_guest_that_waits_for_its_node_is_told_so() {
    const VMSTAT: &str = "procs -----------memory---------- ---swap-- -----io---- -system-- ------cpu-----\n \
        r  b   swpd   free   buff  cache   si   so    bi    bo   in   cs us sy id wa st\n \
        9  0      0 800000  10000 900000    0    0     1     2   50  100 10  2 88  0  0\n \
        9  0      0 800000  10000 900000    0    0     0     0  900 1000 40  5 25  0 30\n \
        8  0      0 800000  10000 900000    0    0     0     0  900 1000 40  5 25  0 30\n";
    let run = run(
        Workflow::SlowGuest,
        &Guest {
            os: "ubuntu",
            service: None,
            answers: &[("vmstat", "vmstat", VMSTAT)],
        },
    );
    assert!(
        run.asked
            .starts_with(&["pressure".to_owned(), "vmstat".to_owned()])
    );
    assert!(
        says(&run.end.conclusions, "30 % of it are taken away"),
        "{:?}",
        run.end
    );
    assert!(says(&run.end.advice, "load of the node"), "{:?}", run.end);
}

#[test]
fn a_guest_that_waits_for_disks_is_looked_at_there() {
    const PRESSURE: &str = "==> /proc/pressure/cpu <==\nsome avg10=0.00 avg60=0.00 avg300=0.00 total=1\n\
        \n==> /proc/pressure/memory <==\nsome avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n\
        \n==> /proc/pressure/io <==\nsome avg10=60.00 avg60=55.00 avg300=30.00 total=9\nfull avg10=50.00 avg60=45.00 avg300=20.00 total=8\n";
    const LOG: &str =
        "2026-11-26T11:59:00,000000+00:00 blk_update_request: I/O error, dev sda, sector 4711\n";
    let run = run(
        Workflow::SlowGuest,
        &Guest {
            os: "debian",
            service: None,
            answers: &[
                ("pressure", "pressure", PRESSURE),
                ("kernel-log", "kernel-log", LOG),
            ],
        },
    );
    assert!(
        run.asked.contains(&"disk-stats".to_owned()),
        "{:?}",
        run.asked
    );
    assert!(
        run.asked.contains(&"kernel-log".to_owned()),
        "{:?}",
        run.asked
    );
    assert!(
        says(&run.end.conclusions, "wait for disks"),
        "{:?}",
        run.end
    );
    assert!(
        says(&run.end.conclusions, "of a disk failed"),
        "{:?}",
        run.end
    );
}

#[test]
fn a_service_is_followed_from_its_failure_to_its_words() {
    const UNIT: &str = "Id=nginx.service\nLoadState=loaded\nActiveState=failed\nSubState=failed\n\
        Result=exit-code\nExecMainCode=1\nExecMainStatus=1\nNRestarts=7\n";
    let run = run(
        Workflow::ServiceDown,
        &Guest {
            os: "debian",
            service: None,
            answers: &[
                (
                    "failed-units",
                    "failed-units",
                    "nginx.service loaded failed failed A web server\nsrv.mount loaded failed failed /srv\n",
                ),
                ("unit-status nginx.service", "unit-status", UNIT),
                ("disk-usage", "df", FULL),
            ],
        },
    );
    let expected = [
        "failed-units",
        "unit-status nginx.service",
        "unit-journal nginx.service",
    ];
    assert_eq!(run.asked[..3], expected);
    let end = &run.end;
    assert!(says(&end.conclusions, "2 services failed"), "{end:?}");
    assert!(
        says(&end.conclusions, "ended by itself with status 1"),
        "{end:?}"
    );
    assert!(says(&end.conclusions, "started again 7 times"), "{end:?}");
    assert!(says(&end.conclusions, "/ is full"), "{end:?}");
}

#[test]
fn a_named_service_is_looked_at_without_a_search() {
    let run = run(
        Workflow::ServiceDown,
        &Guest {
            os: "mswindows",
            service: Some("Spooler"),
            answers: &[(
                "windows-service Spooler",
                "windows-services",
                "SERVICE_NAME: Spooler\n        TYPE               : 110  WIN32_OWN_PROCESS\n        STATE              : 1  STOPPED\n        WIN32_EXIT_CODE    : 1067  (0x42b)\n",
            )],
        },
    );
    assert_eq!(run.asked[0], "windows-service Spooler");
    assert!(
        says(&run.end.conclusions, "ended with error 1067"),
        "{:?}",
        run.end
    );
}

#[test]
fn memory_that_is_cache_is_no_shortage() {
    let free = |available: &'static str| Guest {
        os: "debian",
        service: None,
        answers: match available {
            "much" => &[(
                "memory",
                "free",
                "              total        used        free      shared  buff/cache   available\nMem:     8000000000  2000000000   100000000    10000000  5900000000  5700000000\nSwap:             0           0           0\n",
            )],
            _ => &[(
                "memory",
                "free",
                "              total        used        free      shared  buff/cache   available\nMem:     8000000000  7800000000    50000000    10000000   150000000   100000000\nSwap:             0           0           0\n",
            )],
        },
    };
    let much = run(Workflow::HighMemory, &free("much"));
    assert!(
        says(&much.end.conclusions, "Memory is not short"),
        "{:?}",
        much.end
    );
    let little = run(Workflow::HighMemory, &free("little"));
    assert!(
        says(&little.end.conclusions, "Memory is short"),
        "{:?}",
        little.end
    );
    assert!(
        says(&little.end.conclusions, "There is no swap"),
        "{:?}",
        little.end
    );
    assert!(little.asked.contains(&"meminfo".to_owned()));
}

#[test]
fn a_network_is_looked_at_from_near_to_far() {
    const INTERFACES: &str = r#"[{"name": "lo", "ip-addresses": [{"ip-address-type": "ipv4", "ip-address": "127.0.0.1", "prefix": 8}]},
        {"name": "eth0", "hardware-address": "bc:24:11:00:00:01", "ip-addresses": [{"ip-address-type": "ipv6", "ip-address": "fe80::1", "prefix": 64}]}]"#;
    let run = run(
        Workflow::NoNetwork,
        &Guest {
            os: "debian",
            service: None,
            answers: &[
                ("network-interfaces", "rpc-network-interfaces", INTERFACES),
                (
                    "routes",
                    "ip-route",
                    "192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.5\n",
                ),
                ("resolv-conf", "resolv-conf", "# nothing\n"),
            ],
        },
    );
    let end = &run.end;
    assert_eq!(run.asked[..2], ["network-interfaces", "links"]);
    assert!(
        says(&end.conclusions, "No interface has an address (eth0)"),
        "{end:?}"
    );
    assert!(says(&end.conclusions, "no default route"), "{end:?}");
    assert!(says(&end.conclusions, "No name server"), "{end:?}");
}

#[test]
fn a_clock_in_another_time_zone_is_told_as_such() {
    // One hour after.
    let run = run(
        Workflow::TimeDrift,
        &Guest {
            os: "mswindows",
            service: None,
            answers: &[("guest-time", "rpc-time", "1795698000000000000\n")],
        },
    );
    let end = &run.end;
    assert!(says(&end.conclusions, "3600 seconds ahead"), "{end:?}");
    assert!(says(&end.conclusions, "whole hours"), "{end:?}");
}

#[test]
fn a_guest_that_does_not_answer_is_looked_at_from_outside() {
    let silent = Guest {
        os: "debian",
        service: None,
        answers: &[],
    };
    let run = run(Workflow::WillNotBoot, &silent);
    assert_eq!(run.asked, ["ping"]);
    assert!(says(&run.end.advice, "console"), "{:?}", run.end);
}

#[test]
fn the_start_is_followed_as_far_as_it_came() {
    let run = run(
        Workflow::WillNotBoot,
        &Guest {
            os: "debian",
            service: None,
            answers: &[
                ("ping", "rpc-ping", "{}\n"),
                ("system-state", "system-state", "degraded\n"),
                (
                    "failed-units",
                    "failed-units",
                    "srv.mount loaded failed failed /srv\n",
                ),
                ("mounts", "mounts", "/dev/sda1 / ext4 ro,relatime 0 0\n"),
            ],
        },
    );
    let end = &run.end;
    assert!(says(&end.conclusions, "units failed"), "{end:?}");
    assert!(says(&end.conclusions, "could not be mounted"), "{end:?}");
    assert!(
        says(&end.conclusions, "root file system is read-only"),
        "{end:?}"
    );
    assert!(says(&end.advice, "/etc/fstab"), "{end:?}");
}

#[test]
fn where_nobody_answers_nothing_else_is_asked() {
    for workflow in Workflow::ALL {
        let silent = Guest {
            os: "debian",
            service: None,
            answers: &[],
        };
        let run = run(*workflow, &silent);
        assert_eq!(run.asked.len(), 1, "{workflow:?}: {:?}", run.asked);
        assert!(
            says(&run.end.conclusions, "does not answer"),
            "{:?}",
            run.end
        );
    }
}

#[test]
fn a_guest_that_was_silent_is_asked_again_soon() {
    let next = |age| {
        let seen = [Seen {
            command: "ping",
            arguments: Vec::new(),
            at: now() - jiff::SignedDuration::from_secs(age),
            outcome: "unreachable",
            facts: None,
        }];
        let situation = Situation {
            operating_system: "debian",
            now: now(),
            seen: &seen,
            service: None,
            denied: &[],
        };
        progress(Workflow::WillNotBoot, &situation).next
    };
    assert_eq!(next(60), None);
    assert_eq!(next(61).unwrap().command, "ping");
}

#[test]
fn a_clock_that_is_half_a_minute_off_is_in_no_other_time_zone() {
    let run = run(
        Workflow::TimeDrift,
        &Guest {
            os: "mswindows",
            service: None,
            answers: &[("guest-time", "rpc-time", "1795694430000000000\n")],
        },
    );
    assert!(
        says(&run.end.conclusions, "30 seconds ahead"),
        "{:?}",
        run.end
    );
    assert!(!says(&run.end.conclusions, "whole hours"), "{:?}", run.end);
}

#[test]
fn a_guest_agent_that_tells_no_sizes_is_no_answer() {
    let names = r#"[{"name": "sda1", "mountpoint": "/", "type": "ext4", "disk": []}]"#;
    let facts = interpret("rpc-fsinfo", names, false);
    let seen = [Seen {
        command: "fsinfo",
        arguments: Vec::new(),
        at: now(),
        outcome: "completed",
        facts: Some(&facts),
    }];
    let situation = Situation {
        operating_system: "Alpine Linux v3.20",
        now: now(),
        seen: &seen,
        service: None,
        denied: &[],
    };
    let end = progress(Workflow::DiskFull, &situation);
    // A small system is asked with what it has.
    assert_eq!(end.next.unwrap().command, "disk-usage-basic");
}

#[test]
fn names_of_a_guest_are_asked_for_as_units_alone() {
    let run = run(
        Workflow::ServiceDown,
        &Guest {
            os: "debian",
            service: None,
            answers: &[(
                "failed-units",
                "failed-units",
                "--all.service loaded failed failed x\n",
            )],
        },
    );
    assert!(
        !run.asked.iter().any(|asked| asked.contains("--all")),
        "{:?}",
        run.asked
    );
}

#[test]
fn what_was_found_long_ago_is_asked_again() {
    let facts = interpret("df", ROOMY, false);
    let seen = |at| Seen {
        command: "fsinfo",
        arguments: Vec::new(),
        at,
        outcome: "completed",
        facts: Some(&facts),
    };
    let next = |at| {
        let seen = [seen(at)];
        let situation = Situation {
            operating_system: "freebsd",
            now: now(),
            seen: &seen,
            service: None,
            denied: &[],
        };
        progress(Workflow::DiskFull, &situation).next
    };
    assert_eq!(next(now() - FRESH), None);
    let step = next(now() - FRESH - jiff::SignedDuration::from_secs(1)).unwrap();
    assert_eq!((step.step, step.command), ("file-systems", "fsinfo"));
}

#[test]
fn what_would_not_run_is_left_out_and_said_to_be() {
    let situation = Situation {
        operating_system: "debian",
        now: now(),
        seen: &[],
        service: None,
        denied: &["fsinfo"],
    };
    let end = progress(Workflow::DiskFull, &situation);
    assert_eq!(end.next.unwrap().command, "disk-usage");
    assert!(
        end.lessons[0].says.starts_with("left out"),
        "{:?}",
        end.lessons
    );
    let nothing = Situation {
        denied: &["fsinfo", "disk-usage", "disk-usage-basic"],
        ..situation
    };
    let end = progress(Workflow::DiskFull, &nothing);
    assert_eq!(end.next, None);
    assert!(says(&end.advice, "guest-policy.toml"), "{end:?}");
}

#[test]
fn a_system_that_nobody_knows_is_asked_for_first() {
    for workflow in Workflow::ALL {
        let unknown = Guest {
            os: "",
            service: None,
            answers: &[
                (
                    "osinfo",
                    "rpc-osinfo",
                    "{\"id\": \"alpine\", \"name\": \"Alpine Linux\"}\n",
                ),
                ("ping", "rpc-ping", "{}\n"),
            ],
        };
        let run = run(*workflow, &unknown);
        let at = usize::from(*workflow == Workflow::WillNotBoot);
        assert_eq!(run.asked[at], "osinfo", "{workflow:?}");
        assert!(run.asked.len() > 2, "{workflow:?}: {:?}", run.asked);
    }
}

/// The catalogue as the agent has it.
fn catalogue() -> &'static BTreeMap<String, toml::Table> {
    static CATALOGUE: LazyLock<BTreeMap<String, toml::Table>> = LazyLock::new(read_catalogue);
    &CATALOGUE
}

fn read_catalogue() -> BTreeMap<String, toml::Table> {
    let text = include_str!("../../../../agent/guest-commands.toml");
    let file: toml::Table = text.parse().unwrap();
    let commands = file["command"].as_array().unwrap().iter();
    let named = commands.map(|one| {
        let command = one.as_table().unwrap().clone();
        (command["id"].as_str().unwrap().to_owned(), command)
    });
    named.collect()
}

/// A step names a command of the catalogue that is for the system, with values that it
/// takes.
fn check(step: &Step, os: &str, catalogue: &BTreeMap<String, toml::Table>) {
    let command = catalogue.get(step.command);
    let command = command.unwrap_or_else(|| panic!("no command {}", step.command));
    let systems = command["systems"].as_array().unwrap();
    let system = match os {
        "mswindows" => "windows",
        "freebsd" => "other",
        _ => "linux",
    };
    assert!(
        systems.iter().any(|one| one.as_str() == Some(system)) || os.is_empty(),
        "{} is not for {os}",
        step.command
    );
    let none = toml::Table::new();
    let parameters = command
        .get("parameters")
        .map_or(&none, |all| all.as_table().unwrap());
    for (name, value) in &step.arguments {
        let parameter = parameters.get(*name);
        let parameter = parameter.unwrap_or_else(|| panic!("{} has no {name}", step.command));
        if let Some(choices) = parameter.get("choices") {
            assert!(
                choices.get(value).is_some(),
                "{}: {name}={value}",
                step.command
            );
        }
    }
    for (name, parameter) in parameters {
        let given = step.arguments.iter().any(|(known, _)| known == name);
        assert!(
            given || parameter.get("default").is_some(),
            "{} needs {name}",
            step.command
        );
    }
    assert!(!step.reason.is_empty());
}

/// Facts of every kind, from the outputs that interpreters are tested with.
fn pool() -> &'static [GuestFacts] {
    static POOL: LazyLock<Vec<GuestFacts>> = LazyLock::new(read_pool);
    &POOL
}

fn read_pool() -> Vec<GuestFacts> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/guest_command/interpret/tests/fixtures"
    );
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let facts = files.iter().map(|file| {
        let name = file.file_name().unwrap().to_str().unwrap();
        let reads = name.split('.').next().unwrap();
        interpret(reads, &std::fs::read_to_string(file).unwrap(), false)
    });
    facts.chain([GuestFacts::default()]).collect()
}

proptest! {
    /// Whatever comes back, every workflow ends, and asks for what there is.
    #[test]
    fn every_workflow_ends(
        workflow in sample::select(Workflow::ALL),
        os in sample::select(vec!["debian", "alpine", "mswindows", "freebsd", ""]),
        answers in prop::collection::vec((0..7_usize, any::<sample::Index>()), STEPS),
        service in prop::option::of(sample::select(vec!["nginx.service", "W32Time"])),
    ) {
        let (pool, catalogue) = (pool(), catalogue());
        let mut log: Vec<(Step, &str, Option<&GuestFacts>)> = Vec::new();
        loop {
            let seen: Vec<Seen<'_>> = log
                .iter()
                .map(|(step, outcome, facts)| Seen {
                    command: step.command,
                    arguments: step.arguments.iter().map(|(n, v)| (*n, v.as_str())).collect(),
                    at: now(),
                    outcome,
                    facts: *facts,
                })
                .collect();
            let situation = Situation { operating_system: os, now: now(), seen: &seen, service, denied: &[] };
            let end = progress(workflow, &situation);
            prop_assert!(end.conclusions.len() <= 12 && end.advice.len() <= 12);
            for line in end.conclusions.iter().chain(&end.advice) {
                prop_assert!(!line.chars().any(char::is_control) && line.len() < 2000, "{line}");
            }
            let Some(step) = end.next else {
                prop_assert!(!end.conclusions.is_empty(), "{workflow:?} ends without a word");
                break;
            };
            prop_assert!(log.len() < STEPS, "{workflow:?} does not end");
            check(&step, os, catalogue);
            prop_assert!(!log.iter().any(|(before, _, _)| shown(before) == shown(&step)));
            let (kind, index) = &answers[log.len()];
            let outcome = ["completed", "completed", "completed", "refused", "program_missing", "frozen", "lost"][*kind];
            let facts = (outcome == "completed").then(|| index.get(pool));
            log.push((step, outcome, facts));
        }
    }
}
