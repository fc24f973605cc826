//! The service without its socket; `tests/service.rs` has the whole of it.

use std::path::Path;

use pvelens_proto::agent::v1::{HostIdentity, NodeUpdate, Sample};
use tokio_stream::StreamExt;

use super::*;

fn agent() -> (NodeAgent, Arc<Spool>) {
    let host = Arc::new(Host::open(Path::new("/")).unwrap());
    let spool = Arc::new(Spool::new("e".to_owned()));
    (NodeAgent::new(host, Arc::clone(&spool)), spool)
}

fn sample(payload: Payload) -> Sample {
    Sample {
        collector: IDENTITY.to_owned(),
        payload: Some(payload),
        ..Sample::default()
    }
}

async fn watch(
    agent: &NodeAgent,
    cursor: Option<Cursor>,
) -> ReceiverStream<Result<WatchResponse, Status>> {
    watch_as(agent, cursor, false).await
}

async fn watch_as(
    agent: &NodeAgent,
    cursor: Option<Cursor>,
    current_contents: bool,
) -> ReceiverStream<Result<WatchResponse, Status>> {
    let request = WatchRequest {
        cursor,
        current_contents,
    };
    agent
        .watch(Request::new(request))
        .await
        .unwrap()
        .into_inner()
}

async fn next(stream: &mut ReceiverStream<Result<WatchResponse, Status>>) -> Event {
    stream.next().await.unwrap().unwrap().event.unwrap()
}

fn update(event: Event) -> NodeUpdate {
    match event {
        Event::Update(update) => update,
        Event::Heartbeat(_) => panic!("{event:?}"),
    }
}

#[tokio::test]
async fn who_this_node_is_follows_its_newest_sample() {
    let (agent, spool) = agent();
    let before = agent
        .describe(Request::new(DescribeRequest {}))
        .await
        .unwrap()
        .into_inner();
    assert!(!before.is_pve_node);
    assert!(before.sends_contents);
    assert_eq!(before.collectors.len(), COLLECTORS.len());
    spool.append(vec![sample(Payload::HostIdentity(HostIdentity {
        node_name: "pve7".to_owned(),
        root_ca_sha256: "ab".to_owned(),
        is_pve_node: true,
        ..HostIdentity::default()
    }))]);
    let after = agent
        .describe(Request::new(DescribeRequest {}))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (after.node_name.as_str(), after.cluster_id.as_str()),
        ("pve7", "ab")
    );
    assert!(after.is_pve_node);
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_beats_every_fifteen_seconds() {
    let (agent, _spool) = agent();
    let mut stream = watch(&agent, None).await;
    assert!(matches!(next(&mut stream).await, Event::Heartbeat(_)));
    let start = Instant::now();
    for beat in 1..4 {
        assert!(matches!(next(&mut stream).await, Event::Heartbeat(_)));
        let elapsed = start.elapsed();
        assert!(
            elapsed.abs_diff(HEARTBEAT * beat) < Duration::from_millis(50),
            "{elapsed:?}"
        );
    }
}

#[tokio::test]
async fn a_slow_reader_blocks_only_itself_and_loses_nothing_in_the_ring() {
    let (agent, spool) = agent();
    let mut slow = watch(&agent, None).await;
    assert!(matches!(next(&mut slow).await, Event::Heartbeat(_)));
    for _ in 0..100 {
        spool.append(vec![sample(Payload::HostIdentity(HostIdentity::default()))]);
        tokio::task::yield_now().await;
    }
    let mut quick = watch(&agent, None).await;
    assert!(matches!(next(&mut quick).await, Event::Heartbeat(_)));
    for sequence in 1..=100 {
        assert_eq!(
            update(next(&mut quick).await).cursor.unwrap().sequence,
            sequence
        );
    }
    for sequence in 1..=100 {
        assert_eq!(
            update(next(&mut slow).await).cursor.unwrap().sequence,
            sequence
        );
    }
}

#[tokio::test]
async fn a_reader_that_asks_for_it_gets_the_contents_before_the_updates() {
    let (agent, spool) = agent();
    let host = |name: &str| {
        sample(Payload::HostIdentity(HostIdentity {
            node_name: name.to_owned(),
            ..HostIdentity::default()
        }))
    };
    spool.append(vec![host("old")]);
    spool.append(vec![host("old")]);
    let place = spool.newest();
    let third = spool.append(vec![host("new")]);

    let mut stream = watch_as(&agent, Some(place.clone()), true).await;
    assert!(matches!(next(&mut stream).await, Event::Heartbeat(_)));
    let baseline = update(next(&mut stream).await);
    assert!(baseline.baseline);
    assert_eq!(baseline.cursor, Some(place.clone()));
    assert_eq!(baseline.samples, [host("old")]);
    assert_eq!(update(next(&mut stream).await), third);

    // Once, however long the stream lives.
    let fourth = spool.append(vec![host("new")]);
    assert_eq!(update(next(&mut stream).await), fourth);

    let of_no_place = Cursor {
        epoch: "before".to_owned(),
        ..place.clone()
    };
    for (cursor, wants, first) in [(place, false, 3), (of_no_place, true, 1)] {
        let mut stream = watch_as(&agent, Some(cursor), wants).await;
        assert!(matches!(next(&mut stream).await, Event::Heartbeat(_)));
        let begin = update(next(&mut stream).await);
        assert!(!begin.baseline);
        assert_eq!(begin.cursor.unwrap().sequence, first);
    }
}

#[tokio::test]
async fn streams_are_limited_and_a_reader_that_leaves_makes_room() {
    let (agent, _spool) = agent();
    let mut streams = Vec::new();
    for _ in 0..STREAM_LIMIT {
        streams.push(watch(&agent, None).await);
    }
    let refused = agent
        .watch(Request::new(WatchRequest::default()))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    streams.clear();
    while agent.shared.streams.available_permits() < STREAM_LIMIT {
        tokio::task::yield_now().await;
    }
    watch(&agent, None).await;
}
