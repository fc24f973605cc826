//! The program as systemd runs it: sockets handed over, readiness, watchdog, and
//! a log that the journal understands.

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::{self, Read},
        os::unix::net::{UnixDatagram, UnixListener, UnixStream},
        path::{Path, PathBuf},
        process::{Child, Command, ExitStatus, Stdio},
        thread,
        time::{Duration, Instant},
    };

    use tempfile::TempDir;

    /// Much longer than anything here takes on a busy machine.
    const DEADLINE: Duration = Duration::from_secs(60);
    const SOCKETS: [&str; 5] = [
        "admin.sock",
        "mcp-operate.sock",
        "mcp.sock",
        "operate.sock",
        "read.sock",
    ];

    /// A process that ends with its test.
    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            // It may have ended by itself.
            drop(self.0.kill());
            drop(self.0.wait());
        }
    }

    impl Running {
        fn ended(&mut self) -> ExitStatus {
            let begun = Instant::now();
            loop {
                if let Some(status) = self.0.try_wait().unwrap() {
                    return status;
                }
                assert!(begun.elapsed() < DEADLINE, "it does not end");
                thread::sleep(Duration::from_millis(20));
            }
        }

        fn log(&mut self) -> String {
            let mut log = String::new();
            let stderr = self.0.stderr.as_mut().unwrap();
            stderr.read_to_string(&mut log).unwrap();
            log
        }

        fn terminate(&self) {
            self.signal(rustix::process::Signal::TERM);
        }

        fn signal(&self, signal: rustix::process::Signal) {
            let id = i32::try_from(self.0.id()).unwrap();
            let process = rustix::process::Pid::from_raw(id).unwrap();
            rustix::process::kill_process(process, signal).unwrap();
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the test runs the program, not the program another"
    )]
    fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear();
        command
    }

    fn pvelens() -> &'static str {
        env!("CARGO_BIN_EXE_pvelens")
    }

    /// Settings in a directory of their own: no port, no agent.
    fn settings(directory: &Path) -> PathBuf {
        let file = directory.join("pvelens.toml");
        let sockets = directory.join("own");
        let text = format!(
            "[agents]\nsockets = []\n[http]\nenabled = false\n[evaluation]\n\
             minimum_interval_milliseconds = 100\nmaximum_interval_seconds = 1\n[sockets]\n\
             directory = {sockets:?}\ngroup = \"\"\noperators_group = \"\"\n\
             [store]\ndirectory = \"\"\n"
        );
        fs::write(&file, text).unwrap();
        file
    }

    /// The program with listeners from systemd's own tool, which runs it when
    /// the first client comes. `None` where that tool is not installed.
    fn activated(directory: &Path, sockets: &[&str]) -> Option<(Running, UnixStream)> {
        let mut command = command("systemd-socket-activate");
        command.env("PATH", "/usr/bin:/bin");
        for socket in sockets {
            command.arg("-l").arg(directory.join(socket));
        }
        command.arg(pvelens()).arg("serve").arg("--config");
        command.arg(settings(directory)).stderr(Stdio::piped());
        let running = match command.spawn() {
            Ok(child) => Running(child),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => panic!("{error}"),
        };
        let first = directory.join(sockets.first().unwrap());
        Some((running, connected(&first)))
    }

    fn connected(socket: &Path) -> UnixStream {
        let begun = Instant::now();
        loop {
            match UnixStream::connect(socket) {
                Ok(stream) => return stream,
                Err(error) => assert!(begun.elapsed() < DEADLINE, "{error}"),
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn ask(socket: &Path, arguments: &[&str]) -> (Option<i32>, String) {
        let mut asking = command(pvelens());
        asking.args(arguments).arg("--socket").arg(socket);
        let output = asking.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    #[test]
    fn sockets_of_systemd_are_served_with_their_roles_and_stay() {
        let directory = TempDir::new().unwrap();
        let Some((mut running, _client)) = activated(directory.path(), &SOCKETS) else {
            return;
        };
        let socket = |name: &str| directory.path().join(name);
        for (name, role) in [
            ("read.sock", "reader"),
            ("operate.sock", "operator"),
            ("admin.sock", "admin"),
        ] {
            let (status, text) = ask(&socket(name), &["access"]);
            assert_eq!(status, Some(0), "{text}");
            assert!(text.contains(role), "{text}");
        }
        let (status, text) = ask(&socket("read.sock"), &["recheck"]);
        assert_eq!(status, Some(2), "{text}");
        assert!(text.contains("pvelens-operators"), "{text}");
        let (status, text) = ask(&socket("operate.sock"), &["recheck"]);
        assert_eq!(status, Some(0), "{text}");
        let (status, text) = ask(&socket("operate.sock"), &["log-level", "debug"]);
        assert_eq!(status, Some(2), "{text}");
        assert!(text.contains("only root"), "{text}");
        let (status, text) = ask(&socket("admin.sock"), &["log-level", "debug"]);
        assert_eq!(status, Some(0), "{text}");
        assert!(text.contains("debug until"), "{text}");

        running.terminate();
        assert!(running.ended().success());
        let log = running.log();
        assert!(log.contains("recheck role=\"operator\""), "{log}");
        assert!(log.contains("set log level role=\"admin\""), "{log}");
        // They are systemd's, and nothing was made beside them.
        for name in SOCKETS {
            assert!(socket(name).exists(), "{name}");
        }
        assert!(!socket("own").exists());
    }

    #[test]
    fn a_set_of_sockets_that_is_not_ours_is_refused() {
        for (sockets, part) in [
            (
                &["read.sock", "mcp.sock", "operate.sock", "mcp-operate.sock"][..],
                "pvelens-admin.socket",
            ),
            (&["read.sock", "write.sock"], "write.sock"),
        ] {
            let directory = TempDir::new().unwrap();
            let Some((mut running, _client)) = activated(directory.path(), sockets) else {
                return;
            };
            // Starting again does not mend it, and the unit says so.
            assert_eq!(running.ended().code(), Some(2));
            let log = running.log();
            assert!(log.contains(part), "{log}");
        }
    }

    #[test]
    fn the_service_manager_is_told_when_it_serves_and_that_it_goes_on() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_read_timeout(Some(DEADLINE)).unwrap();
        let word = || {
            let mut buffer = [0; 1024];
            let length = manager.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        let mut command = command(pvelens());
        command
            .arg("serve")
            .arg("--config")
            .arg(settings(directory.path()));
        command
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "60000000");
        let mut running = Running(command.stderr(Stdio::piped()).spawn().unwrap());

        assert_eq!(word(), "READY=1\n");
        let own = directory.path().join("own");
        let mut served: Vec<_> = fs::read_dir(&own)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        served.sort();
        assert_eq!(served, SOCKETS);
        let (mut has_status, mut pings) = (false, 0);
        while !has_status || pings < 3 {
            match &*word() {
                "WATCHDOG=1\n" => pings += 1,
                "STATUS=clusters: 0, nodes: 0, agents connected: 0 of 0, open findings: 0\n" => {
                    has_status = true;
                }
                other => panic!("{other}"),
            }
        }
        // A mistake in the settings changes nothing, and it goes on.
        fs::write(directory.path().join("pvelens.toml"), "[htp]\n").unwrap();
        running.signal(rustix::process::Signal::HUP);
        let next = || std::iter::repeat_with(word).find(|word| word != "WATCHDOG=1\n");
        assert_eq!(next().as_deref(), Some("RELOADING=1\n"));
        assert_eq!(next().as_deref(), Some("READY=1\n"));
        running.terminate();
        let last = next();
        assert_eq!(last.as_deref(), Some("STOPPING=1\n"));
        assert!(running.ended().success());
        let log = running.log();
        assert!(log.contains("did you mean `http`?"), "{log}");
        // What it made itself is gone.
        assert_eq!(fs::read_dir(&own).unwrap().count(), 0);
    }

    #[test]
    fn the_journal_gets_priorities_and_no_times() {
        let directory = TempDir::new().unwrap();
        // A socket stands for the journal's stream: what counts is its inode.
        let path = directory.path().join("journal");
        let journal = UnixListener::bind(&path).unwrap();
        let ours = UnixStream::connect(&path).unwrap();
        let (mut theirs, _) = journal.accept().unwrap();
        let stat = rustix::fs::fstat(&ours).unwrap();
        let mut command = command(pvelens());
        command
            .arg("serve")
            .arg("--config")
            .arg(settings(directory.path()))
            .env("JOURNAL_STREAM", format!("{}:{}", stat.st_dev, stat.st_ino))
            .stderr(Stdio::from(std::os::fd::OwnedFd::from(ours)));
        let mut running = Running(command.spawn().unwrap());
        drop(command);
        // The last one that is made. The client that left at once says that the server
        // accepts.
        connected(&directory.path().join("own/admin.sock"));
        let (status, text) = ask(&directory.path().join("own/admin.sock"), &["log-level"]);
        assert_eq!(status, Some(0), "{text}");
        running.terminate();
        assert!(running.ended().success());
        let mut log = String::new();
        theirs.read_to_string(&mut log).unwrap();
        assert!(log.starts_with("<6>pvelens::serve"), "{log}");
        assert!(log.lines().all(|line| line.starts_with('<')), "{log}");
    }
}
