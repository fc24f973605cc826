use pvelens_proto::v1 as message;

use super::*;
use crate::{
    answer::intent::{
        StatementEvent, StatementEvents, StatementMade, StatementState, StatementSummary,
        StatementWithdrawn, Statements,
    },
    intent::{Became, StatementKind},
};

fn statement(u: &mut Unique) -> StatementSummary {
    StatementSummary {
        id: u.text(),
        kind: StatementKind::Off,
        state: Some(StatementState::Waiting),
        declared: true,
        check: u.text(),
        fingerprint: u.text(),
        cluster: u.text(),
        objects: vec![u.text(), u.text()],
        calendar: u.text(),
        grace_minutes: Some(u.number()),
        every_days: Some(u.number()),
        author: u.text(),
        on_behalf_of: u.text(),
        reason: u.text(),
        from: Some(u.time()),
        until: Some(u.time()),
        findings: u.number(),
    }
}

#[test]
fn statements_and_what_became_of_them_are_complete() {
    let u = &mut Unique::default();
    check::<_, message::ListStatementsResponse>(Statements {
        statements: vec![statement(u)],
        coverage: coverage(u),
    });
    check::<_, message::ListStatementEventsResponse>(StatementEvents {
        events: vec![StatementEvent {
            at: u.time(),
            change: Became::Withdrawn,
            by: u.text(),
            why: u.text(),
            statement: statement(u),
        }],
    });
    check::<_, message::MakeStatementResponse>(StatementMade {
        statement: statement(u),
    });
    check::<_, message::WithdrawStatementResponse>(StatementWithdrawn {
        statement: statement(u),
    });
}
