//! `IntentService`: what operators say of objects and findings.

use std::sync::Arc;

use jiff::SignedDuration;
use pvelens_proto::v1::{self as message, intent_service_server::IntentService};
use tonic::{Request, Response, Status, async_trait};
use tracing::info;

use super::{
    Backend,
    caller::{self, Caller},
    request, respond, status, work,
};
use crate::{
    answer::intent::{
        self, StatementEvents, StatementMade, StatementWithdrawn, Wish, event, statement, summary,
    },
    intent::IntentError,
    log::AUDIT,
    untrusted,
};

/// Events of one answer, unless asked otherwise and at most.
const EVENTS: u32 = 50;
const MOST_EVENTS: u32 = 500;

#[derive(Debug)]
pub(super) struct Service {
    pub(super) backend: Backend,
}

#[async_trait]
impl IntentService for Service {
    async fn list_statements(
        &self,
        request: Request<message::ListStatementsRequest>,
    ) -> Result<Response<message::ListStatementsResponse>, Status> {
        let message::ListStatementsRequest { kind, render } = request.into_inner();
        let kind = request::statement_kind(kind)?;
        respond(&self.backend.coordinator, render, move |current| {
            Ok(intent::statements(current, kind))
        })
        .await
    }

    async fn list_statement_events(
        &self,
        request: Request<message::ListStatementEventsRequest>,
    ) -> Result<Response<message::ListStatementEventsResponse>, Status> {
        let message::ListStatementEventsRequest { limit, render } = request.into_inner();
        let limit = match limit {
            0 => EVENTS,
            limit if limit <= MOST_EVENTS => limit,
            _ => return Err(status::invalid("limit", "more than 500")),
        };
        let coordinator = Arc::clone(&self.backend.coordinator);
        let events = work(render, move || {
            let store = coordinator.store();
            let store = store.ok_or_else(|| status::intent(&IntentError::NoStore))?;
            let events = coordinator.intents().events(store, limit);
            let events = events.map_err(|error| status::intent(&error.into()))?;
            Ok(StatementEvents {
                events: events.iter().map(|(at, told)| event(*at, told)).collect(),
            })
        });
        events.await.map(Response::new)
    }

    async fn make_statement(
        &self,
        request: Request<message::MakeStatementRequest>,
    ) -> Result<Response<message::MakeStatementResponse>, Status> {
        let (caller, author) = (Caller::of(&request)?, caller::author(&request)?);
        let mut request = request.into_inner();
        let render = request.render.take();
        let wish = wish(request)?;
        let coordinator = Arc::clone(&self.backend.coordinator);
        let now = (self.backend.clock)();
        let made = work(render, move || {
            let current = coordinator.current();
            let said = statement(&current, &wish, &author, now)
                .map_err(|error| status::wish(&error, &current, &wish.cluster))?;
            let store = coordinator.store().map(|store| &**store);
            let made = coordinator.intents().make(store, said, now);
            let made = made.map_err(|error| status::intent(&error))?;
            info!(
                target: AUDIT,
                role = caller.role.name(),
                author = &*untrusted::name(&made.author),
                statement = made.id,
                kind = made.what.kind().as_str(),
                reason = made.reason,
                "statement made"
            );
            // Whoever asks next sees what it does.
            let current = coordinator.evaluate(now);
            Ok(StatementMade {
                statement: summary(&current, &made),
            })
        });
        made.await.map(Response::new)
    }

    async fn withdraw_statement(
        &self,
        request: Request<message::WithdrawStatementRequest>,
    ) -> Result<Response<message::WithdrawStatementResponse>, Status> {
        let (caller, author) = (Caller::of(&request)?, caller::author(&request)?);
        let message::WithdrawStatementRequest { id, reason, render } = request.into_inner();
        let why = untrusted::line(reason.trim(), crate::intent::REASON_LIMIT).into_owned();
        let coordinator = Arc::clone(&self.backend.coordinator);
        let now = (self.backend.clock)();
        let withdrawn = work(render, move || {
            let store = coordinator.store().map(|store| &**store);
            let intents = coordinator.intents();
            let withdrawn = intents.withdraw(store, id.trim(), (&author, &why), now);
            let withdrawn = withdrawn.map_err(|error| status::intent(&error))?;
            info!(
                target: AUDIT,
                role = caller.role.name(),
                author = &*untrusted::name(&author),
                statement = withdrawn.id,
                "statement withdrawn"
            );
            let current = coordinator.evaluate(now);
            Ok(StatementWithdrawn {
                statement: summary(&current, &withdrawn),
            })
        });
        withdrawn.await.map(Response::new)
    }
}

fn wish(request: message::MakeStatementRequest) -> Result<Wish, Status> {
    let message::MakeStatementRequest {
        kind,
        fingerprint,
        check_id,
        objects,
        cluster,
        reason,
        on_behalf_of,
        from,
        until,
        length_seconds,
        calendar,
        grace_minutes,
        every_days,
        // It says nothing about the statement.
        render: _,
    } = request;
    let kind = request::statement_kind(kind)?;
    let moment = |field, at: Option<_>| at.map(|at| request::timestamp(field, &at)).transpose();
    Ok(Wish {
        kind: kind.ok_or_else(|| status::invalid("kind", "missing"))?,
        fingerprint,
        check: check_id,
        objects,
        cluster,
        reason,
        on_behalf_of,
        from: moment("from", from)?,
        until: moment("until", until)?,
        length: (length_seconds > 0).then(|| SignedDuration::from_secs(length_seconds.into())),
        calendar,
        grace_minutes,
        every_days,
    })
}
