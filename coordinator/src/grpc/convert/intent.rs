//! Statements of operators.

use pvelens_proto::v1 as message;

use super::{Carries, all, timestamp};
use crate::{
    answer::intent::{
        SetAside, StatementEvent, StatementEvents, StatementMade, StatementState, StatementSummary,
        StatementUse, StatementWithdrawn, Statements,
    },
    intent::{Became, Stated, StatementKind},
};

impl Carries<Statements> for message::ListStatementsResponse {
    fn structured(answer: Statements) -> Self {
        let Statements {
            statements,
            coverage,
        } = answer;
        Self {
            statements: all(statements),
            coverage: Some(coverage.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: Statements) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<StatementEvents> for message::ListStatementEventsResponse {
    fn structured(answer: StatementEvents) -> Self {
        let StatementEvents { events } = answer;
        Self {
            events: all(events),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: StatementEvents) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl Carries<StatementMade> for message::MakeStatementResponse {
    fn structured(answer: StatementMade) -> Self {
        let StatementMade { statement } = answer;
        Self {
            statement: Some(statement.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, answer: StatementMade) -> Self {
        Self {
            statement: Some(answer.statement.into()),
            rendered,
        }
    }
}

impl Carries<StatementWithdrawn> for message::WithdrawStatementResponse {
    fn structured(answer: StatementWithdrawn) -> Self {
        let StatementWithdrawn { statement } = answer;
        Self {
            statement: Some(statement.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, answer: StatementWithdrawn) -> Self {
        Self {
            statement: Some(answer.statement.into()),
            rendered,
        }
    }
}

impl From<StatementSummary> for message::Statement {
    fn from(statement: StatementSummary) -> Self {
        let StatementSummary {
            id,
            kind,
            state,
            declared,
            check,
            fingerprint,
            cluster,
            objects,
            calendar,
            grace_minutes,
            every_days,
            author,
            on_behalf_of,
            reason,
            from,
            until,
            findings,
        } = statement;
        let state = state.map_or(message::StatementState::Unspecified, Into::into);
        Self {
            id,
            kind: message::StatementKind::from(kind).into(),
            state: state.into(),
            declared,
            check_id: check,
            fingerprint,
            cluster,
            objects,
            calendar,
            grace_minutes,
            every_days,
            author,
            on_behalf_of,
            reason,
            from: from.map(timestamp),
            until: until.map(timestamp),
            findings_total: findings,
        }
    }
}

impl From<StatementEvent> for message::StatementEvent {
    fn from(event: StatementEvent) -> Self {
        let StatementEvent {
            at,
            change,
            by,
            why,
            statement,
        } = event;
        Self {
            at: Some(timestamp(at)),
            change: message::StatementChange::from(change).into(),
            by,
            why,
            statement: Some(statement.into()),
        }
    }
}

impl From<SetAside> for message::SetAside {
    fn from(aside: SetAside) -> Self {
        let SetAside {
            suppressed,
            acknowledged,
            statements,
        } = aside;
        Self {
            suppressed_total: suppressed,
            acknowledged_total: acknowledged,
            statements: all(statements),
        }
    }
}

impl From<StatementUse> for message::StatementUse {
    fn from(used: StatementUse) -> Self {
        let StatementUse {
            statement,
            findings,
        } = used;
        Self {
            statement: Some(statement.into()),
            findings_total: findings,
        }
    }
}

impl From<Stated> for message::FindingStatement {
    fn from(stated: Stated) -> Self {
        let Stated {
            id,
            kind,
            author,
            on_behalf_of,
            reason,
            until,
            severity_without,
        } = stated;
        let severity = severity_without.map_or(message::Severity::Unspecified, Into::into);
        Self {
            id,
            kind: message::StatementKind::from(kind).into(),
            author,
            on_behalf_of,
            reason,
            until: until.map(timestamp),
            severity_without: severity.into(),
        }
    }
}

impl From<StatementKind> for message::StatementKind {
    fn from(kind: StatementKind) -> Self {
        match kind {
            StatementKind::Acknowledged => Self::Acknowledged,
            StatementKind::Suppressed => Self::Suppressed,
            StatementKind::Maintenance => Self::Maintenance,
            StatementKind::Off => Self::Off,
            StatementKind::Rotated => Self::Rotated,
            StatementKind::NoBackup => Self::NoBackup,
        }
    }
}

impl From<StatementState> for message::StatementState {
    fn from(state: StatementState) -> Self {
        match state {
            StatementState::InEffect => Self::InEffect,
            StatementState::Waiting => Self::Waiting,
            StatementState::Ended => Self::Ended,
        }
    }
}

impl From<Became> for message::StatementChange {
    fn from(became: Became) -> Self {
        match became {
            Became::Made => Self::Made,
            Became::Withdrawn => Self::Withdrawn,
            Became::Ended => Self::Ended,
        }
    }
}
