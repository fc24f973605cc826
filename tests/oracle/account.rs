//! Keeping account of what was compared.

use std::collections::BTreeMap;

use crate::table::Table;

/// How two values fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agreement {
    Equal,
    /// Not equal, and as close as the table asks.
    Near,
    Wrong,
}

impl From<bool> for Agreement {
    fn from(equal: bool) -> Self {
        if equal { Self::Equal } else { Self::Wrong }
    }
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) compared: u32,
    equal: u32,
    near: u32,
}

/// What was compared, and what was wrong.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// By kind.
    counts: BTreeMap<String, Count>,
    pub(crate) wrong: Vec<String>,
}

impl Account {
    /// Counts a comparison and keeps what is wrong with it.
    pub(crate) fn check(
        &mut self,
        kind: &str,
        agreement: impl Into<Agreement>,
        wrong: impl FnOnce() -> String,
    ) {
        let count = self.counts.entry(kind.to_owned()).or_default();
        count.compared += 1;
        match agreement.into() {
            Agreement::Equal => count.equal += 1,
            Agreement::Near => count.near += 1,
            Agreement::Wrong => self.wrong.push(format!("[{kind}] {}", wrong())),
        }
    }

    pub(crate) fn of(&self, kind: &str) -> Count {
        self.counts.get(kind).copied().unwrap_or_default()
    }

    /// Everything that was compared, and what was not and why.
    pub(crate) fn report(&self, table: &Table) -> String {
        let mut lines = vec![format!(
            "{:>9} {:>9} {:>9}  kind",
            "compared", "equal", "near"
        )];
        let line = |count: Count, kind: &str| {
            let Count {
                compared,
                equal,
                near,
            } = count;
            format!("{compared:>9} {equal:>9} {near:>9}  {kind}")
        };
        let mut sum = Count::default();
        for kind in table.kinds() {
            let count = self.of(kind);
            sum.compared += count.compared;
            sum.equal += count.equal;
            sum.near += count.near;
            lines.push(line(count, kind));
        }
        lines.push(line(sum, "in all"));
        for (title, rows) in [
            ("excluded", &table.excluded),
            ("not carried", &table.not_carried),
        ] {
            let all: u32 = rows.iter().map(|row| row.used.get()).sum();
            lines.push(format!("{title}, {all} in all:"));
            lines.extend(rows.iter().map(|row| {
                let (records, fields) = (row.records.join(" "), row.fields.join(" "));
                let used = row.used.get();
                format!("{used:>9}  {records} {fields}: {}", row.reason)
            }));
        }
        format!("\n{}\n", lines.join("\n"))
    }
}
