//! Who was refused at the ports lately: a few words for findings, however often somebody
//! tries.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use rustls::CertificateError;

/// So long after the last of them it is told.
pub(crate) const REMEMBERED: SignedDuration = SignedDuration::from_hours(1);
/// Connections between two looks that said nothing good. Fewer are a lost packet, or
/// somebody who took the wrong port.
const NOISE: u64 = 50;

/// What somebody tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tried {
    /// To join with a line that lets nobody in.
    Token,
    /// To come with a certificate that was revoked.
    Revoked,
    /// To come with one that is not good here.
    Certificate,
    /// To connect often without any.
    Noise,
}

/// What was refused of one kind, from the first time in a row to the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub tried: Tried,
    pub times: u64,
    pub first_at: Timestamp,
    pub last_at: Timestamp,
    /// From where it was tried last, if that says anything.
    pub peer: Option<IpAddr>,
    /// Why it was refused the last time. Parts of it may be the words of a stranger.
    pub why: String,
}

/// The newest of each kind.
#[derive(Debug, Default)]
pub struct Refusals {
    known: Mutex<BTreeMap<Tried, Refused>>,
    /// Connections that came to nothing, until the last look.
    seen: Mutex<u64>,
}

impl Refusals {
    pub fn note(&self, tried: Tried, peer: IpAddr, why: String, at: Timestamp) {
        self.add(tried, 1, Some(peer.to_canonical()), why, at);
    }

    /// Looks at the number of connections that came to nothing.
    pub(super) fn look(&self, total: u64, at: Timestamp) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let more = total.saturating_sub(*seen);
        *seen = total;
        drop(seen);
        if more >= NOISE {
            let why = "they came too often, were too slow, or spoke no TLS 1.3".to_owned();
            self.add(Tried::Noise, more, None, why, at);
        }
    }

    /// Those of the last hour.
    #[must_use]
    pub fn recent(&self, at: Timestamp) -> Vec<Refused> {
        let known = self.lock();
        let recent = known
            .values()
            .filter(|refused| is_recent(refused.last_at, at));
        recent.cloned().collect()
    }

    fn add(&self, tried: Tried, times: u64, peer: Option<IpAddr>, why: String, at: Timestamp) {
        let mut known = self.lock();
        let before = known
            .get(&tried)
            .filter(|before| is_recent(before.last_at, at));
        let refused = Refused {
            tried,
            times: before.map_or(0, |it| it.times).saturating_add(times),
            first_at: before.map_or(at, |it| it.first_at),
            last_at: at,
            peer,
            why,
        };
        known.insert(tried, refused);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Tried, Refused>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tried {
    /// What a handshake was that failed because of a certificate, and what was wrong.
    #[must_use]
    pub fn of_handshake(error: &std::io::Error) -> (Self, String) {
        let tls = error
            .get_ref()
            .and_then(|it| it.downcast_ref::<rustls::Error>());
        let (tried, why) = match tls {
            Some(rustls::Error::InvalidCertificate(wrong)) => match wrong {
                CertificateError::Revoked => (Self::Revoked, "it was revoked"),
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    (Self::Certificate, "it is of another authority")
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    (Self::Certificate, "it has ended")
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    (Self::Certificate, "it is not valid yet; is a clock wrong?")
                }
                _ => (Self::Certificate, "it is no certificate for this"),
            },
            Some(rustls::Error::AlertReceived(_)) => (
                Self::Certificate,
                "the other end does not trust this coordinator",
            ),
            _ => (Self::Certificate, "there was none"),
        };
        (tried, why.to_owned())
    }
}

fn is_recent(last: Timestamp, at: Timestamp) -> bool {
    at.duration_since(last) < REMEMBERED
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::live::fixture::at;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn what_is_refused_again_and_again_is_one_record_until_it_stopped_for_an_hour() {
        let refusals = Refusals::default();
        for second in [0, 60, 120] {
            refusals.note(Tried::Token, PEER, format!("no {second}"), at(second));
        }
        let recent = refusals.recent(at(3000));
        assert_eq!((recent.len(), recent[0].times), (1, 3));
        assert_eq!((recent[0].first_at, recent[0].last_at), (at(0), at(120)));
        assert_eq!(recent[0].why, "no 120");
        assert_eq!(refusals.recent(at(3720)), []);
        refusals.note(Tried::Token, PEER, String::new(), at(4000));
        assert_eq!(refusals.recent(at(4000))[0].times, 1);
    }

    #[test]
    fn only_many_connections_at_once_are_noise() {
        let refusals = Refusals::default();
        for (second, total) in [(0, 49), (10, 98)] {
            refusals.look(total, at(second));
            assert_eq!(refusals.recent(at(second)), []);
        }
        refusals.look(148, at(20));
        assert_eq!(refusals.recent(at(20))[0].times, 50);
    }
}
