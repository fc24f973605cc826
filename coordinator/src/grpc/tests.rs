//! The services over a real socket.

use std::sync::Arc;

use pvelens_proto::v1::{
    AnalysisKind, AnalyzeRequest, GetAccessRequest, GetGuestRequest, GetLogLevelRequest,
    GetNodeRequest, ListAgentsRequest, ListFindingsRequest, ListGuestsRequest, ListNodesRequest,
    LogLevel, RecheckRequest, RenderFormat, RenderOptions, Scope, SetLogLevelRequest,
    admin_service_client::AdminServiceClient, analysis_service_client::AnalysisServiceClient,
    analyze_response::Event, finding_service_client::FindingServiceClient,
    fleet_service_client::FleetServiceClient, inventory_service_client::InventoryServiceClient,
};
use tempfile::TempDir;
use tokio::{net::UnixStream, task::JoinHandle};
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_types::StatusExt;

use super::*;
use crate::{answer, check::Params, finding::Severity, link, log::Level, store::Store};

mod enrollment;
mod guest_command;
mod history;
mod intent;

struct Served {
    channel: Channel,
    shutdown: CancellationToken,
    task: JoinHandle<io::Result<()>>,
    _directory: TempDir,
}

async fn served(current: Option<Current>) -> Served {
    served_with(current, None).await
}

/// With a store or without.
async fn served_with(current: Option<Current>, store: Option<Arc<Store>>) -> Served {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("read.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let coordinator = Arc::new(Coordinator::new(Params::default()));
    if let Some(current) = current {
        coordinator.publish(current);
    }
    if let Some(store) = store {
        coordinator
            .keep_in(store, crate::view::fixture::at())
            .unwrap();
    }
    let shutdown = CancellationToken::new();
    let backend = Backend {
        coordinator,
        log: Log::of_tests(Level::Info, |_| ()),
        clock: Arc::new(crate::view::fixture::at),
        started_at: crate::view::fixture::at(),
        trust: None,
    };
    let task = tokio::spawn(serve(backend, Role::Admin, listener, shutdown.clone()));
    let channel = link::channel(link::endpoint(), UnixStream::connect(&path).await.unwrap())
        .await
        .unwrap();
    Served {
        channel,
        shutdown,
        task,
        _directory: directory,
    }
}

fn lab() -> Current {
    Current {
        findings: vec![
            answer::tests::open("storage.pool.space", "storage/nas", Severity::Critical),
            answer::tests::open("guest.agent.silent", "guest/100", Severity::Warning),
        ],
        ..answer::tests::current()
    }
}

fn as_json() -> Option<RenderOptions> {
    Some(RenderOptions {
        format: RenderFormat::Json.into(),
        ..RenderOptions::default()
    })
}

fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.domain, "pvelens");
    assert!(info.metadata.contains_key("hint"));
    info.reason.clone()
}

#[tokio::test]
async fn nothing_known_is_an_answer_and_not_an_error() {
    let served = served(None).await;
    let mut client = InventoryServiceClient::new(served.channel.clone());
    let nodes = client.list_nodes(ListNodesRequest::default()).await;
    assert!(nodes.unwrap().into_inner().nodes.is_empty());
    let mut client = FleetServiceClient::new(served.channel.clone());
    let agents = client.list_agents(ListAgentsRequest::default()).await;
    assert!(agents.unwrap().into_inner().agents.is_empty());
}

#[tokio::test]
async fn a_cluster_is_listed_as_structure_and_as_text() {
    let served = served(Some(lab())).await;
    let mut client = InventoryServiceClient::new(served.channel.clone());
    let nodes = client.list_nodes(ListNodesRequest::default()).await;
    let nodes = nodes.unwrap().into_inner();
    assert_eq!(nodes.nodes.len(), 3);
    assert!(nodes.rendered.is_empty());
    assert_eq!(nodes.coverage.unwrap().nodes.len(), 3);

    let guests = ListGuestsRequest {
        page_size: 1,
        render: as_json(),
        ..ListGuestsRequest::default()
    };
    let page = client.list_guests(guests.clone()).await;
    let page = page.unwrap().into_inner();
    assert!(page.guests.is_empty() && page.coverage.is_none());
    let shown: serde_json::Value = serde_json::from_str(&page.rendered).unwrap();
    assert_eq!(shown["guests"][0]["vmid"], 100);
    assert_eq!((page.total, page.next_page_token.is_empty()), (2, false));
    let rest = ListGuestsRequest {
        page_token: page.next_page_token,
        render: None,
        ..guests
    };
    let rest = client.list_guests(rest).await.unwrap().into_inner();
    assert_eq!(rest.guests[0].vmid, 101);
    assert!(rest.next_page_token.is_empty());

    let guest = GetGuestRequest {
        guest: "100".to_owned(),
        ..GetGuestRequest::default()
    };
    let guest = client.get_guest(guest).await.unwrap().into_inner();
    assert_eq!(guest.findings.len(), 1);

    let mut client = FindingServiceClient::new(served.channel.clone());
    let findings = client.list_findings(ListFindingsRequest::default()).await;
    let findings = findings.unwrap().into_inner();
    assert_eq!(findings.findings[0].subject, "storage/nas");
}

#[tokio::test]
async fn an_analysis_tells_its_progress_and_then_reports() {
    let served = served(Some(lab())).await;
    let mut client = AnalysisServiceClient::new(served.channel.clone());
    let request = AnalyzeRequest {
        kind: AnalysisKind::ClusterHealth.into(),
        ..AnalyzeRequest::default()
    };
    let mut events = client.analyze(request).await.unwrap().into_inner();
    let first = events.message().await.unwrap().unwrap().event.unwrap();
    assert!(matches!(first, Event::Progress(_)));
    let last = events.message().await.unwrap().unwrap().event.unwrap();
    let Event::Report(report) = last else {
        panic!("{last:?}")
    };
    assert_eq!(report.findings.len(), 2);
    assert!(events.message().await.unwrap().is_none());
}

#[tokio::test]
async fn errors_have_a_reason_that_stays_and_a_hint() {
    let served = served(Some(lab())).await;
    let mut client = InventoryServiceClient::new(served.channel.clone());
    let request = |cluster: &str, node: &str| GetNodeRequest {
        cluster: cluster.to_owned(),
        node: node.to_owned(),
        render: None,
    };
    let status = client.get_node(request("", "pve9")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(reason(&status), "NOT_FOUND_NODE");
    let status = client.get_node(request("other", "pve1")).await.unwrap_err();
    assert_eq!(reason(&status), "NOT_FOUND_CLUSTER");
    let guests = ListGuestsRequest {
        page_token: "nonsense".to_owned(),
        ..ListGuestsRequest::default()
    };
    let status = client.list_guests(guests).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(reason(&status), "INVALID_ARGUMENT");
    let guests = ListGuestsRequest {
        kind: 77,
        ..ListGuestsRequest::default()
    };
    let status = client.list_guests(guests).await.unwrap_err();
    let details = status.get_error_details();
    let violations = &details.bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "kind");

    let mut client = FindingServiceClient::new(served.channel.clone());
    let findings = ListFindingsRequest {
        category: "weather".to_owned(),
        ..ListFindingsRequest::default()
    };
    let status = client.list_findings(findings).await.unwrap_err();
    assert!(status.message().contains("backup"), "{status}");

    let mut client = AnalysisServiceClient::new(served.channel.clone());
    let status = client.analyze(AnalyzeRequest::default()).await.unwrap_err();
    assert_eq!(reason(&status), "INVALID_ARGUMENT");
    let unknown = AnalyzeRequest {
        kind: AnalysisKind::ClusterHealth.into(),
        scope: Some(Scope {
            node: "pve9".to_owned(),
            ..Scope::default()
        }),
        ..AnalyzeRequest::default()
    };
    let mut events = client.analyze(unknown).await.unwrap().into_inner();
    assert!(events.message().await.is_ok());
    let status = events.message().await.unwrap_err();
    assert_eq!(reason(&status), "NOT_FOUND_SCOPE");
}

#[tokio::test]
async fn the_coordinator_says_who_it_is_and_what_the_client_may_do() {
    let served = served(None).await;
    let mut client = FleetServiceClient::new(served.channel.clone());
    let access = client.get_access(GetAccessRequest::default()).await;
    let access = access.unwrap().into_inner();
    assert_eq!(access.role(), message::Role::Admin);
    assert!(access.methods.is_sorted());
    assert!(
        access
            .methods
            .contains(&"pvelens.v1.AdminService/SetLogLevel".to_owned())
    );
    assert_eq!(access.coordinator_version, env!("CARGO_PKG_VERSION"));
    assert_eq!(
        access.started_at.unwrap().seconds,
        crate::view::fixture::at().as_second()
    );
}

#[tokio::test]
async fn a_recheck_evaluates_now_and_names_what_it_does_not_know() {
    let served = served(Some(lab())).await;
    let mut client = FindingServiceClient::new(served.channel.clone());
    let request = RecheckRequest {
        render: as_json(),
        ..RecheckRequest::default()
    };
    let response = client.recheck(request).await.unwrap().into_inner();
    let shown: serde_json::Value = serde_json::from_str(&response.rendered).unwrap();
    // Nothing was ever sampled, so the hand-made state is gone.
    assert!(shown["coverage"]["nodes"].as_array().unwrap().is_empty());
    let unknown = RecheckRequest {
        check_id: "storage.pool.spce".to_owned(),
        ..RecheckRequest::default()
    };
    let status = client.recheck(unknown).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(reason(&status), "NOT_FOUND_CHECK");
    let unknown = RecheckRequest {
        cluster: "other".to_owned(),
        ..RecheckRequest::default()
    };
    let status = client.recheck(unknown).await.unwrap_err();
    assert_eq!(reason(&status), "NOT_FOUND_CLUSTER");
}

#[tokio::test]
async fn the_log_level_is_changed_for_a_while_only() {
    let served = served(None).await;
    let mut client = AdminServiceClient::new(served.channel.clone());
    let set = |level: LogLevel, revert_after_seconds: u32| SetLogLevelRequest {
        level: level.into(),
        revert_after_seconds,
        render: None,
    };
    for (wrong, field) in [
        (set(LogLevel::Debug, 0), "revert_after_seconds"),
        (set(LogLevel::Debug, 59), "revert_after_seconds"),
        (set(LogLevel::Debug, 86_401), "revert_after_seconds"),
        (set(LogLevel::Unspecified, 60), "level"),
    ] {
        let status = client.set_log_level(wrong).await.unwrap_err();
        assert!(status.message().starts_with(field), "{status}");
    }
    let state = client.set_log_level(set(LogLevel::Debug, 60)).await;
    let state = state.unwrap().into_inner().state.unwrap();
    assert_eq!(state.level(), LogLevel::Debug);
    assert_eq!(
        state.reverts_at.unwrap().seconds,
        crate::view::fixture::at().as_second() + 60
    );
    let now = client.get_log_level(GetLogLevelRequest::default()).await;
    let now = now.unwrap().into_inner().state.unwrap();
    assert_eq!(now, state);
    assert_eq!(now.configured_level(), LogLevel::Info);
}

#[tokio::test]
async fn a_defect_in_one_question_fails_that_call_only() {
    let coordinator = Arc::new(Coordinator::new(Params::default()));
    let result: Result<pvelens_proto::v1::ListNodesResponse, Status> =
        ask(&coordinator, None, |_| -> Result<answer::Nodes, Status> {
            panic!("defect")
        })
        .await;
    let status = result.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(reason(&status), "INTERNAL");
}

#[tokio::test]
async fn at_shutdown_health_says_so_and_open_streams_are_cut() {
    let served = served(None).await;
    let mut client = HealthClient::new(served.channel.clone());
    let request = HealthCheckRequest {
        service: "pvelens.v1.InventoryService".to_owned(),
    };
    let mut watch = client.watch(request).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    served.shutdown.cancel();
    let next = watch.message().await.unwrap().unwrap();
    assert_eq!(next.status(), ServingStatus::NotServing);
    assert!(served.task.await.unwrap().is_ok());
}
