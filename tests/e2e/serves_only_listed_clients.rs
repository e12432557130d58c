//! `allow_from`: who is not in the list gets 403 on every way in, and ACME challenges are answered to everybody.

use crate::stage::Stage;
use crate::support::raw;

#[test]
fn given_a_stranger_when_he_asks_then_403_and_nothing_is_forwarded_whatever_he_claims() {
    let (stage, _portvakt) = Stage::running_with("", "allow_from = [\"192.0.2.0/24\"]\nhttps = { rest = \"allow\" }\n");

    for version in ["--http1.1", "--http2"] {
        for arguments in [&[][..], &["--head"], &["--data", "x"]] {
            let curl = stage.curl().with(&[version]).with(arguments).header("X-Forwarded-For: 192.0.2.7");
            assert_eq!(curl.get(&stage.url("/")).status, 403, "{version} {arguments:?}");
        }
    }
    assert_eq!(raw::get(stage.home.http, "m5.test", "/").status, 403);
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    assert_eq!(stage.request(&format!("GET /ws HTTP/1.1\r\nHost: m5.test\r\n{upgrade}\r\n")).status, 403);
    assert!(stage.echo.requests().is_empty());
    let refused = [("reason", "allow_from"), ("route", "m5.test:/")];
    assert_eq!(stage.home.metrics().sum("portvakt_requests_limited_total", &refused), 8.0);
}

#[test]
fn given_a_listed_client_when_it_asks_then_served() {
    let (stage, _portvakt) = Stage::running_with("", "allow_from = [\"127.0.0.1\"]\n");
    assert_eq!(stage.get("/").status, 200);
}

#[test]
fn given_a_trusted_proxy_when_it_forwards_then_the_last_address_that_is_no_proxy_counts() {
    let (stage, _portvakt) =
        Stage::running_with("trusted_proxies = [\"127.0.0.0/8\"]\n", "allow_from = [\"192.0.2.0/24\"]\n");

    for (forwarded, status) in [
        ("192.0.2.7", 200),
        ("::ffff:192.0.2.7", 200),
        ("203.0.113.9, 192.0.2.7", 200),
        ("192.0.2.7, 127.0.0.9", 200),
        ("192.0.2.7, 203.0.113.9", 403),
        ("192.0.2.7, unknown", 403),
        ("203.0.113.9", 403),
    ] {
        for version in ["--http1.1", "--http2"] {
            let curl = stage.curl().with(&[version]).header(&format!("X-Forwarded-For: {forwarded}"));
            assert_eq!(curl.get(&stage.url("/")).status, status, "{version} {forwarded}");
        }
    }
    assert_eq!(stage.get("/").status, 403, "the proxy itself");
}

#[test]
fn given_a_route_with_a_list_when_a_stranger_spells_it_otherwise_then_403_and_the_rest_is_open() {
    let stage = Stage::new();
    let route = format!("[[site.route]]\npath = \"/admin/\"\nupstream = \"{}\"\n", stage.echo.url());
    stage.configure("", &format!("{route}allow_from = [\"192.0.2.0/24\"]\n"));
    let _portvakt = stage.home.start();

    for target in
        ["/admin", "/ADMIN/x", "/%61dmin/x", "/x/../admin/x", "//admin/x", "/admin./x", "/admi~1/x", "/admin;x"]
    {
        assert_eq!(stage.get(target).status, 403, "{target}");
    }
    assert!(stage.echo.requests().is_empty());
    assert_eq!(stage.get("/administrator").status, 200);
}

#[test]
fn given_a_stranger_when_plain_http_is_redirected_then_he_is_refused_and_not_redirected() {
    let (stage, _portvakt) = Stage::running_with("", "allow_from = [\"192.0.2.0/24\"]\n");
    assert_eq!(raw::get(stage.home.http, "m5.test", "/").status, 403);
    let redirected = [("action", "redirected")];
    assert_eq!(stage.home.metrics().sum("portvakt_https_enforcement_total", &redirected), 0.0);
}
