//! Whatever strangers send, and whatever a server answers, `/metrics` has the series that the configuration asks for, and no more.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;

use crate::support::clock::PATIENCE;
use crate::support::tls::{self, Client, Shared};
use crate::support::{Echo, Home, Portvakt, eventually, raw};

#[test]
fn given_thousands_of_hostile_words_when_scraped_then_no_series_more_than_before() {
    let scene = Scene::new();
    scene.suffer("wicked", 40);
    let before = scene.series();

    scene.suffer("vicious", 600);

    let after = scene.series();
    let more: Vec<_> = after.difference(&before).collect();
    assert!(more.is_empty(), "{more:?}");
    assert!(after.len() < 1500, "{} series", after.len());
    let words: Vec<_> =
        after.iter().filter(|series| ["evil", "wicked", "vicious"].iter().any(|w| series.contains(w))).collect();
    assert!(words.is_empty(), "{words:?}");
}

#[test]
fn given_a_server_that_answers_with_every_number_when_scraped_then_a_label_for_each_that_means_something() {
    let scene = Scene::new();
    for status in 200..1000_u16 {
        scene.echo.script(format!("HTTP/1.1 {status} Evil\r\nContent-Length: 0\r\n\r\n").as_bytes());
        raw::exchange(scene.home.http, b"GET /scripted HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    }

    let series = scene.series();
    let codes = |name: &str| -> BTreeSet<String> {
        let of = series.iter().filter(|series| series.starts_with(name));
        of.filter_map(|series| Some(series.split_once("code=\"")?.1.split_once('"')?.0.to_owned())).collect()
    };
    for name in ["portvakt_http_requests_total", "portvakt_upstream_requests_total"] {
        let codes = codes(name);
        assert!(
            ["200", "404", "503", "2xx", "4xx", "5xx"].iter().all(|code| codes.contains(*code)),
            "{name}: {codes:?}"
        );
        assert!(codes.len() < 75 && !codes.contains("299") && !codes.contains("599"), "{name}: {codes:?}");
    }
}

/// A server behind portvakt, reached in clear and over TLS.
struct Scene {
    home: Home,
    echo: Echo,
    client: Shared,
    _portvakt: Portvakt,
}

impl Scene {
    fn new() -> Self {
        let (home, echo) = (Home::new(), Echo::start());
        let site = |name: &str, https: &str| {
            format!(
                "[[site]]\ndomain = \"{name}\"\nupstream = \"{}\"\ncertificate = \"internal\"\nhttps = {https}\n",
                echo.url()
            )
        };
        home.configure(
            "[limits]\nconnections_per_client = 10000",
            &format!("{}{}", site("a.test", "{ mode = \"observe\" }"), site("b.test", "{ mode = \"permanent\" }")),
        );
        let portvakt = home.start();
        let client = Client::new(roots(&home)).share();
        let scene = Self { home, echo, client, _portvakt: portvakt };
        // What comes by itself a moment after the start is no answer to anybody's words.
        eventually("both certificates have been seen", PATIENCE, || {
            let series = scene.series();
            let is_seen = |name: &str| series.iter().any(|line| line.contains("last_success") && line.contains(name));
            (is_seen("a.test") && is_seen("b.test")).then_some(())
        });
        scene
    }

    /// Every kind of word that a client chooses, `times` different ones of each.
    fn suffer(&self, word: &str, times: usize) {
        let (mut clear, mut secure) = (self.clear(), self.secure());
        for n in 0..times {
            let bad = format!("{word}{n}");
            for (method, host) in [("GET", "a.test"), ("GET", "b.test"), ("EVIL", "a.test"), ("POST", "b.test")] {
                let method = if method == "EVIL" { format!("EVIL{n}") } else { method.to_owned() };
                let text = request(&method, host, &bad);
                if !served(&mut clear, &text) {
                    clear = self.clear();
                }
                if !served(&mut secure, &text) {
                    secure = self.secure();
                }
            }
            let text = request("GET", &format!("{bad}.evil.test"), &bad);
            raw::exchange(self.home.http, text.as_bytes());
            if !served(&mut secure, &text) {
                secure = self.secure();
            }
            // What is no HTTP, and names that nobody serves.
            raw::exchange(self.home.http, format!("{bad} evil\r\n\r\n").as_bytes());
            assert!(tls::connect(&self.client, self.home.https, &format!("{bad}.evil.test")).is_err());
        }
    }

    fn clear(&self) -> TcpStream {
        raw::connect(self.home.http)
    }

    fn secure(&self) -> tls::Stream {
        tls::connect(&self.client, self.home.https, "a.test").expect("a handshake")
    }

    /// Names and labels of everything that is scraped.
    fn series(&self) -> BTreeSet<String> {
        let text = self.home.admin("/metrics").text();
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
    }
}

/// A request with `bad` wherever a client may write what it likes.
fn request(method: &str, host: &str, bad: &str) -> String {
    format!(
        "{method} /{bad}/%22%7d%0a?{bad}=evil HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {bad}\"}}\r\nReferer: http://{bad}.evil.test/\r\n\
         X-Forwarded-For: {bad}\r\nX-Request-Id: {bad}\r\nCookie: {bad}=evil\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Whether the connection can be used again after the answer.
fn served(stream: &mut (impl std::io::Read + Write), text: &str) -> bool {
    stream.write_all(text.as_bytes()).is_ok() && raw::read_reply(stream).is_ok_and(|reply| !reply.closes())
}

fn roots(home: &Home) -> rustls::RootCertStore {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(home.internal_root()).expect("a file") {
        roots.add(root.expect("a certificate")).expect("a root");
    }
    roots
}
