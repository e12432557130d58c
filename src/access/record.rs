//! One request in the access log. The names of the fields are an interface.

use std::net::IpAddr;
use std::time::Duration;

use http::{Method, Version};
use serde::{Serialize, Serializer};

use super::Query;
use crate::time::Moment;

/// What is written of a request. It owns everything, so that it can leave the request's task.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// When the request ended.
    #[serde(serialize_with = "text")]
    pub time: Moment,
    /// Ours where an error was answered, else the request's `X-Request-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Of a sound `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The address of the client, as far as we know it.
    pub client: IpAddr,
    /// Kind and address.
    pub listener: String,
    /// Its name; `None` for a name that is none of ours.
    pub site: Option<String>,
    /// Its name.
    pub route: Option<String>,
    /// As sent.
    #[serde(serialize_with = "text")]
    pub method: Method,
    /// Path, and the query or a sign that there was one; cut at 2 KiB.
    pub path: String,
    /// `HTTP/1.1`, `HTTP/2.0`.
    #[serde(serialize_with = "version")]
    pub protocol: Version,
    /// `TLSv1.3`; `None` for plain HTTP.
    pub tls: Option<String>,
    /// `None` when the client left before an answer was begun.
    pub status: Option<u16>,
    /// Bytes of the request's body that were read.
    pub bytes_in: usize,
    /// Bytes of the answer's body that were sent.
    pub bytes_out: usize,
    /// Milliseconds from the header to the end of the answer.
    #[serde(serialize_with = "milliseconds")]
    pub duration_ms: Duration,
    /// The upstream's name.
    pub upstream: Option<String>,
    /// The last server of it that was tried.
    pub peer: Option<String>,
    /// Milliseconds from choosing that server to the header of its answer.
    #[serde(serialize_with = "maybe_milliseconds")]
    pub upstream_ms: Option<Duration>,
    /// Cut at 512 bytes.
    pub user_agent: Option<String>,
    /// What was done: `forwarded`, `redirected`, `refused`, `challenge`, `failed`.
    pub outcome: &'static str,
    /// Why it failed, in one word of a closed set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
}

/// The target of a request as it may be written: path and query of `target`, which is in origin form.
pub fn told_target(target: &[u8], query: Query) -> String {
    let (path, has_query) = match target.iter().position(|byte| *byte == b'?') {
        Some(at) if query == Query::Redact => (&target[..at], true),
        _ => (target, false),
    };
    let mut text = cut(&String::from_utf8_lossy(path), LONGEST_PATH);
    if has_query {
        text.push_str("?[redacted]");
    }
    text
}

/// At most so many bytes of a text.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.len() > most {
        true => format!("{}...", &text[..text.floor_char_boundary(most)]),
        false => text.to_owned(),
    }
}

impl Record {
    /// A header's value as a field: bytes that are no text are shown as such, and what is too long is cut.
    pub fn field(value: &[u8]) -> String {
        cut(&String::from_utf8_lossy(value), LONGEST_FIELD)
    }

    /// As one line of JSON, which escapes every control character.
    pub(super) fn write_line(&self, to: &mut Vec<u8>) {
        let before = to.len();
        // Writing to memory does not fail, and every key is a string.
        if serde_json::to_writer(&mut *to, self).is_err() {
            to.truncate(before);
            return;
        }
        to.push(b'\n');
    }
}

fn text<T: std::fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn version<S: Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{version:?}"))
}

fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // To the microsecond.
    serializer.serialize_f64((duration.as_secs_f64() * 1e6).round() / 1e3)
}

fn maybe_milliseconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => milliseconds(duration, serializer),
        None => serializer.serialize_none(),
    }
}

const LONGEST_PATH: usize = 2048;
const LONGEST_FIELD: usize = 512;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn given_targets_when_told_then_the_query_only_where_asked_for() {
        for (target, redacted, kept) in [
            ("/a?b=c", "/a?[redacted]", "/a?b=c"),
            ("/a?", "/a?[redacted]", "/a?"),
            ("/a", "/a", "/a"),
            ("/a?b?c", "/a?[redacted]", "/a?b?c"),
            ("*", "*", "*"),
        ] {
            assert_eq!(told_target(target.as_bytes(), Query::Redact), redacted);
            assert_eq!(told_target(target.as_bytes(), Query::Keep), kept);
        }
        assert_eq!(told_target(&[b'/', 0xFF], Query::Keep), "/\u{FFFD}");
        assert_eq!(told_target(format!("/{}", "å".repeat(3000)).as_bytes(), Query::Keep).len(), 2047 + 3);
    }

    #[test]
    fn given_control_characters_when_written_then_one_line_of_json_that_reads_back() {
        let hostile = "a\r\n{\"forged\":true}\u{1b}[2J\u{2028}";
        let record = Record { user_agent: Some(hostile.to_owned()), ..record() };
        let mut line = Vec::new();

        record.write_line(&mut line);

        assert!(line.iter().filter(|byte| **byte < 0x20).eq(b"\n"), "{}", String::from_utf8_lossy(&line));
        let read: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(read["user_agent"], hostile);
        assert_eq!((&read["duration_ms"], &read["protocol"]), (&1.5.into(), &"HTTP/1.1".into()));
        assert!(read.get("request_id").is_none() && read["upstream"].is_null(), "{read}");
    }

    pub(in crate::access) fn record() -> Record {
        Record {
            time: Moment::now(),
            request_id: None,
            trace_id: None,
            client: [192, 0, 2, 7].into(),
            listener: "https 127.0.0.1:443".into(),
            site: Some("m5.test".into()),
            route: Some("m5.test:/".into()),
            method: Method::GET,
            path: "/".into(),
            protocol: Version::HTTP_11,
            tls: Some("TLSv1.3".into()),
            status: Some(200),
            bytes_in: 0,
            bytes_out: 5,
            duration_ms: Duration::from_micros(1500),
            upstream: None,
            peer: None,
            upstream_ms: None,
            user_agent: None,
            outcome: "forwarded",
            error: None,
        }
    }
}
