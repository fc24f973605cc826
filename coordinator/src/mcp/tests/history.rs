//! Values over time.

use super::*;
use crate::{
    answer::{
        analyses::tests::two_hours,
        metrics::fixture::{Kept, object},
        tests::current,
    },
    metric::METRICS,
    store::row::ObjectKind,
    view::fixture::at,
};

async fn client_of(kept: &Kept) -> Client {
    let coordinator = coordinator(current());
    coordinator.keep_in(Arc::clone(&kept.store), at()).unwrap();
    Client::of(Era::Modern, coordinator, Role::Reader).await
}

#[tokio::test]
async fn a_summary_has_the_course_and_the_figures() {
    let kept = Kept::lab();
    let mut client = client_of(&kept).await;
    let arguments = json!({ "subjects": "web", "metrics": ["cpu_ratio"], "step_seconds": 60 });
    let result = client.call("query_metrics", arguments).await;
    let answer = &result["structuredContent"];
    assert_eq!(answer["step_seconds"], 3600);
    let one = &answer["series"][0];
    let values = one["values"].as_array().unwrap();
    assert!((20..=26).contains(&values.len()), "{answer}");
    assert!(values[0].get("minimum").is_none() && values[0]["mean"].is_number());
    assert_eq!(one["figures"]["maximum"], 0.95);
    assert!(one.get("cluster").is_none(), "{one}");
    assert!(text(&result).contains("cpu\\_ratio"), "{}", text(&result));
}

#[tokio::test]
async fn full_answers_are_as_fine_as_there_is_room_for() {
    let mut kept = Kept::new();
    for vmid in 100..160 {
        let guest = object(ObjectKind::Qemu, &vmid.to_string());
        for info in METRICS.iter().take(4) {
            let values = (0..1440).map(|minute| (86_400 - minute * 60, 0.123_456_789));
            kept.put(&guest, info.metric, "", values);
        }
    }
    let mut client = client_of(&kept).await;
    let subjects: Vec<u32> = (100..160).collect();
    for detail in ["summary", "full"] {
        for limit in [1, 20, 200] {
            let arguments = json!({
                "subjects": subjects, "detail": detail, "limit": limit, "step_seconds": 60,
            });
            let result = client.call("query_metrics", arguments).await;
            assert_eq!(result["isError"], false, "{}", text(&result));
            let (text, structured) = (text(&result), &result["structuredContent"]);
            let size = structured.to_string().len();
            assert!(
                text.len() <= reply::CEILING && size <= reply::CEILING,
                "{size}"
            );
            assert_eq!(structured["left_out"], 240 - limit, "{detail}");
            // Nothing of the end is cut off: it is what matters most.
            let first = &structured["series"][0]["values"];
            let last = first.as_array().unwrap().last().unwrap();
            let last: jiff::Timestamp = last["at"].as_str().unwrap().parse().unwrap();
            let step = structured["step_seconds"].as_i64().unwrap();
            assert!(
                at().as_second() - last.as_second() <= step + 60,
                "{structured}"
            );
        }
    }
}

#[tokio::test]
async fn refusals_say_what_to_give() {
    let kept = Kept::lab();
    let mut client = client_of(&kept).await;
    for (arguments, parts) in [
        (json!({}), ["missing field `subjects`", "since"]),
        (json!({ "subjects": {} }), ["list of texts", "It takes"]),
        (
            json!({ "subjects": [] }),
            ["name what to show", "guest/101"],
        ),
        (
            json!({ "subjects": "web", "since": "monday" }),
            ["since \"monday\"", "24h"],
        ),
        (
            json!({ "subjects": "web", "metrics": "cpu" }),
            ["no metric", "did you mean"],
        ),
        (
            json!({ "subjects": "web", "limit": 0 }),
            ["out of range", "1 to 200"],
        ),
        (
            json!({ "subjects": "web", "since": "1h", "until": "2h" }),
            ["ends before", "begins"],
        ),
    ] {
        let text = client.refused("query_metrics", arguments).await;
        for part in parts {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    let mut client = Client::new(Era::Modern, current()).await;
    let text = client
        .refused("query_metrics", json!({ "subjects": "web" }))
        .await;
    assert!(text.contains("[store]"), "{text}");
}

#[tokio::test]
async fn the_health_of_a_time_is_the_report_that_was_kept_then() {
    let kept = Kept::new();
    let then = two_hours(&kept);
    then.publish(current());
    let mut client = Client::of(Era::Modern, then, Role::Reader).await;
    for detail in ["summary", "full"] {
        let arguments = json!({ "at": "45m", "detail": detail });
        let result = client.call("analyze_cluster_health", arguments).await;
        assert_eq!(result["isError"], false, "{}", text(&result));
        let answer = &result["structuredContent"];
        assert_eq!(answer["state"], "critical");
        assert_eq!(answer["kept"]["is_outdated"], false);
        assert!(text(&result).contains("kept report"), "{}", text(&result));
    }
    let now = client.call("analyze_cluster_health", json!({})).await;
    assert!(now["structuredContent"].get("kept").is_none());
    let events = json!({ "kinds": ["health"] });
    let events = client.call("get_events", events).await;
    let events = events["structuredContent"]["events"].as_array().unwrap();
    assert_eq!(events.len(), 3, "{events:?}");
    for (arguments, part) in [
        (json!({ "at": "45m", "node": "pve1" }), "whole cluster"),
        (json!({ "at": "monday" }), "24h"),
        (json!({ "at": "7d" }), "later ones"),
    ] {
        let text = client.refused("analyze_cluster_health", arguments).await;
        assert!(text.contains(part), "{part} in {text}");
    }
}
