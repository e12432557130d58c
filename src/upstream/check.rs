//! Checks of our own: a GET to a peer, from time to time, believed for the same reason as requests.

use std::io;
use std::sync::Weak;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use rand::{Rng, RngExt};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{HealthCheck, ProbeError, Upstream, UpstreamError};

/// Checks one peer until its upstream is gone or replaced.
pub(super) async fn run(upstream: Weak<Upstream>, index: usize) {
    let mut is_first = true;
    loop {
        let in_use = || upstream.upgrade().filter(|upstream| upstream.is_in_use());
        let Some(interval) = in_use().and_then(|upstream| Some(upstream.settings().health.as_ref()?.interval)) else {
            return;
        };
        // Many peers are not to be asked at the same moment; the first answer is wanted soon.
        let pause = if std::mem::take(&mut is_first) { interval.min(FIRST) } else { interval };
        let pause = jittered(pause, &mut rand::rng());
        tokio::time::sleep(pause).await;
        let Some(upstream) = in_use() else { return };
        let settings = upstream.settings();
        let (Some(rules), Some(peer)) = (&settings.health, upstream.peers().get(index)) else { return };
        let outcome = match tokio::time::timeout(rules.timeout, peer.ask(rules, settings.host.as_deref())).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(CheckError::Timeout(rules.timeout)),
        };
        peer.checked(outcome, rules);
    }
}

/// Sends the request of a check and judges the answer's status; the body is not waited for.
pub(super) async fn ask<S>(stream: S, rules: &HealthCheck, host: &str) -> Result<(), CheckError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = Request::get(&rules.path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, concat!("portvakt/", env!("CARGO_PKG_VERSION"), " (health check)"))
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| CheckError::Http(Box::new(error)))?;
    let http = |error: hyper::Error| CheckError::Http(Box::new(error));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    let exchange = sender.send_request(request);
    tokio::pin!(exchange, connection);
    let response = tokio::select! {
        response = &mut exchange => response,
        // The end of the connection before an answer comes out of the exchange too.
        _ended = &mut connection => exchange.await,
    };
    let status = response.map_err(http)?.status();
    if rules.status.contains(&status) { Ok(()) } else { Err(CheckError::Status(status)) }
}

/// Give or take a tenth.
fn jittered(interval: Duration, rng: &mut impl Rng) -> Duration {
    interval.mul_f64(rng.random_range(0.9..1.1))
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The peer's name has no address.
    #[error(transparent)]
    Resolve(UpstreamError),
    /// No connection, or one that is not believed.
    #[error(transparent)]
    Connect(#[from] ProbeError),
    /// No connection to a Unix socket.
    #[error("cannot connect")]
    Socket(#[source] io::Error),
    /// It answers something else.
    #[error("it answers {0}")]
    Status(StatusCode),
    /// No proper answer.
    #[error("no proper answer")]
    Http(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

const FIRST: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::SmallRng;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn given_answers_when_asked_then_judged_by_status_alone() {
        let rules = HealthCheck { status: vec![StatusCode::OK, StatusCode::NO_CONTENT], ..HealthCheck::of("/up?a=b") };
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nbut few come", "fine"),
            ("HTTP/1.1 204 No Content\r\n\r\n", "fine"),
            ("HTTP/1.0 200 OK\r\n\r\n", "fine"),
            ("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", "it answers 503 Service Unavailable"),
            ("220 smtp\r\n", "no proper answer"),
            ("", "no proper answer"),
        ] {
            let (ours, mut theirs) = tokio::io::duplex(4096);
            let server = tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let length = theirs.read(&mut request).await.unwrap();
                theirs.write_all(answer.as_bytes()).await.unwrap();
                String::from_utf8_lossy(&request[..length]).into_owned()
            });

            let outcome = ask(ours, &rules, "app.local").await;

            assert_eq!(outcome.map_or_else(|error| error.to_string(), |()| "fine".into()), expected);
            let request = server.await.unwrap().to_lowercase();
            assert!(request.starts_with("get /up?a=b http/1.1\r\nhost: app.local\r\n"), "{request}");
        }
    }

    #[test]
    fn given_an_interval_when_jittered_then_within_a_tenth() {
        let mut rng = SmallRng::seed_from_u64(1);
        for _ in 0..1000 {
            let pause = jittered(Duration::from_secs(10), &mut rng);
            assert!((Duration::from_secs(9)..Duration::from_secs(11)).contains(&pause), "{pause:?}");
        }
    }
}
