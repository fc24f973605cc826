//! After a fix: what a recheck resolves, and what it leaves.

use super::*;
use crate::finding::lifecycle::recheck::{Outcome as Told, Scope};

impl Run {
    /// Somebody asks for a recheck so many seconds after the first evaluation.
    fn recheck(&mut self, second: i64, said: Said, scope: &Scope) -> Option<(Told, Finding)> {
        let outcome = match said {
            Said::Fail => Outcome::Fail(Box::new(failure())),
            Said::Pass => Outcome::Pass,
            Said::Recovering => Outcome::Recovering,
            Said::Unknown | Said::Nothing => Outcome::Unknown(Unknown::Coverage),
        };
        let at = self.after(second);
        let input = Input {
            at,
            ..self.scene.input()
        };
        let results = [CheckVerdicts {
            check: self.check,
            verdicts: vec![Verdict {
                subject: NODE,
                outcome,
            }],
        }];
        let (findings, mut told) = self.lifecycle.recheck(&input, &results, scope);
        let told = told.pop().map(|told| (told.outcome, told.finding))?;
        // What is told is what is shown from now on.
        assert_eq!(told.0 == Told::Resolved, findings.is_empty());
        Some(told)
    }

    fn told(&mut self, second: i64, said: Said) -> Option<Told> {
        self.recheck(second, said, &everything())
            .map(|(told, _)| told)
    }

    /// The agent of the node delivers.
    fn read_at(&mut self, second: i64) {
        let at = self.after(second);
        self.scene.node(0).facts.memory.as_mut().unwrap().at = at;
    }

    fn after(&self, second: i64) -> Timestamp {
        let length = SignedDuration::from_secs(second);
        self.scene.at.checked_add(length).unwrap()
    }

    /// An open finding that failed last at the given second.
    fn open(check: &str, second: i64) -> Self {
        let mut run = Self::of(check);
        run.at(0, Fail);
        assert_eq!(run.state(second, Fail), Some(Open));
        run
    }
}

fn everything() -> Scope {
    Scope {
        clusters: vec!["c0ffee".into()],
        ..Scope::default()
    }
}

fn named(check: &str) -> Scope {
    Scope {
        check: find(check),
        ..everything()
    }
}

#[test]
fn what_passes_is_resolved_without_waiting() {
    let mut run = Run::open("cluster.node.offline", 60);
    run.read_at(65);
    let (told, finding) = run.recheck(70, Pass, &everything()).unwrap();
    assert_eq!(
        (told, finding.state),
        (Told::Resolved, FindingState::Resolved)
    );
    // It is really over: it has to hold anew before it opens again.
    assert_eq!(run.state(80, Fail), Some(Pending));
}

#[test]
fn what_fails_stays_and_what_is_pending_is_not_opened() {
    let mut run = Run::open("cluster.node.offline", 60);
    run.read_at(65);
    let (told, finding) = run.recheck(70, Fail, &everything()).unwrap();
    assert_eq!((told, finding.state), (Told::Failing, Open));
    assert_eq!(finding.last_seen, run.after(70));

    let mut run = Run::of("cluster.node.offline");
    run.at(0, Fail);
    let (told, finding) = run.recheck(10, Fail, &everything()).unwrap();
    assert_eq!((told, finding.state), (Told::Failing, Pending));
    assert_eq!(run.told(20, Pass), Some(Told::Resolved));
}

#[test]
fn stale_facts_resolve_nothing() {
    let mut run = Run::open("cluster.node.offline", 60);
    // The facts are from before the failure: time alone made it pass.
    let (told, finding) = run.recheck(70, Pass, &everything()).unwrap();
    assert_eq!((told, finding.state), (Told::NotReadSince, Open));
    // At the very instant of the failure is not after it.
    run.read_at(60);
    assert_eq!(run.told(71, Pass), Some(Told::NotReadSince));
    run.read_at(80);
    let (told, finding) = run.recheck(90, Unclear, &everything()).unwrap();
    assert_eq!((told, finding.state), (Told::Unknown, Open));
    assert!(finding.unverified);
    // Even for who names the check.
    let scope = named("cluster.node.offline");
    let (told, _) = run.recheck(100, Unclear, &scope).unwrap();
    assert_eq!(told, Told::Unknown);
    assert_eq!(run.told(110, Pass), Some(Told::Resolved));
}

#[test]
fn an_event_is_resolved_for_who_names_its_check() {
    let mut run = Run::open("node.mem.oom_kill", 10);
    run.read_at(20);
    assert_eq!(run.told(30, Pass), Some(Told::Event));
    let scope = named("node.mem.oom_kill");
    let (told, _) = run.recheck(40, Pass, &scope).unwrap();
    assert_eq!(told, Told::Resolved);
    assert_eq!(run.state(50, Fail), Some(Open));
}

#[test]
fn a_figure_just_below_its_trigger_is_resolved_for_who_names_its_check() {
    let mut run = Run::open("node.cpu.iowait_high", 10);
    run.read_at(20);
    assert_eq!(run.told(30, Recovering), Some(Told::Recovering));
    let scope = named("node.cpu.iowait_high");
    let (told, _) = run.recheck(40, Recovering, &scope).unwrap();
    assert_eq!(told, Told::Resolved);
    assert_eq!(run.state(50, Recovering), None);
}

#[test]
fn what_comes_back_after_a_recheck_is_still_flapping() {
    let mut run = Run::of("cluster.corosync.single_link");
    for second in [0, 20, 40] {
        run.at(second, Fail);
        run.at(second + 10, Pass);
    }
    run.read_at(55);
    let (told, finding) = run.recheck(60, Pass, &everything()).unwrap();
    assert_eq!(
        (told, finding.state),
        (Told::Resolved, FindingState::Resolved)
    );
    assert_eq!(run.state(70, Pass), None);
    assert_eq!(run.state(80, Fail), Some(Flapping));
}

#[test]
fn only_what_was_asked_about_is_resolved() {
    let other = |scope: Scope| {
        let mut run = Run::open("cluster.node.offline", 60);
        run.read_at(65);
        let input = Input {
            at: run.after(70),
            ..run.scene.input()
        };
        let verdicts = vec![Verdict {
            subject: NODE,
            outcome: Outcome::Pass,
        }];
        let results = [CheckVerdicts {
            check: run.check,
            verdicts,
        }];
        let (findings, told) = run.lifecycle.recheck(&input, &results, &scope);
        assert!(told.is_empty());
        findings.len()
    };
    let subject = Scope {
        subject: "node/pve2".to_owned(),
        ..everything()
    };
    assert_eq!(other(subject), 1);
    assert_eq!(other(named("cluster.quorum.lost")), 1);
    assert_eq!(other(Scope::default()), 1);
}
