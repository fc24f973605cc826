//! The subscription of the node, without its key.
//!
//! The file with the key is closed to the agent; the cluster probe reads it and
//! answers with what is not secret. What it answers is checked here once more.

use pvelens_proto::{
    agent::v1::{
        CollectionClass, FailureKind, Subscription, SubscriptionLevel, SubscriptionStatus,
    },
    timestamp_from_millis,
};

use super::{CollectError, Collector, Payload, Reading, SLOW, pmxcfs::json_error};
use crate::{
    format::{FormatError, plain::short},
    probe::{ClusterRequest, Request, SubscriptionState},
};

pub(super) const COLLECTOR: Collector = Collector {
    name: "subscription",
    summary: "state and level of the subscription, without its key",
    class: CollectionClass::Slow,
    interval: SLOW,
    // The entry has 5 s.
    deadline: std::time::Duration::from_secs(20),
    paths: &[],
    probes: &["subscription"],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let answer = match reading.ask(&Request::Cluster(ClusterRequest::Subscription {})) {
        Ok(answer) => answer,
        Err(error) if error.kind == FailureKind::NotFound => {
            return Err(CollectError::NoData("the cluster probe is not there"));
        }
        Err(error) => return Err(error.into()),
    };
    let text = answer.success()?;
    let subscription = parse(text).map_err(|error| error.at(&answer.source))?;
    Ok(Payload::Subscription(subscription))
}

fn parse(text: &str) -> Result<Subscription, FormatError> {
    let state: SubscriptionState =
        serde_json::from_str(text).map_err(|error| json_error(&error))?;
    Ok(Subscription {
        status: status(&state.status).into(),
        level: level(state.level).into(),
        sockets: state.sockets,
        product_name: short(&state.product_name, 100),
        registered_on: short(&state.registered_on, 20),
        next_due_on: short(&state.next_due_on, 20),
        checked_at: state
            .checked_at_seconds
            .map(|seconds| timestamp_from_millis(seconds.saturating_mul(1000))),
    })
}

/// Words of `proxmox-subscription@src/subscription_info.rs`.
fn status(word: &str) -> SubscriptionStatus {
    match word {
        "none" => SubscriptionStatus::None,
        "new" => SubscriptionStatus::New,
        "active" => SubscriptionStatus::Active,
        "notfound" => SubscriptionStatus::NotFound,
        "invalid" => SubscriptionStatus::Invalid,
        "expired" => SubscriptionStatus::Expired,
        "suspended" => SubscriptionStatus::Suspended,
        _ => SubscriptionStatus::Unspecified,
    }
}

fn level(letter: Option<char>) -> SubscriptionLevel {
    match letter {
        Some('c') => SubscriptionLevel::Community,
        Some('b') => SubscriptionLevel::Basic,
        Some('s') => SubscriptionLevel::Standard,
        Some('p') => SubscriptionLevel::Premium,
        _ => SubscriptionLevel::Unspecified,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_is_a_subscription() {
        let text = r#"{"status":"active","level":"s","sockets":2,"product_name":"Proxmox VE Standard","registered_on":"2025-11-02","next_due_on":"2026-11-02","checked_at_seconds":1795349087}"#;
        let it = parse(text).unwrap();
        assert_eq!(it.status(), SubscriptionStatus::Active);
        assert_eq!(it.level(), SubscriptionLevel::Standard);
        assert_eq!(
            (it.sockets, it.next_due_on.as_str()),
            (Some(2), "2026-11-02")
        );
        assert_eq!(it.checked_at.unwrap().seconds, 1_795_349_087);
    }

    #[test]
    fn an_answer_with_more_than_that_is_refused() {
        assert!(parse(r#"{"status":"active","key":"x"}"#).is_err());
        assert!(parse("").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "\\{?(\"(status|level|sockets)\":(\"\\PC{0,3}\"|7|null),?|\\PC{0,9}){0,4}\\}?") {
            drop(parse(&text));
        }
    }
}
