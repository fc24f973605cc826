//! `FindingService`: what is true and worth acting on.

use std::sync::Arc;

use pvelens_proto::v1::{
    ListFindingsRequest, ListFindingsResponse, RecheckRequest, RecheckResponse,
    finding_service_server::FindingService,
};
use tonic::{Request, Response, Status, async_trait};
use tracing::info;

use super::{
    Backend,
    caller::Caller,
    request, respond,
    status::{self, Named},
    work,
};
use crate::{
    answer::{self, FindingFilter, past::Past},
    log::AUDIT,
    untrusted,
};

#[derive(Debug)]
pub(super) struct Service {
    pub(super) backend: Backend,
}

#[async_trait]
impl FindingService for Service {
    async fn list_findings(
        &self,
        request: Request<ListFindingsRequest>,
    ) -> Result<Response<ListFindingsResponse>, Status> {
        let ListFindingsRequest {
            cluster,
            minimum_severity,
            lane,
            category,
            subject,
            page_size,
            page_token,
            render,
            include_pending,
            include_suppressed,
            changed_since,
        } = request.into_inner();
        let page = request::page(page_size, page_token);
        let filter = FindingFilter {
            cluster,
            minimum_severity: request::severity(minimum_severity)?,
            lane: request::lane(lane)?,
            category: request::category(&category)?,
            subject,
            include_pending,
            include_suppressed,
        };
        let since = changed_since.map(|at| request::timestamp("changed_since", &at));
        let since = since.transpose()?;
        let past = Past::of(&self.backend.coordinator);
        respond(
            &self.backend.coordinator,
            render,
            move |current| match since {
                None => answer::findings(current, &filter, &page).map_err(|error| {
                    status::answer(&error, current, &filter.cluster, Named::Cluster)
                }),
                Some(since) => answer::findings_since(current, &past, since, &filter, &page)
                    .map_err(|error| status::past(&error, current, &filter.cluster)),
            },
        )
        .await
    }

    async fn recheck(
        &self,
        request: Request<RecheckRequest>,
    ) -> Result<Response<RecheckResponse>, Status> {
        let caller = Caller::of(&request)?;
        let RecheckRequest {
            cluster,
            check_id,
            subject,
            render,
        } = request.into_inner();
        let check = request::check(&check_id)?;
        let coordinator = Arc::clone(&self.backend.coordinator);
        let current = coordinator.current();
        let scope = answer::recheck_scope(&current, &cluster, check, &subject)
            .map_err(|error| status::answer(&error, &current, &cluster, Named::Cluster))?;
        let at = (self.backend.clock)();
        let rechecked = work(render, move || {
            let (current, rechecked) = coordinator.recheck(at, &scope);
            let answer = answer::recheck(&current, &scope, &rechecked);
            info!(
                target: AUDIT,
                role = caller.role.name(),
                client = caller.name(),
                cluster = &*untrusted::name(&cluster),
                check = check.map(|check| check.id).unwrap_or_default(),
                subject = &*untrusted::name(&subject),
                resolved = answer.resolved,
                failing = answer.failing,
                undecided = answer.undecided,
                "recheck"
            );
            Ok(answer)
        });
        rechecked.await.map(Response::new)
    }
}
