//! `client`: certificates for people and programs elsewhere.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use pvelens_proto::v1::{
    self as message, IssueClientRequest, ListClientsRequest, RenewClientRequest,
    RevokeClientRequest, enrollment_service_client::EnrollmentServiceClient,
};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde::Serialize;

use super::{
    Failure, MESSAGE_LIMIT,
    client::{Administering, Connection, MESSAGE_LIMIT_BYTES},
    output::Output,
    print, refusal,
};
use crate::untrusted;
use files::Place;

pub(super) mod files;

const DAYS_MAX: i64 = 365;

#[derive(Debug, Subcommand)]
pub(super) enum Client {
    /// Give a person or a program a certificate, with its key made here (for root)
    ///
    /// Writes `key.pem`, `cert.pem` and `ca.pem` into a new directory, for --credentials
    /// or any gRPC client. The key is made here and goes nowhere; bring the directory to
    /// its owner on a way that nobody else reads.
    Issue(Issue),
    /// Renew the certificate with which the coordinator is called
    ///
    /// With the options --server and --credentials: the certificate there is replaced by
    /// a new one for the same name, role, key and length. Good for a timer; needs a
    /// certificate that has not ended.
    Renew(Renew),
    /// Certificates of clients, and their ends (for root)
    List(List),
    /// End all certificates of a client, or one, and its connections (for root)
    Revoke(Revoke),
}

#[derive(Debug, Args)]
pub(super) struct Issue {
    /// Name of the person or program: letters, digits, dots, underscores and hyphens
    #[arg(value_name = "NAME")]
    name: String,
    /// What the client may do
    #[arg(long, value_enum, value_name = "ROLE")]
    role: GivenRole,
    /// Directory to write to, made when it is not there
    #[arg(long, value_name = "DIRECTORY")]
    out: PathBuf,
    /// Days until the certificate ends, at most 365
    #[arg(
        long,
        value_name = "DAYS",
        default_value_t = 90,
        value_parser = clap::value_parser!(u32).range(1..=DAYS_MAX)
    )]
    days: u32,
    #[command(flatten)]
    connection: Administering,
}

#[derive(Debug, Args)]
pub(super) struct Renew {
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    connection: Administering,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Name of the client, for all of its certificates, or the serial number of one
    #[arg(value_name = "NAME|SERIAL")]
    name_or_serial: String,
    #[command(flatten)]
    connection: Administering,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum GivenRole {
    /// Look at everything
    Reader,
    /// Also check again, and run read-only commands in VMs
    Operator,
    /// Also decide who belongs here
    Admin,
}

/// What was written, for people and programs.
#[derive(Debug, Serialize)]
struct Issued {
    name: String,
    directory: PathBuf,
    expires: Option<Timestamp>,
    addresses: Vec<String>,
}

impl Client {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        match self {
            Self::Issue(arguments) => arguments.run().await,
            Self::Renew(arguments) => arguments.run().await,
            Self::List(arguments) => arguments.run().await,
            Self::Revoke(arguments) => arguments.run().await,
        }
    }
}

impl Issue {
    async fn run(self) -> Result<u8, Failure> {
        let place = Place::prepare(&self.out)?;
        match self.ask().await {
            Ok((key, response)) => {
                let chain = response.chain.unwrap_or_default();
                place.fill(&key.serialize_pem(), &chain, &response.authorities)?;
                let issued = Issued {
                    name: self.name,
                    directory: self.out,
                    expires: moment(response.expires_at.as_ref()),
                    addresses: response.addresses,
                };
                print(&issued.show(self.connection.output.output))?;
                Ok(0)
            }
            Err(failure) => {
                place.give_up();
                Err(failure)
            }
        }
    }

    async fn ask(&self) -> Result<(KeyPair, message::IssueClientResponse), Failure> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(no_key)?;
        let role = match self.role {
            GivenRole::Reader => message::Role::Reader,
            GivenRole::Operator => message::Role::Operator,
            GivenRole::Admin => message::Role::Admin,
        };
        let request = IssueClientRequest {
            name: self.name.clone(),
            role: role.into(),
            csr_der: request(&key)?,
            valid_days: self.days,
        };
        let mut client = EnrollmentServiceClient::new(self.connection.open().await?);
        let response = client.issue_client(request).await;
        Ok((key, response.map_err(refusal)?.into_inner()))
    }
}

impl Issued {
    fn show(&self, output: Output) -> String {
        if output == Output::Json {
            return serde_json::to_string_pretty(self).unwrap_or_default() + "\n";
        }
        let directory = self.directory.display();
        let ends = self
            .expires
            .map(|at| at.strftime(", good until %Y-%m-%d %H:%M UTC").to_string())
            .unwrap_or_default();
        let server = match self.addresses.first() {
            Some(address) => untrusted::line(address, MESSAGE_LIMIT).into_owned(),
            None => "HOST".to_owned(),
        };
        format!(
            "Wrote key.pem, cert.pem and ca.pem to {directory}, for {}{ends}.\n\
             Use it with:\n  \
             pvelens status --server {server} --credentials {directory}\n",
            self.name
        )
    }
}

impl Renew {
    async fn run(self) -> Result<u8, Failure> {
        let directory = self.connection.credentials().ok_or_else(|| {
            Failure::Usage(
                "give --server and --credentials: what is renewed is the certificate with which \
                 the coordinator is called"
                    .to_owned(),
            )
        })?;
        let key = KeyPair::from_pem(&files::key(&directory)?).map_err(|_| {
            Failure::Usage(format!(
                "the key in {} is not one that `pvelens client issue` wrote",
                directory.display()
            ))
        })?;
        let request = RenewClientRequest {
            csr_der: request(&key)?,
        };
        let mut client = EnrollmentServiceClient::new(self.connection.open().await?);
        let response = client.renew_client(request).await;
        let response = response.map_err(refusal)?.into_inner();
        let chain = response.chain.unwrap_or_default();
        files::renew(&directory, &chain, &response.authorities)?;
        let ends = moment(response.expires_at.as_ref())
            .map(|at| {
                at.strftime(" It is good until %Y-%m-%d %H:%M UTC.")
                    .to_string()
            })
            .unwrap_or_default();
        print(&format!(
            "Replaced the certificate in {}.{ends}\n",
            directory.display()
        ))?;
        Ok(0)
    }
}

impl List {
    async fn run(self) -> Result<u8, Failure> {
        let request = ListClientsRequest {
            render: Some(self.connection.output.render()),
        };
        let mut client = EnrollmentServiceClient::new(self.connection.open().await?)
            .max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        let response = client.list_clients(request).await;
        print(&response.map_err(refusal)?.into_inner().rendered)?;
        Ok(0)
    }
}

impl Revoke {
    async fn run(self) -> Result<u8, Failure> {
        let request = RevokeClientRequest {
            name_or_serial: self.name_or_serial,
            render: Some(self.connection.output.render()),
        };
        let mut client = EnrollmentServiceClient::new(self.connection.open().await?);
        let response = client.revoke_client(request).await;
        print(&response.map_err(refusal)?.into_inner().rendered)?;
        Ok(0)
    }
}

/// Asks for a certificate for a key (RFC 2986). Name and role are not in it: the
/// coordinator says them.
fn request(key: &KeyPair) -> Result<Vec<u8>, Failure> {
    let request = CertificateParams::default().serialize_request(key);
    Ok(request.map_err(no_key)?.der().to_vec())
}

fn no_key(error: rcgen::Error) -> Failure {
    Failure::Failed(format!("making a key: {error}"))
}

fn moment(at: Option<&pvelens_proto::Timestamp>) -> Option<Timestamp> {
    Timestamp::from_second(at?.seconds).ok()
}
