//! What `observe` has seen: which requests over plain HTTP would have been refused or redirected, and by whom they are sent.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;

use super::{Agent, CanonicalPath, PathPrefix};
use crate::time::Timestamp;

/// What would have been done with a request, without `observe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Would {
    /// Refused: it showed credentials in clear.
    RefuseCredentials,
    /// Refused: its path is closed to plain HTTP.
    RefusePath,
    /// Refused: only GET and HEAD are redirected.
    RefuseMethod,
    /// Sent to https.
    Redirect,
}

impl Would {
    /// Whether it would have been refused.
    pub fn refuses(self) -> bool {
        self != Self::Redirect
    }

    /// Why, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RefuseCredentials => "credentials",
            Self::RefusePath => "path",
            Self::RefuseMethod => "method",
            Self::Redirect => "redirect",
        }
    }

    /// Why, for people.
    pub fn why(self) -> &'static str {
        match self {
            Self::RefuseCredentials => "it shows credentials without encryption",
            Self::RefusePath => "the path is closed to plain HTTP",
            Self::RefuseMethod => "only GET and HEAD are redirected, its body has crossed in clear",
            Self::Redirect => "plain HTTP is redirected here",
        }
    }
}

/// An observed request, as far as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Name of its site.
    pub site: String,
    /// Below what it lies; `None` for a path that is not kept.
    pub place: Option<String>,
    /// What would have been done with it.
    pub would: Would,
}

/// Requests of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What they have in common.
    pub observed: Observed,
    /// Who sends them.
    pub agent: Agent,
    /// How many there were.
    pub count: u64,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// The method of the last one; `OTHER` for one that is not common.
    pub method: &'static str,
}

impl Line {
    /// What the end of `observe` means for these requests.
    pub fn risk(&self) -> Risk {
        match (self.observed.would.refuses(), self.agent.is_browser()) {
            (true, _) => Risk::Breaks,
            (false, false) => Risk::MayBreak,
            (false, true) => Risk::GoesOn,
        }
    }
}

/// What the end of `observe` means for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Risk {
    /// It is refused.
    Breaks,
    /// It is redirected, and nobody knows whether it follows and believes the certificate.
    MayBreak,
    /// It is redirected and follows.
    GoesOn,
}

impl Risk {
    /// A word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Breaks => "breaks",
            Self::MayBreak => "may_break",
            Self::GoesOn => "goes_on",
        }
    }
}

/// What is to be told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Kinds of requests that were not told yet; at most [`LINES`].
    pub lines: Vec<Line>,
    /// How many more there are.
    pub more: usize,
}

/// Every kind of request that was observed; its size is bounded, whatever is sent.
///
/// For each site and family of clients [`KINDS`] kinds are kept. Where there are more, the rarest are put together with the
/// other paths of their family: a scanner displaces its own paths, not those of a door.
#[derive(Debug, Default)]
pub struct Report {
    rows: BTreeMap<Key, Row>,
    untold: bool,
    told_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    site: String,
    agent: Agent,
    would: Would,
    place: Option<String>,
}

#[derive(Clone, Debug)]
struct Row {
    count: u64,
    first: Timestamp,
    last: Timestamp,
    method: &'static str,
    is_told: bool,
}

impl Report {
    /// Counts a request, and gives what is to be told now: once an hour, when there are kinds that were never told.
    pub fn record(&mut self, now: Timestamp, observed: Observed, agent: Agent, method: &Method) -> Option<News> {
        let Observed { site, place, would } = observed;
        let key = Key { site, agent, would, place };
        let new = Row { count: 0, first: now, last: now, method: "", is_told: false };
        if !self.rows.contains_key(&key) {
            self.make_room(&key);
            self.untold = true;
        }
        let row = self.rows.entry(key).or_insert(new);
        row.count += 1;
        (row.last, row.method) = (now, method_name(method));
        self.news(now)
    }

    /// Everything about the site, what would be refused first, then the most frequent.
    pub fn lines(&self, site: &str) -> Vec<Line> {
        let mut lines: Vec<_> = self.rows.iter().filter(|(key, _)| key.site == site).map(line).collect();
        lines.sort_by_key(|line| (!line.observed.would.refuses(), std::cmp::Reverse(line.count)));
        lines
    }

    /// Forgets the sites that are not kept.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.rows.retain(|key, _| keep(&key.site));
    }

    /// Puts the rarest kind of the family together with its other paths, where a new kind would be one too many.
    fn make_room(&mut self, new: &Key) {
        let is_kin = |key: &&Key| key.site == new.site && key.agent == new.agent && key.place.is_some();
        if new.place.is_none() || self.rows.keys().filter(is_kin).count() < KINDS {
            return;
        }
        let kin = self.rows.iter().filter(|(key, _)| is_kin(key));
        let rarest = kin.min_by_key(|(_, row)| (row.count, row.last)).map(|(key, _)| key.clone());
        let Some((key, row)) = rarest.and_then(|key| self.rows.remove_entry(&key)) else { return };
        let others = self.rows.entry(Key { place: None, ..key }).or_insert_with(|| Row { count: 0, ..row.clone() });
        others.count += row.count;
        others.first = others.first.min(row.first);
        if row.last >= others.last {
            (others.last, others.method) = (row.last, row.method);
        }
    }

    fn news(&mut self, now: Timestamp) -> Option<News> {
        let is_time = self.told_at.is_none_or(|told| now.since(told) >= EVERY);
        if !self.untold || !is_time {
            return None;
        }
        let mut lines: Vec<_> = self.rows.iter().filter(|(_, row)| !row.is_told).map(line).collect();
        lines.sort_by_key(|line| (!line.observed.would.refuses(), std::cmp::Reverse(line.count)));
        self.rows.values_mut().for_each(|row| row.is_told = true);
        (self.untold, self.told_at) = (false, Some(now));
        let more = lines.len().saturating_sub(LINES);
        lines.truncate(LINES);
        (!lines.is_empty()).then_some(News { lines, more })
    }
}

fn line((key, row): (&Key, &Row)) -> Line {
    let observed = Observed { site: key.site.clone(), place: key.place.clone(), would: key.would };
    Line { observed, agent: key.agent, count: row.count, first: row.first, last: row.last, method: row.method }
}

/// Below what a path lies: a rule, a route, or its first segment where that looks like a name.
///
/// Segments that could be a token or an id are not kept: what is reported is shown and logged.
pub(super) fn place(rule: Option<&PathPrefix>, route: &PathPrefix, path: &CanonicalPath<'_>) -> Option<String> {
    if let Some(rule) = rule {
        return Some(rule.as_str().to_owned());
    }
    if route.as_str() != "/" {
        return Some(route.as_str().to_owned());
    }
    let segment = path.as_str().split('/').nth(1).unwrap_or_default();
    match segment {
        "" => Some("/".to_owned()),
        _ if !is_name(segment) => None,
        _ if segment.contains('.') => Some(format!("/{segment}")),
        _ => Some(format!("/{segment}/")),
    }
}

fn is_name(segment: &str) -> bool {
    let is_plain = segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    is_plain && segment.len() <= 32 && segment.bytes().filter(u8::is_ascii_digit).count() < 6
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

/// For each site and family of clients.
const KINDS: usize = 40;
/// At a time.
const LINES: usize = 5;
const EVERY: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix(second)
    }

    fn observed(place: &str, would: Would) -> Observed {
        let place = (!place.is_empty()).then(|| place.to_owned());
        Observed { site: "m5".to_owned(), place, would }
    }

    #[test]
    fn given_requests_of_one_kind_when_recorded_then_one_line_with_count_and_times() {
        let mut report = Report::default();
        for (second, method) in [(1, Method::POST), (5, Method::PUT), (9, Method::POST)] {
            report.record(at(second), observed("/api/", Would::RefusePath), Agent::Android, &method);
        }
        report.record(at(3), observed("/", Would::Redirect), Agent::Chrome, &Method::GET);

        let lines = report.lines("m5");
        assert_eq!((lines.len(), lines[0].count, lines[0].method), (2, 3, "POST"));
        assert_eq!((lines[0].first, lines[0].last), (at(1), at(9)));
        assert_eq!(report.lines("other"), []);
    }

    #[test]
    fn given_new_kinds_when_recorded_then_told_at_once_and_then_each_hour() {
        let mut report = Report::default();
        let mut record = |second, place: &str| {
            let news = report.record(at(second), observed(place, Would::RefusePath), Agent::Curl, &Method::GET)?;
            Some((news.lines.iter().filter_map(|line| line.observed.place.clone()).collect::<Vec<_>>(), news.more))
        };
        assert_eq!(record(0, "/a/"), Some((vec!["/a/".to_owned()], 0)));
        assert_eq!(record(1, "/a/"), None);
        assert_eq!(record(2, "/b/"), None);
        assert_eq!(record(3599, "/c/"), None);
        assert_eq!(record(3600, "/a/"), Some((vec!["/b/".to_owned(), "/c/".to_owned()], 0)));
        assert_eq!(record(99_999, "/a/"), None, "nothing is new");
        for index in 0..6 {
            assert_eq!(record(100_000, &format!("/{index}/")).is_some(), index == 0);
        }
        assert_eq!(record(200_000, "/6/").map(|(lines, more)| (lines.len(), more)), Some((5, 1)));
    }

    #[test]
    fn given_a_scanner_when_it_tries_everything_then_it_displaces_only_its_own_paths() {
        let mut report = Report::default();
        report.record(at(0), observed("/door/", Would::RefusePath), Agent::Android, &Method::POST);
        for index in 0..1000 {
            report.record(at(index), observed(&format!("/{index}/"), Would::Redirect), Agent::Other, &Method::GET);
        }
        let lines = report.lines("m5");
        assert_eq!(lines[0].observed.place.as_deref(), Some("/door/"));
        assert_eq!(lines.len(), 1 + KINDS + 1);
        let others = lines.iter().find(|line| line.observed.place.is_none()).unwrap();
        assert_eq!((others.count, others.first), (960, at(0)));
    }

    #[test]
    fn given_a_path_when_placed_then_rule_route_or_a_first_segment_that_is_a_name() {
        let (root, api) = (PathPrefix::root(), PathPrefix::parse("/api/").unwrap());
        #[rustfmt::skip]
        let table = [
            ("/M5UserAPI/doors/7",     None,       &root, Some("/m5userapi/")),
            ("/M5UserAPI",             None,       &root, Some("/m5userapi/")),
            ("/login.aspx",            None,       &root, Some("/login.aspx")),
            ("/",                      None,       &root, Some("/")),
            ("/api/x",                 None,       &api,  Some("/api/")),
            ("/api/x",                 Some(&api), &root, Some("/api/")),
            ("/4f2a91c07be35d68",      None,       &root, None),
            ("/eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9/x", None, &root, None),
            ("/a%20b/x",               None,       &root, None),
            ("/199001011234/x",        None,       &root, None),
        ];
        for (path, rule, route, expected) in table {
            let path = CanonicalPath::parse(path.as_bytes()).unwrap();
            assert_eq!(place(rule, route, &path).as_deref(), expected, "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn given_any_requests_when_recorded_then_none_is_lost_and_the_size_is_bounded(
            requests in proptest::collection::vec((0..200_u8, any::<bool>()), 0..400),
        ) {
            let mut report = Report::default();
            for &(place, refuse) in &requests {
                let would = if refuse { Would::RefusePath } else { Would::Redirect };
                report.record(at(place.into()), observed(&format!("/{place}/"), would), Agent::Bot, &Method::GET);
            }
            let lines = report.lines("m5");
            prop_assert_eq!(lines.iter().map(|line| line.count).sum::<u64>(), requests.len() as u64);
            prop_assert!(lines.len() <= KINDS + 2);
            prop_assert!(lines.iter().all(|line| line.first <= line.last));
        }
    }
}
