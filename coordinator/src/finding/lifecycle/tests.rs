use std::time::Duration;

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::{
    check::{Timing, Unknown, Verdict, find, testing::Scene},
    finding::{Lane, Severity},
    view::{GuestStatus, NodeIndex},
};

mod recheck;

const NODE: Subject = Subject::Node(NodeIndex(0));

/// What one evaluation says, for tests of the state machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Fail,
    Pass,
    Recovering,
    Unknown,
    Nothing,
}

struct Run {
    scene: Scene,
    lifecycle: Lifecycle,
    check: &'static Check,
    second: i64,
}

impl Run {
    fn of(check: &str) -> Self {
        Self {
            scene: Scene::healthy(),
            lifecycle: Lifecycle::default(),
            check: find(check).unwrap(),
            second: 0,
        }
    }

    /// One evaluation so many seconds after the first.
    fn at(&mut self, second: i64, said: Said) -> Option<Finding> {
        self.second = second;
        let outcome = match said {
            Said::Fail => Outcome::Fail(Box::new(failure())),
            Said::Pass => Outcome::Pass,
            Said::Recovering => Outcome::Recovering,
            Said::Unknown => Outcome::Unknown(Unknown::Coverage),
            Said::Nothing => return self.evaluate(Vec::new()),
        };
        self.evaluate(vec![Verdict {
            subject: NODE,
            outcome,
        }])
    }

    fn evaluate(&mut self, verdicts: Vec<Verdict>) -> Option<Finding> {
        let at = self
            .scene
            .at
            .checked_add(SignedDuration::from_secs(self.second))
            .unwrap();
        let input = Input {
            at,
            ..self.scene.input()
        };
        let results = [CheckVerdicts {
            check: self.check,
            verdicts,
        }];
        self.lifecycle.update(&input, &results).pop()
    }

    fn state(&mut self, second: i64, said: Said) -> Option<FindingState> {
        self.at(second, said).map(|finding| finding.state)
    }
}

fn failure() -> Failure {
    Failure {
        severity: Severity::Warning,
        lane: None,
        discriminator: String::new(),
        summary: "It is broken.".to_owned(),
        evidence: Vec::new(),
        confidence: 1.0,
        hold: None,
        instead: None,
    }
}

use FindingState::{Flapping, Open, Pending};
use Said::{Fail, Nothing, Pass, Recovering, Unknown as Unclear};

#[test]
fn state_opens_after_its_hold_time_and_resolves_after_two_passes() {
    // 60 s to open, 120 s to resolve.
    let mut run = Run::of("cluster.node.offline");
    assert_eq!(run.state(0, Fail), Some(Pending));
    assert_eq!(run.state(59, Fail), Some(Pending));
    let finding = run.at(60, Fail).unwrap();
    assert_eq!(finding.state, Open);
    assert_eq!(finding.first_seen, run.scene.at);
    assert_eq!(run.state(70, Pass), Some(Open));
    assert_eq!(run.state(189, Pass), Some(Open));
    assert_eq!(run.state(190, Pass), None);
}

#[test]
fn a_pass_in_between_starts_again() {
    let mut run = Run::of("cluster.node.offline");
    run.at(0, Fail);
    assert_eq!(run.state(30, Pass), None);
    assert_eq!(run.state(40, Fail), Some(Pending));
    assert_eq!(run.state(99, Fail), Some(Pending));
    assert_eq!(run.state(100, Fail), Some(Open));
    run.at(110, Pass);
    run.at(120, Fail);
    // The passes before the failure do not count.
    assert_eq!(run.state(231, Pass), Some(Open));
}

#[test]
fn two_evaluations_at_once_are_not_two_in_a_row() {
    let mut run = Run::of("cluster.quorum.lost");
    run.at(0, Fail);
    assert_eq!(run.state(0, Fail), Some(Pending));
    assert_eq!(run.state(30, Fail), Some(Open));
}

#[test]
fn configuration_opens_at_once_or_at_the_second_look() {
    let mut run = Run::of("cluster.corosync.single_link");
    assert_eq!(run.state(0, Fail), Some(Open));
    assert_eq!(run.state(10, Pass), None);
    let mut run = Run::of("network.bridge.missing_on_node");
    assert_eq!(run.state(0, Fail), Some(Pending));
    assert_eq!(run.state(10, Fail), Some(Open));
    assert_eq!(run.state(20, Pass), None);
}

#[test]
fn metrics_without_a_history_have_a_hold_time_here() {
    let mut run = Run::of("cluster.nodes.clock_skew");
    assert_eq!(run.state(0, Fail), Some(Pending));
    assert_eq!(run.state(300, Fail), Some(Open));
    assert_eq!(run.state(310, Recovering), Some(Open));
    assert_eq!(run.state(400, Pass), Some(Open));
    assert_eq!(run.state(1299, Pass), Some(Open));
    assert_eq!(run.state(1300, Pass), None);
    let mut run = Run::of("node.cpu.iowait_high");
    assert_eq!(run.state(0, Fail), Some(Open));
    assert_eq!(run.state(10, Recovering), Some(Open));
    assert_eq!(run.state(20, Pass), None);
}

#[test]
fn an_event_stays_for_a_day_after_it_came_last() {
    let mut run = Run::of("node.mem.oom_kill");
    assert_eq!(run.state(0, Fail), Some(Open));
    run.at(600, Fail);
    assert_eq!(run.state(86_400, Pass), Some(Open));
    assert_eq!(run.state(86_999, Unclear), Some(Open));
    assert_eq!(run.state(87_000, Pass), None);
}

#[test]
fn a_branch_may_ask_for_a_longer_hold() {
    let mut run = Run::of("node.net.link_down");
    for (second, state) in [(0, Pending), (120, Pending), (1799, Pending), (1800, Open)] {
        run.second = second;
        let slow = Failure {
            hold: Some(Duration::from_secs(1800)),
            ..failure()
        };
        let outcome = Outcome::Fail(Box::new(slow));
        let finding = run.evaluate(vec![Verdict {
            subject: NODE,
            outcome,
        }]);
        assert_eq!(finding.unwrap().state, state, "{second}");
    }
}

#[test]
fn the_unknown_freezes_and_marks() {
    let mut run = Run::of("cluster.corosync.single_link");
    run.at(0, Fail);
    let finding = run.at(10, Unclear).unwrap();
    assert!(finding.unverified && finding.state == Open);
    assert_eq!(finding.last_seen, run.scene.at);
    assert!(!run.at(20, Fail).unwrap().unverified);
    // Nothing said and no fresh list of members: that proves nothing.
    run.scene.view.clusters[0].corosync.as_mut().unwrap().at = run.scene.minutes_ago(60);
    assert!(run.at(30, Nothing).unwrap().unverified);
}

#[test]
fn what_the_fresh_list_no_longer_names_is_gone() {
    let subject = Subject::Guest(crate::view::GuestIndex(1));
    let mut run = Run::of("ct.privileged");
    let outcome = Outcome::Fail(Box::new(failure()));
    let found = run.evaluate(vec![Verdict { subject, outcome }]).unwrap();
    assert_eq!(found.subject, "guest/101");
    run.scene.view.guests.pop();
    run.scene.view.clusters[0].guests = 0..1;
    // The list is too old to say that it is gone.
    run.scene.view.clusters[0].guest_list_at = Some(run.scene.minutes_ago(60));
    assert!(run.evaluate(Vec::new()).unwrap().unverified);
    run.scene.view.clusters[0].guest_list_at = Some(run.scene.at);
    assert!(run.evaluate(Vec::new()).is_none());
}

#[test]
fn what_opens_and_clears_all_day_is_flapping_until_it_is_calm() {
    let mut run = Run::of("cluster.corosync.single_link");
    for (second, said, state) in [
        (0, Fail, Some(Open)),
        (10, Pass, None),
        (20, Fail, Some(Open)),
        (30, Pass, None),
        (40, Fail, Some(Flapping)),
        (50, Pass, Some(Flapping)),
        (60, Fail, Some(Flapping)),
        (70, Pass, Some(Flapping)),
        (7269, Pass, Some(Flapping)),
        (7270, Pass, None),
        (7280, Fail, Some(Open)),
    ] {
        assert_eq!(run.state(second, said), state, "{second}");
    }
}

#[test]
fn parts_of_a_subject_live_on_their_own() {
    let mut run = Run::of("node.fs.readonly_or_errors");
    let fail = |part: &str| Verdict {
        subject: NODE,
        outcome: Outcome::Fail(Box::new(Failure {
            discriminator: part.to_owned(),
            ..failure()
        })),
    };
    let mut findings = |second: i64, verdicts: Vec<Verdict>| -> Vec<(String, FindingState)> {
        let at = run
            .scene
            .at
            .checked_add(SignedDuration::from_secs(second))
            .unwrap();
        let input = Input {
            at,
            ..run.scene.input()
        };
        let results = [CheckVerdicts {
            check: run.check,
            verdicts,
        }];
        let found = run.lifecycle.update(&input, &results);
        found
            .into_iter()
            .map(|finding| (finding.discriminator, finding.state))
            .collect()
    };
    findings(0, vec![fail("/a"), fail("/b")]);
    let both = findings(30, vec![fail("/a"), fail("/b")]);
    assert_eq!(both, [("/a".to_owned(), Open), ("/b".to_owned(), Open)]);
    findings(40, vec![fail("/b")]);
    assert_eq!(findings(100, vec![fail("/b")]), [("/b".to_owned(), Open)]);
}

#[test]
fn a_finding_tells_what_to_do_by_name() {
    let mut scene = Scene::healthy();
    scene.view.guests[0].status = GuestStatus::Other("io-error".into());
    let finding = Lifecycle::default()
        .update(&scene.input(), &scene.run_all())
        .pop()
        .unwrap();
    assert_eq!(finding.remediation.diagnose, ["qm status 100 --verbose"]);
    assert!(finding.remediation.fix.ends_with("qm resume 100."));
    assert_eq!(
        (finding.lane, finding.severity),
        (Lane::Health, Severity::Critical)
    );
    assert_eq!(finding.cluster, "c0ffee");
}

#[test]
fn the_worst_comes_first() {
    let mut scene = Scene::healthy();
    scene.settings(1).unprivileged = None;
    scene.node(0).facts.pve_status = None;
    scene.silence(0, 9);
    scene.mounts(2)[0].read_only = true;
    let mut lifecycle = Lifecycle::default();
    lifecycle.update(&scene.input(), &scene.run_all());
    let at = scene.at.checked_add(SignedDuration::from_secs(60)).unwrap();
    let input = Input {
        at,
        ..scene.input()
    };
    let found = lifecycle.update(&input, &crate::check::run_all(&input));
    let order: Vec<&str> = found.iter().map(|finding| finding.check.as_str()).collect();
    assert_eq!(
        order,
        [
            "node.fs.readonly_or_errors",
            "cluster.agent.stale_report",
            "ct.privileged"
        ]
    );
}

#[test]
fn a_profile_moves_the_severity_of_a_finding() {
    let mut scene = Scene::healthy();
    scene.settings(1).unprivileged = None;
    let declared = params::DeclaredProfile {
        profile: params::Profile::Strict,
        hosting: false,
    };
    scene.params.profiles.insert("lab".to_owned(), declared);
    let severity = |scene: &Scene| {
        let found = Lifecycle::default().update(&scene.input(), &scene.run_all());
        found.first().map(|finding| finding.severity)
    };
    assert_eq!(severity(&scene), Some(Severity::Critical));
    scene.settings(1).tags = vec!["lab".to_owned()];
    assert_eq!(severity(&scene), None);
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        4 => Just(Fail), 3 => Just(Pass), 1 => Just(Recovering), 2 => Just(Unclear), 1 => Just(Nothing)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_history_keeps_the_promises(
        steps in prop::collection::vec((1_i64..90, said()), 1..60),
        check in prop::sample::select(vec![
            "cluster.node.offline", "cluster.quorum.lost", "network.bridge.missing_on_node",
            "cluster.nodes.clock_skew", "node.cpu.iowait_high", "node.mem.oom_kill",
        ]),
    ) {
        let (mut run, mut twin) = (Run::of(check), Run::of(check));
        // Without a fresh word on the members, silence proves nothing.
        for run in [&mut run, &mut twin] {
            run.scene.view.clusters[0].corosync = None;
        }
        let (hold, failures) = match run.check.timing {
            Timing::T0 { evaluations } => (0, u32::from(evaluations)),
            Timing::T1 { hold, .. } => (hold.as_secs(), 2),
            Timing::T2 { hold, .. } => (hold.as_secs(), 1),
            Timing::T4 => (0, 1),
        };
        let (mut second, mut since, mut row, mut was_open) = (0, None, 0, false);
        for (step, said) in steps {
            second += step;
            let found = run.at(second, said);
            prop_assert_eq!(&found, &twin.at(second, said));
            let is_open = found.as_ref().is_some_and(|found| found.state != Pending);
            if said == Fail {
                row += 1;
                since.get_or_insert(second);
            }
            if is_open && !was_open {
                // It opens at a failure, after enough of them, for long enough.
                prop_assert_eq!(said, Fail);
                prop_assert!(row >= failures);
                let held = second - since.unwrap_or(second);
                prop_assert!(held.unsigned_abs() >= hold);
            }
            if was_open && !is_open {
                prop_assert_eq!(said, Pass);
            }
            if said != Fail && !is_open {
                (since, row) = (None, 0);
            }
            if said == Pass {
                (since, row) = (None, 0);
            }
            was_open = is_open;
        }
    }
}

#[test]
fn findings_of_a_guest_end_with_it_also_when_its_vmid_is_given_again() {
    let mut run = Run::of("guest.state.io_error");
    let broken = |subject| {
        vec![Verdict {
            subject,
            outcome: Outcome::Fail(Box::new(failure())),
        }]
    };
    let guest = Subject::Guest(crate::view::GuestIndex(0));
    run.evaluate(broken(guest));
    run.second = 120;
    let first = run.evaluate(broken(guest)).unwrap();
    assert_eq!(first.state, Open);
    run.scene.view.guests[0].generation = 2;
    run.second = 130;
    // Nothing was judged yet of the guest that has its VMID now.
    let unclear = Verdict {
        subject: guest,
        outcome: Outcome::Unknown(Unknown::Coverage),
    };
    assert_eq!(run.evaluate(vec![unclear]), None);
    run.second = 140;
    let second = run.evaluate(broken(guest)).unwrap();
    assert_eq!(second.state, Pending);
    assert_eq!(second.subject, first.subject);
    assert_ne!(second.fingerprint, first.fingerprint);
}
