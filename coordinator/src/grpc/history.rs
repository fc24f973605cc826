//! `HistoryService`: values over time.

use jiff::Timestamp;
use pvelens_proto::v1::{
    ListMetricsRequest, ListMetricsResponse, QueryMetricsRequest, QueryMetricsResponse,
    history_service_server::HistoryService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Backend, request, respond, status};
use crate::{
    answer::{
        self,
        metrics::{MetricsFilter, metric_list},
    },
    render::metrics::{Look, Shown},
};

#[derive(Debug)]
pub(super) struct Service {
    pub(super) backend: Backend,
}

#[async_trait]
impl HistoryService for Service {
    async fn query_metrics(
        &self,
        request: Request<QueryMetricsRequest>,
    ) -> Result<Response<QueryMetricsResponse>, Status> {
        let QueryMetricsRequest {
            cluster,
            subjects,
            metrics,
            part,
            from,
            until,
            step_seconds,
            maximum_series,
            render,
            plot,
            plot_rows,
            ascii,
        } = request.into_inner();
        let moment = |field, at: Option<_>| -> Result<Option<Timestamp>, Status> {
            at.map(|at| request::timestamp(field, &at)).transpose()
        };
        let filter = MetricsFilter {
            cluster,
            subjects,
            metrics,
            part,
            from: moment("from", from)?,
            until: moment("until", until)?,
            step_seconds,
            points: 0,
            series: maximum_series,
        };
        let width = render.as_ref().map(request::style).transpose()?;
        let look = Look {
            rows: plot.then(|| u16::try_from(plot_rows).unwrap_or(u16::MAX)),
            ascii,
            width: width.and_then(|style| style.width),
        };
        let store = self.backend.coordinator.store().cloned();
        let now = (self.backend.clock)();
        respond(&self.backend.coordinator, render, move |current| {
            let metrics = answer::metrics(current, store.as_deref(), &filter, now)
                .map_err(|error| status::metrics(&error, current, &filter.cluster))?;
            Ok(Shown { metrics, look })
        })
        .await
    }

    async fn list_metrics(
        &self,
        request: Request<ListMetricsRequest>,
    ) -> Result<Response<ListMetricsResponse>, Status> {
        let ListMetricsRequest {
            cluster,
            subjects,
            render,
        } = request.into_inner();
        let store = self.backend.coordinator.store().cloned();
        respond(&self.backend.coordinator, render, move |current| {
            metric_list(current, store.as_deref(), &cluster, &subjects)
                .map_err(|error| status::metrics(&error, current, &cluster))
        })
        .await
    }
}
