//! The JSON of `ceph osd dump` and `ceph osd crush rule dump`: how pools keep their
//! data (`ceph@src/osd/OSDMap.cc`, `ceph@src/crush/CrushWrapper.cc`).

use std::collections::HashMap;

use pvelens_proto::agent::v1::{CephPool, CephState};
use serde_json::Value;

use crate::format::{
    FormatError,
    loose::{decimal, list, number, small, text},
};

/// Type of a pool with erasure coding (`pg_pool_t::TYPE_ERASURE`).
const ERASURE_CODED: u64 = 3;

/// `ceph osd dump`, of the pools that are known and of all OSDs. Gives the number of
/// the rule of each pool.
pub(super) fn settings(
    document: &Value,
    state: &mut CephState,
) -> Result<HashMap<u64, u64>, FormatError> {
    if document.get("pools").is_none() {
        return Err(FormatError::malformed("no pools in the map of OSDs"));
    }
    state.nearfull_ratio = decimal(document, "nearfull_ratio");
    state.backfillfull_ratio = decimal(document, "backfillfull_ratio");
    state.full_ratio = decimal(document, "full_ratio");
    state.required_osd_release = text(document, "require_osd_release");
    let profiles = document
        .get("erasure_code_profiles")
        .unwrap_or(&Value::Null);
    let mut places: HashMap<u64, &mut CephPool> =
        state.pools.iter_mut().map(|pool| (pool.id, pool)).collect();
    let mut rules = HashMap::new();
    for row in list(document, "pools") {
        // One that came up since its space was asked for is in the next run.
        let Some(pool) = number(row, "pool").and_then(|id| places.get_mut(&id)) else {
            continue;
        };
        pool.size = small(row, "size");
        pool.minimum_size = small(row, "min_size");
        pool.is_erasure_coded = number(row, "type") == Some(ERASURE_CODED);
        if pool.is_erasure_coded {
            let profile = profiles.get(text(row, "erasure_code_profile"));
            pool.data_chunks = profile.and_then(|profile| small(profile, "k"));
        }
        if let Some(rule) = number(row, "crush_rule") {
            rules.insert(pool.id, rule);
        }
    }
    Ok(rules)
}

/// `ceph osd crush rule dump`: what copies of one object do not share is chosen in
/// the last step that chooses.
pub(super) fn rules(
    document: &Value,
    numbers: &HashMap<u64, u64>,
    pools: &mut [CephPool],
) -> Result<(), FormatError> {
    let rows = document
        .as_array()
        .ok_or_else(|| FormatError::malformed("no rules"))?;
    let rules: HashMap<u64, &Value> = rows
        .iter()
        .filter_map(|row| Some((number(row, "rule_id")?, row)))
        .collect();
    for pool in pools {
        let Some(rule) = numbers.get(&pool.id).and_then(|number| rules.get(number)) else {
            continue;
        };
        let steps = list(rule, "steps");
        let step = |begins: &str| {
            let is_it = |step: &&Value| text(step, "op").starts_with(begins);
            steps.iter().rev().find(is_it)
        };
        pool.crush_rule = text(rule, "rule_name");
        // `default~ssd`: only devices of that class.
        let root = step("take").map(|step| text(step, "item_name"));
        pool.device_class = root
            .as_deref()
            .and_then(|root| root.split_once('~'))
            .map(|(_, class)| class.to_owned())
            .unwrap_or_default();
        pool.failure_domain = step("choose").map_or_else(String::new, |step| text(step, "type"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn state_of(ids: &[u64]) -> CephState {
        let pool = |id: &u64| CephPool {
            id: *id,
            ..CephPool::default()
        };
        CephState {
            pools: ids.iter().map(pool).collect(),
            ..CephState::default()
        }
    }

    #[test]
    fn pools_have_their_copies_and_what_separates_them() {
        let mut state = state_of(&[2, 3]);
        let dump = json!({
            "nearfull_ratio": 0.85, "backfillfull_ratio": 0.9, "full_ratio": 0.95, "require_osd_release": "squid",
            "erasure_code_profiles": {"p": {"k": "4", "m": "2"}},
            "pools": [
                {"pool": 2, "type": 1, "size": 3, "min_size": 2, "crush_rule": 1, "erasure_code_profile": ""},
                {"pool": 3, "type": 3, "size": 6, "min_size": 5, "crush_rule": 7, "erasure_code_profile": "p"},
                {"pool": 9, "type": 1, "size": 1, "crush_rule": 1},
            ],
        });
        let numbers = settings(&dump, &mut state).unwrap();
        assert_eq!(state.full_ratio, Some(0.95));
        assert_eq!(state.required_osd_release, "squid");
        let dump = json!([
            {"rule_id": 1, "rule_name": "fast", "steps": [
                {"op": "take", "item_name": "default~ssd"}, {"op": "choose_firstn", "type": "rack"},
                {"op": "chooseleaf_firstn", "type": "host"}, {"op": "emit"}]},
        ]);
        rules(&dump, &numbers, &mut state.pools).unwrap();
        let [fast, coded] = state.pools.as_slice() else {
            panic!("{:?}", state.pools);
        };
        assert_eq!((fast.size, fast.minimum_size), (Some(3), Some(2)));
        assert_eq!(
            (
                fast.crush_rule.as_str(),
                fast.failure_domain.as_str(),
                fast.device_class.as_str()
            ),
            ("fast", "host", "ssd")
        );
        assert!(coded.is_erasure_coded && !fast.is_erasure_coded);
        assert_eq!(
            (coded.data_chunks, coded.crush_rule.as_str()),
            (Some(4), "")
        );
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        settings(&json!([]), &mut state_of(&[])).unwrap_err();
        rules(&json!({}), &HashMap::new(), &mut []).unwrap_err();
    }

    proptest! {
        #[test]
        fn any_document_parses_or_fails(
            key in "pool|type|size|crush_rule|steps",
            value in "-?[0-9]{1,25}|\\{\\}|\\[[0-9]{1,3}\\]|\"x~y\"",
        ) {
            let row = format!("{{\"pool\":2,\"rule_id\":1,\"{key}\":{value}}}");
            let mut state = state_of(&[2]);
            if let Ok(document) = serde_json::from_str(&format!("{{\"pools\":[{row},1]}}")) {
                drop(settings(&document, &mut state));
            }
            if let Ok(document) = serde_json::from_str(&format!("[{row},1]")) {
                drop(rules(&document, &HashMap::from([(2, 1)]), &mut state.pools));
            }
        }
    }
}
