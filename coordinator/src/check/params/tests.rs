use super::*;
use crate::{
    check::{CHECKS, find, testing::Scene},
    view::fixture,
};

fn leniency(profile: Profile) -> Leniency {
    Leniency {
        profile,
        hosting: false,
        lab: false,
    }
}

fn failing(severity: Severity) -> Failure {
    Failure::new(severity, String::new())
}

#[test]
fn the_shift_is_the_distance_between_the_columns() {
    let privileged = find("ct.privileged").unwrap();
    let of = |severity_of, profile| severity(privileged, &failing(severity_of), leniency(profile));
    assert_eq!(
        of(Severity::Warning, Profile::Homelab),
        Some(Severity::Info)
    );
    assert_eq!(
        of(Severity::Critical, Profile::Homelab),
        Some(Severity::Warning)
    );
    assert_eq!(
        of(Severity::Warning, Profile::Production),
        Some(Severity::Warning)
    );
    assert_eq!(
        of(Severity::Warning, Profile::Strict),
        Some(Severity::Critical)
    );
    // Clamped at both ends.
    assert_eq!(of(Severity::Info, Profile::Homelab), Some(Severity::Info));
    assert_eq!(
        of(Severity::Critical, Profile::Strict),
        Some(Severity::Critical)
    );
}

#[test]
fn every_row_gives_its_columns() {
    for check in CHECKS {
        let Some(row) = check.profile else {
            for profile in [Profile::Homelab, Profile::Strict] {
                let result = severity(check, &failing(check.severity), leniency(profile));
                assert_eq!(result, Some(check.severity), "{}", check.id);
            }
            continue;
        };
        let base = failing(row.production.unwrap());
        for (profile, column) in [
            (Profile::Homelab, row.homelab),
            (Profile::Production, row.production),
            (Profile::Strict, row.strict),
        ] {
            assert_eq!(
                severity(check, &base, leniency(profile)),
                column,
                "{}",
                check.id
            );
            let hosting = Leniency {
                hosting: true,
                ..leniency(profile)
            };
            let result = severity(check, &base, hosting);
            assert_eq!(result, column.max(row.hosting), "{}", check.id);
        }
    }
}

#[test]
fn a_silent_column_makes_no_finding() {
    let mut silent = *find("ct.privileged").unwrap();
    silent.profile = silent.profile.map(|row| crate::check::ProfileSeverities {
        homelab: None,
        ..row
    });
    let result = severity(
        &silent,
        &failing(Severity::Critical),
        leniency(Profile::Homelab),
    );
    assert_eq!(result, None);
}

#[test]
fn the_tag_lab_silences_posture_and_caps_health() {
    let lab = Leniency {
        lab: true,
        ..leniency(Profile::Production)
    };
    let of = |id, failure: Failure| severity(find(id).unwrap(), &failure, lab);
    assert_eq!(of("ct.privileged", failing(Severity::Critical)), None);
    assert_eq!(
        of("guest.mac_duplicate", failing(Severity::Critical)),
        Some(Severity::Warning)
    );
    assert_eq!(
        of("guest.mac_duplicate", failing(Severity::Info)),
        Some(Severity::Info)
    );
}

#[test]
fn nothing_lowers_the_floor() {
    for check in CHECKS.iter().filter(|check| check.floor) {
        for profile in [Profile::Homelab, Profile::Production, Profile::Strict] {
            let lab = Leniency {
                lab: true,
                ..leniency(profile)
            };
            for base in [Severity::Warning, Severity::Critical] {
                assert_eq!(
                    severity(check, &failing(base), lab),
                    Some(base),
                    "{}",
                    check.id
                );
            }
        }
    }
}

#[test]
fn a_health_branch_of_a_posture_check_is_not_lowered() {
    let bridge = find("ct.privileged").unwrap();
    let failure = failing(Severity::Critical).lane(Lane::Health);
    let result = severity(bridge, &failure, leniency(Profile::Homelab));
    assert_eq!(result, Some(Severity::Critical));
}

#[test]
fn profiles_are_proposed_from_what_is_known() {
    use Profile::{Homelab, Production};
    for (nodes, subscribed, ha, profile, origin) in [
        (
            2,
            Some(false),
            Some(false),
            Homelab,
            "2 nodes, no subscription, no HA",
        ),
        (
            3,
            Some(false),
            Some(false),
            Homelab,
            "3 nodes, no subscription, no HA",
        ),
        (
            4,
            Some(false),
            Some(false),
            Production,
            "4 nodes, no subscription, no HA",
        ),
        (
            1,
            Some(true),
            Some(false),
            Production,
            "1 node, subscription, no HA",
        ),
        (
            1,
            Some(false),
            Some(true),
            Production,
            "1 node, no subscription, HA",
        ),
        (
            1,
            None,
            Some(false),
            Production,
            "1 node, subscription unknown, no HA",
        ),
        (
            1,
            Some(false),
            None,
            Production,
            "1 node, no subscription, HA unknown",
        ),
    ] {
        assert_eq!(propose(nodes, subscribed, ha), (profile, origin.to_owned()));
    }
}

#[test]
fn a_declared_profile_wins_by_id_and_by_name() {
    let view = fixture::healthy();
    let cluster = ClusterIndex(0);
    let (profile, hosting, origin) = Params::default().profile_of(&view, cluster);
    assert_eq!((profile, hosting), (Profile::Production, false));
    assert_eq!(origin, "proposed: 3 nodes, subscription, HA unknown");
    for key in ["c0ffee", "lab"] {
        let declared = DeclaredProfile {
            profile: Profile::Strict,
            hosting: true,
        };
        let params = Params {
            profiles: [(key.to_owned(), declared)].into(),
            ..Params::default()
        };
        let (profile, hosting, origin) = params.profile_of(&view, cluster);
        assert_eq!(
            (profile, hosting, origin.as_str()),
            (Profile::Strict, true, "declared")
        );
    }
}

#[test]
fn high_availability_is_proposed_by_what_is_configured() {
    let origin = |scene: &Scene| Params::default().profile_of(&scene.view, ClusterIndex(0)).2;
    let mut scene = Scene::healthy();
    assert_eq!(origin(&scene), "proposed: 3 nodes, subscription, no HA");
    scene.ha(|_, _| ());
    assert_eq!(origin(&scene), "proposed: 3 nodes, subscription, HA");
}
