//! Writes down the health of each cluster, so that it can be read later how it was.
//!
//! A report is kept when what it rests on became another one, and once a day otherwise:
//! so a day without a report is a day about which nothing is known. What comes and goes
//! must not fill the disk, so there is a pause between two reports of a cluster, which
//! is longer after a day with many. Findings have events of their own, which miss
//! nothing.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::{
    Depth, Scope, cluster_health,
    kept::{self, DETERMINISTIC, Header},
    mark::{Brief, brief},
};
use crate::{
    coordinator::Current,
    report::AnalysisKind,
    store::{
        Store,
        row::{NewRecord, RecordKind, RecordQuery},
    },
    untrusted,
    view::{Cluster, ClusterId, Name},
};

/// Between two reports of a cluster.
const PAUSE: SignedDuration = SignedDuration::from_mins(5);
/// After so many in a day.
const LONG_PAUSE: SignedDuration = SignedDuration::from_hours(1);
const MANY: usize = 12;
/// Records that are looked through for them.
const LOOKED_AT: u32 = 50;
/// Without a change.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// A cluster that was just seen first is still being read, and checks wait for what
/// they look back at.
const SETTLE: SignedDuration = SignedDuration::from_mins(2);
/// What does not come in this time is not waited for.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
/// Characters of a headline.
const HEADLINE: usize = 500;

/// When which cluster had a report.
#[derive(Debug, Default)]
pub(crate) struct Keep {
    clusters: HashMap<ClusterId, Seen>,
}

#[derive(Debug)]
struct Seen {
    since: Timestamp,
    /// None = not asked for in the store yet.
    written: Option<Written>,
}

/// The reports of a cluster that are kept.
#[derive(Debug, Default)]
struct Written {
    /// Of the newest; empty = there is none, or it cannot be read.
    mark: String,
    state: String,
    /// The newest first, as many as count.
    times: Vec<Timestamp>,
}

impl Keep {
    /// Reports that are to be kept now. `is_read` says that checks have what they look
    /// back at, and `newest` gives the newest that are kept of a cluster, if the store
    /// can be read.
    pub(crate) fn note(
        &mut self,
        current: &Current,
        is_read: bool,
        newest: impl Fn(&ClusterId) -> Option<Vec<NewRecord>>,
    ) -> Vec<NewRecord> {
        let view = &current.view;
        self.clusters
            .retain(|cluster, _| view.find_cluster(cluster).is_some());
        let mut records = Vec::new();
        for cluster in &view.clusters {
            let id = ClusterId::clone(&cluster.id);
            let seen = self.clusters.entry(id).or_insert(Seen {
                since: view.at,
                written: None,
            });
            // The clock may have been set back.
            let seen_for = view.at.duration_since(seen.since).abs();
            if seen_for < SETTLE || (!is_read && seen_for < PATIENCE) {
                continue;
            }
            if seen.written.is_none() {
                seen.written = newest(&cluster.id).map(|records| Written::of(&records));
            }
            let Some(written) = &mut seen.written else {
                continue;
            };
            if let Some(brief) = brief(current, cluster)
                && written.is_due(&brief.mark, view.at)
                && let Some(record) = record(current, cluster, &brief, &written.state)
            {
                written.add(brief, record.at);
                records.push(record);
            }
        }
        records
    }
}

/// The newest that the store has of a cluster. What is wrong with the store is told by
/// those who write.
pub(crate) fn newest(store: &Store, cluster: &ClusterId) -> Option<Vec<NewRecord>> {
    let query = RecordQuery {
        kind: RecordKind::Analysis,
        from: None,
        until: None,
        cluster: Some(Name::clone(cluster)),
        subject: None,
        before: None,
        limit: LOOKED_AT,
    };
    let rows = store.read(|reader| reader.records(&query)).ok()?;
    Some(rows.into_iter().map(|row| row.record).collect())
}

impl Written {
    /// By what the store has, the newest first. Analyses of other kinds are not counted,
    /// what cannot be read is.
    fn of(records: &[NewRecord]) -> Self {
        let read = records
            .iter()
            .map(|record| (record.at, Header::read(&record.body)));
        let is_health = |header: &Header| header.is_of(AnalysisKind::ClusterHealth);
        let mut written = read.filter(|(_, header)| header.as_ref().is_none_or(is_health));
        let Some((at, header)) = written.next() else {
            return Self::default();
        };
        let header = header.unwrap_or_default();
        let before = written.map(|(at, _)| at);
        Self {
            mark: header.mark,
            state: header.state,
            times: std::iter::once(at).chain(before).take(MANY).collect(),
        }
    }

    fn is_due(&self, mark: &str, at: Timestamp) -> bool {
        let Some(last) = self.times.first() else {
            return true;
        };
        let since = |time: &Timestamp| at.duration_since(*time).abs();
        let of_day = self.times.iter().filter(|time| since(time) < DAY);
        let pause = match (mark == self.mark, of_day.count()) {
            (true, _) => DAY,
            (false, MANY..) => LONG_PAUSE,
            (false, _) => PAUSE,
        };
        since(last) >= pause
    }

    fn add(&mut self, brief: Brief, at: Timestamp) {
        self.mark = brief.mark;
        brief.state.as_str().clone_into(&mut self.state);
        self.times.insert(0, at);
        self.times.truncate(MANY);
    }
}

fn record(current: &Current, cluster: &Cluster, brief: &Brief, was: &str) -> Option<NewRecord> {
    let scope = Scope {
        cluster: cluster.id.to_string(),
        ..Scope::default()
    };
    // The cluster is in the view.
    let report = cluster_health(current, &scope, Depth::Summary).ok()?;
    // The store keeps milliseconds.
    let at = Timestamp::from_millisecond(report.at.as_millisecond()).ok()?;
    let header = Header {
        kind: AnalysisKind::ClusterHealth.as_str().to_owned(),
        source: DETERMINISTIC.to_owned(),
        state: report.state.as_str().to_owned(),
        was: was.to_owned(),
        headline: untrusted::line(&report.headline, HEADLINE).into_owned(),
        critical: brief.critical,
        warning: brief.warning,
        info: brief.info,
        mark: brief.mark.clone(),
        ..Header::default()
    };
    let id = &cluster.id;
    Some(NewRecord {
        kind: RecordKind::Analysis,
        at,
        cluster: Name::clone(id),
        subject: "cluster".into(),
        key: format!("{} {id} {at}", header.kind),
        body: kept::write(header, report),
    })
}

#[cfg(test)]
mod tests;
