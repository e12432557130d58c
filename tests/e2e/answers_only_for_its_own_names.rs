//! A request is answered for the site whose certificate the connection was made with, and for no other.

use crate::stage::Stage;
use crate::support::home::Portvakt;
use crate::support::tls::{self, Client};
use crate::support::{Ca, Curl, Echo, Home, raw};

#[test]
fn given_a_connection_of_one_site_when_another_host_is_named_then_421_and_not_forwarded() {
    let scene = two_sites();

    let rows = [
        ("a.test", 200),
        ("A.TEST", 200),
        ("a.test:443", 200),
        ("b.test", 421),
        ("unknown.test", 421),
        ("a.test.b.test", 421),
    ];
    for (host, status) in rows {
        for version in ["--http1.1", "--http2"] {
            let url = format!("https://a.test:{}/", scene.home.https);
            let answer = scene.curl("a.test").with(&[version, "-H", &format!("Host: {host}")]).get(&url);
            assert_eq!(answer.status, status, "{host} {version}");
        }
    }
    assert_eq!(scene.echo.requests().len(), 6);
}

#[test]
fn given_plain_http_when_the_host_is_unknown_then_404() {
    let scene = two_sites();

    let rows = [("a.test", 200), ("b.test", 200), ("B.test:80", 200), ("unknown.test", 404), ("127.0.0.1", 404)];
    for (host, status) in rows {
        assert_eq!(raw::get(scene.home.http, host, "/").status, status, "{host}");
    }
    assert_eq!(scene.echo.requests().len(), 3);
}

#[test]
fn given_no_host_when_http_1_1_then_400_on_both_listeners() {
    let (stage, _portvakt) = plain_allowed();
    let request = "GET / HTTP/1.1\r\nX-Other: 1\r\n\r\n";

    assert_eq!(stage.plain(request).status(), Some(400));
    assert_eq!(stage.request(request).status, 400);
    assert!(stage.echo.requests().is_empty());
}

#[test]
fn given_no_host_when_http_1_0_then_the_default_site_answers() {
    let (stage, _portvakt) = plain_allowed();
    let request = "GET /old HTTP/1.0\r\n\r\n";

    assert_eq!(stage.plain(request).status(), Some(200));
    assert_eq!(stage.request(request).status, 200);
    assert_eq!(stage.echo.last().target(), "/old");
}

#[test]
fn given_a_tls_connection_when_hosts_alternate_then_each_request_is_judged_anew() {
    let scene = two_sites();
    let client = Client::new(scene.ca.roots()).alpn(&["http/1.1"]);
    let mut stream = client.connect(scene.home.https, "a.test").unwrap();

    let mut ask = |host: &str| {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n");
        tls::exchange(&mut stream, &text).map(|reply| reply.status).ok()
    };

    assert_eq!(ask("a.test"), Some(200));
    assert_eq!(ask("a.test"), Some(200));
    assert_eq!(ask("b.test"), Some(421));
}

struct Scene {
    home: Home,
    ca: Ca,
    echo: Echo,
    _portvakt: Portvakt,
}

impl Scene {
    fn curl(&self, name: &str) -> Curl {
        Curl::new().resolve(name, self.home.https).cacert(&self.home.path().join("root.pem"))
    }
}

/// `a.test` and `b.test`, each with its own certificate, before one server; plain HTTP is allowed.
fn two_sites() -> Scene {
    let (home, ca, echo) = (Home::new(), Ca::new("root"), Echo::start());
    ca.write(home.path().join("root.pem"));
    let mut tables = String::new();
    for name in ["a", "b"] {
        ca.issue(&[&format!("{name}.test")]).write(home.path(), name);
        tables += &format!(
            "[[site]]\ndomain = \"{name}.test\"\nupstream = \"{}\"\nhttps = {{ rest = \"allow\" }}\n\
             certificate = {{ chain = \"{name}.pem\", key = \"{name}.key\" }}\n",
            echo.url()
        );
    }
    home.configure("", &tables);
    let portvakt = home.start();
    Scene { home, ca, echo, _portvakt: portvakt }
}

fn plain_allowed() -> (Stage, Portvakt) {
    Stage::running_with("", "https = { rest = \"allow\" }\n")
}
