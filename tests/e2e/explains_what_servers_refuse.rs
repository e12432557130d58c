//! A server whose set-up does not fit the way to it says so in a page that nobody reads; the log says what to do.

use crate::stage::Stage;
use crate::support::home::Portvakt;
use crate::support::{Echo, home};

/// As IIS 8.5 answers on its own machine, its style sheet shortened.
const DETAILED: &str = "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\">\r\n<html><head>\r\n\
    <title>IIS 8.5 Detailed Error - 403.4 - Forbidden</title>\r\n<style type=\"text/css\">body{margin:0}</style></head>\r\n\
    <body><h3>HTTP Error 403.4 - Forbidden</h3>\r\n\
    <h4>The page you are trying to access is secured with Secure Sockets Layer (SSL).</h4></body></html>\r\n";

#[test]
fn given_403_4_over_plain_http_when_it_passes_then_unchanged_and_told_once_with_both_ways_out() {
    let (stage, portvakt) = Stage::running();
    let (head, body) = answer(&stage.echo, "403 Forbidden", DETAILED);

    let replies = [(); 5].map(|()| stage.get("/scripted"));

    for reply in &replies {
        assert_eq!((reply.status, reply.text().as_str()), (403, body.as_str()));
        assert_eq!(reply.header("content-length"), Some(body.len().to_string().as_str()), "{head}");
    }
    let line = portvakt.child.wait_line("the explanation", |line| line.contains("PV0317"));
    for part in ["way A", "way B", "Require SSL", "about=", "fix="] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert_eq!(counted(&stage, "ssl_required"), 5.0);
    assert_eq!(told(&portvakt, "PV0317"), 1);
}

#[test]
fn given_403_4_when_operators_look_then_status_and_page_say_so_until_the_next_reload() {
    let (stage, portvakt) = Stage::running();
    answer(&stage.echo, "403 Forbidden", DETAILED);
    stage.get("/scripted");
    portvakt.child.wait_line("the explanation", |line| line.contains("PV0317"));

    let status: serde_json::Value = serde_json::from_slice(&stage.home.admin("/status.json").body).unwrap();
    let trouble = &status["troubles"][0];
    assert_eq!((trouble["code"].as_str(), trouble["reason"].as_str()), (Some("PV0317"), Some("ssl_required")));
    assert_eq!(trouble["count"], 1);
    assert!(stage.home.admin("/").text().contains("PV0317"));
    let printed = home::run(stage.home.path(), &["status", "--config", "portvakt.toml"]);
    assert!(String::from_utf8_lossy(&printed.stdout).contains("way B"), "{printed:?}");

    assert!(portvakt.reload(&stage.home));
    let status: serde_json::Value = serde_json::from_slice(&stage.home.admin("/status.json").body).unwrap();
    assert_eq!(status["troubles"], serde_json::json!([]));
}

#[test]
fn given_a_page_in_small_chunks_when_it_passes_then_it_is_read_all_the_same() {
    let (stage, portvakt) = Stage::running();
    let chunks: String = DETAILED.bytes().map(|byte| format!("1\r\n{}\r\n", char::from(byte))).collect();
    let head = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n";
    stage.echo.script(format!("{head}{chunks}0\r\n\r\n").as_bytes());

    assert_eq!(stage.get("/scripted").text(), DETAILED);

    portvakt.child.wait_line("the explanation", |line| line.contains("PV0317"));
}

#[test]
fn given_403_7_when_it_passes_then_client_certificates_are_explained() {
    let (stage, portvakt) = Stage::running();
    answer(&stage.echo, "403 Forbidden", &DETAILED.replace("403.4", "403.7"));

    assert_eq!(stage.get("/scripted").status, 403);

    let line = portvakt.child.wait_line("the explanation", |line| line.contains("PV0318"));
    assert!(line.contains("`Ignore`"), "{line}");
    assert_eq!((counted(&stage, "client_certificate_required"), counted(&stage, "ssl_required")), (1.0, 0.0));
}

#[test]
fn given_another_refusal_or_another_status_when_it_passes_then_nothing_is_explained() {
    let (stage, portvakt) = Stage::running();
    let far = format!("{}403.4", " ".repeat(20_000));
    for (status, page) in [
        ("403 Forbidden", DETAILED.replace("403.4", "403.14")),
        ("200 OK", DETAILED.to_owned()),
        ("403 Forbidden", far),
        ("403 Forbidden", String::new()),
    ] {
        let (_, body) = answer(&stage.echo, status, &page);
        assert_eq!(stage.get("/scripted").text(), body);
    }
    answer(&stage.echo, "403 Forbidden", &DETAILED.replace("403.4", "403.7"));
    stage.get("/scripted");
    portvakt.child.wait_line("the line after all of them", |line| line.contains("PV0318"));

    assert_eq!((told(&portvakt, "PV0317"), counted(&stage, "ssl_required")), (0, 0.0));
}

/// Lets the server answer so; gives head and body.
fn answer(echo: &Echo, status: &str, body: &str) -> (String, String) {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n");
    echo.script(format!("{head}{body}").as_bytes());
    (head, body.to_owned())
}

fn counted(stage: &Stage, reason: &str) -> f64 {
    stage.home.metrics().one("portvakt_upstream_troubles_total", &[("reason", reason)])
}

fn told(portvakt: &Portvakt, code: &str) -> usize {
    portvakt.child.lines().iter().filter(|line| line.contains(code)).count()
}
