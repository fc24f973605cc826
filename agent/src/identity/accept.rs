//! Whether what a coordinator gives becomes this node's identity.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use pvelens_proto::{agent::v1 as wire, identity::Identity};
use rustls::{
    RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    pki_types::{CertificateDer, UnixTime},
    server::ParsedCertificate,
};
use x509_parser::prelude::X509Certificate;

use super::{
    certificate::{self, CertificateError, Use, is_only_for, parse},
    key, tls,
};

/// Authorities at one time, and certificates of a chain or that lead to one authority.
pub(super) const AUTHORITIES: usize = 8;
pub(super) const CHAIN: usize = 8;

/// What was looked at and is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub cluster: String,
    pub node: String,
    /// X.509 in DER, the certificate itself first.
    pub chain: Vec<Vec<u8>>,
    /// X.509 in DER, the one that signs first.
    pub authorities: Vec<Vec<u8>>,
    pub begins_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Why it is not taken.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    #[error("the chain has no certificate, or more than {CHAIN}")]
    ChainLength,
    #[error("there is no authority, or there are more than {AUTHORITIES}")]
    AuthoritiesLength,
    #[error("the certificate {0}")]
    Certificate(CertificateError),
    #[error("a certificate of the chain {0}")]
    Chain(CertificateError),
    #[error("a certificate of an authority {0}")]
    Authority(CertificateError),
    #[error("the key of this node cannot be read")]
    Key,
    #[error("the certificate is for another key")]
    OtherKey,
    #[error("the certificate is not for a node")]
    NotNode,
    #[error("the certificate is not for the server of a link and for that alone")]
    Usage,
    #[error("no authority that this node trusts stands behind the certificate: {0}")]
    Untrusted(rustls::Error),
    #[error("nobody whom this node trusts vouches for a new authority")]
    Unvouched,
    #[error("an authority of this node cannot be used: {0}")]
    Trusted(rustls::Error),
}

/// Checks that a certificate is for the key and for a node, that one of the trusted
/// authorities (X.509 in DER) stands behind it, and that one of them vouches for each
/// of the new authorities.
///
/// # Errors
/// When something is not as it must be. Nothing is taken then.
pub fn accept(
    trusted: &[Vec<u8>],
    authorities: &[wire::Authority],
    chain: &wire::CertificateChain,
    key_pem: &str,
) -> Result<Accepted, AcceptError> {
    let chain = &chain.certificates_der;
    let Some((leaf_der, intermediates)) = chain.split_first() else {
        return Err(AcceptError::ChainLength);
    };
    if chain.len() > CHAIN {
        return Err(AcceptError::ChainLength);
    }
    let leaf = parse(leaf_der).map_err(AcceptError::Certificate)?;
    for one in intermediates {
        parse(one).map_err(AcceptError::Chain)?;
    }
    let key = key::public_key_info(key_pem).map_err(|_| AcceptError::Key)?;
    if leaf.public_key().raw != key {
        return Err(AcceptError::OtherKey);
    }
    let Identity::Node { cluster, node } =
        certificate::identity(&leaf).map_err(AcceptError::Certificate)?
    else {
        return Err(AcceptError::NotNode);
    };
    if !is_only_for(&leaf, Use::Server) {
        return Err(AcceptError::Usage);
    }
    let (begins_at, expires_at) = certificate::validity(&leaf).map_err(AcceptError::Certificate)?;
    let vouched = vouched(trusted, authorities)?;
    let roots = trusted.iter().chain(&vouched);
    // An authority that goes may stand behind the certificate for the last time.
    let roots = tls::roots(roots).map_err(AcceptError::Trusted)?;
    verify(leaf_der, intermediates, &roots, (begins_at, expires_at))
        .map_err(AcceptError::Untrusted)?;
    Ok(Accepted {
        cluster,
        node,
        chain: chain.clone(),
        authorities: vouched,
        begins_at,
        expires_at,
    })
}

/// At a time when the certificate is good: the clock of a node may be wrong, and what a
/// coordinator just made does not depend on it.
fn verify(
    leaf: &[u8],
    intermediates: &[Vec<u8>],
    roots: &Arc<RootCertStore>,
    (begins_at, expires_at): (Timestamp, Timestamp),
) -> Result<(), rustls::Error> {
    let now = Timestamp::now().min(expires_at).max(begins_at);
    let now = u64::try_from(now.as_second()).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let leaf = CertificateDer::from(leaf);
    let intermediates: Vec<_> = intermediates
        .iter()
        .map(|one| CertificateDer::from(one.as_slice()))
        .collect();
    verify_server_cert_signed_by_trust_anchor(
        &ParsedCertificate::try_from(&leaf)?,
        roots,
        &intermediates,
        now,
        tls::provider().signature_verification_algorithms.all,
    )
}

/// The certificates of the authorities, when each is one that is trusted or has a
/// certificate by one that is, over others of them if need be.
fn vouched(
    trusted: &[Vec<u8>],
    authorities: &[wire::Authority],
) -> Result<Vec<Vec<u8>>, AcceptError> {
    if authorities.is_empty() || authorities.len() > AUTHORITIES {
        return Err(AcceptError::AuthoritiesLength);
    }
    let parsed = |der: &Vec<u8>| parse(der).map(drop).map_err(AcceptError::Authority);
    for authority in authorities {
        parsed(&authority.certificate_der)?;
        if authority.cross_certificates_der.len() > CHAIN {
            return Err(AcceptError::AuthoritiesLength);
        }
        authority
            .cross_certificates_der
            .iter()
            .try_for_each(parsed)?;
    }
    let mut good: Vec<X509Certificate<'_>> = Vec::new();
    for one in trusted {
        good.push(parse(one).map_err(AcceptError::Authority)?);
    }
    let mut waiting: Vec<&wire::Authority> = authorities.iter().collect();
    // Each round takes one at least.
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut still = Vec::new();
        for authority in waiting {
            let new = parse(&authority.certificate_der).map_err(AcceptError::Authority)?;
            let is_known = trusted.contains(&authority.certificate_der);
            if is_known || (is_authority(&new) && has_voucher(authority, &new, &good)) {
                good.push(new);
            } else {
                still.push(authority);
            }
        }
        if still.len() == before {
            return Err(AcceptError::Unvouched);
        }
        waiting = still;
    }
    let mut vouched: Vec<Vec<u8>> = Vec::new();
    for authority in authorities {
        if !vouched.contains(&authority.certificate_der) {
            vouched.push(authority.certificate_der.clone());
        }
    }
    Ok(vouched)
}

/// Signed by itself, and made to sign certificates.
fn is_authority(certificate: &X509Certificate<'_>) -> bool {
    may_sign(certificate)
        && certificate.subject() == certificate.issuer()
        && certificate.verify_signature(None).is_ok()
}

fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    let may_sign_certificates = match certificate.key_usage() {
        Ok(Some(usage)) => usage.value.key_cert_sign(),
        Ok(None) => true,
        Err(_) => false,
    };
    certificate.is_ca() && may_sign_certificates
}

/// Whether one of the good ones signed the same name and key.
fn has_voucher(
    authority: &wire::Authority,
    new: &X509Certificate<'_>,
    good: &[X509Certificate<'_>],
) -> bool {
    let crosses = authority.cross_certificates_der.iter();
    crosses.filter_map(|der| parse(der).ok()).any(|cross| {
        may_sign(&cross)
            && cross.subject().as_raw() == new.subject().as_raw()
            && cross.public_key().raw == new.public_key().raw
            && good.iter().any(|voucher| {
                voucher.subject().as_raw() == cross.issuer().as_raw()
                    && cross.verify_signature(Some(voucher.public_key())).is_ok()
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::testing::{
        Authority, CLIENT, COORDINATOR, Leaf, NODE, SERVER, chain, key,
    };

    struct World {
        old: Authority,
        key: String,
    }

    impl World {
        fn new() -> Self {
            Self {
                old: Authority::new("old"),
                key: key(),
            }
        }

        /// By an agent that trusts the old authority and gets the same.
        fn accept(&self, certificates: &[Vec<u8>]) -> Result<Accepted, AcceptError> {
            self.accept_with(certificates, &[self.old.wire(&[])])
        }

        fn accept_with(
            &self,
            certificates: &[Vec<u8>],
            authorities: &[wire::Authority],
        ) -> Result<Accepted, AcceptError> {
            let trusted = std::slice::from_ref(&self.old.der);
            accept(trusted, authorities, &chain(certificates), &self.key)
        }

        fn leaf(&self, leaf: &Leaf<'_>) -> Vec<u8> {
            self.old.issue(&self.key, leaf)
        }

        fn good(&self) -> Vec<u8> {
            self.leaf(&Leaf::new(NODE, SERVER))
        }
    }

    #[test]
    fn a_certificate_for_the_own_key_from_a_trusted_authority_is_taken() {
        let world = World::new();
        let accepted = world.accept(&[world.good()]).unwrap();
        assert_eq!((&*accepted.cluster, &*accepted.node), ("ab12", "pve1"));
        assert_eq!(
            accepted.authorities.as_slice(),
            std::slice::from_ref(&world.old.der)
        );
        assert_eq!(accepted.begins_at.to_string(), "2020-01-01T00:00:00Z");
        assert_eq!(accepted.expires_at.to_string(), "2090-01-01T00:00:00Z");
    }

    #[test]
    fn a_clock_that_is_wrong_does_not_refuse_a_new_certificate() {
        let world = World::new();
        for years in [(2020, 2021), (2088, 2090)] {
            let mut leaf = Leaf::new(NODE, SERVER);
            leaf.years = years;
            assert!(world.accept(&[world.leaf(&leaf)]).is_ok(), "{years:?}");
        }
    }

    #[test]
    fn a_certificate_that_is_not_for_this_node_to_serve_links_is_refused() {
        let world = World::new();
        let both = [SERVER, CLIENT].concat();
        let mut two = Leaf::new(NODE, SERVER);
        two.uris.push(COORDINATOR);
        let mut none = Leaf::new(NODE, SERVER);
        none.uris.clear();
        for (wrong, words) in [
            (Leaf::new(COORDINATOR, SERVER), "not for a node"),
            (
                Leaf::new("pvelens://client/admin/x", SERVER),
                "not for a node",
            ),
            (Leaf::new("https://example.org", SERVER), "names nobody"),
            (Leaf::new(NODE, CLIENT), "server of a link"),
            (Leaf::new(NODE, &[]), "server of a link"),
            (Leaf::new(NODE, &both), "server of a link"),
            (two, "exactly one name"),
            (none, "exactly one name"),
        ] {
            let error = world.accept(&[world.leaf(&wrong)]).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
        let other = world.old.issue(&key(), &Leaf::new(NODE, SERVER));
        assert!(matches!(world.accept(&[other]), Err(AcceptError::OtherKey)));
    }

    #[test]
    fn an_authority_that_nobody_vouches_for_is_refused_with_what_it_signed() {
        let world = World::new();
        let foreign = Authority::new("old");
        let leaf = foreign.issue(&world.key, &Leaf::new(NODE, SERVER));
        let untrusted = world.accept(std::slice::from_ref(&leaf));
        assert!(
            matches!(untrusted, Err(AcceptError::Untrusted(_))),
            "{untrusted:?}"
        );
        // Of the same name, vouched for by itself, and by a voucher for another key.
        let vouched = Authority::new("old").signed_by(&world.old);
        for crosses in [vec![], vec![foreign.der.clone()], vec![vouched]] {
            let authorities = [world.old.wire(&[]), foreign.wire(&crosses)];
            let refused = world.accept_with(&[world.good()], &authorities);
            assert!(
                matches!(refused, Err(AcceptError::Unvouched)),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn an_authority_is_not_vouched_for_by_a_certificate_of_a_node() {
        let world = World::new();
        // A node has a certificate by the trusted authority and signs with its key.
        let node = Authority::new("pve1");
        let foreign = Authority::new("foreign");
        let cross = foreign.signed_by(&node);
        let authorities = [world.old.wire(&[]), node.wire(&[]), foreign.wire(&[cross])];
        let refused = world.accept_with(&[world.good()], &authorities);
        assert!(
            matches!(refused, Err(AcceptError::Unvouched)),
            "{refused:?}"
        );
    }

    #[test]
    fn rotation_is_followed_over_several_steps_and_in_any_order() {
        let world = World::new();
        let (new, newest) = (Authority::new("new"), Authority::new("newest"));
        let crosses = [newest.signed_by(&new), new.signed_by(&world.old)];
        let leaf = newest.issue(&world.key, &Leaf::new(NODE, SERVER));
        let authorities = [
            newest.wire(&crosses[..1]),
            new.wire(&crosses[1..]),
            world.old.wire(&[]),
        ];
        let [first, second] = crosses;
        let chain = [leaf, first, second];
        let accepted = world.accept_with(&chain, &authorities).unwrap();
        assert_eq!(accepted.authorities.len(), 3);
        assert_eq!(accepted.authorities.first(), Some(&newest.der));
        // The old ones may go in the same step.
        let gone = world.accept_with(&chain, &authorities[..2]).unwrap();
        assert_eq!(gone.authorities.len(), 2);
        // The step between is missing.
        let gap = world.accept_with(&chain, &authorities[..1]);
        assert!(matches!(gap, Err(AcceptError::Unvouched)), "{gap:?}");
    }

    #[test]
    fn what_is_too_much_or_no_certificate_is_refused() {
        let world = World::new();
        let good = world.good();
        let own = world.old.wire(&[]);
        assert!(world.accept(&[]).is_err());
        assert!(world.accept(&vec![good.clone(); CHAIN + 1]).is_err());
        assert!(world.accept(&[good.clone(), vec![0x30; 4]]).is_err());
        assert!(world.accept(&[vec![0; certificate::BYTES + 1]]).is_err());
        let mut longer = good.clone();
        longer.push(0);
        assert!(world.accept(&[longer]).is_err());
        let good = [good];
        assert!(world.accept_with(&good, &[]).is_err());
        assert!(
            world
                .accept_with(&good, &vec![own.clone(); AUTHORITIES + 1])
                .is_err()
        );
        let garbage = world.old.wire(&[b"garbage".to_vec()]);
        assert!(world.accept_with(&good, &[garbage]).is_err());
        let many = world.old.wire(&vec![world.old.der.clone(); CHAIN + 1]);
        assert!(world.accept_with(&good, &[many]).is_err());
    }
}
