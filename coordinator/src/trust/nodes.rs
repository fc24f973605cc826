//! Nodes that belong here: who they are, their certificates, and the end of that.

use std::collections::BTreeSet;

use jiff::Timestamp;
use pvelens_proto::{
    agent::v1::{self as wire, CertificateChain},
    identity::Identity,
};

use super::{
    NodeCertificate, Trust, TrustError,
    authority::Authority,
    certificate::Certificate,
    issue::{LIFETIME, Requested, Usage, issue_requested},
    state::{NODES, NodeRecord, State},
};
use crate::view::{ClusterId, Name};

/// A certificate for a node, and what it has to trust.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuedNode {
    pub chain: CertificateChain,
    pub authorities: Vec<wire::Authority>,
    /// In hexadecimal.
    pub serial: String,
    pub expires_at: Timestamp,
}

impl Trust {
    /// Whether the certificate with this serial number was taken back.
    #[must_use]
    pub fn is_revoked(&self, serial: &str) -> bool {
        self.state().is_revoked(serial)
    }

    /// Whether a node of this name belongs here.
    #[must_use]
    pub fn has_node(&self, cluster: &str, node: &str) -> bool {
        self.state().node(cluster, node).is_some()
    }

    /// All nodes that belong here.
    #[must_use]
    pub fn nodes(&self) -> BTreeSet<(ClusterId, Name)> {
        let state = self.state();
        let nodes = state.nodes.iter().filter(|record| record.is_there());
        nodes
            .map(|record| (record.cluster.as_str().into(), record.node.as_str().into()))
            .collect()
    }

    /// Whether a node may take another place: nobody else has it.
    #[must_use]
    pub fn is_free_for(&self, of: &NodeCertificate, cluster: &str, node: &str) -> bool {
        let state = self.state();
        match (
            state.node(cluster, node),
            Identity::node(&of.cluster, &of.node),
        ) {
            (None, _) => true,
            // It was given that place, and has not heard of it.
            (Some(record), Ok(from)) => {
                record.seen.is_none() && record.moved_from == Some(from.to_string())
            }
            (Some(_), Err(_)) => false,
        }
    }

    /// A node showed this certificate. Those before it, once they have ended, are worth
    /// nothing from here on, and so is the place that it left.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn saw_node(&self, leaf_der: &[u8], now: Timestamp) -> Result<(), TrustError> {
        let certificate = Certificate::read(leaf_der)
            .map_err(|_| TrustError::Defect("a certificate that was verified is unreadable"))?;
        let Identity::Node { cluster, node } = &certificate.identity else {
            return Ok(());
        };
        let issued_at = certificate.issued_at();
        let is_known = self
            .state()
            .node(cluster, node)
            .is_some_and(|record| record.seen >= Some(issued_at));
        if is_known {
            return Ok(());
        }
        self.change(
            |state, _| {
                // A coordinator that was restored from a backup learns of it now.
                let record = state.node_or_new(cluster, node, now)?;
                record.seen = Some(issued_at);
                if let Some(left) = record.moved_from.take() {
                    state.leave(&left, now);
                }
                Ok(())
            },
            now,
        )
    }

    /// A new certificate for a node, in the same place or in another that is free.
    ///
    /// # Errors
    /// When the request is none, the place is not free, or it cannot be written down.
    pub fn renew_node(
        &self,
        of: &NodeCertificate,
        cluster: &str,
        node: &str,
        csr_der: &[u8],
        now: Timestamp,
    ) -> Result<IssuedNode, TrustError> {
        let requested = Requested::read(csr_der)?;
        let from = Identity::node(&of.cluster, &of.node)?;
        let to = Identity::node(cluster, node)?;
        if from != to && !self.is_free_for(of, cluster, node) {
            return Err(TrustError::InUse(format!(
                "another node has the place of {node}"
            )));
        }
        self.change(
            |state, writer| {
                let authority = self.authority(state, writer, now)?;
                let issued = state.issue_node(&authority, cluster, node, &requested, now)?;
                if from != to
                    && let Some(record) = state.node_mut(cluster, node)
                {
                    record.moved_from = Some(from.to_string());
                }
                Ok(issued)
            },
            now,
        )
    }

    /// Ends all certificates of a node; how many were good.
    ///
    /// # Errors
    /// When there is no such node, or it cannot be written down.
    pub fn revoke_node(
        &self,
        cluster: &str,
        node: &str,
        now: Timestamp,
    ) -> Result<u32, TrustError> {
        let identity = Identity::node(cluster, node)?;
        self.change(
            |state, _| {
                let place = state
                    .nodes
                    .iter()
                    .position(|record| record.cluster == cluster && record.node == node)
                    .ok_or_else(|| TrustError::NotFound(format!("node {node} that joined")))?;
                let record = state.nodes.remove(place);
                let good = state.end_certificates(&identity, &record, now);
                // Also in the place that it was given and has not taken yet.
                state.end_moves_of(&identity, now);
                Ok(good)
            },
            now,
        )
    }
}

impl State {
    /// Signs for a node, and remembers it.
    pub(super) fn issue_node(
        &mut self,
        authority: &Authority,
        cluster: &str,
        node: &str,
        requested: &Requested,
        now: Timestamp,
    ) -> Result<IssuedNode, TrustError> {
        let identity = Identity::node(cluster, node)?;
        let at = self.issuing_at(&identity, now);
        let (leaf, issued) = issue_requested(
            authority,
            &identity,
            Usage::TlsServer,
            requested,
            LIFETIME,
            at,
        )?;
        let (serial, expires_at) = (issued.serial.clone(), issued.expires_at);
        self.node_or_new(cluster, node, now)?
            .certificates
            .push(issued);
        Ok(IssuedNode {
            chain: self.chain(leaf)?,
            authorities: self.authorities()?,
            serial,
            expires_at,
        })
    }

    fn node_or_new(
        &mut self,
        cluster: &str,
        node: &str,
        now: Timestamp,
    ) -> Result<&mut NodeRecord, TrustError> {
        if self.node(cluster, node).is_none() {
            if self.nodes.len() >= NODES {
                return Err(TrustError::Wish(format!("there are {NODES} nodes already")));
            }
            self.nodes.push(NodeRecord {
                cluster: cluster.to_owned(),
                node: node.to_owned(),
                enrolled_at: now,
                seen: None,
                moved_from: None,
                certificates: Vec::new(),
            });
        }
        self.node_mut(cluster, node)
            .ok_or(TrustError::Defect("a node that was just added is gone"))
    }

    /// Ends what a node had; how many of its certificates were good.
    pub(super) fn end_certificates(
        &mut self,
        identity: &Identity,
        record: &NodeRecord,
        now: Timestamp,
    ) -> u32 {
        let mut good = 0;
        for issued in &record.certificates {
            if issued.expires_at > now {
                good += 1;
            }
            self.revoke(&issued.serial, now);
        }
        self.end(identity, now);
        good
    }

    /// Ends the places that somebody was given and has not taken.
    fn end_moves_of(&mut self, from: &Identity, now: Timestamp) {
        let from = from.to_string();
        let (given, kept) = std::mem::take(&mut self.nodes)
            .into_iter()
            .partition(|record| record.moved_from.as_ref() == Some(&from));
        self.nodes = kept;
        let given: Vec<NodeRecord> = given;
        for record in given {
            if let Ok(identity) = Identity::node(&record.cluster, &record.node) {
                self.end_certificates(&identity, &record, now);
            }
        }
    }

    /// Ends the place that a node left, by its identity.
    fn leave(&mut self, left: &str, now: Timestamp) {
        let Ok(identity) = left.parse() else { return };
        if let Identity::Node { cluster, node } = &identity {
            let place = self
                .nodes
                .iter()
                .position(|record| record.cluster == *cluster && record.node == *node);
            if let Some(place) = place {
                let record = self.nodes.remove(place);
                self.end_certificates(&identity, &record, now);
            }
        }
    }
}

impl NodeRecord {
    /// A place that a node was given and does not know of yet is not one where a node
    /// is missing.
    fn is_there(&self) -> bool {
        self.seen.is_some() || self.moved_from.is_none()
    }
}
