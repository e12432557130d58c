//! What `explain` says of a URL is what a real request gets.

use serde_json::Value;

use crate::stage::Stage;
use crate::support::home::run;
use crate::support::raw::Reply;
use crate::support::tls::{Client, exchange};

const RULES: &str = "https = { mode = \"permanent\", rest = \"redirect\", paths = { \"/api/\" = \"reject\", \"/open/\" = \"allow\" } }\n\
                     hsts = false\n";

#[test]
fn given_urls_and_methods_when_explained_then_each_way_gets_what_was_told() {
    let other = crate::support::Echo::start();
    let route = format!("[[site.route]]\npath = \"/other/\"\nupstream = {:?}\n", other.url());
    let (stage, _portvakt) = Stage::running_with("", &format!("{RULES}{route}"));

    for (method, host, target) in [
        ("GET", "m5.test", "/"),
        ("GET", "m5.test", "/a/b?c=d"),
        ("PUT", "m5.test", "/a"),
        ("POST", "m5.test", "/a"),
        ("GET", "m5.test", "/api/x"),
        ("GET", "m5.test", "/API/x"),
        ("GET", "m5.test", "/%61pi/x"),
        ("GET", "m5.test", "/apis"),
        ("GET", "m5.test", "/open/x"),
        ("POST", "m5.test", "/open/x"),
        ("GET", "m5.test", "/open/../api/x"),
        ("GET", "m5.test", "/Other/x"),
        ("GET", "m5.test", "/%00"),
        ("TRACE", "m5.test", "/"),
        ("OPTIONS", "m5.test", "/a"),
        ("GET", "none.test", "/"),
        ("GET", "m5.test.", "/"),
    ] {
        let told = explain(&stage, method, &format!("https://{host}:{}{target}", stage.home.https));
        let request = |port| format!("{method} {target} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 0\r\n\r\n");
        let seen = || (stage.echo.take().len(), other.take().len());
        seen();

        let what = format!("{method} {host}{target} over HTTPS: {}", told["https"]);
        let client = Client::new(stage.ca.roots()).alpn(&["http/1.1"]);
        match client.connect(stage.home.https, host.trim_end_matches('.')) {
            Ok(mut stream) => {
                let reply = exchange(&mut stream, &request(stage.home.https)).expect(&what);
                assert_told(&told["https"], &reply, seen(), &stage, &what);
            }
            Err(_) => assert_eq!(told["https"]["is"], "handshake_refused", "{what}"),
        }

        // Over plain HTTP the host of the URL is asked as it stands, with its port.
        let what = format!("{method} {host}{target} over HTTP: {}", told["http"]);
        let outcome = stage.plain(&request(stage.home.https));
        let crate::support::raw::Outcome::Answered(reply) = outcome else { panic!("{what}: {outcome:?}") };
        assert_told(&told["http"], &reply, seen(), &stage, &what);
    }
}

#[test]
fn given_headers_that_are_told_when_a_request_comes_then_the_upstream_sees_just_that() {
    let (stage, _portvakt) = Stage::running();
    let url = stage.url("/x");
    let told = explain(&stage, "GET", &url);
    let listed = |list: &str| -> Vec<String> {
        let values = told["request_headers"][list].as_array().unwrap();
        values.iter().map(|value| value.as_str().unwrap().to_owned()).collect()
    };

    let mut curl = stage.curl();
    for name in listed("removed") {
        curl = curl.header(&format!("{}: forged", name.replace('*', "anything")));
    }
    assert_eq!(curl.get(&url).status, 200);

    let received = stage.echo.last();
    for name in listed("removed") {
        assert_ne!(received.header(&name.replace('*', "anything")).as_deref(), Some("forged"), "{name}");
    }
    for line in listed("set") {
        let (name, value) = line.split_once(": ").unwrap();
        let value = if value.starts_with('<') { "127.0.0.1" } else { value };
        assert_eq!(received.header(name).as_deref(), Some(value), "{line}");
    }
}

#[test]
fn given_a_url_when_explained_for_people_then_settings_with_their_origin() {
    let stage = Stage::new();
    stage.configure("", RULES);

    let output = run(stage.home.path(), &["explain", "m5.test/api/x"]);

    let text = String::from_utf8(output.stdout).unwrap();
    for expected in [
        "site        m5.test  (portvakt.toml:",
        "plain HTTP  403: this is served over HTTPS only; nothing was passed on  (counted as rejected)",
        "HTTPS       goes to upstream 127.0.0.1:",
        "removed   x-forwarded-*",
        "set       x-forwarded-proto: https",
        "limits.header_timeout = \"15s\"",
        "site[0].https.paths.\"/api/\" = \"reject\"",
        "# default",
    ] {
        assert!(text.contains(expected), "`{expected}` in\n{text}");
    }
    let unknown = run(stage.home.path(), &["explain", "m6.test"]);
    assert!(String::from_utf8_lossy(&unknown.stdout).contains("did you mean m5.test?"));
    assert_eq!(run(stage.home.path(), &["explain", "ftp://m5.test"]).status.code(), Some(2));
}

fn explain(stage: &Stage, method: &str, url: &str) -> Value {
    let output = run(stage.home.path(), &["explain", "--json", "--method", method, url]);
    assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// `seen`: requests that reached the site's upstream, and the route's.
fn assert_told(told: &Value, reply: &Reply, seen: (usize, usize), stage: &Stage, what: &str) {
    let is_first = told["upstream"] == format!("127.0.0.1:{}", stage.echo.port());
    match told["is"].as_str() {
        Some("forwarded") => {
            assert_eq!(reply.status, 200, "{what}");
            assert_eq!(seen, if is_first { (1, 0) } else { (0, 1) }, "{what}");
        }
        Some("redirected") => {
            assert_eq!(told["status"], reply.status, "{what}");
            assert_eq!(told["location"].as_str(), reply.header("location"), "{what}");
            assert_eq!(seen, (0, 0), "{what}");
        }
        Some("refused") => {
            assert_eq!(told["status"], reply.status, "{what}");
            let has_body = !reply.body.is_empty();
            assert!(
                !has_body || reply.text().contains(told["explanation"].as_str().unwrap()),
                "{what}: {}",
                reply.text()
            );
            assert_eq!(seen, (0, 0), "{what}");
        }
        _ => panic!("{what}: got {}", reply.status),
    }
}
