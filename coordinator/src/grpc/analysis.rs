//! `AnalysisService`: progress, then the report.

use std::sync::Arc;

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use pvelens_proto::v1::{
    AnalysisKind, AnalyzeRequest, AnalyzeResponse, Progress, Report,
    analysis_service_server::AnalysisService, analyze_response::Event,
};
use tonic::{Request, Response, Status, async_trait};

use super::{
    Api, ask, request,
    status::{self, Named},
};
use crate::analysis::{self, Scope};

#[derive(Debug)]
pub(super) struct Service(pub(super) Api);

#[async_trait]
impl AnalysisService for Service {
    type AnalyzeStream = BoxStream<'static, Result<AnalyzeResponse, Status>>;

    async fn analyze(
        &self,
        request: Request<AnalyzeRequest>,
    ) -> Result<Response<Self::AnalyzeStream>, Status> {
        let AnalyzeRequest {
            kind,
            scope,
            depth,
            render,
        } = request.into_inner();
        let analyze = match request::enumeration("kind", kind)? {
            AnalysisKind::Unspecified => {
                return Err(status::invalid("kind", "says no analysis"));
            }
            AnalysisKind::ClusterHealth => analysis::cluster_health,
        };
        let depth = request::depth(depth)?;
        let scope = scope.unwrap_or_default();
        let scope = Scope {
            cluster: scope.cluster,
            node: scope.node,
            guest: scope.guest,
            tag: scope.tag,
        };
        let begun = stream::once(async {
            Ok(Event::Progress(Progress {
                step: "assessing".to_owned(),
                done_ratio: 0.0,
            }))
        });
        let api = Arc::clone(&self.0);
        let report = stream::once(async move {
            let report: Report = ask(&api, render, move |current| {
                analyze(current, &scope, depth)
                    .map_err(|error| status::answer(&error, current, &scope.cluster, Named::Scope))
            })
            .await?;
            Ok(Event::Report(report))
        });
        let events = begun
            .chain(report)
            .map(|event| event.map(|event| AnalyzeResponse { event: Some(event) }));
        Ok(Response::new(events.boxed()))
    }
}
