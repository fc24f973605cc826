//! Quantiles of sketches beside those of the values themselves.

use std::collections::BTreeSet;

use pvelens::store::{
    block::SeriesKey,
    bucket::Bucket,
    query::{self, Span},
    sketch::{RELATIVE_ERROR, Sketch},
    tier::Tier,
};
use tempfile::TempDir;

use crate::{at, keeping, recorded};

const HOUR: i64 = 3600;
const QUANTILES: [f64; 8] = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0];

#[test]
#[expect(clippy::print_stderr, reason = "a test that tests nothing says so")]
fn merged_sketches_of_recorded_series_are_within_one_percent() {
    let Some(nodes) = recorded::recorded().unwrap() else {
        eprintln!("NOT TESTED: no recordings; set PVELENS_RECORDINGS");
        return;
    };
    let directory = TempDir::new().unwrap();
    let (coordinator, store) = keeping(directory.path(), at(0));
    for step in 0.. {
        let second = i64::try_from(step).unwrap() * recorded::STEP_SECONDS;
        if second >= HOUR {
            break;
        }
        for node in &nodes {
            let update = node.update(step, at(second));
            coordinator.live().append(&node.agent(), update, at(second));
        }
        if second % 60 == 50 {
            coordinator.write_down(at(second)).unwrap();
        }
    }
    store.maintain(at(HOUR + 600)).unwrap();
    let keys: BTreeSet<SeriesKey> = store
        .read(|reader| reader.series(None))
        .unwrap()
        .iter()
        .map(|row| SeriesKey {
            metric: row.metric,
            series: row.id,
        })
        .collect();
    let buckets = |tier| {
        let span = Span {
            from: at(0),
            until: at(HOUR),
            tier,
        };
        store
            .read(|reader| query::values(reader, &keys, &span))
            .unwrap()
    };
    let raw = buckets(Tier::Raw);
    let mut compared = 0;
    for tier in Tier::ROLLED_UP {
        let rolled = buckets(tier);
        assert_eq!(rolled.series.len(), raw.series.len(), "{tier:?}");
        for (key, values) in &raw.series {
            let mut exact: Vec<f64> = values.buckets.iter().map(|value| value.last).collect();
            exact.sort_by(f64::total_cmp);
            let merged = merged(&rolled.series[key].buckets);
            assert_eq!(merged.count(), u64::try_from(exact.len()).unwrap());
            for q in QUANTILES {
                let (exact, found) = (nearest_rank(&exact, q), merged.quantile(q).unwrap());
                let error = (found - exact).abs();
                assert!(
                    error <= exact.abs() * (RELATIVE_ERROR + 1e-9),
                    "{tier:?} {key:?}: quantile {q} is {found}, and should be {exact}"
                );
                compared += 1;
            }
        }
    }
    // Some hundred series, of which half move.
    assert!(compared > 2000, "{compared}");
}

fn merged(buckets: &[Bucket]) -> Sketch {
    let mut merged = Sketch::default();
    for bucket in buckets {
        merged.merge(&bucket.sketch);
    }
    merged
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rank among some hundred values"
)]
fn nearest_rank(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}
