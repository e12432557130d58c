//! The scene of many tests: an application's calls go over plain HTTP through portvakt to the stand-in for BankID, which
//! believes the published test certificate.

use std::fs;
use std::io::Write;
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::bankid::{LEGACY, MODERN, Published, Sdk, password_file};
use crate::support::clock::PATIENCE;
use crate::support::home::Portvakt;
use crate::support::ports::free_port;
use crate::support::raw::{self, Reply};
use crate::support::{BankId, Home, eventually};

/// The scene.
pub(crate) struct WayOut {
    /// Where portvakt lives; `bankid-root.pem`, `rp.p12`, `rp.pfx` and `rp.pass` lie there.
    pub(crate) home: Home,
    /// The service.
    pub(crate) bankid: BankId,
    /// Where the application calls.
    pub(crate) port: u16,
}

/// How the egress of this scene is known.
pub(crate) const NAME: &str = "bankid";

impl WayOut {
    /// Everything but the configuration.
    pub(crate) fn new() -> Self {
        let (home, bankid) = (Home::new(), BankId::start());
        bankid.write_root(home.path());
        password_file(home.path());
        let way = Self { home, bankid, port: free_port() };
        way.show(MODERN, "rp.p12");
        way.show(LEGACY, "rp.pfx");
        way
    }

    /// Puts a published identity in place of the file `name`.
    pub(crate) fn show(&self, identity: Published, name: &str) {
        let path = self.home.path().join(name);
        fs::copy(identity.path(), path.with_extension("new")).expect("a copy");
        fs::rename(path.with_extension("new"), path).expect("the new file in place of the old one");
    }

    /// The scene with BankID's rules, and portvakt running in it.
    pub(crate) fn running() -> (Self, Portvakt) {
        Self::running_with("", RULES)
    }

    /// The scene with `top` keys and these `keys` of the egress, and portvakt running in it.
    pub(crate) fn running_with(top: &str, keys: &str) -> (Self, Portvakt) {
        let way = Self::new();
        way.configure(top, keys);
        let portvakt = way.home.start();
        (way, portvakt)
    }

    /// Writes the configuration. `keys` may replace the identity, the listener, the trust and the allow-list.
    pub(crate) fn configure(&self, top: &str, keys: &str) {
        self.home.configure(top, &self.egress(keys));
    }

    /// `[[egress]]` to the service, with these keys in place of or beside its own.
    pub(crate) fn egress(&self, keys: &str) -> String {
        let own = [
            ("name", format!("{NAME:?}")),
            ("listen", format!("\"127.0.0.1:{}\"", self.port)),
            ("destination", format!("{:?}", self.bankid.url())),
            ("trust_anchors", "\"bankid-root.pem\"".to_owned()),
            ("identity", "{ pkcs12 = \"rp.p12\", password_file = \"rp.pass\" }".to_owned()),
            ("allow", "[\"POST /rp/v6.0/*\"]".to_owned()),
        ];
        let is_given = |key: &str| keys.lines().any(|line| line.split('=').next().unwrap_or_default().trim() == key);
        let own = own.iter().filter(|(key, _)| !is_given(key)).map(|(key, value)| format!("{key} = {value}\n"));
        format!("[[egress]]\n{}{keys}\n", own.collect::<String>())
    }

    /// The URL that an application is told.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// An application that uses bankid-sdk.
    pub(crate) fn sdk(&self) -> Sdk {
        Sdk::on(&self.url())
    }

    /// Calls `method` as BankID has it.
    pub(crate) fn post(&self, method: &str, body: &str) -> Reply {
        raw::request(self.port, &request(method, body))
    }

    /// Makes an order and gives its orderRef.
    pub(crate) fn auth(&self) -> String {
        let reply = self.post("auth", AUTH);
        assert_eq!(reply.status, 200, "{}", reply.text());
        json_of(&reply)["orderRef"].as_str().expect("an order").to_owned()
    }

    /// Asks how an order stands.
    pub(crate) fn collect(&self, order_ref: &str) -> Reply {
        self.post("collect", &collect_body(order_ref))
    }

    /// A connection on which a collect was sent and no answer was read.
    pub(crate) fn begin_collect(&self, order_ref: &str) -> TcpStream {
        let mut stream = raw::connect(self.port);
        stream.write_all(request("collect", &collect_body(order_ref)).as_bytes()).expect("portvakt reads");
        stream
    }

    /// Waits until a sum over the egress's metric `portvakt_egress_NAME` is `value`: an answer may arrive before it is counted.
    pub(crate) fn expect_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        eventually(&format!("{name} {labels:?} is {value}"), PATIENCE, || {
            (self.metric(name, labels) == value).then_some(())
        });
    }

    /// A sum over the egress's metric `portvakt_egress_NAME`.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels: Vec<_> = [("destination", NAME)].iter().chain(labels).copied().collect();
        self.home.metrics().sum(&format!("portvakt_egress_{name}"), &labels)
    }
}

/// A call as BankID wants it, on a connection of its own.
pub(crate) fn request(method: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /rp/v6.0/{method} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// What a collect says.
pub(crate) fn collect_body(order_ref: &str) -> String {
    json!({ "orderRef": order_ref }).to_string()
}

/// An answer's body.
pub(crate) fn json_of(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.text()))
}

/// The error code of an answer.
pub(crate) fn error_code(reply: &Reply) -> String {
    json_of(reply)["errorCode"].as_str().unwrap_or_default().to_owned()
}

/// The least that makes an order.
pub(crate) const AUTH: &str = r#"{"endUserIp":"192.0.2.7"}"#;
/// The key that asks for BankID's rules.
pub(crate) const RULES: &str = "rules = \"bankid\"\n";
