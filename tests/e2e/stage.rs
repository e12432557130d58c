//! The usual scene: `m5.test` with a certificate from files, in front of a server that records what it gets.

use std::path::PathBuf;

use crate::support::home::Portvakt;
use crate::support::load::Target;
use crate::support::raw::{self, Outcome, Reply};
use crate::support::tls::{self, Client};
use crate::support::{Ca, Curl, Echo, H2, Home, Leaf, Victims};

/// The scene.
pub(crate) struct Stage {
    /// Where portvakt lives.
    pub(crate) home: Home,
    /// Who issued the certificate.
    pub(crate) ca: Ca,
    /// The certificate, also in `m5.pem` and `m5.key`.
    pub(crate) leaf: Leaf,
    /// The server behind.
    pub(crate) echo: Echo,
    root: PathBuf,
}

impl Stage {
    /// Everything but the configuration.
    pub(crate) fn new() -> Self {
        let (home, ca, echo) = (Home::new(), Ca::new("root of the test"), Echo::start());
        let leaf = ca.issue(&["m5.test"]);
        leaf.write(home.path(), "m5");
        let root = ca.write(home.path().join("root.pem"));
        Self { home, ca, leaf, echo, root }
    }

    /// The scene with nothing special, and portvakt running in it.
    pub(crate) fn running() -> (Self, Portvakt) {
        Self::running_with("", "")
    }

    /// The scene with `top` keys and `tables` after those of the site, and portvakt running in it.
    pub(crate) fn running_with(top: &str, tables: &str) -> (Self, Portvakt) {
        let stage = Self::new();
        stage.configure(top, tables);
        let portvakt = stage.home.start();
        (stage, portvakt)
    }

    /// Writes the configuration: the site, then `tables`.
    pub(crate) fn configure(&self, top: &str, tables: &str) {
        self.home.configure(top, &format!("{}{tables}", self.site()));
    }

    /// `[[site]]` for `m5.test` with our upstream.
    pub(crate) fn site(&self) -> String {
        Self::site_with(&format!("{:?}", self.echo.url()))
    }

    /// `[[site]]` for `m5.test` with `upstream` as TOML.
    pub(crate) fn site_with(upstream: &str) -> String {
        let certificate = r#"{ chain = "m5.pem", key = "m5.key" }"#;
        format!("[[site]]\ndomain = \"m5.test\"\nupstream = {upstream}\ncertificate = {certificate}\n")
    }

    /// The https URL of `path`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://m5.test:{}{path}", self.home.https)
    }

    /// curl that finds and believes us.
    pub(crate) fn curl(&self) -> Curl {
        Curl::new().resolve("m5.test", self.home.https).cacert(&self.root)
    }

    /// File with the root.
    pub(crate) fn root(&self) -> &str {
        self.root.to_str().expect("a temporary folder's name is text")
    }

    /// A TLS connection that agreed on http/1.1.
    pub(crate) fn connect(&self) -> tls::Stream {
        let client = Client::new(self.ca.roots()).alpn(&["http/1.1"]);
        client.connect(self.home.https, "m5.test").expect("a handshake with our own site")
    }

    /// An HTTP/2 connection with these settings.
    pub(crate) fn h2(&self, settings: &[(u16, u32)]) -> H2 {
        H2::connect(&self.target("/").client, self.home.https, "m5.test", settings)
            .expect("a handshake with our own site")
    }

    /// Well-behaved clients of `portvakt`, which is in this scene.
    pub(crate) fn victims(&self, portvakt: &Portvakt) -> Victims {
        Victims::start(&self.target("/"), portvakt.child.id())
    }

    /// A GET over TLS on a new connection.
    pub(crate) fn get(&self, path: &str) -> Reply {
        self.request(&format!("GET {path} HTTP/1.1\r\nHost: m5.test\r\n\r\n"))
    }

    /// `text` over TLS on a new connection.
    pub(crate) fn request(&self, text: &str) -> Reply {
        tls::exchange(&mut self.connect(), text).expect("an answer")
    }

    /// `text` on plain HTTP.
    pub(crate) fn plain(&self, text: &str) -> Outcome {
        raw::exchange(self.home.http, text.as_bytes())
    }

    /// What a load calls.
    pub(crate) fn target(&self, path: &str) -> Target {
        let client = Client::new(self.ca.roots()).alpn(&["http/1.1"]).share();
        Target { port: self.home.https, name: "m5.test".into(), path: path.into(), client }
    }
}
