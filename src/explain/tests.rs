//! Each row is the base with one URL or method.

use std::path::Path;

use super::*;
use crate::config::{Purpose, from_text};

const BASE: &str = r#"
[listen]
http = "127.0.0.1:80"
https = "127.0.0.1:443"
[[site]]
domains = ["m5.test", "*.wild.test"]
certificate = "internal"
upstream = "http://127.0.0.1:8080"
https = { mode = "permanent", rest = "redirect", paths = { "/api/" = "reject", "/open/" = "allow" } }
[[site.route]]
path = "/Other/"
upstream = { url = "http://127.0.0.1:8081", idle_timeout = "7s" }
strip_prefix = true
allow_from = ["192.0.2.0/24"]
headers = { request = { set = { X-Key = "hidden" } }, response = { remove = ["Server"] } }
[[site]]
domain = "b.test"
certificate = "internal"
upstream = "http://127.0.0.1:8082"
"#;

fn told(url: &str, method: Method) -> Explanation {
    let loaded = from_text("portvakt.toml", BASE, Path::new("/"), Purpose::CheckOffline).unwrap();
    explain(&loaded.config, &loaded.effective(), &Url::parse(url).unwrap(), &method).unwrap()
}

#[test]
fn given_urls_when_explained_then_what_each_way_gets() {
    let forwarded = |upstream: &str| format!("goes to upstream {upstream}");
    for (url, http, https) in [
        ("m5.test", "301 to https://m5.test/  (counted as redirected)", forwarded("127.0.0.1:8080")),
        ("https://m5.test/API/x", "403: this is served over HTTPS only", forwarded("127.0.0.1:8080")),
        ("http://m5.test/open/x", "goes to upstream 127.0.0.1:8080  (counted as allowed)", forwarded("127.0.0.1:8080")),
        ("x.wild.test/other/x?y=1", "301 to https://x.wild.test/other/x?y=1", forwarded("127.0.0.1:8081")),
        ("m5.test/%00", "400", "400".to_owned()),
        ("none.test/", "404: this host is not served here", "no handshake".to_owned()),
        ("192.0.2.1/", "404", "no handshake".to_owned()),
    ] {
        let told = told(url, Method::GET);
        assert!(told.http.to_string().starts_with(http), "{url}: {}", told.http);
        assert!(told.https.to_string().starts_with(&https), "{url}: {}", told.https);
    }
}

#[test]
fn given_another_method_when_explained_then_its_own_answer() {
    assert!(matches!(told("m5.test", Method::POST).http, Answer::Refused { status: 403, .. }));
    assert!(matches!(told("m5.test", Method::TRACE).https, Answer::Refused { status: 405, .. }));
}

#[test]
fn given_a_route_when_explained_then_its_upstream_and_no_other() {
    let text = told("m5.test/other/", Method::GET).to_string();
    assert!(text.contains("site[0].route[0].upstream.idle_timeout = \"7s\""), "{text}");
    assert!(!text.contains("site[0].upstream") && !text.contains("site[1]"), "{text}");
    for part in ["x-forwarded-prefix: /other", "x-key: <as configured>", "removed   server", "allow_from"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let text = told("m5.test/", Method::GET).to_string();
    assert!(text.contains("site[0].upstream.url") && !text.contains("site[0].route"), "{text}");
    assert!(text.contains("limits.header_timeout"), "{text}");
}

#[test]
fn given_an_unknown_name_when_explained_then_the_names_that_there_are() {
    let text = told("https://m6.test/", Method::GET).to_string();
    assert!(text.contains("did you mean m5.test?") && text.contains("*.wild.test, b.test"), "{text}");
}

#[test]
fn given_no_url_when_parsed_then_refused() {
    for text in ["", "ftp://m5.test/", "https://", "https://user:secret@m5.test/", "a b"] {
        assert!(Url::parse(text).is_err(), "{text}");
    }
}

#[test]
fn given_client_certificates_when_explained_then_what_the_path_asks_for() {
    let told = |mode: &str, url: &str| {
        let rules = format!(
            "[site.client_certificates]\nmode = \"{mode}\"\npaths = {{ \"/door/\" = \"require\", \"/free/\" = \"ignore\" }}\n\
             trust_anchors = \"staff.pem\"\npass_on = \"Client-Cert\"\nchain = true\nallow = {{ issuer = \"Staff CA\" }}\n"
        );
        let site = BASE.split("[[site]]").next().unwrap();
        let site = format!(
            "{site}[[site]]\ndomain = \"b.test\"\ncertificate = \"internal\"\nupstream = \"http://127.0.0.1:8082\"\n\
             https = {{ mode = \"permanent\", rest = \"allow\" }}\n{rules}"
        );
        let loaded = from_text("portvakt.toml", &site, Path::new("/"), Purpose::CheckOffline).unwrap();
        explain(&loaded.config, &loaded.effective(), &Url::parse(url).unwrap(), &Method::GET).unwrap()
    };

    for (mode, url, handshake, path, words) in [
        (
            "accept",
            "b.test/x",
            "accept",
            "accept",
            "may be shown here; whom `allow` does not name counts as having shown none; handed on as client-cert, client-cert-chain",
        ),
        (
            "accept",
            "b.test/DOOR/x",
            "accept",
            "require",
            "required here: without one the answer is 403; whom `allow` does not name gets 403",
        ),
        ("accept", "b.test/free/x", "accept", "ignore", "not looked at here"),
        ("require", "b.test/free/x", "accept", "ignore", "not looked at here"),
    ] {
        let told = told(mode, url);
        let certificate = told.client_certificate.clone().unwrap();
        assert_eq!((certificate.handshake, certificate.path), (handshake, path), "{url}");
        assert!(told.to_string().contains(words), "{url}: {told}");
        let is_refused = matches!(told.http, Answer::Refused { status: 403, .. });
        assert_eq!(is_refused, path == "require", "nobody shows a certificate without TLS: {}", told.http);
        assert!(matches!(told.https, Answer::Forwarded { .. }));
    }
    assert!(told("ignore", "b.test/x").client_certificate.is_some(), "another path asks for one");
}
