//! Values over time.

use pvelens_proto::v1::{
    GetAnalysisRequest, HealthState, ListAnalysesRequest, ListMetricsRequest, QueryMetricsRequest,
    history_service_client::HistoryServiceClient,
};

use super::*;
use crate::{
    answer::{analyses::tests::two_hours, metrics::fixture::Kept, past::PastError},
    store::StoreError,
    view::fixture::at,
};

fn about(subject: &str) -> QueryMetricsRequest {
    QueryMetricsRequest {
        subjects: vec![subject.to_owned()],
        ..QueryMetricsRequest::default()
    }
}

#[tokio::test]
async fn values_are_told_as_structure_text_and_charts() {
    let kept = Kept::lab();
    let served = served_with(Some(lab()), Some(Arc::clone(&kept.store))).await;
    let mut client = HistoryServiceClient::new(served.channel.clone());
    let answer = client.query_metrics(about("guest/100")).await;
    let answer = answer.unwrap().into_inner();
    assert_eq!(answer.until.unwrap().seconds, at().as_second());
    assert_eq!(answer.step_seconds, 900);
    assert_eq!(answer.series.len(), 2);
    assert!(answer.rendered.is_empty() && answer.coverage.is_some());
    let cpu = &answer.series[0];
    assert_eq!((&*cpu.metric, &*cpu.unit), ("cpu_ratio", "ratio"));
    assert_eq!(cpu.figures.unwrap().maximum, 0.95);
    assert!(cpu.values.len() > 90, "{}", cpu.values.len());

    let table = QueryMetricsRequest {
        render: Some(RenderOptions::default()),
        ..about("guest/100")
    };
    let shown = client.query_metrics(table.clone()).await;
    let shown = shown.unwrap().into_inner();
    assert!(shown.series.is_empty());
    assert!(shown.rendered.contains("OVER TIME"), "{}", shown.rendered);
    let plot = QueryMetricsRequest {
        plot: true,
        plot_rows: 4,
        ascii: true,
        ..table
    };
    let plot = client.query_metrics(plot).await.unwrap().into_inner();
    assert!(
        plot.rendered.contains("guest/100 cpu_ratio"),
        "{}",
        plot.rendered
    );
    assert!(plot.rendered.is_ascii(), "{}", plot.rendered);
    let json = QueryMetricsRequest {
        render: as_json(),
        ..about("guest/100")
    };
    let json = client.query_metrics(json).await.unwrap().into_inner();
    let json: serde_json::Value = serde_json::from_str(&json.rendered).unwrap();
    assert_eq!(json["series"][0]["metric"], "cpu_ratio");

    let of_node = ListMetricsRequest {
        subjects: vec!["node/pve1".to_owned()],
        ..ListMetricsRequest::default()
    };
    let of_node = client.list_metrics(of_node).await.unwrap().into_inner();
    assert_eq!(of_node.metrics[1].parts, ["nvme0n1", "sda"]);
}

#[tokio::test]
async fn without_values_there_is_a_reason() {
    let kept = Kept::lab();
    let served = served_with(Some(lab()), Some(Arc::clone(&kept.store))).await;
    let mut client = HistoryServiceClient::new(served.channel.clone());
    let metric = QueryMetricsRequest {
        metrics: vec!["cpu".to_owned()],
        ..about("guest/100")
    };
    let time = QueryMetricsRequest {
        from: Some(pvelens_proto::Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        }),
        ..about("guest/100")
    };
    for (request, code, name) in [
        (about("node/pve9"), Code::NotFound, "NOT_FOUND_SUBJECT"),
        (metric, Code::NotFound, "NOT_FOUND_METRIC"),
        (time, Code::InvalidArgument, "INVALID_ARGUMENT"),
        (
            QueryMetricsRequest::default(),
            Code::InvalidArgument,
            "INVALID_ARGUMENT",
        ),
        (
            QueryMetricsRequest {
                cluster: "other".to_owned(),
                ..about("guest/100")
            },
            Code::NotFound,
            "NOT_FOUND_CLUSTER",
        ),
    ] {
        let status = client.query_metrics(request).await.unwrap_err();
        assert_eq!((status.code(), &*reason(&status)), (code, name), "{status}");
    }

    let served = served_with(Some(lab()), None).await;
    let mut client = HistoryServiceClient::new(served.channel.clone());
    let status = client.query_metrics(about("guest/100")).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(reason(&status), "NO_STORE");
    // Which metrics there are is known without one.
    let all = client.list_metrics(ListMetricsRequest::default()).await;
    assert!(all.unwrap().into_inner().metrics.len() > 30);

    let damaged = PastError::Store(StoreError::Damaged("page 7".to_owned()));
    let status = status::past(&damaged, &lab(), "");
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(reason(&status), "STORE_FAILED");
}

#[tokio::test]
async fn kept_reports_are_listed_and_read_as_structure_and_text() {
    let kept = Kept::new();
    two_hours(&kept);
    let served = served_with(Some(lab()), Some(Arc::clone(&kept.store))).await;
    let mut client = HistoryServiceClient::new(served.channel.clone());
    let list = client.list_analyses(ListAnalysesRequest::default()).await;
    let list = list.unwrap().into_inner();
    assert_eq!(list.analyses.len(), 4);
    let critical = &list.analyses[1];
    assert_eq!(
        (critical.state(), critical.state_before()),
        (HealthState::Critical, HealthState::Warning)
    );
    assert_eq!(critical.kind(), AnalysisKind::ClusterHealth);
    let text = ListAnalysesRequest {
        limit: 2,
        render: Some(RenderOptions::default()),
        ..ListAnalysesRequest::default()
    };
    let text = client.list_analyses(text).await.unwrap().into_inner();
    assert!(text.older_left_out && text.analyses.is_empty());
    assert!(text.rendered.contains("critical"), "{}", text.rendered);

    let by_id = GetAnalysisRequest {
        id: critical.id.clone(),
        ..GetAnalysisRequest::default()
    };
    let report = client.get_analysis(by_id.clone()).await.unwrap();
    let report = report.into_inner().report.unwrap();
    assert_eq!((report.at, report.findings.len()), (critical.at, 1));
    assert!(report.kept.is_some());
    let json = GetAnalysisRequest {
        cluster: "lab".to_owned(),
        at: critical.at,
        render: as_json(),
        ..GetAnalysisRequest::default()
    };
    let json = client.get_analysis(json).await.unwrap().into_inner();
    assert_eq!(json.report.unwrap().state(), HealthState::Critical);
    let json: serde_json::Value = serde_json::from_str(&json.rendered).unwrap();
    assert!(json["kept"]["asked_at"].is_string(), "{json}");

    let early = GetAnalysisRequest {
        at: Some(pvelens_proto::Timestamp::default()),
        ..GetAnalysisRequest::default()
    };
    let both = GetAnalysisRequest {
        at: critical.at,
        ..by_id
    };
    let newer = GetAnalysisRequest {
        kind: 99,
        ..GetAnalysisRequest::default()
    };
    let other = GetAnalysisRequest {
        cluster: "other".to_owned(),
        ..GetAnalysisRequest::default()
    };
    for (request, code, name) in [
        (early, Code::NotFound, "NOT_FOUND_ANALYSIS"),
        (both, Code::InvalidArgument, "INVALID_ARGUMENT"),
        (newer, Code::InvalidArgument, "INVALID_ARGUMENT"),
        (other, Code::NotFound, "NOT_FOUND_CLUSTER"),
    ] {
        let status = client.get_analysis(request).await.unwrap_err();
        assert_eq!((status.code(), &*reason(&status)), (code, name), "{status}");
    }
}
