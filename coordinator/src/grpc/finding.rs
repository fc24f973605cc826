//! `FindingService`: what is true and worth acting on.

use pvelens_proto::v1::{
    ListFindingsRequest, ListFindingsResponse, finding_service_server::FindingService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{
    Api, request, respond,
    status::{self, Named},
};
use crate::answer::{self, FindingFilter};

#[derive(Debug)]
pub(super) struct Service(pub(super) Api);

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
        } = request.into_inner();
        let page = request::page(page_size, page_token);
        let filter = FindingFilter {
            cluster,
            minimum_severity: request::severity(minimum_severity)?,
            lane: request::lane(lane)?,
            category: request::category(&category)?,
            subject,
            include_pending,
        };
        respond(&self.0, render, move |current| {
            answer::findings(current, &filter, &page)
                .map_err(|error| status::answer(&error, current, &filter.cluster, Named::Cluster))
        })
        .await
    }
}
