//! A connection to a coordinator elsewhere, and its errors in words.

use std::{io, path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;
use pvelens_proto::v1::{GetAccessRequest, fleet_service_client::FleetServiceClient};
use rustls::{AlertDescription, CertificateError, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{Code, Status, transport::Channel};

use super::{
    super::Failure, PING_DEADLINE, PING_INTERVAL, credentials::Credentials, heard::Heard, refused,
    way::Server,
};
use crate::link;

/// Another machine may be far away.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// In the certificate of every coordinator; see `IsCoordinator`.
const NAME: &str = "pvelens";

/// Connects, and hears from the coordinator that it takes the certificate: in TLS 1.3
/// connecting alone does not say so.
pub(super) async fn open(server: &Server, credentials: &Path) -> Result<Channel, Failure> {
    let tls = Credentials::read(credentials, now())?.tls()?;
    let opening = async {
        let address = (server.host.as_str(), server.port);
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| unreachable(server, &error))?;
        let stream = shake(stream, Arc::new(tls))
            .await
            .map_err(|error| no_handshake(server, &error))?;
        let endpoint = link::endpoint()
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_DEADLINE);
        let (stream, alert) = Heard::new(stream);
        let failed = |otherwise: Failure| match alert.get() {
            Some(alert) => alerted(server, *alert),
            None => otherwise,
        };
        let channel = link::channel(endpoint, stream)
            .await
            .map_err(|_| failed(foreign(server)))?;
        let mut fleet = FleetServiceClient::new(channel.clone());
        match fleet.get_access(GetAccessRequest::default()).await {
            Ok(_) => Ok(channel),
            Err(status) => Err(failed(not_greeted(server, &status))),
        }
    };
    timeout(CONNECT_DEADLINE, opening)
        .await
        .unwrap_or_else(|_| {
            Err(Failure::NotAssessed(format!(
                "{server} gave no answer within {} s",
                CONNECT_DEADLINE.as_secs()
            )))
        })
}

async fn shake(
    stream: TcpStream,
    tls: Arc<rustls::ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
    TlsConnector::from(tls).connect(name, stream).await
}

fn unreachable(server: &Server, error: &io::Error) -> Failure {
    let why = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there. The port opens with the first token or client \
             (`pvelens agents token`, `pvelens client issue`), unless link.enabled is \"off\""
                .to_owned()
        }
        _ => error.to_string(),
    };
    Failure::NotAssessed(format!("{server} cannot be reached: {why}"))
}

/// The other end did not convince us, or it is none of ours.
fn no_handshake(server: &Server, error: &io::Error) -> Failure {
    let tls = error
        .get_ref()
        .and_then(|it| it.downcast_ref::<rustls::Error>());
    let words = match tls {
        Some(rustls::Error::InvalidCertificate(why)) => match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate is of another authority than ca.pem: is it another coordinator, or was \
                 it set up anew? Then an administrator issues new credentials"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has ended: is the clock of this machine right?"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not good yet: is the clock of this machine behind?"
            }
            CertificateError::ApplicationVerificationFailure => {
                "its certificate is not that of a coordinator"
            }
            _ => return Failure::NotAssessed(format!("{server} is not trusted: {error}")),
        },
        Some(rustls::Error::AlertReceived(alert)) => return alerted(server, *alert),
        Some(_) => "it does not speak TLS 1.3; --server takes the address of api.listen (8441)",
        None => return Failure::NotAssessed(format!("{server} ended the connection: {error}")),
    };
    Failure::NotAssessed(format!("{server} is not trusted: {words}"))
}

/// What it holds against our certificate.
fn alerted(server: &Server, alert: AlertDescription) -> Failure {
    let words = match alert {
        AlertDescription::CertificateExpired => "it has ended, by the clock there",
        AlertDescription::CertificateRevoked => "it was revoked",
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            "it is of another authority: was the coordinator set up anew?"
        }
        AlertDescription::AccessDenied => "it was revoked, or is not that of a client",
        AlertDescription::BadCertificate | AlertDescription::UnsupportedCertificate => {
            "it is not that of a client"
        }
        _ => return Failure::Usage(format!("{server} refuses the connection: {alert:?}")),
    };
    Failure::Usage(format!(
        "{server} refuses the certificate of these credentials: {words}"
    ))
}

fn foreign(server: &Server) -> Failure {
    Failure::NotAssessed(format!(
        "what answers at {server} is not a coordinator, or it hangs"
    ))
}

/// What the first call failed of.
fn not_greeted(server: &Server, status: &Status) -> Failure {
    match status.code() {
        Code::Unavailable | Code::Unknown | Code::Cancelled => Failure::NotAssessed(format!(
            "{server} took the connection and ended it: is the certificate revoked, or does it have \
             as many clients as it serves?"
        )),
        _ => refused(status),
    }
}

fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "a certificate is good at the moment it is shown"
    )]
    Timestamp::now()
}
