//! Who this node is to a coordinator elsewhere: whether it can show that.

use std::path::Path;

use jiff::Timestamp;

use super::report::Item;
use crate::cli::identified::{Identified, Standing, day, joined, standing};

/// `None`: it has not joined.
pub(super) fn look(directory: &Path, now: Timestamp) -> Option<Item> {
    let shown = directory.display();
    let identity = match Identified::look(directory) {
        Identified::NotJoined => return None,
        Identified::Joined(identity) => identity,
        Identified::Closed => {
            return Some(
                Item::unknown(format!(
                    "who this node is to a coordinator: {shown} is closed to this user"
                ))
                .why("only root may read it")
                .fix("run this as root"),
            );
        }
        Identified::Unusable(why) => {
            return Some(
                Item::problem("this node cannot show a coordinator elsewhere who it is")
                    .why(why)
                    .fix(format!(
                        "if others could read the key, or it is damaged: `rm -r {shown}`, then join again with a new line of `pvelens agents token`"
                    )),
            );
        }
    };
    let joined = joined(&identity);
    let end = day(identity.expires_at());
    Some(match standing(&identity, now) {
        Standing::Good => Item::ok(format!("{joined}; its certificate is good until {end}")),
        Standing::Late => Item::warning(format!("{joined}; its certificate ends on {end}"))
            .why("its coordinator renews it long before, and has not been here for weeks")
            .fix("see why the link is not up; once it is, the certificate is renewed"),
        Standing::Expired => Item::warning(format!("{joined}; its certificate ended on {end}"))
            .why("its coordinator has not been here for weeks, or the clock of this node is wrong")
            .fix("see why the link is not up; once it is, the certificate is renewed without more"),
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test changes what it reads")]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use tempfile::TempDir;

    use super::*;
    use crate::{
        cli::doctor::report::State,
        identity::{FILE, testing::Authority},
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_end_of_the_certificate_is_told_before_and_after() {
        let directory = TempDir::new().unwrap();
        let directory = directory.path().join("identity");
        assert_eq!(look(&directory, at("2026-01-01T00:00:00Z")), None);
        Authority::new("a").joined().save(&directory).unwrap();
        let looked = |now| look(&directory, at(now)).unwrap();
        let good = looked("2026-01-01T00:00:00Z");
        assert_eq!(good.state, State::Ok);
        assert_eq!(
            good.what,
            "joined to mon.example.org:8440 as pve1 of cluster ab12; its certificate is good until 2090-01-01"
        );
        let late = looked("2089-12-20T00:00:00Z");
        assert_eq!(late.state, State::Warning);
        assert!(late.what.contains("ends on 2090-01-01"), "{late:?}");
        let ended = looked("2090-01-01T00:00:00Z");
        assert_eq!(ended.state, State::Warning);
        assert!(ended.what.contains("ended on"), "{ended:?}");
    }

    #[test]
    fn an_identity_that_cannot_be_used_is_a_problem_with_its_reason() {
        let directory = TempDir::new().unwrap();
        let directory = directory.path().join("identity");
        Authority::new("a").joined().save(&directory).unwrap();
        let file = directory.join(FILE);
        let now = at("2026-01-01T00:00:00Z");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let wide = look(&directory, now).unwrap();
        assert_eq!(wide.state, State::Problem);
        assert!(wide.why.contains("its mode is 0644"), "{wide:?}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "{").unwrap();
        let damaged = look(&directory, now).unwrap();
        assert!(damaged.why.contains("is damaged"), "{damaged:?}");
    }
}
