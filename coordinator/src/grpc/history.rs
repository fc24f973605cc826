//! `HistoryService`: what was true when.

use jiff::Timestamp;
use pvelens_proto::v1::{
    GetAnalysisRequest, GetAnalysisResponse, GetConfigurationRequest, GetConfigurationResponse,
    ListAnalysesRequest, ListAnalysesResponse, ListEventsRequest, ListEventsResponse,
    ListMetricsRequest, ListMetricsResponse, ListRevisionsRequest, ListRevisionsResponse,
    QueryMetricsRequest, QueryMetricsResponse, history_service_server::HistoryService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Backend, request, respond, status};
use crate::{
    answer::{
        self,
        analyses::{AnalysesFilter, Which},
        events::EventsFilter,
        metrics::{MetricsFilter, metric_list},
        past::Past,
        revisions::RevisionsFilter,
    },
    render::{
        events::Told,
        metrics::{Look, Shown},
    },
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
                .map_err(|error| status::past(&error, current, &filter.cluster))?;
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
                .map_err(|error| status::past(&error, current, &cluster))
        })
        .await
    }

    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        let ListEventsRequest {
            cluster,
            subjects,
            kinds,
            minimum_level,
            from,
            until,
            limit,
            render,
            timeline,
        } = request.into_inner();
        let filter = EventsFilter {
            cluster,
            subjects,
            kinds: request::event_kinds(&kinds)?,
            minimum_level: request::event_level(minimum_level)?,
            from: moment("from", from)?,
            until: moment("until", until)?,
            limit,
        };
        let past = Past::of(&self.backend.coordinator);
        let now = (self.backend.clock)();
        respond(&self.backend.coordinator, render, move |current| {
            let events = answer::events(current, &past, &filter, now)
                .map_err(|error| status::past(&error, current, &filter.cluster))?;
            Ok(Told {
                events,
                is_timeline: timeline,
            })
        })
        .await
    }

    async fn list_revisions(
        &self,
        request: Request<ListRevisionsRequest>,
    ) -> Result<Response<ListRevisionsResponse>, Status> {
        let ListRevisionsRequest {
            cluster,
            subject,
            from,
            until,
            limit,
            render,
        } = request.into_inner();
        let filter = RevisionsFilter {
            cluster,
            subject,
            from: moment("from", from)?,
            until: moment("until", until)?,
            limit,
        };
        let past = Past::of(&self.backend.coordinator);
        let now = (self.backend.clock)();
        respond(&self.backend.coordinator, render, move |current| {
            answer::revisions(current, &past, &filter, now)
                .map_err(|error| status::past(&error, current, &filter.cluster))
        })
        .await
    }

    async fn get_configuration(
        &self,
        request: Request<GetConfigurationRequest>,
    ) -> Result<Response<GetConfigurationResponse>, Status> {
        let GetConfigurationRequest {
            cluster,
            subject,
            at,
            render,
        } = request.into_inner();
        let at = moment("at", at)?.unwrap_or_else(|| (self.backend.clock)());
        let past = Past::of(&self.backend.coordinator);
        respond(&self.backend.coordinator, render, move |current| {
            answer::configuration(current, &past, &cluster, &subject, at)
                .map_err(|error| status::past(&error, current, &cluster))
        })
        .await
    }

    async fn list_analyses(
        &self,
        request: Request<ListAnalysesRequest>,
    ) -> Result<Response<ListAnalysesResponse>, Status> {
        let ListAnalysesRequest {
            cluster,
            kind,
            from,
            until,
            limit,
            render,
        } = request.into_inner();
        let filter = AnalysesFilter {
            cluster,
            kind: request::analysis_kind(kind)?,
            from: moment("from", from)?,
            until: moment("until", until)?,
            limit,
        };
        let past = Past::of(&self.backend.coordinator);
        let now = (self.backend.clock)();
        respond(&self.backend.coordinator, render, move |current| {
            answer::analyses(current, &past, &filter, now)
                .map_err(|error| status::past(&error, current, &filter.cluster))
        })
        .await
    }

    async fn get_analysis(
        &self,
        request: Request<GetAnalysisRequest>,
    ) -> Result<Response<GetAnalysisResponse>, Status> {
        let GetAnalysisRequest {
            cluster,
            kind,
            at,
            id,
            render,
        } = request.into_inner();
        // There is one kind so far; a client that asks for a newer one is told so.
        request::analysis_kind(kind)?;
        let now = (self.backend.clock)();
        let at = moment("at", at)?;
        let which = match (id.is_empty(), at) {
            (true, at) => Which::At {
                cluster: cluster.clone(),
                at: at.unwrap_or(now),
            },
            (false, None) => Which::Id(id),
            (false, Some(_)) => {
                return Err(status::invalid(
                    "id",
                    "names a report by itself; leave out at",
                ));
            }
        };
        let past = Past::of(&self.backend.coordinator);
        respond(&self.backend.coordinator, render, move |current| {
            answer::kept_report(current, &past, &which, now)
                .map_err(|error| status::past(&error, current, &cluster))
        })
        .await
    }
}

fn moment(
    field: &'static str,
    at: Option<pvelens_proto::Timestamp>,
) -> Result<Option<Timestamp>, Status> {
    at.map(|at| request::timestamp(field, &at)).transpose()
}
