//! Whether each CA can be reached, is one, and offers what is asked of it.

use std::time::Duration;

use http::{Request, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use serde::Deserialize;

use super::super::finding::Finding;
use super::super::topic::Topic;
use crate::causes::with_causes;
use crate::config::Config;
use crate::pki::TrustAnchors;
use crate::source::{AcmeSettings, Settings};
use crate::time::{Clock, SystemClock, Timestamp};

/// What was seen of one CA.
pub(super) struct Seen {
    pub(super) directory: String,
    /// Names that it looks for in CAA records.
    pub(super) caa: Vec<String>,
    pub(super) findings: Vec<Finding>,
}

/// The parts of a directory object that matter here (RFC 8555 §7.1.1).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Directory {
    #[serde(rename = "newNonce")]
    _new_nonce: String,
    #[serde(rename = "newAccount")]
    _new_account: String,
    #[serde(rename = "newOrder")]
    _new_order: String,
    #[serde(default)]
    meta: Meta,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    caa_identities: Vec<String>,
    external_account_required: bool,
    profiles: serde_json::Map<String, serde_json::Value>,
}

/// Asks each CA of the configuration for its directory.
pub(super) async fn look(config: &Config, now: Timestamp) -> Vec<Seen> {
    let mut cas: Vec<&AcmeSettings> = Vec::new();
    for certificate in &config.certificates {
        if let Settings::Acme(settings) = &certificate.source {
            cas.extend(settings.iter());
        }
    }
    cas.sort_by(|one, other| one.directory.cmp(&other.directory));
    cas.dedup_by(|one, other| one.directory == other.directory);
    let mut seen = Vec::new();
    for ca in cas {
        seen.push(one(ca, now).await);
    }
    seen
}

async fn one(ca: &AcmeSettings, now: Timestamp) -> Seen {
    let mut seen = Seen { directory: ca.directory.clone(), caa: Vec::new(), findings: Vec::new() };
    let unfit =
        |detail: String| Finding::fault(Topic::CaUnfit, vec![("directory", ca.directory.clone()), ("detail", detail)]);
    let fetched = tokio::time::timeout(LIMIT, fetch(ca)).await;
    let (body, date) = match fetched.unwrap_or_else(|_elapsed| Err(format!("no answer within {} s", LIMIT.as_secs()))) {
        Ok(fetched) => fetched,
        Err(detail) => {
            seen.findings.push(unfit(detail));
            return seen;
        }
    };
    // The clock may be judged even by an answer that is no directory.
    seen.findings.extend(date.and_then(|date| clock(date, SystemClock.now().max(now))));
    match serde_json::from_slice::<Directory>(&body) {
        Err(_) => seen.findings.push(unfit("it answers, but not with an ACME directory".to_owned())),
        Ok(directory) => {
            seen.findings.extend(offers(ca, &directory.meta).map(unfit));
            seen.caa = directory.meta.caa_identities;
        }
    }
    seen
}

/// What the CA wants or lacks.
fn offers(ca: &AcmeSettings, meta: &Meta) -> Option<String> {
    let profiles = || meta.profiles.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match &ca.profile {
        Some(profile) if !meta.profiles.contains_key(profile) => Some(format!(
            "it has no profile `{profile}`; it has {}",
            if meta.profiles.is_empty() { "none".to_owned() } else { profiles() }
        )),
        _ if meta.external_account_required && ca.eab.is_none() => Some(
            "it gives accounts only to those whom it knows (external account binding): `eab` is missing".to_owned(),
        ),
        _ => None,
    }
}

/// How far the two clocks are apart.
fn clock(theirs: Timestamp, ours: Timestamp) -> Option<Finding> {
    let apart = theirs.since(ours).max(ours.since(theirs));
    let direction = if ours < theirs { "behind" } else { "ahead" };
    let facts = vec![("minutes", (apart.as_secs() / 60).to_string()), ("detail", direction.to_owned())];
    match apart {
        apart if apart >= WRONG => Some(Finding::fault(Topic::ClockWrong, facts)),
        apart if apart >= ODD => Some(Finding::mend(Topic::ClockWrong, facts)),
        _ => None,
    }
}

async fn fetch(ca: &AcmeSettings) -> Result<(bytes::Bytes, Option<Timestamp>), String> {
    let anchors = ca.trust_anchors.clone().unwrap_or_else(TrustAnchors::mozilla);
    let tls = ClientConfig::builder_with_provider(std::sync::Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(anchors.root_store())
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().wrap_connector(tcp);
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<bytes::Bytes>>(connector);
    let request = Request::get(&ca.directory)
        .header(header::USER_AGENT, concat!("portvakt/", env!("CARGO_PKG_VERSION"), " (doctor)"))
        .body(Empty::new())
        .map_err(|error| error.to_string())?;
    let response = client.request(request).await.map_err(|error| with_causes(&error))?;
    let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| httpdate::parse_http_date(date).ok()).map(Timestamp::from);
    if !response.status().is_success() {
        return Err(format!("it answers {}", response.status()));
    }
    let body = Limited::new(response.into_body(), MOST_BYTES).collect().await.map_err(|error| error.to_string())?;
    Ok((body.to_bytes(), date))
}

const LIMIT: Duration = Duration::from_secs(20);
const MOST_BYTES: usize = 1 << 20;
/// A CA's answer may be a few minutes old.
const ODD: Duration = Duration::from_secs(300);
const WRONG: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;

    #[test]
    fn given_two_clocks_when_compared_then_an_hour_is_too_much() {
        let now = Timestamp::from_unix(1_795_311_180);
        let second = Duration::from_secs(1);
        for (theirs, expected) in [
            (now, None),
            (now + second * 299, None),
            (now + second * 300, Some(Level::Mend)),
            (now - second * 3599, Some(Level::Mend)),
            (now - second * 3600, Some(Level::Broken)),
        ] {
            assert_eq!(clock(theirs, now).map(|finding| finding.level), expected, "{theirs}");
        }
    }

    #[test]
    fn given_what_a_ca_offers_when_asked_for_more_then_it_is_said() {
        let meta = |text: &str| serde_json::from_str::<Meta>(text).unwrap();
        let ca = AcmeSettings { profile: Some("short".to_owned()), ..AcmeSettings::default() };
        assert!(offers(&ca, &meta(r#"{"profiles": {"classic": "x"}}"#)).unwrap().contains("it has `classic`"));
        assert!(offers(&ca, &meta("{}")).unwrap().contains("it has none"));
        assert_eq!(offers(&ca, &meta(r#"{"profiles": {"short": "x"}}"#)), None);
        let plain = AcmeSettings::default();
        assert!(offers(&plain, &meta(r#"{"externalAccountRequired": true}"#)).unwrap().contains("`eab` is missing"));
        assert_eq!(offers(&plain, &meta("{}")), None);
    }
}
