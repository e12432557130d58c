//! `/metrics` as a scraper reads it: the text format of Prometheus.

use std::collections::BTreeMap;

/// One scrape.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    samples: Vec<Sample>,
}

/// One line that is not a comment.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Name of the series.
    pub(crate) name: String,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Its value.
    pub(crate) value: f64,
}

impl Metrics {
    /// Reads a scrape.
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self { samples: lines.map(parse_sample).collect() }
    }

    /// The samples of `name` that carry all of `labels`.
    pub(crate) fn series(&self, name: &str, labels: &[(&str, &str)]) -> Vec<&Sample> {
        let carries = |sample: &&Sample| {
            let has = |(key, value): &(&str, &str)| sample.labels.get(*key).is_some_and(|known| known == value);
            sample.name == name && labels.iter().all(has)
        };
        self.samples.iter().filter(carries).collect()
    }

    /// The sum over [`Self::series`]; zero when there are none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.series(name, labels).iter().map(|sample| sample.value).sum()
    }

    /// The value of the only series that fits.
    ///
    /// # Panics
    /// When there is none, or several.
    pub(crate) fn one(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        match self.series(name, labels)[..] {
            [sample] => sample.value,
            ref found => panic!("expected one series {name} {labels:?}, found {found:?}"),
        }
    }

    /// The names of all series.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.samples.iter().map(|sample| sample.name.as_str()).collect();
        names.dedup();
        names
    }
}

fn parse_sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a sample: {line}"));
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let value = value.parse().unwrap_or_else(|_| panic!("not a number: {line}"));
    Sample { name: name.to_owned(), labels: parse_labels(labels.trim_end_matches('}')), value }
}

/// `a="x",b="y"`; no value in our own metrics holds a quote followed by a comma.
fn parse_labels(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split("\",").filter_map(|pair| pair.split_once("=\""));
    pairs.map(|(key, value)| (key.to_owned(), value.trim_end_matches('"').to_owned())).collect()
}
