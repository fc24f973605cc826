//! The realms of `domains.cfg`.
//!
//! Options are those of `pve-access-control@src/PVE/Auth/{Plugin,LDAP,AD,OpenId}.pm`.
//! The file holds the client key of OpenID Connect and the key of Yubico servers;
//! only the keys that are named here are carried.

use pvelens_proto::agent::v1::{AccessRealm, RealmConfig, RealmSync};

use super::pmxcfs;
use crate::format::{
    property_string::{Properties, boolean, list},
    section_config::{self, Section},
    url_host::{UrlHost, plain_host},
};

/// Never fails: what does not fit is named by line number.
pub(super) fn parse(text: &str) -> RealmConfig {
    let config = section_config::parse(text);
    let mut realms: Vec<AccessRealm> = config.sections.iter().map(realm).collect();
    realms.sort_by(|a, b| a.id.cmp(&b.id));
    RealmConfig {
        realms,
        sha256: String::new(),
        malformed_lines: pmxcfs::first_lines(config.malformed_lines),
    }
}

fn realm(section: &Section<'_>) -> AccessRealm {
    let text = |key: &str| section.get(key).unwrap_or_default().to_owned();
    let flag = |key: &str| section.get(key).and_then(boolean);
    let issuer = UrlHost::of(section.get("issuer-url").unwrap_or_default());
    AccessRealm {
        id: section.id.to_owned(),
        realm_type: section.kind.to_ascii_lowercase(),
        is_default: flag("default").unwrap_or(false),
        second_factor: section.get("tfa").map(second_factor).unwrap_or_default(),
        mode: text("mode"),
        secure: flag("secure"),
        verify: flag("verify"),
        servers: ["server1", "server2"]
            .iter()
            .filter_map(|key| plain_host(section.get(key)?))
            .map(str::to_owned)
            .collect(),
        port: section.get("port").and_then(|port| port.parse().ok()),
        case_sensitive: flag("case-sensitive"),
        sync_defaults: section.get("sync-defaults-options").map(|text| {
            let options = Properties::new(text, "");
            sync(|key| options.get(key))
        }),
        issuer_scheme: issuer.scheme.to_owned(),
        issuer_host: issuer.host.to_owned(),
        autocreate: flag("autocreate"),
        groups_autocreate: flag("groups-autocreate"),
        groups_overwrite: flag("groups-overwrite"),
        username_claim: text("username-claim"),
    }
}

/// The type alone: the other parts hold keys.
fn second_factor(text: &str) -> String {
    let kind = Properties::new(text, "").text("type");
    match kind.as_str() {
        "oath" | "yubico" => kind,
        _ => "unknown".to_owned(),
    }
}

/// The options of a synchronisation, of a realm or of a job.
pub(in crate::collector) fn sync<'a>(get: impl Fn(&str) -> Option<&'a str>) -> RealmSync {
    let flag = |key: &str| get(key).and_then(boolean);
    RealmSync {
        enable_new: flag("enable-new"),
        scope: get("scope").unwrap_or_default().to_owned(),
        remove_vanished: get("remove-vanished").map(list).unwrap_or_default(),
        full: flag("full"),
        purge: flag("purge"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn realms_say_how_they_reach_their_servers() {
        let config = parse(
            "ldap: dir\n\tserver1 dc1.example.test\n\tserver2 192.0.2.3\n\tmode ldap+starttls\n\tverify 0\n\tport 1389\n\tbase_dn dc=x\n\tuser_attr uid\n\
             \tsync-defaults-options enable-new=0,remove-vanished=acl;entry,scope=users\n\ttfa type=oath,digits=8\n\n\
             openid: sso\n\tissuer-url http://id.example.test/realms/x\n\tclient-id pve\n\tautocreate 1\n\tusername-claim email\n\n\
             pam: pam\n\tdefault 1\n",
        );
        let [dir, pam, sso] = config.realms.as_slice() else {
            panic!("{config:?}");
        };
        assert_eq!(dir.mode, "ldap+starttls");
        assert_eq!(
            (dir.verify, dir.secure, dir.port),
            (Some(false), None, Some(1389))
        );
        assert_eq!(dir.servers, ["dc1.example.test", "192.0.2.3"]);
        assert_eq!(dir.second_factor, "oath");
        let sync = dir.sync_defaults.as_ref().unwrap();
        assert_eq!(sync.remove_vanished, ["acl", "entry"]);
        assert_eq!((sync.enable_new, sync.full), (Some(false), None));
        assert!(pam.is_default);
        assert_eq!(
            (sso.issuer_scheme.as_str(), sso.issuer_host.as_str()),
            ("http", "id.example.test")
        );
        assert_eq!((sso.autocreate, sso.groups_autocreate), (Some(true), None));
        assert_eq!(sso.username_claim, "email");
    }

    proptest! {
        #[test]
        fn any_text_gives_realms(text in "((ldap|openid|[a-z]{1,4}): ?[a-z0-9]{0,4}\n|\t(tfa|issuer-url|sync-defaults-options|port|server1) ?\\PC{0,12}\n|\n){0,9}") {
            prop_assert!(parse(&text).realms.len() <= text.lines().count());
        }
    }
}
