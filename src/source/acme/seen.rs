//! What responses of a CA say beside their bodies, which instant-acme drops.

use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{DATE, HeaderName, LINK, LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use httpdate::HttpDate;
use serde::Deserialize;

use super::bounded::LONGEST_DETAIL;
use super::error::Step;
use crate::time::Timestamp;

/// Status and headers of the latest response, and what is being done. Clones share.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Mutex<Latest>>);

#[derive(Clone, Debug, Default)]
struct Latest {
    doing: Option<Step>,
    status: Option<u16>,
    retry_after: Option<Timestamp>,
    skew: i64,
    alternates: Vec<String>,
    location: Option<String>,
    visit: Option<String>,
}

impl Seen {
    /// Says what the next requests are for.
    pub(super) fn doing(&self, step: Step) {
        self.lock().doing = Some(step);
    }

    /// What the latest requests were for.
    pub(super) fn done(&self) -> Option<Step> {
        self.lock().doing
    }

    /// HTTP status of the latest response.
    pub(super) fn status(&self) -> Option<u16> {
        self.lock().status
    }

    /// When the latest response asked to be back, if it did (RFC 9110 §10.2.3).
    pub(super) fn retry_after(&self) -> Option<Timestamp> {
        self.lock().retry_after
    }

    /// Seconds that the CA's clock is ahead of ours, from `Date`; behind when negative, zero when it never said.
    pub(super) fn skew(&self) -> i64 {
        self.lock().skew
    }

    /// Where the latest response says that other chains of the same certificate are (RFC 8555 §7.4.2).
    pub(super) fn alternates(&self) -> Vec<String> {
        self.lock().alternates.clone()
    }

    /// What the latest response has made, or is about (RFC 9110 §10.2.2).
    pub(super) fn location(&self) -> Option<String> {
        self.lock().location.clone()
    }

    /// What the latest response wants a human to open (RFC 8555 §7.3.3).
    pub(super) fn visit(&self) -> Option<String> {
        self.lock().visit.clone()
    }

    /// Keeps the `instance` of a problem document: where a human can do something about it (RFC 9457 §3.1.5).
    pub(super) fn note_problem(&self, body: &[u8]) {
        let instance = serde_json::from_slice::<Instance>(body).ok().and_then(|problem| problem.instance);
        self.lock().visit = instance.filter(|url| url.starts_with("https://") && url.len() <= LONGEST_DETAIL);
    }

    /// Keeps what a response says. `sent` and `now` are the times of its request and of its arrival.
    pub(super) fn note(&self, status: StatusCode, headers: &HeaderMap, sent: Timestamp, now: Timestamp) {
        let mut latest = self.lock();
        latest.status = Some(status.as_u16());
        latest.retry_after = retry_after(headers, now);
        latest.alternates = alternates(headers);
        latest.location = text(headers, &LOCATION).map(str::to_owned);
        latest.visit = None;
        if let Some(date) = date(headers) {
            latest.skew = skew(date, sent, now);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Latest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Deserialize)]
struct Instance {
    instance: Option<String>,
}

/// When the CA wrote its answer, by its own clock.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    text(headers, &DATE).and_then(http_date)
}

/// Seconds that `date` is outside of the time in which the answer must have been written; negative when before it.
pub(super) fn skew(date: Timestamp, sent: Timestamp, now: Timestamp) -> i64 {
    let (date, sent, now) = (date.as_unix(), sent.as_unix(), now.as_unix());
    match date {
        _ if date < sent => date.saturating_sub(sent),
        _ if date > now => date.saturating_sub(now),
        _ => 0,
    }
}

/// `Retry-After` as seconds or as a date.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let value = text(headers, &RETRY_AFTER)?;
    match value.parse::<u64>() {
        Ok(seconds) => Some(now + Duration::from_secs(seconds)),
        // A date is meant by the clock of whoever has sent it.
        Err(_) => http_date(value).map(|at| date(headers).map_or(at, |sent| now + at.since(sent))),
    }
}

/// The targets of `Link: <URL>;rel="alternate"` (RFC 8288 §3).
fn alternates(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(links).filter(|(_, parameters)| is_alternate(parameters)).map(|(url, _)| url).take(MOST).collect()
}

/// Target and parameters of each link of one header. A comma inside of `<..>` belongs to the URL.
fn links(value: &str) -> Vec<(String, String)> {
    let mut links = Vec::new();
    let mut rest = value;
    while let Some((url, after)) = rest.split_once('<').and_then(|(_, found)| found.split_once('>')) {
        let end = after.find(",").filter(|at| after[*at..].contains('<')).unwrap_or(after.len());
        links.push((url.trim().to_owned(), after[..end].to_owned()));
        rest = &after[end..];
    }
    links
}

fn is_alternate(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        let mut kinds = value.trim().trim_matches(['"', ',']).split_ascii_whitespace();
        name.trim().eq_ignore_ascii_case("rel") && kinds.any(|kind| kind.eq_ignore_ascii_case("alternate"))
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn http_date(value: &str) -> Option<Timestamp> {
    HttpDate::from_str(value).ok().map(|date| std::time::SystemTime::from(date).into())
}

/// Alternate chains that are looked at; CAs offer one or two.
const MOST: usize = 8;

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix(1_795_311_180);

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn given_a_retry_after_when_read_then_absolute() {
        let table = [
            ("120", Some(NOW + Duration::from_secs(120))),
            (" 7 ", Some(NOW + Duration::from_secs(7))),
            ("Sun, 22 Nov 2026 03:33:00 GMT", Some(NOW + Duration::from_secs(7200))),
            ("soon", None),
            ("-1", None),
            ("", None),
            ("99999999999999999999999", None),
        ];
        for (value, expected) in table {
            assert_eq!(retry_after(&headers(RETRY_AFTER, value), NOW), expected, "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), NOW), None);
    }

    #[test]
    fn given_a_date_when_noted_then_the_skew_is_kept_and_retry_after_is_not() {
        let seen = Seen::default();
        seen.note(StatusCode::TOO_MANY_REQUESTS, &headers(RETRY_AFTER, "60"), NOW, NOW);
        assert_eq!((seen.status(), seen.retry_after()), (Some(429), Some(NOW + Duration::from_secs(60))));

        seen.note(StatusCode::OK, &headers(DATE, "Sun, 22 Nov 2026 01:34:00 GMT"), NOW, NOW);
        seen.note(StatusCode::OK, &HeaderMap::new(), NOW, NOW);

        assert_eq!((seen.status(), seen.retry_after(), seen.skew()), (Some(200), None, 60));
    }

    #[test]
    fn given_a_slow_answer_when_its_date_lies_between_then_no_skew() {
        let table = [(-100, -91), (-10, 0), (-5, 0), (0, 0), (7, 7)];
        for (date, expected) in table {
            let sent = Timestamp::from_unix(NOW.as_unix() - 10);
            let date = Timestamp::from_unix(NOW.as_unix() + date);
            assert_eq!(skew(date, sent, NOW), expected.max(-90), "{date}");
        }
    }

    #[test]
    fn given_links_when_read_then_the_alternates() {
        let table: [(&str, &[&str]); 7] = [
            ("<https://ca/cert/1/1>;rel=\"alternate\"", &["https://ca/cert/1/1"]),
            (
                "<https://ca/a>; rel=alternate, <https://ca/b,c>;rel=\"up alternate\"",
                &["https://ca/a", "https://ca/b,c"],
            ),
            ("<https://ca/dir>;rel=\"index\"", &[]),
            ("<https://ca/dir>;rel=\"index\", <https://ca/x>;title=\"a\";REL=Alternate", &["https://ca/x"]),
            ("https://ca/cert/1/1;rel=\"alternate\"", &[]),
            ("<https://ca/open", &[]),
            ("", &[]),
        ];
        for (value, expected) in table {
            assert_eq!(alternates(&headers(LINK, value)), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn given_any_header_when_read_then_no_panic(value in "[ -~]{0,60}") {
            let links = alternates(&headers(LINK, &value));
            prop_assert!(links.len() <= MOST);
        }
    }
}
