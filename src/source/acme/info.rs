//! When the CA wants a certificate renewed (RFC 9773).

use bytes::Bytes;
use http::StatusCode;
use http::response::Parts;
use instant_acme::Problem;
use serde::Deserialize;

use super::AcmeSource;
use super::bounded::{LONGEST_DETAIL, bounded, cut};
use super::error::Step;
use super::http::TransportError;
use crate::causes::with_causes;
use crate::lifecycle::{InfoAnswer, Window};
use crate::pki::Identity;
use crate::time::Timestamp;

impl AcmeSource {
    /// Asks the CA when this certificate of its should be renewed; unauthenticated, one request or two.
    pub async fn renewal_info(&self, identity: &Identity) -> InfoAnswer {
        let directory = match self.client.directory().await {
            Ok(directory) => directory,
            Err(error) => return self.uninformed(&error),
        };
        let Some(id) = identity.chain().renewal_id() else { return InfoAnswer::NotOffered };
        let Some(url) = directory.renewal_info(&id.to_string()) else { return InfoAnswer::NotOffered };
        self.client.seen().doing(Step::RenewalInfo);
        match self.client.get(&url).await {
            Ok((parts, body)) => read(&parts, &body, self.client.seen().retry_after()),
            Err(error) => self.uninformed(&error),
        }
    }

    /// Has the CA tell the time, by which [`Clients`](super::Clients) know how far our clock is off.
    pub async fn ask_time(&self) {
        self.client.ask_time().await;
    }

    fn uninformed(&self, error: &TransportError) -> InfoAnswer {
        // Of this answer, when there was one.
        failed(error, self.client.seen().retry_after().filter(|_| error.status().is_some()))
    }
}

/// Judges an answer. What cannot be used is a failure that lasts: the CA says nothing else in a moment (§4.3.3).
fn read(parts: &Parts, body: &Bytes, ask_again: Option<Timestamp>) -> InfoAnswer {
    if parts.status != StatusCode::OK {
        let problem = serde_json::from_slice::<Problem>(body).ok().map(bounded);
        let detail = problem.and_then(|problem| problem.detail);
        let said = detail.map(|detail| format!(": {}", super::masked::masked(&detail))).unwrap_or_default();
        return InfoAnswer::Failed {
            temporary: is_temporary(parts.status),
            ask_again,
            detail: format!("the CA answered `{}` when asked for renewal information{said}", parts.status),
        };
    }
    match serde_json::from_slice::<Info>(body).map_err(|error| error.to_string()).and_then(Info::window) {
        Ok(window) => InfoAnswer::Window { window, ask_again },
        Err(why) => {
            let detail = format!("the CA's renewal information is no use: {}", cut(why, LONGEST_DETAIL));
            InfoAnswer::Failed { temporary: false, ask_again, detail }
        }
    }
}

fn failed(error: &TransportError, ask_again: Option<Timestamp>) -> InfoAnswer {
    let temporary = match error {
        TransportError::Timeout { .. } | TransportError::Exchange { .. } => true,
        TransportError::Status { status } => is_temporary(*status),
        TransportError::Connect { .. }
        | TransportError::TooLong
        | TransportError::Redirect { .. }
        | TransportError::NoDirectory { .. }
        | TransportError::DirectoryUrl { .. }
        | TransportError::Url { .. } => false,
    };
    InfoAnswer::Failed { temporary, ask_again, detail: cut(with_causes(error), LONGEST_DETAIL) }
}

fn is_temporary(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

/// RFC 9773 §4.2.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    suggested_window: Suggested,
    #[serde(rename = "explanationURL")]
    explanation: Option<String>,
}

#[derive(Deserialize)]
struct Suggested {
    start: String,
    end: String,
}

impl Info {
    /// A window whose end is not after its start is none (§4.2).
    fn window(self) -> Result<Window, String> {
        let time = |text: &str| text.parse::<Timestamp>().map_err(|_| format!("`{text}` is no time (RFC 3339)"));
        let (start, end) = (time(&self.suggested_window.start)?, time(&self.suggested_window.end)?);
        if end <= start {
            return Err(format!("the window ends at {end}, not after it begins at {start}"));
        }
        Ok(Window { start, end, explanation: self.explanation.filter(|url| is_shown(url)) })
    }
}

/// It is for the operator to open: nothing that could be another scheme, or too long for a label.
fn is_shown(url: &str) -> bool {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    is_web && url.len() <= LONGEST_URL && url.bytes().all(|byte| byte.is_ascii_graphic())
}

const LONGEST_URL: usize = 500;

#[cfg(test)]
mod tests {
    use http::Response;
    use proptest::prelude::*;

    use super::*;

    const LATER: Timestamp = Timestamp::from_unix(1_900_000_000);

    fn answer(status: u16, body: &str) -> InfoAnswer {
        let parts = Response::builder().status(status).body(()).unwrap().into_parts().0;
        read(&parts, &Bytes::copy_from_slice(body.as_bytes()), Some(LATER))
    }

    fn window(start: &str, end: &str, rest: &str) -> String {
        format!(r#"{{"suggestedWindow": {{"start": "{start}", "end": "{end}"}}{rest}}}"#)
    }

    #[test]
    fn given_a_window_when_read_then_with_its_explanation_and_the_next_time() {
        let rest = r#", "explanationURL": "https://ca.test/why""#;
        let InfoAnswer::Window { window, ask_again } =
            answer(200, &window("2026-11-22T01:33:00Z", "2026-11-23T01:33:00.5+01:00", rest))
        else {
            panic!("no window")
        };
        assert_eq!(window.start, Timestamp::from_unix(1_795_311_180));
        assert_eq!(window.end, Timestamp::from_unix(1_795_311_180 + 86_400 - 3600));
        assert_eq!((window.explanation.as_deref(), ask_again), (Some("https://ca.test/why"), Some(LATER)));
    }

    #[test]
    fn given_answers_that_are_no_window_when_read_then_failures_that_last_or_not() {
        let (early, late) = ("2026-11-22T01:33:00Z", "2026-11-23T01:33:00Z");
        let table = [
            ("turned round", 200, window(late, early, ""), false),
            ("empty", 200, window(late, late, ""), false),
            ("no time", 200, window("soon", late, ""), false),
            ("no window", 200, "{}".to_owned(), false),
            ("no JSON", 200, "<html>".to_owned(), false),
            ("unknown certificate", 404, r#"{"detail": "no such certificate"}"#.to_owned(), false),
            ("server error", 500, r#"{"detail": "sorry"}"#.to_owned(), true),
            ("too many", 429, r#"{"detail": "slow down"}"#.to_owned(), true),
        ];
        for (name, status, body, expected) in table {
            let InfoAnswer::Failed { temporary, ask_again, detail } = answer(status, &body) else { panic!("{name}") };
            assert_eq!(ask_again, Some(LATER), "{name}");
            assert_eq!(temporary, expected, "{name}: {detail}");
        }
    }

    #[test]
    fn given_an_explanation_that_is_no_web_page_when_read_then_left_out() {
        for url in ["javascript:alert(1)", "https://ca.test/a b", &format!("https://{}", "a".repeat(600))] {
            let rest = format!(r#", "explanationURL": "{url}""#);
            let InfoAnswer::Window { window, .. } =
                answer(200, &window("2026-11-22T01:33:00Z", "2026-11-23T01:33:00Z", &rest))
            else {
                panic!("no window for {url}")
            };
            assert_eq!(window.explanation, None);
        }
    }

    proptest! {
        #[test]
        fn given_any_bytes_when_read_then_no_panic(body in ".{0,200}", status in 200_u16..600) {
            let _ = answer(status, &body);
        }
    }
}
