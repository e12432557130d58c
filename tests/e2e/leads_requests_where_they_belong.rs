//! Aliases and moved sites send clients on, prefixes are stripped and put back, headers are set and removed; none of it
//! opens a way past the rules.

use tungstenite::Message;
use tungstenite::client::IntoClientRequest;

use crate::stage::Stage;
use crate::support::home::Portvakt;
use crate::support::raw;
use crate::support::tls;

#[test]
fn given_an_alias_when_asked_for_by_h1_and_h2_then_the_client_is_sent_to_the_first_domain() {
    let (stage, _portvakt) = with_alias("permanent");
    let alias = format!("https://www.m5.test:{}/a%20b?c=d", stage.home.https);

    for version in ["--http1.1", "--http2"] {
        for (arguments, status) in [(&[][..], 301), (&["--head"], 301), (&["--data", "x"], 308)] {
            let curl = stage.curl().resolve("www.m5.test", stage.home.https).with(&[version]).with(arguments);
            let answer = curl.get(&alias);
            let location = answer.header("location").map(str::to_owned);
            assert_eq!((answer.status, location), (status, Some(stage.url("/a%20b?c=d"))), "{version} {arguments:?}");
        }
    }
    assert!(stage.echo.requests().is_empty());
    assert_eq!(stage.get("/").status, 200);
}

#[test]
fn given_an_alias_when_it_comes_in_clear_then_one_redirect_to_https_and_nothing_that_must_not_come_in_clear() {
    let (stage, _portvakt) = with_alias("permanent");

    let get = stage.plain("GET /x HTTP/1.1\r\nHost: www.m5.test\r\nConnection: close\r\n\r\n");
    let raw::Outcome::Answered(reply) = get else { panic!("closed") };
    assert_eq!((reply.status, reply.header("location")), (301, Some(&*stage.url("/x"))));
    for refused in ["POST /x HTTP/1.1\r\nContent-Length: 0\r\n", "GET /x HTTP/1.1\r\nAuthorization: Basic YTpi\r\n"] {
        let outcome = stage.plain(&format!("{refused}Host: www.m5.test\r\nConnection: close\r\n\r\n"));
        assert_eq!(outcome.status(), Some(403), "{refused}");
    }
    assert!(stage.echo.requests().is_empty());
}

#[test]
fn given_an_alias_when_the_site_is_observed_then_plain_http_is_served_and_counted() {
    let (stage, _portvakt) = with_alias("observe");

    let outcome =
        stage.plain("POST /x HTTP/1.1\r\nHost: www.m5.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");

    assert_eq!(outcome.status(), Some(200));
    assert_eq!(stage.echo.last().all("host"), ["www.m5.test"]);
    let would = [("action", "would_reject")];
    assert_eq!(stage.home.metrics().sum("portvakt_https_enforcement_total", &would), 1.0);
}

#[test]
fn given_an_alias_in_the_handshake_when_the_first_domain_is_asked_for_then_served_since_both_are_one_site() {
    let (stage, _portvakt) = with_alias("permanent");
    let client = tls::Client::new(stage.ca.roots()).alpn(&["http/1.1"]);
    let mut stream = client.connect(stage.home.https, "www.m5.test").unwrap();

    for (host, status) in [("m5.test", 200), ("www.m5.test", 301), ("other.test", 421)] {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(tls::exchange(&mut stream, &text).unwrap().status, status, "{host}");
    }
}

#[test]
fn given_a_site_that_only_redirects_when_asked_then_path_and_query_are_kept_and_hsts_is_told() {
    let stage = Stage::new();
    let site = "[[site]]\ndomain = \"m5.test\"\nredirect_to = \"https://new.test/base\"\nhsts = { max_age = \"1m\" }\n\
                certificate = { chain = \"m5.pem\", key = \"m5.key\" }\nhttps = { mode = \"permanent\" }\n";
    stage.home.configure("", site);
    let _portvakt = stage.home.start();

    for version in ["--http1.1", "--http2"] {
        let answer = stage.curl().with(&[version]).get(&stage.url("/a?b=c"));
        assert_eq!((answer.status, answer.header("location")), (301, Some("https://new.test/base/a?b=c")), "{version}");
        assert_eq!(answer.header("strict-transport-security"), Some("max-age=60"));
    }
    let posted = stage.curl().with(&["--data", "x"]).get(&stage.url("/a"));
    assert_eq!((posted.status, posted.header("location")), (308, Some("https://new.test/base/a")));
    let plain = stage.plain("POST /a HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_eq!(plain.status(), Some(403));
    let plain = raw::get(stage.home.http, "m5.test", "/a");
    assert_eq!((plain.status, plain.header("strict-transport-security")), (301, None));
    let counted = [("route", "m5.test:/"), ("code", "301")];
    stage.home.wait_sum("portvakt_http_requests_total", &counted, 3.0);
}

#[test]
fn given_a_route_that_strips_its_prefix_when_forwarded_then_the_upstream_sees_the_rest_and_learns_the_prefix() {
    let (stage, _portvakt) = with_api("strip_prefix = true\n");

    for (target, seen, prefix) in [
        ("/api/x%20y?z=/api/", "/x%20y?z=/api/", "/api"),
        ("/api", "/", "/api"),
        ("/API/X", "/X", "/API"),
        ("/%61pi/x", "/x", "/api"),
        ("/api//evil.test/x", "/evil.test/x", "/api"),
        ("/api/a/../b", "/a/../b", "/api"),
    ] {
        for version in ["--http1.1", "--http2"] {
            let curl = stage.curl().with(&[version, "--path-as-is"]).header("X-Forwarded-Prefix: /forged");
            assert_eq!(curl.get(&stage.url(target)).status, 200, "{target}");
            let received = stage.echo.last();
            assert_eq!(received.target(), seen, "{version} {target}");
            assert_eq!(received.all("x-forwarded-prefix"), [prefix], "{version} {target}");
        }
    }
    assert_eq!(stage.get("/apix").status, 200);
    assert_eq!(
        (stage.echo.last().target(), stage.echo.last().header("x-forwarded-prefix")),
        ("/apix".to_owned(), None)
    );
}

#[test]
fn given_a_path_that_could_lead_out_of_the_prefix_when_asked_for_then_refused_or_routed_by_where_it_leads() {
    let (stage, _portvakt) = with_api("strip_prefix = true\n");

    for target in ["/api/../api/x", "//api/x", "/api%2f..%2fadmin", "/api%2fx", "/x/../api/y", "/api\\x", "/api%2f.."] {
        assert_eq!(stage.get(target).status, 400, "{target}");
    }
    assert!(stage.echo.requests().is_empty());
    assert_eq!(stage.get("/api/../admin").status, 200);
    assert_eq!(stage.echo.last().target(), "/api/../admin");
    assert_eq!(stage.echo.last().header("x-forwarded-prefix"), None);
}

#[test]
fn given_an_upstream_behind_a_stripped_prefix_when_it_redirects_and_sets_cookies_then_the_prefix_is_put_back() {
    let (stage, _portvakt) = with_api("strip_prefix = true\n");
    stage.echo.script(
        b"HTTP/1.1 302 Found\r\nLocation: /login?from=/x\r\nSet-Cookie: a=1; Path=/; HttpOnly\r\n\
          Set-Cookie: b=2; Path=/api/in\r\nContent-Length: 0\r\n\r\n",
    );

    let answer = stage.get("/api/scripted");

    assert_eq!(answer.header("location"), Some("/api/login?from=/x"));
    let cookies: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "set-cookie").collect();
    assert_eq!(cookies[0].1, "a=1; Path=/api; HttpOnly; Secure");
    assert_eq!(cookies[1].1, "b=2; Path=/api/in; Secure");
    assert_eq!(stage.get("/api/redirect").header("location"), Some(&*stage.url("/api/moved?a=b")));
}

#[test]
fn given_a_websocket_below_a_stripped_prefix_when_opened_then_it_works_with_headers_set() {
    let keys = "strip_prefix = true\nheaders = { request = { set = { X-Area = \"api\" } }, response = { remove = [\"X-No\"] } }\n";
    let (stage, _portvakt) = with_api(keys);

    let request = "wss://m5.test/api/ws".into_client_request().unwrap();
    let (mut socket, _) = tungstenite::client(request, stage.connect()).expect("a WebSocket");
    socket.send(Message::text("hej")).unwrap();

    assert_eq!(socket.read().unwrap(), Message::text("hej"));
    assert_eq!(stage.echo.last().all("x-area"), ["api"]);
}

#[test]
fn given_headers_of_site_and_route_when_forwarded_then_set_and_removed_both_ways() {
    let stage = Stage::new();
    let site = "headers = { request = { set = { X-Key = \"k\", X-Both = \"site\" }, remove = [\"X-Debug\"] }, \
                response = { set = { X-Frame-Options = \"DENY\" }, remove = [\"Server\"] } }\n";
    let route = "headers = { request = { set = { X-Both = \"route\" } }, response = { set = { X-Area = \"api\" } } }\n";
    stage.configure("", &format!("{site}{}", api(&stage, route)));
    let _portvakt = stage.home.start();
    stage.echo.script(b"HTTP/1.1 200 OK\r\nServer: IIS\r\nX-Frame-Options: ALLOW\r\nContent-Length: 0\r\n\r\n");

    for version in ["--http1.1", "--http2"] {
        let curl =
            || stage.curl().with(&[version]).header("X-Debug: 1").header("X-Both: client").header("X_Both: client");
        let answer = curl().get(&stage.url("/scripted"));
        assert_eq!((answer.header("server"), answer.header("x-frame-options")), (None, Some("DENY")), "{version}");
        let received = stage.echo.last();
        assert_eq!((received.all("x-key"), received.all("x-both")), (vec!["k".into()], vec!["site".into()]));
        assert_eq!((received.header("x-debug"), received.header("x_both")), (None, None));

        let answer = curl().get(&stage.url("/api/x"));
        assert_eq!((answer.header("x-area"), answer.header("x-frame-options")), (Some("api"), Some("DENY")));
        assert_eq!(stage.echo.last().all("x-both"), ["route"]);
    }
}

/// Adds `www.m5.test` as an alias in `mode`.
fn with_alias(mode: &str) -> (Stage, Portvakt) {
    let stage = Stage::new();
    stage.ca.issue(&["m5.test", "www.m5.test"]).write(stage.home.path(), "m5");
    stage.configure("", &format!("aliases = [\"www.m5.test\"]\nhttps = {{ mode = \"{mode}\" }}\n"));
    let portvakt = stage.home.start();
    (stage, portvakt)
}

/// A route `/api/` to the same server.
fn api(stage: &Stage, keys: &str) -> String {
    format!("[[site.route]]\npath = \"/api/\"\nupstream = \"{}\"\n{keys}", stage.echo.url())
}

fn with_api(keys: &str) -> (Stage, Portvakt) {
    let stage = Stage::new();
    stage.configure("", &api(&stage, keys));
    let portvakt = stage.home.start();
    (stage, portvakt)
}
