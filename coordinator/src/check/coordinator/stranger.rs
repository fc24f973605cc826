//! Who was refused at the ports of this coordinator.

use crate::{
    check::{Failure, Input, Remedy, words},
    finding::{Evidence, Risk, Severity},
    port::{Refused, Tried},
    untrusted,
};

const TOKEN: Remedy = Remedy {
    diagnose: &["pvelens agents tokens", "journalctl -u pvelens -n 50"],
    fix: "Whose address is it? If nobody here ran pvelens-agent join there, somebody else has the line: withdraw what is still good (pvelens agents withdraw) and look at where the line was kept.",
    impact: "Nobody was let in.",
    risk: Risk::Low,
    way_back: "",
};
const REVOKED: Remedy = Remedy {
    diagnose: &["pvelens agents list", "pvelens client list"],
    fix: "Stop what still calls with it: on a node that was taken out, pvelens-agent leave; a node that is to stay joins again with a new line (pvelens agents token).",
    impact: "It is not let in. If it was revoked because it was stolen, this is the thief.",
    risk: Risk::Low,
    way_back: "",
};
const CERTIFICATE: Remedy = Remedy {
    diagnose: &["pvelens ca show", "journalctl -u pvelens -n 50"],
    fix: "A node or program of another coordinator calls this one: correct its address there, or join it here (pvelens agents token, pvelens client issue). If this coordinator was set up anew, put back its authority: pvelens ca restore.",
    impact: "It is not let in, and nothing is known of it here.",
    risk: Risk::Low,
    way_back: "",
};
const NOISE: Remedy = Remedy {
    diagnose: &["pvelens doctor", "journalctl -u pvelens -n 50"],
    fix: "Let only the nodes reach port 8440, and only those who need it port 8441, by the firewall of the coordinator's host.",
    impact: "Places for connections are limited, so links and answers go on meanwhile.",
    risk: Risk::Low,
    way_back: "",
};

/// One failure for each kind.
pub(super) fn failures(input: &Input<'_>) -> impl Iterator<Item = Failure> {
    input.refused.iter().map(failure)
}

fn failure(refused: &Refused) -> Failure {
    let Refused {
        tried,
        times,
        first_at,
        last_at,
        peer,
        why,
    } = refused;
    let (part, severity, title, remedy): (_, _, _, &'static Remedy) = match tried {
        Tried::Token => (
            "token",
            Severity::Warning,
            "Somebody tried to join with a line that lets nobody in",
            &TOKEN,
        ),
        Tried::Revoked => (
            "revoked",
            Severity::Warning,
            "A certificate that was revoked is still used",
            &REVOKED,
        ),
        Tried::Certificate => (
            "certificate",
            Severity::Warning,
            "Somebody calls with a certificate that is not good here",
            &CERTIFICATE,
        ),
        Tried::Noise => (
            "noise",
            Severity::Info,
            "Many connections to the ports of this coordinator came to nothing",
            &NOISE,
        ),
    };
    // What a stranger wrote may stand in it.
    let why = untrusted::line(why, 120);
    let from = peer.map_or_else(String::new, |peer| format!(", last from {peer}"));
    let summary = format!(
        "{title}: {}{from}: {why}.",
        words::count(usize::try_from(*times).unwrap_or(usize::MAX), "time"),
    );
    let mut failure = Failure::new(severity, summary).about(part).proof([
        Evidence::new("first refused", first_at.to_string(), "port"),
        Evidence::new("last refused", last_at.to_string(), "port"),
    ]);
    failure.instead = Some((title, remedy));
    failure
}
