//! What analyses said over time.

use super::{
    block::{Describe, Document, Mark, Table, figures, names, words},
    cell::{missing, several},
    report::tone,
};
use crate::answer::analyses::{Analyses, AnalysisEntry};

impl Describe for Analyses {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        document.line(Mark::None, counted(self));
        if !self.analyses.is_empty() {
            document.gap();
            document.table(table(&self.analyses));
        }
        missing(&mut document, &self.coverage);
        document
    }
}

fn counted(analyses: &Analyses) -> String {
    match (analyses.analyses.len(), analyses.older_left_out) {
        (0, _) => "no report is kept of that time".to_owned(),
        (1, false) => "1 kept report".to_owned(),
        (count, false) => format!("{count} kept reports"),
        (count, true) => format!("the newest {count} kept reports"),
    }
}

fn table(analyses: &[AnalysisEntry]) -> Table {
    let mut table = Table::new(&[
        words("time (UTC)"),
        names("cluster"),
        words("state"),
        figures("crit"),
        figures("warn"),
        names("headline"),
    ]);
    // Each headline names its cluster.
    let clusters = several(analyses.iter().map(|entry| &*entry.cluster));
    for entry in analyses {
        table.row(
            tone(entry.state),
            vec![
                Some(entry.at.strftime("%Y-%m-%d %H:%M").to_string()),
                clusters.then(|| entry.cluster_name.clone()),
                Some(entry.state.as_str().to_owned()),
                Some(entry.critical.to_string()),
                Some(entry.warning.to_string()),
                Some(entry.headline.clone()),
            ],
        );
    }
    table
}
