//! `metrics`.

use clap::Args;
use jiff::Timestamp;
use pvelens_proto::v1::{
    ListMetricsRequest, QueryMetricsRequest, history_service_client::HistoryServiceClient,
};

use super::{
    Failure,
    client::{MESSAGE_LIMIT_BYTES, Reading, refused},
    length,
    output::{Output, is_ascii},
    print,
    when::{at, now},
};

/// Steps from a second to a year.
const STEPS: std::ops::RangeInclusive<u32> = 1..=31_536_000;

#[derive(Debug, Args)]
pub(super) struct Metrics {
    /// What: node/pve1, guest/101 or its name, storage/tank, storage/tank@pve1, or
    /// guests@pve1 for those that are on the node now
    #[arg(value_name = "SUBJECT", required_unless_present = "list")]
    subject: Option<String>,
    /// Only these metrics, such as cpu_ratio
    #[arg(value_name = "METRIC", conflicts_with = "list")]
    metrics: Vec<String>,
    /// Also of this object; may be given several times
    #[arg(long, value_name = "SUBJECT", requires = "subject")]
    also: Vec<String>,
    /// Which metrics there are, or which of them the object has
    #[arg(long, conflicts_with_all = ["since", "until", "step", "part", "plot", "rows", "limit"])]
    list: bool,
    /// From when: a length such as 90m, 24h or 7d before now, or a time in UTC such as
    /// 2026-11-20 or 2026-11-20T14:00 [default: a day before the end]
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Until when, in the same forms [default: now]
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// Length of time of one value, such as 5m [default: so that there are few]
    #[arg(long, value_name = "LENGTH", value_parser = step)]
    step: Option<u32>,
    /// Only of this disk, interface or mount point
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    part: String,
    /// Draw charts
    #[arg(long)]
    plot: bool,
    /// Rows of a chart [default: 10]
    #[arg(long, value_name = "N", requires = "plot", value_parser = clap::value_parser!(u32).range(3..=100))]
    rows: Option<u32>,
    /// At most so many series
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    reading: Reading,
}

impl Metrics {
    pub(super) async fn run(self) -> Result<u8, Failure> {
        let render = Some(self.reading.connection.output.render());
        if self.list {
            let request = ListMetricsRequest {
                cluster: self.reading.cluster.clone(),
                subjects: self.subjects(),
                render,
            };
            let response = self.client().await?.list_metrics(request).await;
            let response = response.map_err(|status| refused(&status))?.into_inner();
            print(&response.rendered)?;
            return Ok(0);
        }
        let request = QueryMetricsRequest {
            render,
            ..self.request(now())?
        };
        let response = self.client().await?.query_metrics(request).await;
        let response = response.map_err(|status| refused(&status))?.into_inner();
        print(&response.rendered)?;
        Ok(0)
    }

    async fn client(&self) -> Result<HistoryServiceClient<tonic::transport::Channel>, Failure> {
        let channel = self.reading.connection.open().await?;
        Ok(HistoryServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES))
    }

    fn subjects(&self) -> Vec<String> {
        self.subject.iter().chain(&self.also).cloned().collect()
    }

    /// What to ask for, without how to show it.
    fn request(&self, now: Timestamp) -> Result<QueryMetricsRequest, Failure> {
        // Names of metrics have neither.
        if let Some(subject) = self.metrics.iter().find(|name| name.contains(['/', '@'])) {
            return Err(Failure::Usage(format!(
                "{subject} is no metric; name more objects with --also {subject}"
            )));
        }
        Ok(QueryMetricsRequest {
            cluster: self.reading.cluster.clone(),
            subjects: self.subjects(),
            metrics: self.metrics.clone(),
            part: self.part.clone(),
            from: at("--since", self.since.as_deref(), now)?,
            until: at("--until", self.until.as_deref(), now)?,
            step_seconds: self.step.unwrap_or_default(),
            maximum_series: self.limit,
            render: None,
            plot: self.plot,
            plot_rows: self.rows.unwrap_or_default(),
            // Other forms are not for this terminal alone.
            ascii: self.reading.connection.output.output == Output::Text && is_ascii(),
        })
    }
}

fn step(text: &str) -> Result<u32, String> {
    length::seconds(text, STEPS).ok_or_else(|| "give a length such as 30s, 5m or 2h".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        metrics: Metrics,
    }

    fn request(line: &str) -> Result<QueryMetricsRequest, Failure> {
        let words = std::iter::once("metrics").chain(line.split(' '));
        let now = "2026-11-25T20:00:00Z".parse().unwrap();
        Line::try_parse_from(words).unwrap().metrics.request(now)
    }

    #[test]
    fn a_line_becomes_a_question() {
        let asked = request(
            "node/pve1 cpu_ratio used_ratio --also guest/7 --also guests@pve2 --since 2h --until \
             2026-11-25T19:30 --step 5m --part sda --plot --rows 6 --limit 9 --cluster lab",
        );
        let asked = asked.unwrap();
        assert_eq!(asked.subjects, ["node/pve1", "guest/7", "guests@pve2"]);
        assert_eq!(asked.metrics, ["cpu_ratio", "used_ratio"]);
        let until = asked.until.unwrap().seconds;
        assert_eq!(until - asked.from.unwrap().seconds, 5400);
        assert_eq!((asked.step_seconds, asked.maximum_series), (300, 9));
        assert_eq!((asked.plot, asked.plot_rows), (true, 6));
        assert_eq!((&*asked.part, &*asked.cluster), ("sda", "lab"));
        let asked = request("web").unwrap();
        assert_eq!(
            (asked.from, asked.until, asked.step_seconds),
            (None, None, 0)
        );
    }

    #[test]
    fn mistakes_say_what_to_write_instead() {
        for (line, part) in [
            ("guest/1 guest/2", "--also guest/2"),
            ("guest/1 --since yesterday", "24h"),
            ("guest/1 --until 25", "--until"),
        ] {
            let text = request(line).unwrap_err().to_string();
            assert!(text.contains(part), "{text}");
        }
    }
}
