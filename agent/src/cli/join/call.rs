//! Asking a coordinator: each address in its order until one answers, within a time.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use hyper_util::rt::TokioIo;
use pvelens_proto::v1::{
    EnrollRequest, EnrollResponse, enrollment_service_client::EnrollmentServiceClient,
};
use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{Code, Status, transport::Endpoint};
use tonic_types::StatusExt;

use super::pin::{Peer, Pin, PinError};
use crate::{
    flight::{Lost, SingleFlight},
    link::Address,
};

/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;
/// A certificate, and a handful of authorities.
const ANSWER_BYTES: usize = 256 << 10;
/// Names nobody: the pin says who is meant.
const NO_NAME: &str = "pvelens.invalid";

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    /// For one address, from its name to the answer.
    pub(super) each: Duration,
    pub(super) all: Duration,
}

/// Why one address gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("it cannot be looked up: {0}")]
    Lookup(io::Error),
    #[error("it cannot be looked up: {0}")]
    LostLookup(Lost),
    #[error("the name has no address")]
    NoAddress,
    #[error("{0}")]
    Connect(io::Error),
    #[error("{0}")]
    Pin(#[from] PinError),
    #[error("it does not speak TLS as a coordinator does: {0}")]
    Tls(String),
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("there was no time left to try it")]
    NotTried,
    #[error("it gave no answer: {0}")]
    Call(String),
}

/// Why nobody answered.
#[derive(Debug)]
pub(super) struct Unreached(pub(super) Vec<(Address, Failure)>);

impl Unreached {
    /// Somebody answered who is another one.
    pub(super) fn is_other(&self) -> bool {
        let is_other = |failure: &Failure| {
            matches!(
                failure,
                Failure::Pin(PinError::OtherAuthority | PinError::NotSigned)
            )
        };
        self.0.iter().any(|(_, failure)| is_other(failure))
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (address, failure) in &self.0 {
            write!(formatter, "\n  {address}: {failure}")?;
        }
        Ok(())
    }
}

/// The coordinator's word.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) peer: Peer,
    pub(super) result: Result<EnrollResponse, Refusal>,
}

/// The coordinator says no.
#[derive(Debug)]
pub(super) struct Refusal {
    /// As in `ErrorReason`, without its prefix; may be empty.
    pub(super) reason: String,
    pub(super) message: String,
}

/// Asks one address after the other. The one that answers for the coordinator decides.
pub(super) async fn ask(
    addresses: &[Address],
    authority_sha256: &[u8],
    request: &EnrollRequest,
    deadlines: Deadlines,
) -> Result<Answer, Unreached> {
    let end = Instant::now() + deadlines.all;
    let lookups = SingleFlight::new("lookup");
    let mut failures = Vec::new();
    for address in addresses {
        let now = Instant::now();
        let until = end.min(now + deadlines.each);
        let failure = if until <= now {
            Failure::NotTried
        } else {
            let asked = ask_one(address, authority_sha256, request, until, &lookups);
            match timeout_at(until, asked).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Silent(until - now),
            }
        };
        failures.push((address.clone(), failure));
    }
    Err(Unreached(failures))
}

async fn ask_one(
    address: &Address,
    authority_sha256: &[u8],
    request: &EnrollRequest,
    until: Instant,
    lookups: &SingleFlight,
) -> Result<Answer, Failure> {
    let stream = connect(address, until, lookups).await?;
    let pin = Pin::new(authority_sha256);
    let (stream, peer) = handshake(stream, &pin).await?;
    let result = enroll(stream, request.clone()).await?;
    Ok(Answer { peer, result })
}

async fn connect(
    address: &Address,
    until: Instant,
    lookups: &SingleFlight,
) -> Result<TcpStream, Failure> {
    let addresses = addresses(address, until, lookups).await?;
    let mut failure = Failure::NoAddress;
    for (tried, address) in (0_u32..).zip(&addresses) {
        // Each gets its share, so that one that swallows packets leaves time for the next.
        let left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        let left = left.saturating_sub(tried).saturating_add(1);
        let now = Instant::now();
        let share = until.saturating_duration_since(now) / left;
        match timeout_at(now + share, open(*address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = Failure::Connect(error),
            Err(_) => failure = Failure::Silent(share),
        }
    }
    Err(failure)
}

#[expect(
    clippy::disallowed_methods,
    reason = "joining is a command of the administrator, who names the coordinator"
)]
async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn addresses(
    address: &Address,
    until: Instant,
    lookups: &SingleFlight,
) -> Result<Vec<SocketAddr>, Failure> {
    let port = address.port();
    if let Ok(ip) = address.host().parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let host = address.host().to_owned();
    let look_up = move || {
        (host.as_str(), port)
            .to_socket_addrs()
            .map(|addresses| addresses.take(ADDRESSES).collect())
    };
    // The resolver may hang for minutes: on a thread of its own. The end of the process
    // does not wait for it.
    let left = until.saturating_duration_since(Instant::now());
    lookups
        .run(left, look_up)
        .await
        .map_err(Failure::LostLookup)?
        .map_err(Failure::Lookup)
}

async fn handshake(
    stream: TcpStream,
    pin: &Arc<Pin>,
) -> Result<(TlsStream<TcpStream>, Peer), Failure> {
    let tls = |error: &dyn fmt::Display| Failure::Tls(error.to_string());
    let config = pin.tls().map_err(|error| tls(&error))?;
    let name = ServerName::try_from(NO_NAME).map_err(|error| tls(&error))?;
    let connected = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    match (connected, pin.verdict()) {
        (Ok(stream), Some(Ok(peer))) => Ok((stream, peer)),
        (_, Some(Err(error))) => Err(error.into()),
        (Err(error), _) => Err(tls(&error)),
        (Ok(_), None) => Err(tls(&"it showed no certificate")),
    }
}

async fn enroll(
    stream: TlsStream<TcpStream>,
    request: EnrollRequest,
) -> Result<Result<EnrollResponse, Refusal>, Failure> {
    let mut stream = Some(stream);
    // Good for one connection: nobody else is ever called with the secret.
    let connector = tower::service_fn(move |_| {
        let stream = stream.take().map(TokioIo::new);
        std::future::ready(stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)))
    });
    let channel = Endpoint::from_static("http://pvelens.invalid")
        .connect_with_connector(connector)
        .await
        .map_err(|error| Failure::Call(causes(&error)))?;
    let answered = EnrollmentServiceClient::new(channel)
        .max_decoding_message_size(ANSWER_BYTES)
        .enroll(request)
        .await;
    match answered {
        Ok(response) => Ok(Ok(response.into_inner())),
        Err(status) => refusal(&status).map(Err),
    }
}

/// What the coordinator said, or that it was the connection that failed.
fn refusal(status: &Status) -> Result<Refusal, Failure> {
    let reason = status
        .get_details_error_info()
        .map(|info| info.reason)
        .unwrap_or_default();
    let is_said = !reason.is_empty()
        || !matches!(
            status.code(),
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal
        );
    if is_said {
        return Ok(Refusal {
            reason,
            message: status.message().to_owned(),
        });
    }
    Err(Failure::Call(causes(status)))
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
