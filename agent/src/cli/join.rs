//! `join`: get this node its identity from a coordinator, with the line that
//! `pvelens agents token` printed there.
//!
//! The administrator runs it, outside the sandbox of the agent, which calls nobody.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, anyhow, bail};
use jiff::Timestamp;
use pvelens_proto::{
    join_line, timestamp_to_millis,
    v1::{EnrollRequest, JoinTicket},
};

use super::{JoinArguments, complain, plain, print};
use crate::{
    collector::identify,
    host::Host,
    identity::{Identity, accept},
    joined,
    link::{Address, Coordinator},
};

mod call;
pub(super) mod pending;
mod pin;
pub(super) mod places;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests are the coordinator")]
mod tests;
pub(super) mod unit;
mod words;

use call::{Answer, Deadlines, ask};
use pending::Pending;
use places::Places;

const DEADLINES: Deadlines = Deadlines {
    each: Duration::from_secs(10),
    all: Duration::from_secs(30),
};
/// Of what is read; a line has 8 KiB at most.
const LINE_LIMIT: u64 = 16 << 10;
/// Enrolment addresses that are tried, and addresses that the link is given.
const ENROLMENT_ADDRESSES: usize = 16;
const LINK_ADDRESSES: usize = 8;
const SHA256_BYTES: usize = 32;
/// Of a fingerprint, for people.
const FINGERPRINT_DIGITS: usize = 16;

pub(super) fn join(arguments: &JoinArguments) -> anyhow::Result<ExitCode> {
    let places = arguments.places.find()?;
    let places = match &arguments.root {
        Some(root) => Places {
            root: root.clone(),
            ..places
        },
        None => places,
    };
    if !arguments.replace {
        check_has_not_joined(&places)?;
    }
    let line = match &arguments.line_file {
        Some(file) => line_of_file(file)?,
        None => line_of_input()?,
    };
    let ticket = join_line::read(&line)?;
    if let Some(expires_at) = is_late(&ticket, Timestamp::now()) {
        complain(&words::late(&expires_at.to_string()));
    }
    let joined = enter(&places, &ticket, DEADLINES)?;
    print(&joined.text())?;
    if arguments.no_enable || !unit::is_there() {
        print(&format!(
            "The link is not started here; that is done by\n  {}\n",
            unit::ENABLE_COMMAND
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    unit::enable().with_context(|| {
        format!(
            "this node has joined, and its link could not be started; when that is mended: {}",
            unit::ENABLE_COMMAND
        )
    })?;
    print(
        "pvelens-link.service is enabled and started. To see whether the link is up:\n  \
           systemctl status pvelens-link     on this node\n  \
           pvelens agents list               on the coordinator\n",
    )?;
    Ok(ExitCode::SUCCESS)
}

fn check_has_not_joined(places: &Places) -> anyhow::Result<()> {
    let identity = Identity::load(&places.identity)
        .context("this node has joined before, with an identity that cannot be used; `pvelens-agent join --replace` replaces it")?;
    let Some(identity) = identity else {
        return Ok(());
    };
    bail!(
        "this node has joined already, as {} (authority {}, coordinator {}); `pvelens-agent join --replace` joins anew, `pvelens-agent leave` ends it",
        plain(&identity.node),
        short(&identity.authority_fingerprint()),
        plain(&identity.coordinators.join(" ")),
    );
}

fn line_of_input() -> anyhow::Result<String> {
    if io::stdin().is_terminal() {
        complain("paste the line that `pvelens agents token` printed on the coordinator:");
    }
    first_line(io::stdin().lock()).context("reading standard input")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a file that whoever runs the command named"
)]
fn line_of_file(file: &Path) -> anyhow::Result<String> {
    let reading = || format!("reading {}", file.display());
    let file = File::open(file).with_context(reading)?;
    first_line(BufReader::new(file)).with_context(reading)
}

/// The first line that is not empty.
fn first_line(input: impl BufRead) -> io::Result<String> {
    let mut input = input.take(LINE_LIMIT);
    let mut line = String::new();
    while line.trim().is_empty() {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            break;
        }
    }
    Ok(line)
}

/// When the line ended, if that is over.
fn is_late(ticket: &JoinTicket, now: Timestamp) -> Option<Timestamp> {
    let expires_at = ticket.expires_at.as_ref().map(timestamp_to_millis)?;
    let expires_at = Timestamp::from_millisecond(expires_at).ok()?;
    (expires_at <= now).then_some(expires_at)
}

/// What came of it.
#[derive(Debug)]
struct Joined {
    coordinator: String,
    links: Coordinator,
    identity: Identity,
}

impl Joined {
    fn text(&self) -> String {
        let identity = &self.identity;
        format!(
            "{} has joined the coordinator {}.\n  \
               authority    {}…\n  \
               certificate  good until {:.0}, renewed over the link long before\n  \
               link         to {}\n",
            plain(&identity.node),
            plain(&self.coordinator),
            short(&identity.authority_fingerprint()),
            identity.expires_at(),
            self.links,
        )
    }
}

fn short(fingerprint: &str) -> &str {
    fingerprint.get(..FINGERPRINT_DIGITS).unwrap_or(fingerprint)
}

/// Asks for the identity and keeps it.
fn enter(places: &Places, ticket: &JoinTicket, deadlines: Deadlines) -> anyhow::Result<Joined> {
    if ticket.authority_sha256.len() != SHA256_BYTES {
        bail!("the line names no authority; make a new one with `pvelens agents token`");
    }
    let enrolment = addresses(&ticket.enrollment_addresses, ENROLMENT_ADDRESSES)?;
    let links = addresses(&ticket.link_addresses, LINK_ADDRESSES)?;
    let links = Coordinator::of(links)?;
    let host = Host::open(&places.root).context("opening the root")?;
    let (node, cluster) = identify(&host);
    if node.is_empty() {
        bail!("this machine has no name: neither /etc/pve/local nor /etc/hostname says one");
    }
    let pending = Pending::get(&places.identity, &ticket.token_id, &node, &cluster)?;
    let request = EnrollRequest {
        token_id: ticket.token_id.clone(),
        secret: ticket.secret.clone(),
        csr_der: pending.csr_der().unwrap_or_default(),
        node_name: node.clone(),
        cluster_id: cluster.clone(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let asked = ask(&enrolment, &ticket.authority_sha256, &request, deadlines);
    let Answer { peer, result } = runtime
        .block_on(asked)
        .map_err(|error| anyhow!(words::unreached(&error)))?;
    let response =
        result.map_err(|refusal| anyhow!(words::refused(&peer.name, &node, &refusal)))?;
    let chain = response.chain.unwrap_or_default();
    let accepted = accept(
        &[peer.authority],
        &response.authorities,
        &chain,
        &pending.key_pem,
    )
    .context("the coordinator gave a certificate that cannot be used; nothing was changed. Are both of neighbouring versions, and both clocks right?")?;
    if accepted.node != node || (!cluster.is_empty() && accepted.cluster != cluster) {
        bail!(
            "the coordinator gave a certificate for {} instead of {}; nothing was changed",
            plain(&accepted.node),
            plain(&node)
        );
    }
    let coordinators = links.addresses().map(ToString::to_string).collect();
    let identity = Identity::new(accepted, pending.key_pem, coordinators);
    // The identity comes last: until it is there the same line can be tried again.
    joined::save(&places.config, vec![links.clone()])?;
    identity.save(&places.identity)?;
    pending::remove(&places.identity)?;
    Ok(Joined {
        coordinator: peer.name,
        links,
        identity,
    })
}

fn addresses(texts: &[String], limit: usize) -> anyhow::Result<Vec<Address>> {
    let texts = texts.iter().take(limit);
    let addresses: Result<Vec<Address>, _> = texts.map(|text| text.parse()).collect();
    let addresses = addresses.context("the line names an address that is none")?;
    if addresses.is_empty() {
        bail!(
            "the line names no address of the coordinator; set `link.names` there and make a new one"
        );
    }
    Ok(addresses)
}
