//! A CA that refuses for now is not asked again before the time it has named, whatever happens here meanwhile.
//!
//! pebble knows no rate limits, so a stand-in at the network's edge plays the CA.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portvakt::challenge::Challenges;
use portvakt::lifecycle::{Reason, State};
use portvakt::pki::{KeyType, TrustAnchors};
use portvakt::source::{AcmeSettings, CertificateSettings, ChallengeKind, Settings};
use portvakt::time::Clock;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::acme_engine::{Engine, SkippingClock, until};
use crate::support::Ca;

#[tokio::test(flavor = "multi_thread")]
async fn given_a_retry_after_of_two_hours_when_ordering_then_no_order_before_not_even_after_restart_and_reload() {
    let ca = RefusingCa::start("429 Too Many Requests\r\nretry-after: 7200", &problem("rateLimited")).await;
    let (state, clock) = (tempfile::tempdir().unwrap(), SkippingClock::default());
    let engine = ca.engine(state.path(), &clock);
    engine.manager.apply(vec![ca.settings("a@m5.test")]).await;

    let failure = engine.failed("m5").await;
    assert_eq!(failure.reason, Reason::RateLimited, "{failure:?}");
    assert!(failure.detail.contains("the CA's own words"), "{failure:?}");
    engine.planned("m5").await;
    let next = engine.status("m5").life.next;
    let wait = next.at.unwrap().since(clock.now());
    assert!((7100..=7200).contains(&wait.as_secs()), "{wait:?}");
    assert_eq!(next.why, "the CA asks to wait");

    clock.skip(Duration::from_secs(7000));
    engine.manager.apply(vec![ca.settings("b@m5.test")]).await;
    engine.planned("m5").await;
    drop(engine);
    let engine = ca.engine(state.path(), &clock);
    engine.manager.apply(vec![ca.settings("b@m5.test")]).await;
    engine.planned("m5").await;
    assert_eq!((ca.orders(), engine.status("m5").life.next.at), (1, next.at));

    clock.skip(Duration::from_secs(201));
    until("ordered again", || ca.orders() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_an_identifier_that_the_ca_rejects_when_ordering_then_waits_for_other_settings() {
    let ca = RefusingCa::start("400 Bad Request", &problem("rejectedIdentifier")).await;
    let (state, clock) = (tempfile::tempdir().unwrap(), SkippingClock::default());
    let engine = ca.engine(state.path(), &clock);
    engine.manager.apply(vec![ca.settings("a@m5.test")]).await;

    assert_eq!(engine.failed("m5").await.reason, Reason::RejectedIdentifier);
    engine.planned("m5").await;
    let life = engine.status("m5").life;
    assert_eq!((life.state, life.next.at), (State::Placeholder, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_proxy_that_answers_in_the_cas_place_when_ordering_then_said_so() {
    let ca = RefusingCa::start("502 Bad Gateway\r\nretry-after: 600", "<html>a proxy</html>").await;
    let (state, clock) = (tempfile::tempdir().unwrap(), SkippingClock::default());
    let engine = ca.engine(state.path(), &clock);
    engine.manager.apply(vec![ca.settings("a@m5.test")]).await;

    let failure = engine.failed("m5").await;
    assert_eq!(failure.reason, Reason::Server);
    assert!(failure.detail.contains("502") && failure.detail.contains("is it an ACME server?"), "{failure:?}");
    engine.planned("m5").await;
    assert!(engine.status("m5").life.next.at.unwrap().since(clock.now()) > Duration::from_secs(590));
}

fn problem(kind: &str) -> String {
    format!(r#"{{"type": "urn:ietf:params:acme:error:{kind}", "detail": "the CA's own words"}}"#)
}

/// An ACME server that registers accounts, and gives every order one answer.
struct RefusingCa {
    directory: String,
    anchors: TrustAnchors,
    orders: Arc<AtomicUsize>,
}

impl RefusingCa {
    async fn start(status: &str, body: &str) -> Self {
        let ca = Ca::new("root of the CA's own listener");
        let leaf = ca.issue(&["127.0.0.1"]);
        let chain = vec![CertificateDer::from_pem_slice(leaf.chain.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let base = format!("https://{}", listener.local_addr().unwrap());
        let orders = Arc::new(AtomicUsize::new(0));
        let refusal = format!("{status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), base.clone(), refusal, orders.clone()));
        let anchors = TrustAnchors::from_pem(ca.pem().as_bytes()).unwrap();
        Self { directory: format!("{base}/dir"), anchors, orders }
    }

    fn engine(&self, state: &Path, clock: &SkippingClock) -> Engine {
        Engine::new(state, Challenges::default(), Arc::new(clock.clone()))
    }

    fn settings(&self, contact: &str) -> CertificateSettings {
        let acme = AcmeSettings {
            directory: self.directory.clone(),
            trust_anchors: Some(self.anchors.clone()),
            agree_tos: true,
            contact: vec![format!("mailto:{contact}")],
            challenges: vec![ChallengeKind::Http01],
            key_type: KeyType::P256,
            ..AcmeSettings::default()
        };
        let identifiers = vec!["m5.test".to_owned()];
        CertificateSettings { name: "m5".to_owned(), identifiers, source: Settings::Acme(acme.into()) }
    }

    fn orders(&self) -> usize {
        self.orders.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, base: String, refusal: String, orders: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, base, refusal, orders) = (tls.clone(), base.clone(), refusal.clone(), orders.clone());
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let mut stream = BufReader::new(stream);
            while let Some(path) = read_request(&mut stream).await {
                if path == "/order" {
                    orders.fetch_add(1, Ordering::SeqCst);
                }
                let answer = answer(&path, &base, &refusal);
                if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Reads a request whole, and gives its path.
async fn read_request(stream: &mut (impl AsyncBufReadExt + AsyncReadExt + Unpin)) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    head.split(' ').nth(1).map(str::to_owned)
}

fn answer(path: &str, base: &str, refusal: &str) -> String {
    let json = |head: &str, body: &str| {
        format!("HTTP/1.1 {head}\r\nreplay-nonce: bm9uY2U\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    match path {
        "/dir" => json(
            "200 OK",
            &format!(r#"{{"newNonce": "{base}/nonce", "newAccount": "{base}/account", "newOrder": "{base}/order"}}"#),
        ),
        "/nonce" => "HTTP/1.1 200 OK\r\nreplay-nonce: bm9uY2U\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "/account" => json(&format!("201 Created\r\nlocation: {base}/account/1"), r#"{"status": "valid"}"#),
        "/account/1" => json("200 OK", r#"{"status": "valid"}"#),
        _ => format!("HTTP/1.1 {}", refusal.replacen("\r\n", "\r\nreplay-nonce: bm9uY2U\r\n", 1)),
    }
}
