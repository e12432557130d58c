//! What the server behind learns about the client comes from us, not from the client; hop-by-hop headers end here.

use crate::stage::Stage;
use crate::support::Nginx;
use crate::support::ca::self_signed;
use crate::support::echo::Received;
use crate::support::raw;

/// What a client may send to look like somebody else.
const FORGED: &str = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: evil.test\r\n\
    X-Forwarded-Port: 1\r\nX-Forwarded-Server: evil\r\nForwarded: for=203.0.113.7\r\nX-Real-IP: 203.0.113.7\r\n\
    X-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\nX-Original-Host: evil.test\r\nFront-End-Https: On\r\n\
    X-ARR-SSL: forged\r\nX-ARR-ClientCert: forged\r\nX-ARR-LOG-ID: forged\r\nX-SSL-Client-Cert: forged\r\n\
    Client-Cert: forged\r\nX-HTTP-Method-Override: DELETE\r\nProxy: http://evil.test\r\n";

#[test]
fn given_tls_when_forwarded_then_address_scheme_host_and_port_are_ours() {
    let (stage, _portvakt) = Stage::running();

    let received = ask(&stage, &format!("GET / HTTP/1.1\r\nHost: m5.test\r\n{FORGED}\r\n"));

    assert_eq!(received.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(received.all("x-forwarded-proto"), ["https"]);
    assert_eq!(received.all("x-forwarded-host"), ["m5.test"]);
    assert_eq!(received.all("x-forwarded-port"), [stage.home.https.to_string()]);
    assert_eq!(received.all("host"), ["m5.test"]);
}

#[test]
fn given_forged_headers_when_forwarded_then_none_of_their_values_arrives() {
    let (stage, _portvakt) = Stage::running();

    let received = ask(&stage, &format!("GET / HTTP/1.1\r\nHost: m5.test\r\n{FORGED}\r\n"));

    let head = String::from_utf8_lossy(&received.head).to_lowercase();
    for forged in ["203.0.113.7", "gopher", "evil", "forged", "/admin", "front-end-https", "delete"] {
        assert!(!head.contains(forged), "{forged} in:\n{head}");
    }
}

/// What nginx makes of them, which reads headers as an application does.
#[test]
fn given_forged_headers_when_nginx_reads_what_arrives_then_it_is_told_the_truth_by_every_preset() {
    let names = [
        "x_forwarded_for",
        "x_forwarded_proto",
        "x_forwarded_host",
        "x_forwarded_port",
        "front_end_https",
        "x_arr_ssl",
    ];
    let names: Vec<_> =
        names.into_iter().chain(["x_original_host", "x_original_url", "x_real_ip", "client_cert"]).collect();
    let shown: String = names.iter().map(|name| format!("{name}=$http_{name} ")).collect();
    let more = format!(" location = /headers {{ return 200 \"{shown}forwarded=$http_forwarded.\"; }}");
    let identity = self_signed(&["legacy.local"]);
    let nginx = Nginx::start_tls_with(&identity, &more);
    for preset in ["", ", preset = \"iis\"", ", preset = \"arr\""] {
        let stage = Stage::new();
        let upstream = format!("{{ url = \"http://127.0.0.1:{}\"{preset} }}", nginx.http);
        stage.home.configure("", &Stage::site_with(&upstream));
        let _portvakt = stage.home.start();

        let reply = stage.request(&format!("GET /headers HTTP/1.1\r\nHost: m5.test\r\n{FORGED}\r\n"));

        let text = reply.text();
        let has = |wanted: &str| assert!(text.contains(wanted), "{preset}: {wanted:?} in {text}");
        has("x_forwarded_for=127.0.0.1 x_forwarded_proto=https x_forwarded_host=m5.test ");
        has(&format!("x_forwarded_port={} ", stage.home.https));
        has("x_real_ip= client_cert= forwarded=.");
        has(if preset.contains("iis") { "front_end_https=on x_arr_ssl= " } else { "front_end_https=" });
        has(if preset.contains("arr") { "x_arr_ssl=256|256|" } else { "x_arr_ssl= " });
        for forged in ["203.0.113.7", "gopher", "evil", "forged", "/admin"] {
            assert!(!text.contains(forged), "{preset}: {forged} in {text}");
        }
    }
}

#[test]
fn given_names_with_an_underscore_when_they_look_like_ours_then_they_do_not_arrive() {
    let (stage, _portvakt) = Stage::running();

    let received = ask(&stage, "GET / HTTP/1.1\r\nHost: m5.test\r\nX_Forwarded_For: 203.0.113.7\r\n\r\n");

    assert!(!String::from_utf8_lossy(&received.head).contains("203.0.113.7"));
}

#[test]
fn given_names_with_an_underscore_when_they_frame_then_they_do_not_arrive_and_an_applications_own_do() {
    let (stage, _portvakt) = Stage::running();
    let ours = ("x_customer_number", "7");
    let forged = [("content_length", "61"), ("Transfer_Encoding", "chunked"), ("x-real_ip", "203.0.113.7"), ours];
    let lines: String = forged.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let h1 = ask(&stage, &format!("GET / HTTP/1.1\r\nHost: m5.test\r\n{lines}\r\n"));

    let lower = forged.map(|(name, value)| (name.to_ascii_lowercase(), value));
    let mut fields = vec![(":method", "GET"), (":scheme", "https"), (":authority", "m5.test"), (":path", "/")];
    fields.extend(lower.iter().map(|(name, value)| (name.as_str(), *value)));
    assert_eq!(stage.h2(&[]).request(&fields, None).status(), Some(200));
    let h2 = stage.echo.last();

    for received in [h1, h2] {
        let head = String::from_utf8_lossy(&received.head).to_lowercase();
        assert!(!head.contains("t_length") && !head.contains("r_encoding") && !head.contains("203.0.113.7"), "{head}");
        assert_eq!(received.all("x_customer_number"), ["7"]);
    }
}

#[test]
fn given_plain_http_when_allowed_then_the_scheme_says_so() {
    let (stage, _portvakt) = Stage::running_with("", "https = { rest = \"allow\" }\n");

    stage.plain("GET / HTTP/1.1\r\nHost: m5.test\r\nX-Forwarded-Proto: https\r\n\r\n");
    let received = stage.echo.last();

    assert_eq!(received.all("x-forwarded-proto"), ["http"]);
    assert_eq!(received.all("x-forwarded-for"), ["127.0.0.1"]);
}

#[test]
fn given_a_trusted_proxy_when_it_forwards_then_its_word_is_kept_and_its_address_added() {
    let (stage, _portvakt) = Stage::running_with("trusted_proxies = [\"127.0.0.0/8\"]\n", "");

    let received = ask(
        &stage,
        "GET / HTTP/1.1\r\nHost: m5.test\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: public.test\r\nX-Forwarded-Port: 443\r\n\r\n",
    );

    assert_eq!(received.all("x-forwarded-for").join(", "), "203.0.113.7, 127.0.0.1");
    assert_eq!(received.all("x-forwarded-host"), ["public.test"]);
    assert_eq!(received.all("x-forwarded-port"), ["443"]);
}

#[test]
fn given_another_trusted_proxy_when_a_stranger_forwards_then_his_word_is_dropped() {
    let (stage, _portvakt) = Stage::running_with("trusted_proxies = [\"192.0.2.0/24\"]\n", "");

    let received = ask(&stage, "GET / HTTP/1.1\r\nHost: m5.test\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n");

    assert_eq!(received.all("x-forwarded-for"), ["127.0.0.1"]);
}

#[test]
fn given_hop_by_hop_headers_when_forwarded_then_they_end_here() {
    let (stage, _portvakt) = Stage::running();

    let received = ask(
        &stage,
        "GET / HTTP/1.1\r\nHost: m5.test\r\nConnection: keep-alive, X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n\
         TE: trailers\r\nProxy-Authorization: Basic YTpi\r\nProxy-Connection: keep-alive\r\nX-Public: 2\r\n\r\n",
    );

    for name in ["x-private", "keep-alive", "te", "proxy-authorization", "proxy-connection"] {
        assert_eq!(received.header(name), None, "{name}");
    }
    assert_eq!(received.header("x-public").as_deref(), Some("2"));
}

#[test]
fn given_headers_that_applications_need_when_forwarded_then_they_arrive_as_sent() {
    let (stage, _portvakt) = Stage::running();

    for action in ["\"\"", "", "urn:door/open"] {
        let received = ask(
            &stage,
            &format!(
                "POST /a HTTP/1.1\r\nHost: m5.test\r\nSOAPAction: {action}\r\nAuthorization: Bearer t\r\nCookie: a=b\r\n\
                 Translate: f\r\nDepth: 0\r\nContent-Length: 0\r\n\r\n"
            ),
        );
        assert_eq!(received.header("soapaction").as_deref(), Some(action));
        assert_eq!(received.header("authorization").as_deref(), Some("Bearer t"));
        assert_eq!(received.header("cookie").as_deref(), Some("a=b"));
        assert_eq!(received.header("depth").as_deref(), Some("0"));
    }
}

fn ask(stage: &Stage, text: &str) -> Received {
    assert_eq!(stage.request(text).status, 200);
    stage.echo.last()
}

#[test]
fn given_hop_by_hop_headers_in_an_answer_when_forwarded_then_they_end_here_and_h2_is_content() {
    let (stage, _portvakt) = Stage::running();
    stage.echo.script(
        b"HTTP/1.1 200 OK\r\nConnection: X-Internal, Upgrade\r\nX-Internal: 1\r\nUpgrade: h2,h2c\r\nTE: trailers\r\n\
          Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok",
    );

    let over_h1 = stage.get("/scripted");
    let over_h2 = stage.curl().with(&["--http2"]).get(&stage.url("/scripted"));

    assert_eq!((over_h1.text().as_str(), over_h2.text().as_str()), ("ok", "ok"));
    for headers in [over_h1.headers, over_h2.headers] {
        for name in ["x-internal", "upgrade", "te", "keep-alive", "proxy-connection"] {
            assert_eq!(raw::header(&headers, name), None, "{name}");
        }
        assert_eq!(raw::header(&headers, "x-kept"), Some("1"));
    }
}

#[test]
fn given_a_204_with_a_length_when_forwarded_then_the_length_ends_here_and_h2_is_content() {
    let (stage, _portvakt) = Stage::running();
    stage.echo.script(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n");

    assert_eq!(stage.get("/scripted").header("content-length"), None);
    assert_eq!(stage.curl().with(&["--http2"]).get(&stage.url("/scripted")).status, 204);
}

#[test]
fn given_http_1_0_without_a_host_when_forwarded_then_the_server_is_told_the_site() {
    let (stage, _portvakt) = Stage::running();

    assert_eq!(stage.request("GET / HTTP/1.0\r\n\r\n").status, 200);

    assert_eq!(stage.echo.last().all("host"), ["m5.test"]);
}
