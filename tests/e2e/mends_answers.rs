//! What a server says of itself fits the way that clients take: URLs, cookies, descriptions. Everything else, and everything
//! where that is switched off, passes byte for byte.

use std::io::{Read, Write};

use crate::stage::Stage;
use crate::support::raw::{self, read_head};
use crate::support::{Portvakt, home, tls};

const WSDL: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<wsdl:definitions xmlns:soap=\"http://schemas.xmlsoap.org/wsdl/soap/\">\r\n\
    <!-- location=\"INNER/Door.asmx\" -->\r\n<wsdl:import location=\"INNER/Door.svc?wsdl=wsdl0&amp;x\" namespace=\"INNER/\" />\r\n\
    <soap:address location='INNER/Door.asmx' /><http:address location=\"http://m5.test/Door.asmx\"/>\r\n\
    <wsa:Address>INNER/Door.svc</wsa:Address></wsdl:definitions>\r\n";

#[test]
fn given_urls_of_the_inside_when_answered_then_the_clients_own_and_no_others() {
    let (stage, _portvakt) = running("answers = { origins = [\"http://intern\"] }\n");
    let (inner, outer) = (stage.echo.url(), stage.url(""));
    for (from, to) in [
        (format!("{inner}/a?b=c#d"), format!("{outer}/a?b=c#d")),
        ("http://intern/a".to_owned(), format!("{outer}/a")),
        ("http://m5.test/a".to_owned(), format!("{outer}/a")),
        (format!("http://m5.test:{}/a", stage.echo.port()), format!("{outer}/a")),
        ("https://login.example/a".to_owned(), "https://login.example/a".to_owned()),
        ("/a".to_owned(), "/a".to_owned()),
    ] {
        let lines = format!("Location: {from}\r\nContent-Location: {from}\r\nRefresh: 3; url={from}\r\n");
        script(&stage, "302 Found", &lines, "x");
        let over_h1 = stage.get("/scripted");
        let over_h2 = stage.curl().with(&["--http2"]).get(&stage.url("/scripted"));
        for headers in [over_h1.headers, over_h2.headers] {
            assert_eq!(raw::header(&headers, "location"), Some(&*to), "{from}");
            assert_eq!(raw::header(&headers, "content-location"), Some(&*to), "{from}");
            assert_eq!(raw::header(&headers, "refresh"), Some(&*format!("3; url={to}")), "{from}");
        }
    }
    assert!(stage.home.metrics().sum("portvakt_rewrites_total", &[("kind", "location")]) >= 4.0);
}

#[test]
fn given_plain_http_when_allowed_then_urls_of_the_inside_become_the_clients_plain_ones() {
    let (stage, _portvakt) = running("https = { rest = \"allow\" }\n");
    script(&stage, "302 Found", &format!("Location: {}/a\r\nSet-Cookie: a=b\r\n", stage.echo.url()), "");

    let host = format!("m5.test:{}", stage.home.http);
    let reply = raw::get(stage.home.http, &host, "/scripted");

    assert_eq!(reply.header("location"), Some(&*format!("http://{host}/a")));
    assert_eq!(reply.header("set-cookie"), Some("a=b"));
}

#[test]
fn given_a_trusted_proxy_that_ends_tls_before_us_when_answered_then_urls_and_cookies_are_of_tls() {
    let stage = Stage::new();
    stage.configure("trusted_proxies = [\"127.0.0.0/8\"]\n", "https = { rest = \"allow\" }\n");
    let _portvakt = stage.home.start();
    script(
        &stage,
        "302 Found",
        "Location: http://m5.test/a\r\nRefresh: 0;url=http://m5.test/b\r\nSet-Cookie: a=b\r\n",
        "",
    );
    let ask = |more: &str| {
        let text = format!("GET /scripted HTTP/1.1\r\nHost: m5.test\r\n{more}Connection: close\r\n\r\n");
        raw::request(stage.home.http, &text)
    };

    let reply = ask("X-Forwarded-Proto: https\r\n");
    assert_eq!(reply.header("location"), Some("https://m5.test/a"));
    assert_eq!(reply.header("refresh"), Some("0;url=https://m5.test/b"));
    assert_eq!(reply.header("set-cookie"), Some("a=b; Secure"));
    let in_clear = ask("X-Forwarded-Proto: http\r\n");
    assert_eq!(in_clear.header("location"), Some("http://m5.test/a"));
    assert_eq!(in_clear.header("set-cookie"), Some("a=b"));
}

#[test]
fn given_a_prefix_that_is_taken_off_when_answered_then_urls_of_the_inside_get_it_back() {
    let stage = Stage::new();
    let route = format!("[[site.route]]\npath = \"/api/\"\nstrip_prefix = true\nupstream = {:?}\n", stage.echo.url());
    stage.configure("", &route);
    let _portvakt = stage.home.start();
    let lines = format!("Location: {}/a\r\nSet-Cookie: s=1; Path=/; Domain=127.0.0.1\r\n", stage.echo.url());
    script(&stage, "302 Found", &lines, "");

    let reply = stage.get("/api/scripted");

    assert_eq!(reply.header("location"), Some(&*stage.url("/api/a")));
    assert_eq!(reply.header("set-cookie"), Some("s=1; Path=/api; Secure"));
}

#[test]
fn given_cookies_when_flags_are_asked_for_then_added_where_they_are_missing_and_never_changed() {
    let (stage, _portvakt) = running("answers = { same_site = \"lax\", http_only = true }\n");
    let cookies =
        ["a=1; path=/", "b=2; SameSite=None", "c=3; Secure; HttpOnly; SameSite=Strict", "d=4; Domain=127.0.0.1"];
    let lines: String = cookies.iter().map(|cookie| format!("Set-Cookie: {cookie}\r\n")).collect();
    script(&stage, "200 OK", &lines, "");

    let reply = stage.get("/scripted");

    let set: Vec<_> = reply.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value).collect();
    assert_eq!(
        set,
        [
            "a=1; path=/; Secure; HttpOnly; SameSite=Lax",
            "b=2; SameSite=None; Secure; HttpOnly",
            "c=3; Secure; HttpOnly; SameSite=Strict",
            "d=4; Secure; HttpOnly; SameSite=Lax",
        ]
    );
}

#[test]
fn given_everything_switched_off_when_answered_then_head_and_body_are_the_same_bytes() {
    let (stage, _portvakt) = running("answers = { locations = false, cookies = false }\n");
    let (body, inner) = (WSDL.replace("INNER", &stage.echo.url()), stage.echo.url());
    let head = format!(
        "HTTP/1.1 200 Passt scho\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nSERVER: Microsoft-IIS/8.5\r\nX-a: two  words\r\n\
         Location: {inner}/x\r\nRefresh: 1;URL='{inner}/'\r\nset-cookie: a=b; Domain=127.0.0.1;;\r\n\
         Set-Cookie: c=d; path=/ ; SameSite=None\r\nX-b: caf\u{e9}\r\nContent-Location: {inner}/x\r\nContent-Type: text/xml\r\n\
         ETag: \"1\"\r\nContent-Length: {}\r\nCache-Control: private\r\n\r\n",
        body.len()
    );
    stage.echo.script(format!("{head}{body}").as_bytes());

    let mut stream = stage.connect();
    stream.write_all(b"GET /scripted?wsdl HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
    let received = read_head(&mut stream).unwrap();
    let mut content = vec![0; body.len()];
    stream.read_exact(&mut content).unwrap();

    let (sent, received) = (lines(head.as_bytes()), lines(&received));
    assert_eq!(received, sent);
    assert_eq!(content, body.as_bytes());
    assert_eq!(stage.home.metrics().sum("portvakt_rewrites_total", &[]), 0.0);
}

#[test]
fn given_descriptions_to_be_corrected_when_asked_for_then_their_addresses_alone_change() {
    let (stage, _portvakt) = running("answers = { xml = true }\n");
    let sent = WSDL.replace("INNER", &stage.echo.url());
    let expected = WSDL
        .replace("=\"INNER/Door.svc", &format!("=\"{}/Door.svc", stage.url("")))
        .replace("'INNER/Door.asmx'", &format!("'{}/Door.asmx'", stage.url("")))
        .replace(">INNER/", &format!(">{}/", stage.url("")))
        .replace("http://m5.test/", &stage.url("/"))
        .replace("INNER", &stage.echo.url());
    script(&stage, "200 OK", "Content-Type: text/xml; charset=utf-8\r\nContent-MD5: x\r\n", &sent);

    let over_h1 = stage
        .request("GET /scripted?wsdl HTTP/1.1\r\nHost: m5.test\r\nAccept-Encoding: gzip\r\nRange: bytes=0-9\r\n\r\n");
    let over_h2 = stage.curl().with(&["--http2", "--compressed"]).get(&stage.url("/scripted?wsdl"));
    let old = stage.request("GET /scripted?wsdl HTTP/1.0\r\nHost: m5.test\r\n\r\n");

    assert_eq!((over_h1.text(), over_h2.text(), old.text()), (expected.clone(), expected.clone(), expected));
    assert_eq!((over_h1.header("content-length"), over_h1.header("content-md5")), (None, None));
    assert_eq!(old.header("transfer-encoding"), None);
    let [first, ..] = &stage.echo.take()[..] else { panic!("no request") };
    assert_eq!((first.header("accept-encoding").as_deref(), first.header("range")), (Some("identity"), None));
    assert_eq!(stage.home.metrics().sum("portvakt_rewrites_total", &[("kind", "xml")]), 3.0);
}

#[test]
fn given_descriptions_to_be_corrected_when_something_else_is_asked_for_or_answered_then_it_passes_unchanged() {
    let (stage, _portvakt) = running("answers = { xml = \"1KiB\" }\n");
    let sent = WSDL.replace("INNER", &stage.echo.url());
    let long = format!("{sent}{}", " ".repeat(2000));
    for (target, content_type, body) in [
        ("/scripted", "text/xml", &sent),
        ("/scripted?x=wsdl", "text/xml", &sent),
        ("/scripted?wsdl", "text/html", &sent),
        ("/scripted?wsdl", "text/xml\r\nContent-Encoding: br", &sent),
        ("/scripted?wsdl", "text/xml", &long),
    ] {
        script(&stage, "200 OK", &format!("Content-Type: {content_type}\r\n"), body);
        let reply = stage.get(target);
        assert_eq!(&reply.text(), body, "{target} {content_type}");
        assert_eq!(reply.header("content-length"), Some(&*body.len().to_string()), "{target} {content_type}");
    }
    let chunk = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n";
    stage.echo.script(format!("{head}{chunk}").as_bytes());
    assert_eq!(stage.get("/scripted?wsdl").text(), long);
    assert_eq!(stage.home.metrics().sum("portvakt_rewrites_total", &[("kind", "xml")]), 0.0);
}

#[test]
fn given_a_server_that_compresses_whatever_is_asked_when_described_then_corrected_and_compressed_again() {
    use flate2::{Compression, read::GzDecoder, write::GzEncoder};
    let (stage, _portvakt) = running("answers = { xml = true }\n");
    let sent = format!("<w:Address>{}/Door.svc</w:Address>", stage.echo.url());
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(sent.as_bytes()).unwrap();
    let body = encoder.finish().unwrap();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stage.echo.script(&[head.as_bytes(), &body].concat());

    let reply = stage.get("/scripted?wsdl");

    let mut text = String::new();
    GzDecoder::new(&*reply.body).read_to_string(&mut text).unwrap();
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    assert_eq!(text, format!("<w:Address>{}</w:Address>", stage.url("/Door.svc")));
}

#[test]
fn given_a_head_of_a_description_when_asked_for_then_no_length_that_is_wrong() {
    let (stage, _portvakt) = running("answers = { xml = true }\n");
    let sent = WSDL.replace("INNER", &stage.echo.url());
    stage.echo.script(
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n", sent.len()).as_bytes(),
    );

    let answer = stage.curl().with(&["--http1.1", "-I"]).get(&stage.url("/scripted?wsdl"));

    assert_eq!((answer.status, answer.header("content-length")), (200, None));
}

#[test]
fn given_clients_sent_to_where_they_are_when_it_goes_on_then_told_once_and_counted() {
    let (stage, portvakt) = running("");
    let host = format!("m5.test:{}", stage.home.https);
    let ask = |target: &str, method: &str| {
        let request =
            format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: a\r\nContent-Length: 0\r\n\r\n");
        stage.request(&request)
    };
    // As an application that believes to be asked in clear.
    script(&stage, "302 Found", &format!("Location: http://{host}/scripted?token=geheim\r\n"), "");

    let replies = [(); 10].map(|()| ask("/scripted?token=geheim", "GET"));

    assert_eq!(replies[9].header("location"), Some(&*stage.url("/scripted?token=geheim")));
    let line = portvakt.child.wait_line("the explanation", |line| line.contains("PV0319"));
    assert!(line.contains("m5.test:/") && line.contains("preset = ") && !line.contains("geheim"), "{line}");
    assert_eq!(portvakt.child.lines().iter().filter(|line| line.contains("PV0319")).count(), 1);
    assert_eq!(stage.home.metrics().one("portvakt_redirect_loops_total", &[("route", "m5.test:/")]), 2.0);
    assert!(stage.home.admin("/status.json").text().contains("redirect_loop"));
    let printed = home::run(stage.home.path(), &["help", "PV0319"]);
    assert!(String::from_utf8_lossy(&printed.stdout).contains("portvakt_redirect_loops_total"));

    // Elsewhere, after a form, or now and then is no loop.
    for _ in 0..10 {
        ask("/scripted?token=other", "GET");
        ask("/scripted?token=geheim", "POST");
    }
    assert_eq!(stage.home.metrics().sum("portvakt_redirect_loops_total", &[]), 2.0);
}

#[test]
fn given_clients_sent_round_by_way_of_another_url_when_it_goes_on_then_told_and_counted_and_else_not() {
    let stage = Stage::new();
    let (port, host) = (redirecting(), format!("m5.test:{}", stage.home.https));
    stage.home.configure("", &Stage::site_with(&format!("\"http://127.0.0.1:{port}\"")));
    let portvakt = stage.home.start();
    for version in ["--http1.1", "--http2"] {
        let followed = stage.curl().with(&[version, "-L", "--max-redirs", "20"]).try_get(&stage.url("/a?token=geheim"));
        assert!(followed.is_err(), "curl goes round too: {followed:?}");
    }
    let line = portvakt.child.wait_line("the explanation", |line| line.contains("PV0319"));
    assert!(!line.contains("geheim"), "{line}");
    let counted = || stage.home.metrics().sum("portvakt_redirect_loops_total", &[]);
    let before = counted();
    assert!(before >= 2.0, "{before}");

    // The same redirect for each page, and one that ends.
    let mut stream = stage.connect();
    for target in ["/once", "/once", "/there", "/once", "/there", "/once", "/there", "/once", "/there", "/once"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert!(tls::exchange(&mut stream, &request).unwrap().status < 400);
    }
    assert_eq!(counted(), before);
}

/// A server whose `/a`, `/b` and `/c` lead to each other in a circle, and `/once` to `/there`, where it ends.
fn redirecting() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = |mut stream: std::net::TcpStream| {
        while let Ok(head) = read_head(&mut stream) {
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split(['?', ' ']).nth(1).unwrap_or_default();
            let next = match path {
                "/a" => Some("/b"),
                "/b" => Some("/c"),
                "/c" => Some("/a?token=geheim"),
                "/once" => Some("/there"),
                _ => None,
            };
            let answer = match next {
                Some(next) => format!("HTTP/1.1 302 Found\r\nLocation: {next}\r\nContent-Length: 0\r\n\r\n"),
                None => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
            };
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

/// The usual scene with `lines` in its site.
fn running(lines: &str) -> (Stage, Portvakt) {
    Stage::running_with("", lines)
}

fn script(stage: &Stage, status: &str, lines: &str, body: &str) {
    let length = body.len();
    stage.echo.script(format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {length}\r\n\r\n{body}").as_bytes());
}

/// The lines of a head, but for those of the connection and `Date`, which is written anew at each hop. Their order is that of
/// the bytes.
fn lines(head: &[u8]) -> Vec<String> {
    let lines = head.split(|&byte| byte == b'\n').map(|line| String::from_utf8_lossy(line).into_owned());
    let is_own =
        |line: &String| !["connection:", "date:"].iter().any(|name| line.to_ascii_lowercase().starts_with(name));
    lines.filter(is_own).collect()
}
