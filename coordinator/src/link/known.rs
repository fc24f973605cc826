//! A connection of a node that showed a good certificate: whether it fits what the agent
//! says, whether the place is free, its stream, and what ends it.
//!
//! Which node it is, its certificate says. What the agent says of itself must be the
//! same, but for a node that moved: renamed, or joined a cluster.

use std::{io, sync::Arc, time::Duration};

use jiff::Timestamp;
use pvelens_proto::agent::v1::DescribeResponse;
use tokio::{
    task,
    time::{Instant, interval},
};
use tonic::transport::Channel;
use tracing::{info, warn};

use super::{
    LinkError,
    admission::Admission,
    claims::{Claim, Taken},
    connection::{Contact, Open, describe},
    guarded::Guard,
    renewal::{self, RenewalError},
};
use crate::{
    live::Transport,
    trust::{NodeCertificate, NodeState},
    untrusted,
    view::{ClusterId, Name},
};

/// How often a link is looked at beside what it sends.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// After a renewal that failed. It is due a month before the certificate ends, so there
/// is time, and an agent that is too old for it fails each time.
const RENEWAL_PAUSE: Duration = Duration::from_secs(600);
/// A node that had to wait longer than this between two looks sends too much.
const FLOOD: Duration = Duration::from_secs(1);

/// Why a connection became no link, or none any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Turned {
    #[error("its certificate: {0}")]
    Certificate(String),
    #[error(
        "the agent refuses this coordinator: {0}; did its node join another one, or is its clock wrong?"
    )]
    Refused(String),
    #[error("{0}")]
    Link(LinkError),
    #[error("its certificate was renewed; it comes again with the new one")]
    Renewed,
    #[error("renewing its certificate: {0}")]
    Renewal(RenewalError),
    #[error("its certificate was revoked")]
    Revoked,
    #[error("its certificate has ended")]
    Ended,
    #[error("the certificate is of {certified}, the agent says it is {said}")]
    Identity { certified: String, said: String },
    #[error("the agent of {0} is reached on another way")]
    Same(String),
    #[error("another agent with the identity of {0} is connected")]
    Doubled(String),
}

impl Turned {
    /// A word for counting.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Certificate(_) => "certificate",
            Self::Refused(_) => "refused_by_agent",
            Self::Link(_) => "ended",
            Self::Renewed => "renewed",
            Self::Renewal(_) => "renewal_failed",
            Self::Revoked => "revoked",
            Self::Ended => "certificate_ended",
            Self::Identity { .. } => "wrong_identity",
            Self::Same(_) => "second_way",
            Self::Doubled(_) => "doubled_identity",
        }
    }
}

/// A connection whose other end showed a certificate of a node.
pub(super) struct Known<'a> {
    pub(super) admission: &'a Admission,
    /// As it was shown.
    pub(super) certificate: NodeCertificate,
    pub(super) leaf: Vec<u8>,
    pub(super) address: String,
    pub(super) channel: Channel,
    pub(super) guard: Guard,
}

impl Known<'_> {
    /// From its beginning to its end.
    pub(super) async fn link(self) -> Turned {
        match self.admit().await {
            Ok((agent, claim)) => self.carry(agent, claim).await,
            Err(turned) => turned,
        }
    }

    /// Finds out whether it may be a link.
    async fn admit(&self) -> Result<(DescribeResponse, Claim), Turned> {
        let mut agent = describe(&self.channel).await.map_err(|error| match error {
            LinkError::Refused { doing, status } => {
                refused(&status.clone(), || LinkError::Refused { doing, status })
            }
            error => Turned::Link(error),
        })?;
        let node = self.identity(&agent)?;
        if self.certificate.state == NodeState::Expired {
            self.renew(&node).await?;
            return Err(Turned::Renewed);
        }
        agent.cluster_id = node.0.to_string();
        let admission = self.admission;
        self.saw().await;
        let agents = admission.context.coordinator.agents();
        let claim = admission
            .claims
            .claim(node.clone(), &self.guard, &agent, agents)
            .await;
        let claim = match claim {
            Ok(claim) => claim,
            Err(taken) => return Err(self.taken(&node, taken).await),
        };
        if node != self.certified() {
            // Under the new name it comes again.
            self.renew(&node).await?;
            info!(
                cluster = &*node.0,
                node = &*node.1,
                was = self.certified_words(),
                "a node moved"
            );
            return Err(Turned::Renewed);
        }
        Ok((agent, claim))
    }

    /// The node that the certificate is of.
    pub(super) fn certified(&self) -> (ClusterId, Name) {
        let NodeCertificate { cluster, node, .. } = &self.certificate;
        (cluster.as_str().into(), node.as_str().into())
    }

    fn certified_words(&self) -> String {
        let NodeCertificate { cluster, node, .. } = &self.certificate;
        words(cluster, node)
    }

    /// The place of the agent, as its certificate says or as far as it may have moved.
    fn identity(&self, agent: &DescribeResponse) -> Result<(ClusterId, Name), Turned> {
        let certified = self.certified();
        // Without the cluster file system an agent does not know its cluster.
        let cluster = if agent.cluster_id.is_empty() {
            ClusterId::clone(&certified.0)
        } else {
            agent.cluster_id.as_str().into()
        };
        let said = (cluster, Name::from(agent.node_name.as_str()));
        if said == certified || self.may_move(&certified, &said) {
            return Ok(said);
        }
        let said = words(&untrusted::name(&said.0), &untrusted::name(&said.1));
        Err(Turned::Identity {
            certified: self.certified_words(),
            said,
        })
    }

    /// A node may take a place that nobody has: in a cluster of which no other agent is
    /// known, or one whose members name it. The place that it leaves must not be needed
    /// by others.
    fn may_move(&self, from: &(ClusterId, Name), to: &(ClusterId, Name)) -> bool {
        let trust = &self.admission.trust;
        if !trust.is_free_for(&self.certificate, &to.0, &to.1) {
            return false;
        }
        let current = self.admission.context.coordinator.current();
        let members = |cluster: &ClusterId| {
            let known = current.view.clusters.iter().find(|one| one.id == *cluster);
            known.map(|cluster| {
                let nodes = cluster.nodes.clone();
                current
                    .view
                    .nodes
                    .get(nodes.start as usize..nodes.end as usize)
                    .unwrap_or_default()
            })
        };
        let is_alone = members(&from.0).is_none_or(|nodes| nodes.len() <= 1);
        if from.0 == to.0 {
            // Renamed: the old name is not a member's any more.
            return is_alone
                || members(&from.0)
                    .is_some_and(|nodes| nodes.iter().all(|node| node.name != from.1));
        }
        is_alone
            && members(&to.0)
                .is_none_or(|nodes| nodes.is_empty() || nodes.iter().any(|node| node.name == to.1))
    }

    async fn taken(&self, node: &(ClusterId, Name), taken: Taken) -> Turned {
        let shown = words(&node.0, &node.1);
        match taken {
            Taken::Same | Taken::Fresh => Turned::Same(shown),
            Taken::Other => {
                let context = &self.admission.context;
                let problem = format!(
                    "a second agent with the same identity called from {}; it was turned away",
                    self.address
                );
                let ((cluster, name), now) = (node.clone(), context.now());
                let noting = context.note(move |live| {
                    live.identity_problem(&cluster, &name, Some(problem), now);
                });
                noting.await;
                Turned::Doubled(shown)
            }
        }
    }

    /// Notes that the node has this certificate.
    async fn saw(&self) {
        let Admission { context, trust, .. } = self.admission;
        let (trust, leaf, now) = (Arc::clone(trust), self.leaf.clone(), context.now());
        let noting = task::spawn_blocking(move || trust.saw_node(&leaf, now)).await;
        // It is noted the next time.
        if let Ok(Err(error)) = noting {
            warn!(address = self.address, %error, "the certificate of a node is not noted");
        }
    }

    /// Gives the agent a new certificate, and returns it.
    async fn renew(&self, node: &(ClusterId, Name)) -> Result<Vec<u8>, Turned> {
        let admission = self.admission;
        if !admission.renewals.admit(&self.certificate) {
            return Err(Turned::Renewal(RenewalError::TooMany));
        }
        let renewed = renewal::renew(
            &self.channel,
            Arc::clone(&admission.trust),
            self.certificate.clone(),
            node,
            admission.context.now(),
        )
        .await
        .map_err(Turned::Renewal)?;
        admission.context.coordinator.agents().counts().renewed();
        Ok(renewed)
    }

    /// Carries the stream until it ends.
    async fn carry(&self, agent: DescribeResponse, claim: Claim) -> Turned {
        let context = &self.admission.context;
        let node = (
            ClusterId::from(agent.cluster_id.as_str()),
            Name::from(agent.node_name.as_str()),
        );
        let contact = Contact {
            address: self.address.clone(),
            transport: Transport::Link,
            certificate_expires_at: Some(self.certificate.expires_at),
        };
        let mut open = match Open::begin(context, self.channel.clone(), agent, &contact).await {
            Ok(open) => open,
            Err(error) => return Turned::Link(error),
        };
        context.coordinator.agents().counts().begun();
        let mut delivered = false;
        let agent = open.agent();
        let turned = tokio::select! {
            error = open.receive(&mut delivered, Some(&self.guard)) => Turned::Link(error),
            () = self.guard.gone() => Turned::Link(LinkError::Closed),
            turned = self.look_after(&node, &agent) => turned,
        };
        // With all its streams and calls.
        self.guard.cut();
        drop(claim);
        turned
    }

    /// Notes how the link is, and what is wrong with what it sends.
    async fn note_state(
        &self,
        node: &(ClusterId, Name),
        agent: &Arc<DescribeResponse>,
        expires_at: Timestamp,
    ) {
        let context = &self.admission.context;
        let (node, agent, now) = (node.clone(), Arc::clone(agent), context.now());
        let guard = self.guard.clone();
        let noting = context.note(move |live| {
            // Here, so that nothing is lost of a note that is given up.
            let waited = guard.take_waited();
            live.reached(&node, Transport::Link, Some(expires_at));
            if !waited.is_zero() {
                live.throttled(&agent, waited, now);
            }
            if waited > FLOOD {
                let problem = format!(
                    "it sends more than a node may, so that it had to wait {} s in the last {} s",
                    waited.as_secs(),
                    LOOK_INTERVAL.as_secs()
                );
                live.identity_problem(&node.0, &node.1, Some(problem), now);
            }
        });
        noting.await;
    }

    /// Until there is a reason to end the link: renews the certificate in time, and
    /// watches what it sends.
    async fn look_after(&self, node: &(ClusterId, Name), agent: &Arc<DescribeResponse>) -> Turned {
        let Admission { context, trust, .. } = self.admission;
        let mut changes = trust.changes();
        let mut looks = interval(LOOK_INTERVAL);
        // What the agent has in use, which the handshake may be older than.
        let mut leaf = self.leaf.clone();
        let mut renewal_after = Instant::now();
        loop {
            let now = context.now();
            let certificate = match trust.node_of(&leaf, now) {
                Ok(certificate) if certificate.state == NodeState::Good => certificate,
                Ok(_) => return Turned::Ended,
                Err(refusal) => return Turned::Certificate(refusal.to_string()),
            };
            if trust.is_revoked(&self.certificate.serial) {
                return Turned::Revoked;
            }
            if certificate.wants_renewal && Instant::now() >= renewal_after {
                match self.renew(node).await {
                    Ok(renewed) => {
                        leaf = renewed;
                        continue;
                    }
                    // It is tried again until it ends.
                    Err(turned) => {
                        renewal_after = Instant::now() + RENEWAL_PAUSE;
                        warn!(address = self.address, reason = %turned, "not renewed");
                    }
                }
            }
            let rest = async {
                self.note_state(node, agent, certificate.expires_at).await;
                looks.tick().await;
            };
            tokio::select! {
                () = rest => {}
                // Its sender lives as long as the trust.
                _ = changes.changed() => {}
            }
        }
    }
}

fn words(cluster: &str, node: &str) -> String {
    format!("{node} of cluster {}", cluster.get(..12).unwrap_or(cluster))
}

/// In TLS 1.3 the agent judges our certificate when ours of the handshake is over, so
/// its verdict comes with the first answer.
fn refused(
    error: &(dyn std::error::Error + 'static),
    otherwise: impl FnOnce() -> LinkError,
) -> Turned {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>()
            && let Some(rustls::Error::AlertReceived(alert)) = rustls_error(io)
        {
            return Turned::Refused(format!("{alert:?}"));
        }
        cause = error.source();
    }
    Turned::Link(otherwise())
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}
