//! The records of `user.cfg`.
//!
//! One record on a line, its fields separated by colons
//! (`pve-access-control@src/PVE/AccessControl.pm`, parse_user_config). PVE ignores
//! a record that does not fit; here its line is named.

use pvelens_proto::{
    Timestamp,
    agent::v1::{
        AccessGroup, AccessRole, AccessRule, AccessSubject, AccessSubjectKind, AccessToken,
        AccessUser, GuestPool, UserConfig,
    },
};

use super::pmxcfs;
use crate::format::property_string::list;

/// The end of the year 9999, after which a time has no common notation.
const LAST_SECOND: i64 = 253_402_300_799;

/// Never fails: what does not fit is named by line number.
pub(super) fn parse(text: &str) -> UserConfig {
    let mut config = UserConfig::default();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') && record(line, &mut config).is_none() {
            config.malformed_lines.push(number);
        }
    }
    config.users.sort_by(|a, b| a.id.cmp(&b.id));
    config.tokens.sort_by(|a, b| a.id.cmp(&b.id));
    config.groups.sort_by(|a, b| a.id.cmp(&b.id));
    config.roles.sort_by(|a, b| a.id.cmp(&b.id));
    config.pools.sort_by(|a, b| a.id.cmp(&b.id));
    config.malformed_lines = pmxcfs::first_lines(config.malformed_lines);
    config
}

fn record(line: &str, config: &mut UserConfig) -> Option<()> {
    let (kind, fields) = line.split_once(':')?;
    let mut fields = fields.split(':');
    let mut field = || fields.next().unwrap_or_default();
    match kind {
        "user" => {
            let id = user_id(field())?;
            let (enabled, expires_at) = (is_set(field()), time(field())?);
            let (_first_name, _last_name) = (field(), field());
            let (email, _comment, keys) = (field(), field(), field());
            config.users.push(AccessUser {
                id,
                enabled,
                expires_at,
                has_email: !email.is_empty(),
                has_local_email: is_local(email),
                has_second_factor: !keys.is_empty(),
                has_legacy_keys: !(keys.is_empty() || keys == "x" || keys.starts_with("x!")),
            });
        }
        "token" => {
            let id = field();
            let (user, name) = id.split_once('!')?;
            config.tokens.push(AccessToken {
                id: (!name.is_empty()).then(|| id.to_owned())?,
                user_id: user_id(user)?,
                expires_at: time(field())?,
                privilege_separated: is_set(field()),
                has_comment: !field().is_empty(),
            });
        }
        "group" => config.groups.push(AccessGroup {
            id: name(field())?,
            members: sorted(field()),
        }),
        "role" => config.roles.push(AccessRole {
            id: name(field())?,
            privileges: sorted(field()),
        }),
        "acl" => {
            let propagates = is_set(field());
            config.rules.push(AccessRule {
                path: field().strip_prefix('/').map(|path| format!("/{path}"))?,
                propagates,
                subjects: list(field()).into_iter().map(subject).collect(),
                roles: sorted(field()),
            });
        }
        "pool" => {
            let (id, _comment) = (name(field())?, field());
            config.pools.push(GuestPool {
                id,
                vmids: vmids(field()),
                storages: sorted(field()),
            });
        }
        _ => return None,
    }
    Some(())
}

fn subject(text: String) -> AccessSubject {
    let (kind, id) = match text.strip_prefix('@') {
        Some(group) => (AccessSubjectKind::Group, group.to_owned()),
        None if text.contains('!') => (AccessSubjectKind::Token, text),
        None => (AccessSubjectKind::User, text),
    };
    AccessSubject {
        kind: kind.into(),
        id,
    }
}

/// True as Perl means it.
fn is_set(text: &str) -> bool {
    !matches!(text, "" | "0")
}

/// Seconds since the epoch; 0 and nothing are never. `None` is no time.
#[expect(
    clippy::option_option,
    reason = "never is not the same as what is no time"
)]
fn time(text: &str) -> Option<Option<Timestamp>> {
    if !is_set(text) {
        return Some(None);
    }
    let seconds: u64 = text.parse().ok()?;
    let seconds = i64::try_from(seconds).map_or(LAST_SECOND, |seconds| seconds.min(LAST_SECOND));
    Some((seconds > 0).then_some(Timestamp { seconds, nanos: 0 }))
}

fn user_id(text: &str) -> Option<String> {
    let (user, realm) = text.rsplit_once('@')?;
    (!user.is_empty() && !realm.is_empty()).then(|| text.to_owned())
}

fn name(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Whether mail to this address stays on the node.
fn is_local(email: &str) -> bool {
    let domain = email.rsplit_once('@').map(|(_, domain)| domain);
    !email.is_empty() && domain.is_none_or(|domain| domain.starts_with("localhost"))
}

fn sorted(text: &str) -> Vec<String> {
    let mut items = list(text);
    items.sort_unstable();
    items.dedup();
    items
}

fn vmids(text: &str) -> Vec<u32> {
    let mut vmids: Vec<u32> = list(text).iter().filter_map(|id| id.parse().ok()).collect();
    vmids.sort_unstable();
    vmids.dedup();
    vmids
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn users_expire_and_have_factors() {
        let config = parse(
            "user:root@pam:1:0:::root@localhost::x:\n\
             user:old@pam:1:0::::::\n\
             user:u2f@pam:1:0:::me@example.test::x!u2f:\n\
             user:secret@pam:0:1795348344::::%20:v2-JBSWY3DP:\n",
        );
        let facts: Vec<_> = config
            .users
            .iter()
            .map(|user| {
                (
                    user.id.as_str(),
                    user.has_second_factor,
                    user.has_legacy_keys,
                )
            })
            .collect();
        assert_eq!(
            facts,
            [
                ("old@pam", false, false),
                ("root@pam", true, false),
                ("secret@pam", true, true),
                ("u2f@pam", true, false)
            ]
        );
        let [old, root, secret, u2f] = config.users.as_slice() else {
            panic!("{config:?}");
        };
        assert_eq!((root.has_email, root.has_local_email), (true, true));
        assert_eq!((u2f.has_email, u2f.has_local_email), (true, false));
        assert_eq!((old.has_email, old.expires_at), (false, None));
        assert!(!secret.enabled);
        assert_eq!(secret.expires_at.unwrap().seconds, 1_795_348_344);
    }

    #[test]
    fn rules_name_users_groups_and_tokens() {
        let config = parse(
            "acl:1:/pool/lab:@ops,joe@pve,joe@pve!mon:PVEAuditor,NoAccess:\nacl:0:/:a@pam:R:\n",
        );
        let rule = &config.rules[0];
        assert_eq!((rule.path.as_str(), rule.propagates), ("/pool/lab", true));
        assert_eq!(rule.roles, ["NoAccess", "PVEAuditor"]);
        let subjects: Vec<_> = rule
            .subjects
            .iter()
            .map(|subject| (subject.kind(), subject.id.as_str()))
            .collect();
        assert_eq!(
            subjects,
            [
                (AccessSubjectKind::Group, "ops"),
                (AccessSubjectKind::User, "joe@pve"),
                (AccessSubjectKind::Token, "joe@pve!mon")
            ]
        );
        assert!(!config.rules[1].propagates);
    }

    #[test]
    fn tokens_groups_roles_and_pools() {
        let config = parse(
            "token:joe@pve!mon:0:1:monitoring:\ntoken:joe@pve!admin:9999999999999:0::\n\
             group:ops:joe@pve,ann@pam:Operators:\nrole:Snap:VM.Snapshot,VM.Audit:\n\
             pool:prod/web:comment:101,100,x:local-zfs:\n",
        );
        let [admin, mon] = config.tokens.as_slice() else {
            panic!("{config:?}");
        };
        assert_eq!(admin.expires_at.unwrap().seconds, LAST_SECOND);
        assert!(!admin.privilege_separated && !admin.has_comment);
        assert!(mon.privilege_separated && mon.has_comment && mon.expires_at.is_none());
        assert_eq!(mon.user_id, "joe@pve");
        assert_eq!(config.groups[0].members, ["ann@pam", "joe@pve"]);
        assert_eq!(config.roles[0].privileges, ["VM.Audit", "VM.Snapshot"]);
        assert_eq!(config.pools[0].vmids, [100, 101]);
        assert_eq!(config.pools[0].storages, ["local-zfs"]);
    }

    #[test]
    fn what_does_not_fit_is_named_and_skipped() {
        let config = parse(
            "# note\n\nuser:norealm:1:0\nuser:a@pam:1:soon:::::\nfriend:x\ntoken:a@pam:0:1:\n\
             acl:1:vms:a@pam:R:\ngarbage\nuser:b@pam\n",
        );
        assert_eq!(config.malformed_lines, [3, 4, 5, 6, 7, 8]);
        assert_eq!(config.users.len(), 1);
    }

    proptest! {
        #[test]
        fn any_text_gives_users(text in "((user|token|group|role|acl|pool|[a-z]{0,3}):?[a-z@!,/:0-9]{0,20}\\PC{0,5}\n?){0,9}") {
            let config = parse(&text);
            let records = config.users.len() + config.tokens.len() + config.groups.len()
                + config.roles.len() + config.rules.len() + config.pools.len();
            prop_assert!(records <= text.lines().count());
        }
    }
}
