//! `ca`: the authority that vouches for nodes and clients.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use pvelens_proto::v1::{
    BackUpAuthorityRequest, GetAuthoritiesRequest, RetireAuthorityRequest, RotateAuthorityRequest,
    enrollment_service_client::EnrollmentServiceClient,
};

use super::{
    Failure,
    client::{self, Administering, Connection, MESSAGE_LIMIT_BYTES},
    clients::files::{failed, write_new},
    complain,
    doctor::{System, would_start},
    print, refusal,
};
use crate::{config::Sockets, serve::ADMIN_SOCKET, trust};

const STORE: &str = "/var/lib/pvelens";
const PIPE: &str = "-";
const BACKUP_LIMIT_BYTES: u64 = 64 << 20;

#[derive(Debug, Subcommand)]
pub(super) enum Ca {
    /// Who signs, who is trusted still, and who depends on them
    Show(Show),
    /// Make a new authority, which signs from now on (for root)
    ///
    /// The present one vouches for it, stays trusted, and its key is removed. Nodes get
    /// new certificates by themselves. Then make a new backup, and later
    /// `pvelens ca retire` the old one.
    Rotate(Rotate),
    /// End the trust in an authority that was replaced (for root)
    Retire(Retire),
    /// Write down all that another coordinator needs to take the place of this one (for
    /// root)
    ///
    /// The file holds the private key of the authority: whoever has it can let in
    /// anybody. Encrypt it, and keep it elsewhere.
    Backup(Backup),
    /// Put back a backup, while no coordinator runs (for root)
    ///
    /// Nodes and clients go on with the certificates that they have. What was given or
    /// revoked after the backup is not known: revoke it again.
    Restore(Restore),
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(super) struct Rotate {
    #[command(flatten)]
    connection: Administering,
}

#[derive(Debug, Args)]
pub(super) struct Retire {
    /// The authority or the beginning of it, as ca show names it
    #[arg(value_name = "FINGERPRINT")]
    fingerprint: String,
    /// Also when nodes or clients depend on it: they have to join again
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connection: Administering,
}

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// File to write, which must not be there yet; a hyphen for standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    connection: Administering,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// File that ca backup wrote; a hyphen for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Also when there is a trust already: it is replaced
    #[arg(long)]
    force: bool,
    /// Directory of the coordinator's state
    #[arg(long, value_name = "DIRECTORY", default_value = STORE)]
    directory: PathBuf,
    /// Socket of the coordinator that must not answer [default: /run/pvelens/admin.sock]
    #[arg(long, value_name = "PATH", env = "PVELENS_ADMIN_SOCKET")]
    socket: Option<PathBuf>,
}

impl Ca {
    pub(super) fn run(self) -> Result<u8, Failure> {
        match self {
            Self::Show(arguments) => client::run(arguments.run()),
            Self::Rotate(arguments) => client::run(arguments.run()),
            Self::Retire(arguments) => client::run(arguments.run()),
            Self::Backup(arguments) => client::run(arguments.run()),
            Self::Restore(arguments) => arguments.run(),
        }
    }
}

impl Show {
    async fn run(self) -> Result<u8, Failure> {
        let request = GetAuthoritiesRequest {
            render: Some(self.connection.output.render()),
        };
        let mut client = EnrollmentServiceClient::new(self.connection.open().await?);
        let response = client.get_authorities(request).await;
        print(&response.map_err(refusal)?.into_inner().rendered)?;
        Ok(0)
    }
}

impl Rotate {
    async fn run(self) -> Result<u8, Failure> {
        let request = RotateAuthorityRequest {
            render: Some(self.connection.output.render()),
        };
        let mut client = EnrollmentServiceClient::new(self.connection.open().await?);
        let response = client.rotate_authority(request).await;
        print(&response.map_err(refusal)?.into_inner().rendered)?;
        Ok(0)
    }
}

impl Retire {
    async fn run(self) -> Result<u8, Failure> {
        let request = RetireAuthorityRequest {
            fingerprint: self.fingerprint,
            force: self.force,
            render: Some(self.connection.output.render()),
        };
        let mut client = EnrollmentServiceClient::new(self.connection.open().await?);
        let response = client.retire_authority(request).await;
        print(&response.map_err(refusal)?.into_inner().rendered)?;
        Ok(0)
    }
}

impl Backup {
    async fn run(self) -> Result<u8, Failure> {
        let is_pipe = self.file.as_os_str() == PIPE;
        if is_pipe && io::stdout().is_terminal() {
            return Err(Failure::Usage(
                "a terminal would show and keep the private key of the authority: name a file, \
                 or a pipe to what encrypts it"
                    .to_owned(),
            ));
        }
        // Before the key leaves the coordinator.
        if !is_pipe && self.file.symlink_metadata().is_ok() {
            return Err(Failure::Usage(format!(
                "{} is there already, and is not overwritten: name another file",
                self.file.display()
            )));
        }
        let mut client = EnrollmentServiceClient::new(self.connection.open().await?)
            .max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        let response = client.back_up_authority(BackUpAuthorityRequest {}).await;
        let backup = response.map_err(refusal)?.into_inner().backup;
        if is_pipe {
            print(&format!("{}\n", backup.trim_end()))?;
            return Ok(0);
        }
        write_new(&self.file, backup.as_bytes())
            .map_err(|error| failed("writing", &self.file, &error))?;
        complain(&format!(
            "wrote {}, which holds the private key of the authority: encrypt it, and keep it on \
             another machine",
            self.file.display()
        ));
        Ok(0)
    }
}

impl Restore {
    fn run(self) -> Result<u8, Failure> {
        self.is_stopped(&System::open())?;
        let text = read(&self.file)?;
        let made_at = trust::restore(&self.directory, &text, self.force)
            .map_err(|error| Failure::Failed(format!("{:#}", anyhow::Error::from(error))))?;
        print(&format!(
            "Restored the trust in {} as it was on {}.\n\
             What was given, withdrawn or revoked after that is not known any more: `pvelens agents \
             revoke` and `pvelens client revoke` what should not come back.\n\
             Now start the coordinator: systemctl start pvelens\n",
            self.directory.display(),
            made_at.strftime("%Y-%m-%d %H:%M UTC")
        ))?;
        Ok(0)
    }

    /// A coordinator that runs would go on with what it knows, and write that over it.
    fn is_stopped(&self, system: &System) -> Result<(), Failure> {
        let sockets = Sockets::default();
        let usual = sockets.directory.join(ADMIN_SOCKET);
        let socket = self.socket.as_deref().unwrap_or(&usual);
        // Systemd has the socket, and a question would start it.
        if socket == usual && would_start(system, &sockets) {
            return Ok(());
        }
        match UnixStream::connect(socket) {
            Ok(_) => Err(Failure::Failed(format!(
                "a coordinator answers at {}: stop it first, with `systemctl stop pvelens`",
                socket.display()
            ))),
            Err(error) if is_nobody(&error) => Ok(()),
            // Whether there is one cannot be seen.
            Err(error) => Err(Failure::NotAssessed(format!(
                "looking whether a coordinator answers at {}: {error}",
                socket.display()
            ))),
        }
    }
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

fn read(file: &Path) -> Result<String, Failure> {
    let read = |source: &mut dyn Read| {
        let mut text = String::new();
        source
            .take(BACKUP_LIMIT_BYTES)
            .read_to_string(&mut text)
            .map(|_| text)
    };
    let text = if file.as_os_str() == PIPE {
        read(&mut io::stdin().lock())
    } else {
        File::open(file).and_then(|mut file| read(&mut file))
    };
    text.map_err(|error| Failure::Usage(format!("reading {}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use tempfile::TempDir;

    use super::*;

    fn restore(directory: &TempDir, text: &str) -> Restore {
        let file = directory.path().join("backup");
        std::fs::write(&file, text).unwrap();
        Restore {
            file,
            force: false,
            directory: directory.path().join("store"),
            socket: Some(directory.path().join("admin.sock")),
        }
    }

    #[test]
    fn nothing_is_restored_below_a_coordinator_that_runs() {
        let directory = TempDir::new().unwrap();
        let arguments = restore(&directory, "{}");
        let listener = UnixListener::bind(directory.path().join("admin.sock")).unwrap();
        let failure = arguments.run().unwrap_err();
        assert!(failure.to_string().contains("stop it first"), "{failure}");
        drop(listener);
        // Nobody listens any more.
        let failure = restore(&directory, "{}").run().unwrap_err();
        assert!(failure.to_string().contains("backup"), "{failure}");
        assert!(!directory.path().join("store").exists());
    }
}
