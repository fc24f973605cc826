//! Who gets a certificate, and what becomes of it.

use std::{fs, os::unix::fs::PermissionsExt};

use proptest::prelude::*;
use pvelens_proto::identity::ClientRole;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

use super::{
    fixture::{Holder, Kept, Key, hours, now, wish},
    *,
};

mod handshake;

const CLUSTER: &str = "c0ffee";

fn refused(result: Result<Holder, EnrollError>) -> EnrollError {
    result.err().unwrap()
}

#[test]
fn nobody_is_signed_for_before_somebody_was_invited() {
    let mut kept = Kept::new();
    assert!(!kept.trust.is_in_use());
    assert!(kept.trust.authorities(now()).unwrap().is_empty());
    let changes = kept.trust.changes();
    kept.trust.ticket(wish("pve1", 1));
    assert!(changes.has_changed().unwrap() && kept.trust.is_in_use());
    let before = kept.trust.authorities(now()).unwrap();
    assert!(before[0].is_signing);
    kept.again();
    assert_eq!(kept.trust.authorities(now()).unwrap(), before);
    assert!(kept.trust.is_in_use());
}

#[test]
fn a_token_is_good_once_and_the_same_key_is_answered_again() {
    let mut kept = Kept::new();
    let ticket = kept.trust.ticket(wish("pve1", 1));
    let key = Key::new();
    let again = Key {
        key: KeyPair::from_pem(&key.key.serialize_pem()).unwrap(),
        csr: key.csr.clone(),
    };
    let join = |kept: &Kept, key| kept.trust.join_with(&ticket, CLUSTER, "pve1", key, now());
    let first = join(&kept, key).unwrap();
    // The answer was lost, and meanwhile the coordinator was started anew.
    kept.again();
    let second = join(&kept, again).unwrap();
    let node = |holder: &Holder| kept.trust.node_of(holder.leaf(), now()).unwrap();
    assert_eq!(
        (node(&first).cluster, node(&first).node),
        (CLUSTER.to_owned(), "pve1".to_owned())
    );
    assert_eq!(node(&second).state, NodeState::Good);
    assert!(!node(&second).wants_renewal);

    // A replay with another key, as from somebody who read the line.
    assert!(matches!(
        refused(join(&kept, Key::new())),
        EnrollError::Used
    ));
    let token = &kept.trust.tokens()[0];
    assert_eq!(
        (token.refused_total, &*token.refused_from),
        (1, "192.0.2.1")
    );
    assert_eq!(token.joined_nodes, ["pve1"]);
    // Each refusal that is written down costs the disk something.
    refused(join(&kept, Key::new()));
    assert_eq!(kept.trust.tokens()[0].refused_total, 1);
}

#[test]
fn a_token_says_who_may_join_with_it_and_until_when() {
    let kept = Kept::new();
    let trust = &kept.trust;
    let ticket = trust.ticket(wish("pve1", 1));
    let try_with = |ticket: &JoinTicket, cluster: &str, node: &str, at| {
        trust.join_with(ticket, cluster, node, Key::new(), at)
    };
    use pvelens_proto::v1::JoinTicket;
    let other = try_with(&ticket, CLUSTER, "pve2", now());
    assert!(matches!(refused(other), EnrollError::OtherNode(name) if name == "pve1"));
    let late = now() + hours(2);
    let late = refused(try_with(&ticket, CLUSTER, "pve1", late));
    assert!(matches!(late, EnrollError::Expired(_)));
    let mut guessed = ticket.clone();
    guessed.secret[0] ^= 1;
    let guessed = refused(try_with(&guessed, CLUSTER, "pve1", now()));
    assert!(matches!(guessed, EnrollError::Unknown));
    let mut unknown = ticket.clone();
    unknown.token_id = "zzzzzzzz".to_owned();
    let unknown = refused(try_with(&unknown, CLUSTER, "pve1", now()));
    assert_eq!(unknown.to_string(), guessed.to_string());
    for name in ["", "..", "-a", "a/b", "a b", &"a".repeat(300)] {
        let error = refused(try_with(&ticket, CLUSTER, name, now()));
        assert!(
            matches!(error, EnrollError::Request(_)),
            "{name:?}: {error}"
        );
    }
    let error = refused(try_with(&ticket, "../x", "pve1", now()));
    assert!(matches!(error, EnrollError::Request(_)), "{error}");

    trust.withdraw_token(ticket.token_id.get(..4).unwrap(), now()).unwrap();
    let error = refused(try_with(&ticket, CLUSTER, "pve1", now()));
    assert!(matches!(error, EnrollError::Withdrawn));
    assert!(trust.withdraw_token("", now()).is_err());
    assert!(!trust.has_node(CLUSTER, "pve1"));

    // One for several nodes belongs to the cluster of the first.
    let ticket = trust.ticket(wish("", 3));
    try_with(&ticket, CLUSTER, "pve1", now()).unwrap();
    let error = refused(try_with(&ticket, "beef", "pve2", now()));
    assert!(matches!(error, EnrollError::OtherCluster));
    let error = refused(try_with(&ticket, CLUSTER, "pve1", now()));
    assert!(matches!(error, EnrollError::Enrolled(_)));
    try_with(&ticket, CLUSTER, "pve2", now()).unwrap();
    // A machine without a cluster is one of its own.
    let ticket = trust.ticket(wish("", 1));
    let holder = try_with(&ticket, "", "mon", now()).unwrap();
    assert_eq!(
        trust.node_of(holder.leaf(), now()).unwrap().cluster,
        "host:mon"
    );
    assert_eq!(trust.nodes().len(), 3);
}

#[test]
fn wishes_that_make_no_sense_are_refused() {
    let kept = Kept::new();
    for odd in [
        wish("", 0),
        wish("", 1001),
        wish("pve1", 2),
        wish("a b", 1),
        TokenWish {
            valid: SignedDuration::from_secs(59),
            ..wish("", 1)
        },
        TokenWish {
            valid: hours(24 * 8),
            ..wish("", 1)
        },
    ] {
        assert!(
            kept.trust.create_token(odd.clone(), now()).is_err(),
            "{odd:?}"
        );
    }
    assert!(!kept.trust.is_in_use());
}

#[test]
fn only_requests_for_keys_of_p256_by_their_holder_are_signed() {
    let kept = Kept::new();
    let ticket = kept.trust.ticket(wish("pve1", 1));
    let mut requests = vec![Vec::new(), vec![0; 20_000], b"garbage".to_vec()];
    let mut forged = Key::new().csr;
    let last = forged.len() - 1;
    forged[last] ^= 1;
    requests.push(forged);
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let request = CertificateParams::default().serialize_request(&key);
        requests.push(request.unwrap().der().to_vec());
    }
    for csr in requests {
        let key = Key { csr, ..Key::new() };
        let error = refused(kept.trust.join_with(&ticket, CLUSTER, "pve1", key, now()));
        assert!(error.to_string().starts_with("the request"), "{error}");
    }
    // None of it used the token up.
    kept.trust
        .join_with(&ticket, CLUSTER, "pve1", Key::new(), now())
        .unwrap();
}

#[test]
fn what_a_request_wishes_beside_its_key_does_not_count() {
    let kept = Kept::new();
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::new(["evil.example.org".to_owned()]).unwrap();
    let uri = "pvelens://client/admin/evil".try_into().unwrap();
    params.subject_alt_names.push(rcgen::SanType::URI(uri));
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let csr = params.serialize_request(&key).unwrap().der().to_vec();
    let ticket = kept.trust.ticket(wish("pve1", 1));
    let holder = kept
        .trust
        .join_with(&ticket, CLUSTER, "pve1", Key { key, csr }, now())
        .unwrap();
    let certificate = Certificate::read(holder.leaf()).unwrap();
    assert_eq!(
        certificate.identity.to_string(),
        "pvelens://node/c0ffee/pve1"
    );
    assert!(certificate.serves && !certificate.calls);
    assert!(matches!(
        kept.trust.client_of(holder.leaf(), now()),
        Err(Refusal::Kind(_))
    ));
}

#[test]
fn a_node_that_was_off_for_a_year_gets_a_new_certificate_and_the_old_one_ends() {
    let kept = Kept::new();
    let trust = &kept.trust;
    let then = now() - hours(24 * 365);
    let old = trust.join_at(CLUSTER, "pve1", then);
    trust.saw_node(old.leaf(), then).unwrap();
    let node = trust.node_of(old.leaf(), now()).unwrap();
    assert_eq!(node.state, NodeState::Expired);
    let key = Key::new();
    let issued = trust
        .renew_node(&node, CLUSTER, "pve1", &key.csr, now())
        .unwrap();
    // It may not have heard of it.
    assert!(trust.node_of(old.leaf(), now()).is_ok());
    let leaf = &issued.chain.certificates_der[0];
    trust.saw_node(leaf, now()).unwrap();
    assert_eq!(trust.node_of(leaf, now()).unwrap().state, NodeState::Good);
    assert_eq!(
        trust.node_of(old.leaf(), now()),
        Err(Refusal::Superseded),
        "a key that was replaced brings nobody in"
    );
}

#[test]
fn renewal_is_due_below_sixty_days_and_after_a_rotation() {
    let kept = Kept::new();
    let holder = kept.trust.join(CLUSTER, "pve1");
    let is_due = |at| kept.trust.node_of(holder.leaf(), at).unwrap().wants_renewal;
    assert!(!is_due(now() + hours(24 * 29)));
    assert!(is_due(now() + hours(24 * 31)));
    kept.trust.rotate(now()).unwrap();
    assert!(is_due(now()));
}

#[test]
fn revocation_ends_all_certificates_of_a_node_and_naming_it_lets_it_in_again() {
    let mut kept = Kept::new();
    let first = kept.trust.join(CLUSTER, "pve1");
    let node = kept.trust.node_of(first.leaf(), now()).unwrap();
    let key = Key::new();
    let renewed = kept
        .trust
        .renew_node(&node, CLUSTER, "pve1", &key.csr, now())
        .unwrap();
    let renewed = renewed.chain.certificates_der[0].clone();
    assert_eq!(kept.trust.revoke_node(CLUSTER, "pve1", now()).unwrap(), 2);
    assert!(kept.trust.is_revoked(&node.serial));
    assert!(kept.trust.revoke_node(CLUSTER, "pve1", now()).is_err());
    kept.again();
    for leaf in [first.leaf(), &renewed] {
        assert_eq!(kept.trust.node_of(leaf, now()), Err(Refusal::Revoked));
    }
    let back = kept.trust.join(CLUSTER, "pve1");
    let state = |holder: &Holder| kept.trust.node_of(holder.leaf(), now() + hours(2));
    assert_eq!(state(&back).unwrap().state, NodeState::Good);
    // Naming a node that is there replaces it.
    let replaced = kept.trust.join(CLUSTER, "pve1");
    assert_eq!(state(&back), Err(Refusal::Revoked));
    assert_eq!(state(&replaced).unwrap().state, NodeState::Good);
}

#[test]
fn a_node_that_moved_leaves_its_old_place_once_it_shows_the_new_certificate() {
    let kept = Kept::new();
    let trust = &kept.trust;
    let alone = trust.join("a10e", "pve1");
    let other = trust.join(CLUSTER, "pve9");
    let node = trust.node_of(alone.leaf(), now()).unwrap();
    let ask =
        |cluster: &str, name: &str| trust.renew_node(&node, cluster, name, &Key::new().csr, now());
    assert!(matches!(ask(CLUSTER, "pve9"), Err(TrustError::InUse(_))));
    ask(CLUSTER, "pve1").unwrap();
    // The answer was lost: it asks again from its old place.
    assert!(trust.node_of(alone.leaf(), now()).is_ok());
    assert!(trust.is_free_for(&node, CLUSTER, "pve1"));
    let moved = ask(CLUSTER, "pve1").unwrap();
    assert_eq!(
        trust.nodes().len(),
        2,
        "nobody is missed in the new place yet"
    );
    trust
        .saw_node(&moved.chain.certificates_der[0], now())
        .unwrap();
    assert!(!trust.has_node("a10e", "pve1") && trust.has_node(CLUSTER, "pve1"));
    assert_eq!(trust.node_of(alone.leaf(), now()), Err(Refusal::Revoked));
    assert!(trust.node_of(other.leaf(), now()).is_ok());
    assert!(!trust.is_free_for(&node, CLUSTER, "pve1"));
}

#[test]
fn revocation_reaches_a_node_on_its_way_to_another_place() {
    let kept = Kept::new();
    let trust = &kept.trust;
    let alone = trust.join("a10e", "pve1");
    let node = trust.node_of(alone.leaf(), now()).unwrap();
    let given = trust
        .renew_node(&node, CLUSTER, "pve1", &Key::new().csr, now())
        .unwrap();
    trust.revoke_node("a10e", "pve1", now()).unwrap();
    let given = &given.chain.certificates_der[0];
    assert_eq!(trust.node_of(given, now()), Err(Refusal::Revoked));
    assert!(!trust.has_node(CLUSTER, "pve1") && trust.nodes().is_empty());
}

#[test]
fn clients_are_renewed_listed_and_revoked_by_name_or_number() {
    let mut kept = Kept::new();
    let trust = Arc::clone(&kept.trust);
    let ci = trust.give_client("ci", ClientRole::Operator, now());
    let client = trust.client_of(ci.leaf(), now()).unwrap();
    assert_eq!((client.role, &*client.name), (ClientRole::Operator, "ci"));
    let late = now() + hours(24 * 91);
    assert!(matches!(
        trust.client_of(ci.leaf(), late),
        Err(Refusal::Expired(_))
    ));
    let key = Key::new();
    let renewed = trust.renew_client(&client, &key.csr, now()).unwrap();
    let renewed = renewed.chain.certificates_der[0].clone();
    assert_eq!(
        trust.client_of(&renewed, now()).unwrap().role,
        ClientRole::Operator
    );
    assert_eq!(trust.clients().len(), 2);
    assert_eq!(trust.revoke_client(&client.serial, now()).unwrap(), 1);
    assert!(trust.client_of(&renewed, now()).is_ok());
    assert_eq!(trust.revoke_client("ci", now()).unwrap(), 1);
    kept.again();
    for leaf in [ci.leaf(), &renewed] {
        assert_eq!(kept.trust.client_of(leaf, now()), Err(Refusal::Revoked));
    }
    assert!(kept.trust.revoke_client("nobody", now()).is_err());
    for name in ["", "a b", "../x"] {
        let odd = kept
            .trust
            .issue_client(name, ClientRole::Reader, &key.csr, 0, now());
        assert!(odd.is_err(), "{name:?}");
    }
    let long = kept
        .trust
        .issue_client("ci", ClientRole::Reader, &key.csr, 366, now());
    assert!(long.is_err());
}

#[test]
fn an_authority_is_replaced_and_retired_when_nobody_needs_it() {
    let mut kept = Kept::new();
    let old = kept.trust.join(CLUSTER, "pve1");
    let first = kept.trust.authorities(now()).unwrap().remove(0);
    assert!(
        kept.trust.retire(&first.fingerprint, true, now()).is_err(),
        "it signs"
    );
    let second = kept.trust.rotate(now()).unwrap();
    let keys = || {
        let entries = fs::read_dir(kept.trust.directory()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".key")).count()
    };
    assert_eq!(keys(), 1, "the key that signs nothing any more is gone");
    let listed = kept.trust.authorities(now()).unwrap();
    assert_eq!(listed[0].fingerprint, second.fingerprint);
    assert_eq!(
        (listed[1].is_signing, listed[1].node_certificates),
        (false, 1)
    );
    assert!(kept.trust.node_of(old.leaf(), now()).is_ok());
    let needed = kept.trust.retire(first.fingerprint.get(..8).unwrap(), false, now());
    assert!(needed.unwrap_err().to_string().contains("1 nodes"));
    let node = kept.trust.node_of(old.leaf(), now()).unwrap();
    kept.trust
        .renew_node(&node, CLUSTER, "pve1", &Key::new().csr, now())
        .unwrap();
    kept.trust
        .retire(first.fingerprint.get(..8).unwrap(), false, now())
        .unwrap();
    kept.again();
    assert_eq!(
        kept.trust.node_of(old.leaf(), now()),
        Err(Refusal::Authority)
    );
    assert_eq!(kept.trust.authorities(now()).unwrap().len(), 1);
}

#[test]
fn a_backup_takes_the_place_of_a_coordinator_that_is_gone() {
    let kept = Kept::new();
    let holder = kept.trust.join(CLUSTER, "pve1");
    let backup = kept.trust.back_up(now()).unwrap();
    // Joined after the backup was made.
    let later = kept.trust.join(CLUSTER, "pve2");

    let other = tempfile::TempDir::new().unwrap();
    restore(other.path(), &backup, false).unwrap();
    let names = Names::new(&["mon2.example.org".to_owned()], 8440, 8441);
    let trust = Trust::open(other.path(), names, now()).unwrap();
    assert!(trust.node_of(holder.leaf(), now()).is_ok());
    // Our key signed it, so it was let in once.
    trust.saw_node(later.leaf(), now()).unwrap();
    assert!(trust.has_node(CLUSTER, "pve2"));
    assert!(matches!(
        restore(other.path(), &backup, false),
        Err(TrustError::InUse(_))
    ));
    restore(other.path(), &backup, true).unwrap();
    let mut foreign: serde_json::Value = serde_json::from_str(&backup).unwrap();
    foreign["authority_key"] = KeyPair::generate().unwrap().serialize_pem().into();
    let half = backup.get(..backup.len() / 2).unwrap();
    for damaged in ["", "{}", half, &foreign.to_string()] {
        let place = tempfile::TempDir::new().unwrap();
        assert!(restore(place.path(), damaged, false).is_err());
        assert!(!place.path().join("trust/trust.json").exists());
    }
}

#[test]
fn what_cannot_be_used_is_said_and_never_replaced() {
    let kept = Kept::new();
    kept.trust.join(CLUSTER, "pve1");
    let directory = kept.trust.directory().to_owned();
    let state = directory.join("trust.json");
    let text = fs::read_to_string(&state).unwrap();
    let open = || {
        let names = Names::new(&[], 8440, 8441);
        Trust::open(kept.directory.path(), names, now()).map(drop)
    };
    let damage = |content: &str, expected: &str| {
        fs::write(&state, content).unwrap();
        let error = open().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(fs::read_to_string(&state).unwrap(), content);
    };
    damage(text.get(..text.len() / 2).unwrap(), "pvelens ca restore");
    damage("", "pvelens ca restore");
    damage(&text.replace("\"version\": 1", "\"version\": 9"), "newer");
    fs::write(&state, &text).unwrap();
    open().unwrap();
    let key = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "key"))
        .unwrap();
    let pem = fs::read(&key).unwrap();
    let foreign = KeyPair::generate().unwrap().serialize_pem();
    fs::write(&key, foreign).unwrap();
    assert!(matches!(open(), Err(TrustError::WrongKey(_))));
    fs::remove_file(&key).unwrap();
    assert!(matches!(open(), Err(TrustError::NoKey(_))));
    fs::write(&key, pem).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(open().unwrap_err().to_string().contains("chmod 600"));
}

#[test]
fn any_bytes_are_no_certificate() {
    let kept = Kept::new();
    let holder = kept.trust.join(CLUSTER, "pve1");
    for end in 0..holder.leaf().len() {
        assert!(kept.trust.node_of(&holder.leaf()[..end], now()).is_err());
    }
    let mut longer = holder.leaf().to_vec();
    longer.push(0);
    assert!(kept.trust.node_of(&longer, now()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_token_never_lets_in_more_nodes_than_it_says(
        count in 1..4_u32,
        attempts in prop::collection::vec((0..5_usize, 0..3_usize), 1..24),
    ) {
        let kept = Kept::new();
        let ticket = kept.trust.ticket(wish("", count));
        let keys: Vec<_> = (0..3).map(|_| Key::new()).collect();
        let mut joined = std::collections::BTreeSet::new();
        for (node, key) in attempts {
            let key = Key {
                key: KeyPair::from_pem(&keys[key].key.serialize_pem()).unwrap(),
                csr: keys[key].csr.clone(),
            };
            let name = format!("pve{node}");
            if kept.trust.join_with(&ticket, CLUSTER, &name, key, now()).is_ok() {
                joined.insert(name);
            }
        }
        prop_assert!(joined.len() <= usize::try_from(count).unwrap());
        prop_assert_eq!(kept.trust.nodes().len(), joined.len());
    }
}
