//! What to ask a guest next, as people see it.

use super::*;
use crate::guest_command::{
    catalogue::Argument,
    diagnosis::{Lesson, Step, Suggested, Suggestion, Worked, WorkflowSuggestion},
    refusal::Refusal,
    target,
};

fn unit() -> Vec<Argument> {
    vec![Argument {
        name: "unit".to_owned(),
        value: "nginx.service".to_owned(),
    }]
}

fn denied() -> Refusal {
    Refusal {
        rule: "policy_denies".to_owned(),
        detail: "the policy of pve1 does not allow unit-journal in 100".to_owned(),
        hint: "the node's administrator allows it in /etc/pvelens/guest-policy.toml".to_owned(),
    }
}

fn suggested() -> Suggested {
    let suggestion = |command: &str, title: &str, allowed: bool| Suggestion {
        command: command.to_owned(),
        arguments: unit(),
        title: title.to_owned(),
        reasons: vec![
            "the issue says \"crash\"".to_owned(),
            "the guest runs Linux".to_owned(),
        ],
        allowed,
        refusal: (!allowed).then(denied),
    };
    Suggested {
        guest: target::find(&current(), "", "100")
            .unwrap()
            .of_system("linux"),
        suggestions: vec![
            suggestion(
                "unit-status",
                "One unit: its state, since when, and how it ended",
                true,
            ),
            suggestion(
                "unit-journal",
                "Journal of one unit since the last start",
                false,
            ),
        ],
        workflows: vec![WorkflowSuggestion {
            workflow: "service-down".to_owned(),
            title: "A service in the guest does not run".to_owned(),
            reasons: vec!["the issue says \"crash\"".to_owned()],
        }],
        coverage: answer::guest(&current(), "", "100").unwrap().coverage,
    }
}

fn worked() -> Worked {
    let Suggested {
        guest, coverage, ..
    } = suggested();
    Worked {
        guest,
        workflow: "service-down".to_owned(),
        title: "A service in the guest does not run".to_owned(),
        lessons: vec![Lesson {
            step: "failed-services".to_owned(),
            command: "failed-units".to_owned(),
            at: jiff::Timestamp::UNIX_EPOCH,
            says: "1 unit failed: nginx.service".to_owned(),
        }],
        next: Some(Step {
            step: "unit".to_owned(),
            command: "unit-status".to_owned(),
            arguments: unit(),
            title: "One unit: its state, since when, and how it ended".to_owned(),
            reason: "how nginx.service ended, and how often it was started again".to_owned(),
            allowed: true,
            refusal: None,
        }),
        conclusions: vec!["nginx.service is failed.".to_owned()],
        advice: vec!["Mend the cause, then start it in the guest.".to_owned()],
        coverage,
    }
}

#[test]
fn suggestions_say_why_and_whether_they_would_run() {
    insta::assert_snapshot!("guest_suggestions", both_forms(&suggested()));
}

#[test]
fn a_workflow_says_what_was_learnt_and_what_comes_next() {
    insta::assert_snapshot!("guest_workflow", both_forms(&worked()));
    let end = Worked {
        next: None,
        ..worked()
    };
    insta::assert_snapshot!("guest_workflow_end", text_at(&end, 100));
}
