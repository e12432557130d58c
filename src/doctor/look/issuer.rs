//! Certificates that a server forgets to send, fetched from where its own say that they are (RFC 5280 §4.2.2.1).
//!
//! As iOS and browsers do it on a desktop: over plain HTTP, since the certificate proves itself.

use std::time::Duration;

use http::{Request, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::super::trust::{Roots, dead_end};
use crate::pki::{Certificate, CertificateChain};

/// Fetches issuer after issuer, until a root is reached or one cannot be had.
pub(super) async fn fetch_missing(chain: &[Certificate], roots: &Roots) -> Vec<Certificate> {
    let Some(leaf) = chain.first() else { return Vec::new() };
    let mut pool = chain.to_vec();
    let mut fetched = Vec::new();
    for _ in 0..MOST_FETCHED {
        let url = dead_end(leaf, &pool, roots).and_then(|last| last.issuers_url().map(str::to_owned));
        let Some(url) = url else { break };
        let Ok(Some(found)) = tokio::time::timeout(FETCH, fetch(&url)).await else { break };
        let new: Vec<_> = found.into_iter().filter(|certificate| !pool.contains(certificate)).collect();
        if new.is_empty() {
            break;
        }
        pool.extend(new.iter().cloned());
        fetched.extend(new);
    }
    fetched
}

async fn fetch(url: &str) -> Option<Vec<Certificate>> {
    let uri: Uri = url.parse().ok()?;
    if uri.scheme_str() != Some("http") {
        return None;
    }
    let stream = TcpStream::connect((uri.host()?.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80))).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let driver = tokio::spawn(connection);
    let request = Request::get(uri.path_and_query()?.as_str())
        .header(header::HOST, uri.authority()?.as_str())
        .header(header::USER_AGENT, concat!("portvakt/", env!("CARGO_PKG_VERSION"), " (doctor)"))
        .header(header::CONNECTION, "close")
        .body(Empty::<&[u8]>::new())
        .ok()?;
    let response = sender.send_request(request).await.ok()?;
    let body = match response.status().is_success() {
        true => Limited::new(response.into_body(), MOST_BYTES).collect().await.ok().map(|body| body.to_bytes()),
        false => None,
    };
    driver.abort();
    let certificates = CertificateChain::certificates_of_file(&body?).ok()?;
    Some(certificates.into_iter().take(MOST_FETCHED).filter_map(|der| Certificate::read(der).ok()).collect())
}

const FETCH: Duration = Duration::from_secs(8);
const MOST_FETCHED: usize = 4;
const MOST_BYTES: usize = 64 * 1024;
