//! Coordinators that were turned away because this node does not trust them, or they not
//! it: the true one tells of it when it is linked again.

use std::sync::{Mutex, PoisonError};

use pvelens_proto::agent::v1::RefusedCoordinator;
use rustls::{AlertDescription, Error};
use tokio::time::Instant;

use super::LinkError;

#[derive(Debug, Default)]
pub(in crate::service) struct Refused(Mutex<Option<Last>>);

#[derive(Debug, Clone)]
struct Last {
    times: u64,
    at: Instant,
    why: &'static str,
}

impl Refused {
    /// Notes an end of a handshake, if it is one of these.
    pub(super) fn note(&self, error: &LinkError) {
        let Some(why) = why(error) else { return };
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = last.as_ref().map_or(0, |last| last.times).saturating_add(1);
        let at = Instant::now();
        *last = Some(Last { times, at, why });
    }

    pub(in crate::service) fn told(&self) -> Option<RefusedCoordinator> {
        let last = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()?;
        Some(RefusedCoordinator {
            times: last.times,
            seconds_ago: last.at.elapsed().as_secs(),
            why: last.why.to_owned(),
        })
    }
}

fn why(error: &LinkError) -> Option<&'static str> {
    let error = match error {
        LinkError::Unnamed => return Some("it showed no certificate of a coordinator"),
        LinkError::Handshake(error) => error.get_ref()?.downcast_ref::<Error>()?,
        LinkError::Deadline | LinkError::Serve(_) => return None,
    };
    match error {
        Error::InvalidCertificate(_) => Some("its certificate is not good for this node"),
        Error::NoCertificatesPresented => Some("it showed no certificate"),
        // An honest coordinator of somebody else says so before it shows its own.
        Error::AlertReceived(AlertDescription::UnknownCA) => {
            Some("it does not know the authority of this node")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::CertificateError;

    use super::*;

    #[test]
    fn only_ends_that_speak_of_another_authority_are_noted_and_the_last_is_told() {
        let refused = Refused::default();
        let handshake = |error| LinkError::Handshake(io::Error::other(error));
        // A node that was revoked learns that from its own coordinator.
        let revoked = Error::AlertReceived(AlertDescription::CertificateRevoked);
        for error in [
            LinkError::Deadline,
            handshake(revoked),
            LinkError::Handshake(io::ErrorKind::UnexpectedEof.into()),
        ] {
            refused.note(&error);
        }
        assert_eq!(refused.told(), None);
        refused.note(&handshake(CertificateError::UnknownIssuer.into()));
        refused.note(&LinkError::Unnamed);
        let told = refused.told().unwrap();
        assert_eq!((told.times, told.seconds_ago), (2, 0));
        assert_eq!(told.why, "it showed no certificate of a coordinator");
    }
}
