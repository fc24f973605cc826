//! A new certificate for a node, over its link: the agent makes the key and asks, the
//! authority signs, the agent takes the answer into use.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use pvelens_proto::agent::v1::{CreateCsrRequest, InstallCertificateRequest};
use tokio::task;
use tonic::{Code, Status, transport::Channel};

use super::{
    LinkError, REASON_LIMIT,
    connection::{answer, client},
    quota::Quota,
};
use crate::{
    trust::{NodeCertificate, Trust, TrustError},
    untrusted,
    view::{ClusterId, Name},
};

/// A certificate lasts for months. One may be lost on the way, and an authority may be
/// replaced right after.
const AT_ONCE: f64 = 6.0;
const PER_SECOND: f64 = 1.0 / 600.0;

/// Why a certificate was not renewed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RenewalError {
    #[error("{0}")]
    Link(#[from] LinkError),
    /// In the agent's words, made safe to show.
    #[error("{doing}: {words}")]
    Refused { doing: &'static str, words: String },
    #[error("the agent is too old to renew its certificate")]
    Unknown,
    #[error("{0}")]
    Trust(#[from] TrustError),
    #[error("it asked for too many in a short time")]
    TooMany,
    #[error("signing failed")]
    Defect,
}

/// How many certificates each node was given lately. Each one is signed and written to
/// the disk, and an agent that never takes them into use could ask without end.
#[derive(Debug, Default)]
pub(super) struct Renewals(Mutex<BTreeMap<(String, String), Quota>>);

impl Renewals {
    /// Whether the node of a certificate may have one more. Only nodes that belong here
    /// come so far, so there are no more entries than that.
    pub(super) fn admit(&self, of: &NodeCertificate) -> bool {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        given
            .entry((of.cluster.clone(), of.node.clone()))
            .or_insert_with(|| Quota::new(PER_SECOND, AT_ONCE))
            .admits(1.0)
    }
}

/// Gives the agent behind a channel a new certificate, for the place that it has now,
/// and returns that in DER.
pub(super) async fn renew(
    channel: &Channel,
    trust: Arc<Trust>,
    of: NodeCertificate,
    (cluster, node): &(ClusterId, Name),
    now: Timestamp,
) -> Result<Vec<u8>, RenewalError> {
    let doing = "asking for a new key";
    let mut client = client(channel);
    let asked = answer(doing, client.create_csr(CreateCsrRequest {}))
        .await?
        .map_err(|status| refused(doing, &status))?
        .into_inner();
    let (cluster, node) = (ClusterId::clone(cluster), Name::clone(node));
    let signing = move || trust.renew_node(&of, &cluster, &node, &asked.csr_der, now);
    let issued = task::spawn_blocking(signing)
        .await
        .map_err(|_| RenewalError::Defect)??;
    let leaf = issued.chain.certificates_der.first().cloned();
    let doing = "handing over the new certificate";
    let request = InstallCertificateRequest {
        chain: Some(issued.chain),
        authorities: issued.authorities,
    };
    answer(doing, client.install_certificate(request))
        .await?
        .map_err(|status| refused(doing, &status))?;
    leaf.ok_or(RenewalError::Defect)
}

fn refused(doing: &'static str, status: &Status) -> RenewalError {
    match status.code() {
        Code::Unimplemented => RenewalError::Unknown,
        _ => RenewalError::Refused {
            doing,
            words: untrusted::line(status.message(), REASON_LIMIT).into_owned(),
        },
    }
}
