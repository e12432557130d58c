use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;
use crate::language::{Lang, Say};
use crate::lifecycle;
use crate::lifecycle::budget::Limit;
use crate::lifecycle::outlook::Todo;
use crate::metrics::{CertificateRole, CertificateStatus};
use crate::time::Timestamp;

struct Fixed {
    live: bool,
    reasons: Vec<String>,
    strict_reasons: Vec<String>,
}

impl State for Fixed {
    fn metrics(&self) -> Vec<u8> {
        b"portvakt_build_info 1\n".to_vec()
    }

    fn status(&self) -> Status {
        status()
    }

    fn is_live(&self) -> bool {
        self.live
    }

    fn readiness(&self, strict: bool) -> Result<(), Vec<String>> {
        let reasons = if strict { &self.strict_reasons } else { &self.reasons };
        if reasons.is_empty() { Ok(()) } else { Err(reasons.clone()) }
    }
}

fn healthy() -> Fixed {
    Fixed { live: true, reasons: Vec::new(), strict_reasons: Vec::new() }
}

fn bankid() -> ClientIdentity {
    let shown = |slot, is_in_use, days_left| ShownIdentity {
        slot,
        is_in_use,
        file: Some("/etc/rp.p12".to_owned()),
        subject: "FP <Testcert> 5".to_owned(),
        display_name: "Test av BankID".to_owned(),
        issuer: "Testbank A".to_owned(),
        sha256: "ef15".to_owned(),
        not_before: Some(Timestamp::from_unix(0)),
        not_after: Some(Timestamp::from_unix(days_left * 86_400)),
        days_left: Some(days_left),
        accepted: None,
        refused: None,
        trouble: None,
    };
    ClientIdentity {
        destination: "bankid".to_owned(),
        is_bankid: true,
        in_use: Some("identity"),
        why: Some(lifecycle::rotation::Why::NextUntried),
        identities: vec![shown("identity", true, 12), shown("next", false, 900)],
        last_refusal: Some(IdentityRefusal {
            at: Timestamp::from_unix(7),
            reason: "expired",
            detail: "the certificate has expired: alert".to_owned(),
        }),
        last_trial: None,
        last_answer: Some(Timestamp::from_unix(20)),
        next: IdentityAction { todo: Todo::OrderNow, action: "order a new one at your bank".to_owned(), at: None },
    }
}

fn status() -> Status {
    let facts = CertificateStatus {
        name: "m5".to_owned(),
        role: CertificateRole::Listener,
        state: lifecycle::State::Placeholder,
        not_before: Some(Timestamp::from_unix(0)),
        not_after: Some(Timestamp::from_unix(90 * 86_400)),
        chain_not_after: None,
        renewal_due: None,
        emergency: None,
        renewal_manual: false,
        issuer: "<script>alert(1)</script>".to_owned(),
        serial: "01".to_owned(),
        sha256: "ab".to_owned(),
        key_type: "ecdsa-p256".to_owned(),
        profile: String::new(),
        sans: vec!["m5.test".to_owned()],
        consecutive_failures: 1,
        last_attempt: None,
        last_success: None,
        next_attempt: None,
        next_action: "renew",
        next_reason: "renewal_planned",
        information: Some(crate::metrics::RenewalInformation {
            window: None,
            asked_at: Timestamp::from_unix(50),
            explanation: Some("https://ca.test/?a&b".to_owned()),
        }),
        stored: Some(true),
    };
    let failure = lifecycle::LastFailure {
        at: Timestamp::from_unix(50),
        reason: lifecycle::Reason::Connection,
        detail: "& so on".to_owned(),
        fix: Some("open <port> 80".to_owned()),
    };
    let next = Next {
        action: "issue".to_owned(),
        at: Some(Timestamp::from_unix(120)),
        reason: "retry_after",
        why: "the CA asks to wait".to_owned(),
    };
    Status {
        version: "0.1.0".to_owned(),
        host: "door".to_owned(),
        phase: Phase::Ready,
        now: Timestamp::from_unix(60),
        started: Timestamp::from_unix(0),
        uptime: 60,
        config_file: Some("/etc/portvakt.toml".to_owned()),
        last_reload: Reload { ok: false, at: Timestamp::from_unix(30), error: Some("error[PV0204]: <b>".to_owned()) },
        descriptor_limit: Some(1024),
        confined: false,
        listeners: vec![Listener { kind: ListenerKind::Https, address: "127.0.0.1:5001".to_owned() }],
        http1_only: vec![Http1Only { site: "m5.test".to_owned(), since: Some(Timestamp::from_unix(20)) }],
        enforcement: vec![Enforced {
            site: "m5.test".to_owned(),
            mode: "observe",
            redirected: 0,
            rejected: 0,
            credential_blocked: 0,
            allowed: 12_345,
            would_redirect: 0,
            would_reject: 7,
        }],
        observe: vec![Observing {
            site: "m5.test".to_owned(),
            since: Timestamp::from_unix(0),
            would_refuse: 7,
            would_redirect: 0,
            requests: vec![Observed {
                path: Some("/<i>/".to_owned()),
                client: "android_app",
                who: "an Android app (okhttp)",
                risk: "breaks",
                reason: "path",
                why: "the path is closed to plain HTTP",
                method: "POST",
                count: 7,
                first_seen: Timestamp::from_unix(10),
                last_seen: Timestamp::from_unix(50),
            }],
        }],
        certificates: vec![Certificate::new(facts, Some(next), Some(failure))],
        served: vec![Served {
            certificate: "m5".to_owned(),
            listener: "https 0.0.0.0:443".to_owned(),
            name: "m5.test".to_owned(),
            at: Some(Timestamp::from_unix(50)),
            as_published: Some(false),
            found: "another certificate is shown: sha256 <ab>".to_owned(),
        }],
        client_identities: vec![bankid()],
        client_crls: vec![ClientCrl {
            site: "m5.test".to_owned(),
            file: "staff.crl".to_owned(),
            issuer: "CN=Staff".to_owned(),
            this_update: Timestamp::from_unix(0),
            due: Timestamp::from_unix(50),
            next_update: Timestamp::from_unix(3600),
            refuses_when_old: true,
        }],
        egress: vec![Egress {
            name: "bankid".to_owned(),
            address: "https://appapi2.test.bankid.com:443".to_owned(),
            listener: "127.0.0.1:9000".to_owned(),
            last_call: Some(Call {
                at: Timestamp::from_unix(55),
                answered: false,
                code: Some("PV0436".to_owned()),
                error: Some("UnknownIssuer".to_owned()),
            }),
        }],
        upstreams: vec![Upstream {
            name: "legacy".to_owned(),
            address: "http://127.0.0.1:8080".to_owned(),
            healthy: false,
            last_error: Some("refused".to_owned()),
            peers: vec![Peer {
                address: "http://127.0.0.1:8080".to_owned(),
                healthy: false,
                state: "ejected",
                requests: 1,
                last_error: Some("refused".to_owned()),
                code: None,
                trust: Some("pinned"),
                certificate: Some(PeerCertificate {
                    subject: "legacy".to_owned(),
                    sha256: "cd".to_owned(),
                    not_before: Timestamp::from_unix(0),
                    not_after: Timestamp::from_unix(5 * 86_400),
                }),
            }],
        }],
        troubles: vec![Trouble {
            code: "PV0317".to_owned(),
            reason: "ssl_required",
            about: "legacy<".to_owned(),
            what: "why",
            fix: "so",
            count: 3,
            first_seen: Timestamp::from_unix(30),
            last_seen: Timestamp::from_unix(40),
        }],
        acme: vec![Acme {
            directory: "https://ca.test/dir".to_owned(),
            name: None,
            account: None,
            clock_ahead: Some(7200),
            limits: vec![],
            certificates: vec![AcmeCertificate {
                name: "m5".to_owned(),
                limits: vec![Allowance {
                    limit: Limit::SameSet,
                    of: "m5.test".to_owned(),
                    left: 0,
                    capacity: 5,
                    next: Some(Timestamp::from_unix(4000)),
                }],
                retry_after: Some(Timestamp::from_unix(5000)),
            }],
        }],
        notifiers: vec![Notifier {
            name: "ops".to_owned(),
            kind: "webhook",
            to: "webhook https://hooks.test".to_owned(),
            last_delivery: Some(Timestamp::from_unix(50)),
            last_error: Some(NotifierFailure {
                at: Timestamp::from_unix(70),
                error: "cannot connect <to it>".to_owned(),
                fix: Say::new("start the receiver", "starta mottagaren", "start mottakeren", "den Empfänger starten"),
            }),
            waiting: 2,
            next_try: Some(Timestamp::from_unix(130)),
        }],
        events: vec![Event {
            at: Timestamp::from_unix(40),
            kind: EventKind::Failed,
            about: "m5".to_owned(),
            reason: Some(lifecycle::Reason::Connection),
            detail: Detail::Words("<u>refused".to_owned()),
        }],
    }
}

struct Running {
    address: SocketAddr,
    shutdown: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(state: impl State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let (shutdown, receiver) = watch::channel(false);
        let task = tokio::spawn(serve(listener, Arc::new(state), receiver));
        Self { address, shutdown, task }
    }

    /// Sends raw bytes and reads until the end.
    async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.expect("connect");
        stream.write_all(request.as_bytes()).await.expect("write");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        answer
    }

    async fn get(&self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await
    }
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[tokio::test]
async fn given_each_path_when_asked_then_its_answer() {
    let server = Running::start(healthy()).await;
    #[rustfmt::skip]
    let table = [
        ("/metrics",             "200 OK",        "text/plain; version=0.0.4; charset=utf-8", "portvakt_build_info 1\n"),
        ("/livez",               "200 OK",        "text/plain; charset=utf-8",                "live\n"),
        ("/readyz",              "200 OK",        "text/plain; charset=utf-8",                "ready\n"),
        ("/readyz?cert=strict",  "200 OK",        "text/plain; charset=utf-8",                "ready\n"),
        ("/status.json",         "200 OK",        "application/json",                         "\"version\": \"0.1.0\""),
        ("/",                    "200 OK",        "text/html; charset=utf-8",                 "<h1>"),
        ("/status.schema.json",  "200 OK",        "application/schema+json",                  "json-schema.org"),
        ("/nothing",             "404 Not Found", "text/plain; charset=utf-8",                "not found"),
        ("/metrics/",            "404 Not Found", "text/plain; charset=utf-8",                "not found"),
    ];
    for (path, status, content_type, part) in table {
        let answer = server.get(path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{path}: {answer}");
        assert!(answer.contains(&format!("content-type: {content_type}\r\n")), "{path}: {answer}");
        assert!(answer.contains("cache-control: no-store\r\n"), "{path}: {answer}");
        assert!(body(&answer).contains(part), "{path}: {answer}");
    }
}

/// Its disk does not answer until it is let.
struct Hung {
    asked: tokio::sync::mpsc::UnboundedSender<()>,
    held: std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
}

impl State for Hung {
    fn metrics(&self) -> Vec<u8> {
        b"portvakt_build_info 1\n".to_vec()
    }

    fn status(&self) -> Status {
        self.asked.send(()).expect("the test");
        self.held.lock().expect("nobody else").recv_timeout(Duration::from_secs(30)).expect("let go");
        status()
    }

    fn is_live(&self) -> bool {
        true
    }

    fn readiness(&self, _strict: bool) -> Result<(), Vec<String>> {
        Ok(())
    }
}

#[tokio::test]
async fn given_a_disk_that_hangs_when_the_status_is_asked_then_all_else_is_answered() {
    let (asked, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let (release, held) = std::sync::mpsc::channel();
    let server = Running::start(Hung { asked, held: held.into() }).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /status.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    begun.recv().await.unwrap();

    for path in ["/livez", "/readyz", "/metrics", "/status.schema.json"] {
        assert!(server.get(path).await.starts_with("HTTP/1.1 200"), "{path}");
    }

    release.send(()).expect("it is still asked for");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn given_a_foreign_certificate_and_a_word_of_the_ca_when_asked_then_both_are_told() {
    let server = Running::start(healthy()).await;

    let page = server.get("/").await;
    assert!(page.contains("another certificate is shown: sha256 &lt;ab&gt;"), "{page}");
    assert!(page.contains("<code>https://ca.test/?a&amp;b</code>"), "{page}");
    let status: serde_json::Value = serde_json::from_str(body(&server.get("/status.json").await)).unwrap();
    assert_eq!(status["served"][0]["as_published"], false);
    assert_eq!(status["certificates"][0]["renewal_information"]["explanation"], "https://ca.test/?a&b");
}

#[tokio::test]
async fn given_a_request_with_one_flaw_when_sent_then_its_status() {
    let server = Running::start(healthy()).await;
    #[rustfmt::skip]
    let table = [
        ("GET /livez HTTP/1.1\r\nHost: 127.0.0.1:9464",          "200"),
        ("GET /livez HTTP/1.1\r\nHost: [::1]:9464",              "200"),
        ("GET /livez HTTP/1.1\r\nHost: LOCALHOST:9464",          "200"),
        ("GET /livez HTTP/1.1\r\nHost: a.localhost",             "200"),
        ("GET /livez HTTP/1.0",                                  "200"),
        ("HEAD /livez HTTP/1.1\r\nHost: localhost",              "200"),
        ("GET http://localhost/livez HTTP/1.1\r\nHost: localhost", "200"),
        ("GET /livez HTTP/1.1",                                  "400"),
        ("GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost", "400"),
        ("GET /livez HTTP/1.1\r\nHost: evil.test",               "403"),
        ("GET /livez HTTP/1.1\r\nHost: evillocalhost",           "403"),
        ("GET /livez HTTP/1.1\r\nHost: 127.0.0.1.evil.test",     "403"),
        ("GET /livez HTTP/1.1\r\nHost: evil.test@localhost",     "403"),
        ("GET /livez HTTP/1.1\r\nHost:",                         "403"),
        ("GET http://evil.test/livez HTTP/1.1\r\nHost: localhost", "403"),
        ("POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0", "405"),
        ("TRACE /livez HTTP/1.1\r\nHost: localhost",             "405"),
        ("nonsense",                                             "400"),
    ];
    for (request, status) in table {
        let answer = server.send(&format!("{request}\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{request}: {answer}");
        assert_eq!(status == "405", answer.contains("allow: GET, HEAD\r\n"), "{request}: {answer}");
        assert_eq!(
            request.starts_with("HEAD") || request == "nonsense",
            body(&answer).is_empty(),
            "{request}: {answer}"
        );
    }
}

#[tokio::test]
async fn given_something_amiss_when_health_is_asked_then_503_with_reasons() {
    let server =
        Running::start(Fixed { live: false, strict_reasons: vec!["m5: placeholder".to_owned()], ..healthy() }).await;
    assert!(server.get("/livez").await.starts_with("HTTP/1.1 503 "));
    assert!(server.get("/readyz").await.starts_with("HTTP/1.1 200 "));
    let strict = server.get("/readyz?x=1&cert=strict").await;
    assert!(strict.starts_with("HTTP/1.1 503 "), "{strict}");
    assert_eq!(body(&strict), "not ready\nm5: placeholder\n");
}

#[tokio::test]
async fn given_a_status_when_asked_as_json_then_times_are_rfc_3339() {
    let server = Running::start(healthy()).await;
    let json: serde_json::Value = serde_json::from_str(body(&server.get("/status.json").await)).expect("JSON");
    #[rustfmt::skip]
    let table = [
        ("/now",                       serde_json::json!("1970-01-01T00:01:00Z")),
        ("/uptime",                    serde_json::json!(60)),
        ("/last_reload/ok",            serde_json::json!(false)),
        ("/last_reload/at",            serde_json::json!("1970-01-01T00:00:30Z")),
        ("/listeners/0/kind",          serde_json::json!("https")),
        ("/certificates/0/state",      serde_json::json!("placeholder")),
        ("/certificates/0/role",       serde_json::json!("listener")),
        ("/certificates/0/not_after",  serde_json::json!("1970-04-01T00:00:00Z")),
        ("/certificates/0/last_success", serde_json::Value::Null),
        ("/certificates/0/next/at",    serde_json::json!("1970-01-01T00:02:00Z")),
        ("/upstreams/0/healthy",       serde_json::json!(false)),
        ("/troubles/0/code",           serde_json::json!("PV0317")),
        ("/acme/0/account",            serde_json::Value::Null),
        ("/acme/0/certificates/0/limits/0/limit", serde_json::json!("duplicate_set")),
        ("/phase",                     serde_json::json!("ready")),
        ("/ok",                        serde_json::json!(false)),
        ("/problems/0/level",          serde_json::json!("broken")),
        ("/problems/0/matter",         serde_json::json!("not_served")),
        ("/egress/0/last_call/code",   serde_json::json!("PV0436")),
        ("/client_crls/0/next_update", serde_json::json!("1970-01-01T01:00:00Z")),
        ("/acme/0/clock_ahead",        serde_json::json!(7200)),
        ("/events/0/reason",           serde_json::json!("connection")),
        ("/client_identities/0/why",   serde_json::json!("`next` has not been accepted by the server yet")),
        ("/certificates/0/last_error", serde_json::json!("& so on; open <port> 80 (portvakt help PV0281)")),
        ("/certificates/0/last_failure/reason", serde_json::json!("connection")),
        ("/events/0/kind",             serde_json::json!("failed")),
        ("/client_identities/0/next/todo", serde_json::json!("order_now")),
    ];
    for (pointer, value) in table {
        assert_eq!(json.pointer(pointer), Some(&value), "{pointer}");
    }
}

#[tokio::test]
async fn given_a_status_when_asked_as_page_then_everything_is_told_and_escaped() {
    let server = Running::start(healthy()).await;
    let page = server.get("/").await;
    #[rustfmt::skip]
    let told = [
        "/etc/portvakt.toml", "error[PV0204]: &lt;b&gt;", "portvakt help PV0317", "legacy&lt;", "m5.test", "placeholder", "things need you",
        "Open port 80", "portvakt help PV0281", "&amp; so on", "open &lt;port&gt; 80", "the CA asks to wait until then", "127.0.0.1:5001", "&lt;script&gt;",
        "https://ca.test/dir", "12\u{202f}345", "0 / 5", "&lt;u&gt;refused", "FP &lt;Testcert&gt; 5", "What would break on m5.test",
        "portvakt help PV0204", "in 4 days", "2 hours slow", "staff.crl", "appapi2.test.bankid.com", "Its certificate does not lead to a trust anchor",
    ];
    for part in told {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("href=\"http"));
    assert!(page.contains("content-security-policy: default-src 'none'; style-src 'sha256-"), "{page}");
}

#[tokio::test]
async fn given_a_language_when_chosen_or_preferred_then_the_page_speaks_it() {
    let server = Running::start(healthy()).await;
    let asked = async |target: &str, preferred: &str| {
        let head =
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept-Language: {preferred}\r\nConnection: close");
        let answer = server.send(&format!("{head}\r\n\r\n")).await;
        assert!(answer.contains("vary: Accept-Language\r\n"), "{answer}");
        Lang::ALL.into_iter().find(|lang| answer.contains(&format!("<html lang=\"{}\">", lang.tag())))
    };
    assert_eq!(asked("/", "sv-SE,en;q=0.5").await, Some(Lang::Sv));
    assert_eq!(asked("/", "fr").await, Some(Lang::En));
    assert_eq!(asked("/?lang=de", "sv").await, Some(Lang::De));
    assert_eq!(asked("/?lang=%3Cscript%3E", "nb").await, Some(Lang::Nb));
}

#[test]
fn given_hostile_words_everywhere_when_rendered_then_none_is_markup_in_any_language() {
    let hostile = "<img/src=x onerror=alert(1)>\"'&\u{202e}";
    let text = serde_json::to_string(&status_of(hostile)).expect("JSON");
    assert!(text.matches("onerror").count() > 30, "every text of the status is hostile");
    for lang in Lang::ALL {
        let page = page::render(&status_of(hostile), lang);
        assert!(page.contains("&lt;img/src=x onerror"), "{page}");
        assert!(!page.contains("<img") && !page.contains('\u{202e}'), "{page}");
        // Every attribute is quoted, so that a quote is all that could end it.
        let body = &page[page.find("<body>").expect("a body")..];
        assert!(!body.contains("\"'&"), "{page}");
    }
}

#[test]
fn given_the_policy_when_held_against_the_page_then_the_one_style_is_the_one_that_is_let_through() {
    let page = page::render(&status(), Lang::En);
    let style = page.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).expect("a style").0;
    let digest =
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, crate::pki::sha256(style.as_bytes()));
    assert!(page::policy().contains(&format!("style-src 'sha256-{digest}'")), "{}", page::policy());
    assert!(!page.contains(" style="), "an attribute would not be let through");
}

/// The usual status, in which every text from outside is `text`.
fn status_of(text: &str) -> Status {
    let own = || text.to_owned();
    let mut status = status();
    status.host = own();
    status.config_file = Some(own());
    status.last_reload.error = Some(own());
    status.http1_only[0].site = own();
    status.observe[0].site = own();
    status.observe[0].requests[0].path = Some(own());
    status.enforcement[0].site = own();
    status.listeners[0].address = own();
    let certificate = &mut status.certificates[0];
    certificate.names = vec![own(), own(), own(), own(), own()];
    for field in [
        &mut certificate.name,
        &mut certificate.issuer,
        &mut certificate.serial,
        &mut certificate.sha256,
        &mut certificate.key_type,
    ] {
        *field = own();
    }
    certificate.rehearsal = Some(own());
    certificate.last_failure.iter_mut().for_each(|failure| {
        failure.detail = own();
        failure.fix = Some(own());
    });
    certificate.next.iter_mut().for_each(|next| (next.reason, next.why) = ("of another version", own()));
    certificate.renewal_information.iter_mut().for_each(|told| told.explanation = Some(own()));
    let served = &mut status.served[0];
    (served.certificate, served.listener, served.name, served.found) = (own(), own(), own(), own());
    let identity = &mut status.client_identities[0];
    identity.destination = own();
    for shown in &mut identity.identities {
        (shown.subject, shown.display_name, shown.issuer, shown.sha256) = (own(), own(), own(), own());
        (shown.file, shown.trouble) = (Some(own()), Some(own()));
    }
    identity.last_refusal.iter_mut().for_each(|told| told.detail = own());
    let list = &mut status.client_crls[0];
    (list.site, list.file, list.issuer) = (own(), own(), own());
    let egress = &mut status.egress[0];
    (egress.name, egress.address, egress.listener) = (own(), own(), own());
    egress.last_call.iter_mut().for_each(|call| (call.code, call.error) = (Some(own()), Some(own())));
    let upstream = &mut status.upstreams[0];
    (upstream.name, upstream.address, upstream.last_error) = (own(), own(), Some(own()));
    (upstream.peers[0].address, upstream.peers[0].last_error) = (own(), Some(own()));
    (status.troubles[0].code, status.troubles[0].about) = (own(), own());
    let ca = &mut status.acme[0];
    (ca.directory, ca.account, ca.certificates[0].name) = (own(), Some(own()), own());
    ca.certificates[0].limits[0].of = own();
    (status.events[0].about, status.events[0].detail) = (own(), Detail::Words(own()));
    status
}

#[tokio::test]
async fn given_shutdown_when_a_connection_is_idle_then_serving_ends_and_the_port_is_free() {
    let server = Running::start(healthy()).await;
    let mut idle = TcpStream::connect(server.address).await.expect("connect");
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("write");
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.expect("read");
    server.shutdown.send(true).expect("running");
    server.task.await.expect("ended well");
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.expect("closed");
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn given_a_slow_header_when_the_time_is_over_then_closed() {
    let server = Running::start(healthy()).await;
    let mut slow = TcpStream::connect(server.address).await.expect("connect");
    slow.write_all(b"GET /livez HT").await.expect("write");
    let served = server.get("/livez").await;
    assert!(served.starts_with("HTTP/1.1 200 "));
    tokio::time::pause();
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(10 * HEADER_TIMEOUT, slow.read_to_end(&mut answer)).await;
    closed.expect("in time").expect("closed");
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn given_too_many_connections_when_one_more_then_closed_at_once() {
    let server = Running::start(healthy()).await;
    let mut held = Vec::new();
    for _ in 0..MOST_CONNECTIONS {
        let mut stream = TcpStream::connect(server.address).await.expect("connect");
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("write");
        stream.read_exact(&mut [0; 12]).await.expect("answered");
        held.push(stream);
    }
    let mut refused = TcpStream::connect(server.address).await.expect("connect");
    assert_eq!(refused.read(&mut [0; 1]).await.ok(), Some(0));
    held.clear();
    // Whether the room is already free is seen by asking.
    while !matches!(ask(server.address).await, Ok(answer) if answer.starts_with("HTTP/1.1 200 ")) {}
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
