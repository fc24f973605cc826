//! The HTTP surface: `/mcp`, `/metrics`, `/healthz` and `/readyz`, for programs on
//! this host.
//!
//! Anything on this host may connect, a web page in a browser here included. So
//! only loopback names are accepted as `Host` (a page that rebinds its own name
//! to 127.0.0.1 still sends that name) and as `Origin`. Other names need TLS and
//! a token, which this listener does not have.

use std::{io, net::Ipv6Addr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    coordinator::Coordinator,
    grpc::Role,
    mcp::{Server, is_evaluated},
};
use listener::Limited;

mod listener;
mod metrics;
#[cfg(test)]
mod tests;

/// Bytes of a request's body. Arguments are names and filters.
const BODY: usize = 1 << 20;

/// How long requests in progress may take when the server stops.
const GRACE: Duration = Duration::from_secs(2);

const LOOPBACK_ORIGINS: [&str; 6] = [
    "http://localhost:*",
    "http://127.0.0.1:*",
    "http://[::1]:*",
    "https://localhost:*",
    "https://127.0.0.1:*",
    "https://[::1]:*",
];

/// Serves until `shutdown`.
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve(
    coordinator: Arc<Coordinator>,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> io::Result<()> {
    // Cancelled only after the grace, since it ends calls with an error.
    let stop = CancellationToken::new();
    let app = router(coordinator, &stop);
    let stopping = shutdown.clone();
    let serving = axum::serve(Limited::new(listener, stop.clone()), app)
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .into_future();
    let deadline = async {
        stopping.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    let result = tokio::select! {
        result = serving => result,
        // A stream that a client keeps open would block the end for ever.
        () = deadline => Ok(()),
    };
    stop.cancel();
    result
}

fn router(coordinator: Arc<Coordinator>, stop: &CancellationToken) -> Router {
    let config = StreamableHttpServerConfig::default()
        // Tools keep no state; a session would cost memory without limit.
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(BODY)
        .with_allowed_origins(LOOPBACK_ORIGINS)
        .with_cancellation_token(stop.clone());
    // Whoever is on this host: without a token nobody is more than a reader.
    let server = Server::new(Arc::clone(&coordinator), Role::Reader);
    let mcp = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    Router::new()
        .route_service("/mcp", mcp)
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                "no such path; there is /mcp, /metrics, /healthz and /readyz\n",
            )
        })
        .with_state(coordinator)
        .layer(middleware::from_fn(local_only))
}

async fn ready(State(coordinator): State<Arc<Coordinator>>) -> Response {
    let reason = if is_evaluated(&coordinator.current()) {
        coordinator.ports().failure()
    } else {
        Some("nothing evaluated yet".to_owned())
    };
    match reason {
        None => "ready\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn scrape(State(coordinator): State<Arc<Coordinator>>) -> Response {
    let text = metrics::exposition(&coordinator.current(), &metrics::Counted::of(&coordinator));
    ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}

async fn local_only(request: Request, next: Next) -> Response {
    match foreign(request.headers()) {
        None => next.run(request).await,
        Some(what) => (
            StatusCode::FORBIDDEN,
            format!("{what} must be localhost, 127.0.0.1 or [::1]\n"),
        )
            .into_response(),
    }
}

/// The header that names something else than this host.
fn foreign(headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        _ => return Some("exactly one Host"),
    };
    if !host.to_str().is_ok_and(is_loopback) {
        return Some("Host");
    }
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let local = origins.all(|origin| {
        origin.to_str().is_ok_and(|origin| {
            let authority = origin
                .strip_prefix("http://")
                .or_else(|| origin.strip_prefix("https://"));
            authority.is_some_and(is_loopback)
        })
    });
    (!local).then_some("Origin")
}

/// Whether `NAME` or `NAME:PORT` is this host by one of its usual names.
fn is_loopback(authority: &str) -> bool {
    let (name, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, rest)) => {
                if address.parse() != Ok(Ipv6Addr::LOCALHOST) {
                    return false;
                }
                ("localhost", rest)
            }
            None => return false,
        },
        None => match authority.find(':') {
            Some(colon) => authority.split_at(colon),
            None => (authority, ""),
        },
    };
    let is_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.parse::<u16>().is_ok());
    is_port && (name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1")
}
