//! Users, tokens, groups, roles, permissions, pools and realms, from
//! `/etc/pve/user.cfg` and `/etc/pve/domains.cfg`.
//!
//! Of people only their ids leave the node: names, addresses and comments do not,
//! nor do the keys of second factors that old installations keep in `user.cfg`.

use pvelens_proto::agent::v1::{AccessConfig, CollectionClass, RealmConfig, UserConfig};

use super::{
    CONFIG, CollectError, Collector, FILE_DEADLINE, Payload, Reading,
    pmxcfs::{self, SettingsFile},
};
use crate::format::FormatError;

mod realm;
mod user;

pub(super) use realm::sync as realm_sync;

const USERS: &str = "/etc/pve/user.cfg";
const REALMS: &str = "/etc/pve/domains.cfg";

pub(super) const COLLECTOR: Collector = Collector {
    name: "access_config",
    summary: "users, tokens, roles, permissions and realms, without secrets",
    class: CollectionClass::Config,
    interval: CONFIG,
    deadline: FILE_DEADLINE,
    paths: &[USERS, REALMS],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let users = SettingsFile::read_one(reading, USERS)?;
    let realms = SettingsFile::read_one(reading, REALMS)?;
    Ok(Payload::AccessConfig(AccessConfig {
        user_config: users.and_then(|file| user_config(reading, file)),
        realm_config: realms.map(|file| realm_config(reading, file)),
    }))
}

fn user_config(reading: &mut Reading<'_>, file: SettingsFile) -> Option<UserConfig> {
    // PVE always writes `root@pam`.
    if file.text.is_empty() && file.exists {
        reading.fail(FormatError::truncated("empty").at(USERS));
        return None;
    }
    let mut config = user::parse(&file.text);
    config.sha256 = file.digest(&config);
    pmxcfs::limit(reading, USERS, &mut config.users);
    pmxcfs::limit(reading, USERS, &mut config.tokens);
    pmxcfs::limit(reading, USERS, &mut config.groups);
    pmxcfs::limit(reading, USERS, &mut config.roles);
    pmxcfs::limit(reading, USERS, &mut config.rules);
    pmxcfs::limit(reading, USERS, &mut config.pools);
    Some(config)
}

/// The pools that a guest is in, by the text of `user.cfg`; a nested pool is in all
/// those above it. `None` when a line is not understood: it may be the one.
pub(crate) fn pools_of(text: &str, vmid: u32) -> Option<Vec<String>> {
    let config = user::parse(text);
    config.malformed_lines.is_empty().then_some(())?;
    let mut pools = Vec::new();
    for pool in config.pools {
        if pool.vmids.contains(&vmid) {
            let above = pool.id.match_indices('/').map(|(at, _)| at);
            pools.extend(above.filter_map(|at| pool.id.get(..at).map(str::to_owned)));
            pools.push(pool.id);
        }
    }
    Some(pools)
}

fn realm_config(reading: &mut Reading<'_>, file: SettingsFile) -> RealmConfig {
    let mut config = realm::parse(&file.text);
    config.sha256 = file.digest(&config);
    pmxcfs::limit(reading, REALMS, &mut config.realms);
    config
}

#[cfg(test)]
mod tests {
    use pvelens_proto::agent::v1::FailureKind;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const LOCAL: (&str, &str) = ("etc/pve/local@", "nodes/a");

    fn config(payload: Option<Payload>) -> AccessConfig {
        match payload {
            Some(Payload::AccessConfig(config)) => config,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_node_without_the_files_has_only_what_pve_adds() {
        let node = sample(&COLLECTOR, &[LOCAL]);
        assert_eq!(kinds(&node), []);
        let config = config(node.payload);
        assert_eq!(config.user_config, Some(UserConfig::default()));
        assert_eq!(config.realm_config, Some(RealmConfig::default()));
    }

    #[test]
    fn one_file_that_cannot_be_read_is_unknown_and_the_other_is_kept() {
        let node = sample(
            &COLLECTOR,
            &[
                LOCAL,
                ("etc/pve/user.cfg/", ""),
                ("etc/pve/domains.cfg", "pam: pam\n\tdefault 1\n"),
            ],
        );
        assert_eq!(kinds(&node), [FailureKind::NotAFile]);
        let config = config(node.payload);
        assert_eq!(config.user_config, None);
        assert_eq!(config.realm_config.unwrap().realms.len(), 1);
    }

    #[test]
    fn an_empty_list_of_users_is_unknown() {
        let node = sample(&COLLECTOR, &[LOCAL, ("etc/pve/user.cfg", "")]);
        assert_eq!(kinds(&node), [FailureKind::Truncated]);
        assert_eq!(config(node.payload).user_config, None);
    }

    #[test]
    fn too_many_entries_are_cut_and_named() {
        let many: String = (0..10_002).map(|i| format!("group:g{i}:::\n")).collect();
        let node = sample(&COLLECTOR, &[LOCAL, ("etc/pve/user.cfg", &many)]);
        assert_eq!(kinds(&node), [FailureKind::TooLarge]);
        let groups = config(node.payload).user_config.unwrap().groups;
        assert_eq!(groups.len(), 10_000);
    }

    #[test]
    fn no_secret_and_nothing_that_people_wrote_leaves_the_node() {
        let node = sample(
            &COLLECTOR,
            &[
                LOCAL,
                (
                    "etc/pve/user.cfg",
                    "user:a@pve:1:0:Canary:Canary:canary@example.test:canary:v2-canary:\n\
                     token:a@pve!t:0:1:canary:\ngroup:g:a@pve:canary:\npool:p:canary:::\ncanary\n",
                ),
                (
                    "etc/pve/domains.cfg",
                    "openid: sso\n\tclient-id canary\n\tclient-key canary\n\tissuer-url https://canary:canary@id.example.test/canary?canary\n\tcomment canary\n\tcanary canary\n\n\
                     ldap: dir\n\tserver1 canary@host\n\tbind_dn cn=canary\n\tpassword canary\n\tfilter (canary)\n\tcertkey /canary\n\ttfa type=yubico,id=canary,key=canary,url=https://canary\n\n\
                     canary\n\tcanary x\n",
                ),
            ],
        );
        assert_eq!(kinds(&node), []);
        assert!(!format!("{node:?}").to_lowercase().contains("canary"));
    }
}
