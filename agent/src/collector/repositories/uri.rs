//! What of a URI may be carried, and what is offered there.

use pvelens_proto::agent::v1::{Repository, RepositoryKind};

use crate::format::plain::name;

const SCHEMES: &[&str] = &[
    "cdrom",
    "copy",
    "file",
    "ftp",
    "http",
    "https",
    "mirror",
    "mirror+file",
    "mirror+http",
    "mirror+https",
    "rsh",
    "s3",
    "ssh",
    "tor+http",
    "tor+https",
];

/// Splits `scheme://user:password@host:port/path?query`. Anything beside host and
/// path counts as a credential, and then the path may be one too: some shops give
/// each customer a path.
pub(super) fn fill(uri: &str, repository: &mut Repository) {
    let (scheme, rest) = uri.split_once(':').unwrap_or(("", uri));
    repository.scheme = scheme_name(scheme);
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let host = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    repository.host = name(host).unwrap_or_default().to_ascii_lowercase();
    repository.has_credentials = user.is_some()
        || path.contains(['?', '@', '#', '&', '='])
        || authority.contains(['?', '#']);
    // A slash in a password moves the border between host and path.
    if authority.contains(['?', '#']) || path.contains('@') {
        repository.host.clear();
    }
    if !repository.has_credentials {
        let path = path.trim_end_matches('/');
        repository.path = name(path).unwrap_or_default().to_owned();
    }
}

/// Those of apt's methods; another one may be part of a password.
fn scheme_name(scheme: &str) -> String {
    let known = SCHEMES.iter().find(|known| **known == scheme);
    known.copied().unwrap_or_default().to_owned()
}

/// By the names that Proxmox (`proxmox-apt@src/repositories/standard.rs`) and Debian
/// use.
pub(super) fn kind(repository: &Repository) -> RepositoryKind {
    let has = |component: &str| repository.components.iter().any(|each| each == component);
    let path = repository.path.as_str();
    let is_proxmox = repository.host == "proxmox.com" || repository.host.ends_with(".proxmox.com");
    if is_proxmox && path.starts_with("/debian/ceph") {
        return if has("enterprise") {
            RepositoryKind::CephEnterprise
        } else if has("test") {
            RepositoryKind::CephTest
        } else if has("no-subscription") || has("main") {
            // `main` before Proxmox VE 8.
            RepositoryKind::CephNoSubscription
        } else {
            RepositoryKind::ProxmoxOther
        };
    }
    if is_proxmox
        || repository
            .components
            .iter()
            .any(|each| each.starts_with("pve"))
    {
        if has("pve-test") || has("pvetest") {
            return RepositoryKind::PveTest;
        }
        if has("pve-no-subscription") {
            return RepositoryKind::PveNoSubscription;
        }
        if has("pve-enterprise") {
            return RepositoryKind::PveEnterprise;
        }
    }
    if is_proxmox {
        return RepositoryKind::ProxmoxOther;
    }
    let is_debian = repository.host == "debian.org" || repository.host.ends_with(".debian.org");
    let is_mirror = path == "/debian" || path.ends_with("/debian");
    let is_security = path.ends_with("/debian-security")
        || repository
            .suites
            .iter()
            .any(|suite| suite.ends_with("-security"));
    if is_security && (is_debian || is_mirror || path.ends_with("/debian-security")) {
        RepositoryKind::DebianSecurity
    } else if is_debian || is_mirror {
        RepositoryKind::Debian
    } else {
        RepositoryKind::Other
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn repository(uri: &str, suite: &str, component: &str) -> Repository {
        let mut repository = Repository {
            suites: vec![suite.to_owned()],
            components: vec![component.to_owned()],
            ..Repository::default()
        };
        fill(uri, &mut repository);
        repository
    }

    #[test]
    fn what_is_beside_host_and_path_is_dropped() {
        for uri in [
            "https://u:canary@e.org/canary",
            "https://canary@e.org:8443/x",
            "https://e.org/a?token=canary",
            "https://e.org?canary",
            "https://u@canary@e.org/x",
            "https://e.org/key=canary",
            "https://canary/canary@e.org/x",
            "canary:canary@e.org/x",
        ] {
            let found = repository(uri, "s", "c");
            assert!(found.has_credentials, "{uri}");
            assert!(!format!("{found:?}").contains("canary"), "{found:?}");
        }
        let found = repository("http://[2001:db8::1]:8080/debian/", "s", "c");
        assert_eq!(found.host, "2001:db8::1");
        assert_eq!(
            (found.path.as_str(), found.has_credentials),
            ("/debian", false)
        );
    }

    #[test]
    fn repositories_are_told_by_host_and_component() {
        use RepositoryKind as Kind;
        let pve = "http://download.proxmox.com/debian/pve";
        let ceph = "https://enterprise.proxmox.com/debian/ceph-squid";
        for (uri, suite, component, kind) in [
            (
                "https://enterprise.proxmox.com/debian/pve",
                "trixie",
                "pve-enterprise",
                Kind::PveEnterprise,
            ),
            (pve, "bookworm", "pvetest", Kind::PveTest),
            (pve, "trixie", "pve-test", Kind::PveTest),
            (
                "http://mirror.local/pve",
                "trixie",
                "pve-no-subscription",
                Kind::PveNoSubscription,
            ),
            (ceph, "trixie", "enterprise", Kind::CephEnterprise),
            (ceph, "trixie", "no-subscription", Kind::CephNoSubscription),
            (
                "http://download.proxmox.com/debian/pbs",
                "trixie",
                "pbs-no-subscription",
                Kind::ProxmoxOther,
            ),
            (
                "http://security.debian.org/debian-security",
                "trixie-security",
                "main",
                Kind::DebianSecurity,
            ),
            (
                "http://security.debian.org",
                "trixie-security",
                "main",
                Kind::DebianSecurity,
            ),
            (
                "http://ftp.de.debian.org/debian",
                "trixie",
                "main",
                Kind::Debian,
            ),
            ("http://mirror.local/debian", "trixie", "main", Kind::Debian),
            (
                "https://download.docker.com/linux/debian2",
                "trixie",
                "stable",
                Kind::Other,
            ),
            ("http://proxmox.com.example/debian", "x", "y", Kind::Debian),
        ] {
            assert_eq!(
                super::kind(&repository(uri, suite, component)),
                kind,
                "{uri}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_uri_is_split(uri in "[a-z]{0,5}:?(//)?[a-z:@\\[\\]]{0,9}/?\\PC{0,12}") {
            let found = repository(&uri, "s", "c");
            let _ = super::kind(&found);
        }
    }
}
