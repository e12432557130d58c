//! WebDAV and SOAP pass as they were sent: methods, answers, empty values; only `Destination` learns the inner way.

use std::fs;

use crate::stage::Stage;
use crate::support::{Nginx, Portvakt, raw};

#[test]
fn given_a_plain_hop_when_files_are_moved_to_an_https_destination_then_they_move() {
    let (stage, nginx, _portvakt) = with_files("");
    fs::write(nginx.files().join("a.txt"), "a").unwrap();
    let port = stage.home.https;

    for (method, from, to, status) in [
        ("COPY", "/files/a.txt", "/files/b.txt", 204),
        ("MOVE", "/files/b.txt", "/files/c%20d.txt", 204),
        ("MKCOL", "/files/folder/", "", 201),
        ("MOVE", "/files/c%20d.txt", "/files/folder/e.txt", 204),
    ] {
        let destination = format!("Destination: https://m5.test:{port}{to}");
        let reply = stage.curl().with(&["-X", method]).header(&destination).get(&stage.url(from));
        assert_eq!(reply.status, status, "{method} {from} {to}: {}", reply.text());
    }

    assert_eq!(fs::read_to_string(nginx.files().join("folder/e.txt")).unwrap(), "a");
    assert!(!nginx.files().join("c d.txt").exists() && nginx.files().join("a.txt").exists());
    // What the server says without help.
    let request = "MOVE /files/a.txt HTTP/1.1\r\nHost: m5.test\r\nDestination: https://m5.test/files/x.txt\r\n\r\n";
    assert_eq!(raw::request(nginx.http, request).status, 400);
}

#[test]
fn given_a_prefix_that_is_taken_off_when_files_are_moved_then_the_destination_loses_it_too() {
    let (stage, nginx, _portvakt) = with_files("path = \"/dav/\"\nstrip_prefix = true\n");
    fs::write(nginx.files().join("a.txt"), "a").unwrap();

    for destination in [format!("https://m5.test:{}/dav/files/b.txt", stage.home.https), "/dav/files/a.txt".to_owned()]
    {
        let from = if destination.starts_with('/') { "/dav/files/b.txt" } else { "/dav/files/a.txt" };
        let header = format!("Destination: {destination}");
        let reply = stage.curl().with(&["-X", "MOVE"]).header(&header).get(&stage.url(from));
        assert_eq!(reply.status, 204, "{destination}: {}", reply.text());
    }
    assert!(nginx.files().join("a.txt").exists());
}

#[test]
fn given_a_destination_on_another_host_when_sent_then_it_arrives_as_it_is() {
    let (stage, _portvakt) = Stage::running();
    for destination in ["https://other.test/b", "not a url", ""] {
        let request = format!("MOVE /a HTTP/1.1\r\nHost: m5.test\r\nDestination: {destination}\r\n\r\n");
        assert_eq!(stage.request(&request).status, 200);
        assert_eq!(stage.echo.last().header("destination").as_deref(), Some(destination));
    }
}

#[test]
fn given_conditions_on_a_resource_when_sent_then_the_server_reads_them_as_its_own() {
    let (stage, _portvakt) = Stage::running();
    let list = "(<opaquelocktoken:https://m5.test/x> [\"a)\"])";
    for (tag, expected) in [
        (stage.url("/files/a"), format!("<http://m5.test/files/a> {list}")),
        ("https://other.test/a".to_owned(), format!("<https://other.test/a> {list}")),
    ] {
        let request =
            format!("PUT /files/a HTTP/1.1\r\nHost: m5.test\r\nIf: <{tag}> {list}\r\nContent-Length: 1\r\n\r\nx");
        assert_eq!(stage.request(&request).status, 200);
        assert_eq!(stage.echo.last().header("if").as_deref(), Some(&*expected), "{tag}");
    }
}

#[test]
fn given_a_list_of_files_when_documents_are_corrected_then_its_addresses_are_the_clients() {
    let stage = Stage::new();
    let route = format!(
        "[[site.route]]\npath = \"/dav/\"\nstrip_prefix = true\nupstream = {:?}\nanswers = {{ xml = true }}\n",
        stage.echo.url()
    );
    stage.configure("", &route);
    let _portvakt = stage.home.start();
    let (inner, outer) = (stage.echo.url(), stage.url(""));
    let list = |first: &str, second: &str| {
        format!("<D:multistatus xmlns:D=\"DAV:\"><D:href>{first}</D:href><D:href>{second}</D:href></D:multistatus>")
    };
    let body = list(&format!("{inner}/files/a%20b"), "/files/");
    let length = body.len();
    let head =
        format!("HTTP/1.1 207 Multi-Status\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n\r\n");
    stage.echo.script(format!("{head}{body}").as_bytes());

    let reply =
        stage.request("PROPFIND /dav/scripted HTTP/1.1\r\nHost: m5.test\r\nDepth: 1\r\nContent-Length: 0\r\n\r\n");

    assert_eq!((reply.status, reply.text()), (207, list(&format!("{outer}/dav/files/a%20b"), "/dav/files/")));
}

#[test]
fn given_methods_of_webdav_when_sent_then_each_arrives_and_its_207_comes_back() {
    let (stage, _portvakt) = Stage::running();
    let body = "<?xml version=\"1.0\"?><D:multistatus xmlns:D=\"DAV:\"/>";
    let length = body.len();
    let head = format!("HTTP/1.1 207 Multi-Status\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\r\n");
    stage.echo.script(format!("{head}{body}").as_bytes());
    for method in [
        "PROPFIND",
        "PROPPATCH",
        "MKCOL",
        "COPY",
        "MOVE",
        "LOCK",
        "UNLOCK",
        "SEARCH",
        "REPORT",
        "VERSION-CONTROL",
        "X-OWN",
    ] {
        let question = "<D:propfind xmlns:D=\"DAV:\"/>";
        let lines = "Depth: 1\r\nOverwrite: F\r\nIf: (<opaquelocktoken:a>)\r\nTranslate: f\r\nTimeout: Infinite";
        let request = format!(
            "{method} /scripted HTTP/1.1\r\nHost: m5.test\r\n{lines}\r\nContent-Length: {}\r\n\r\n{question}",
            question.len()
        );

        let reply = stage.request(&request);
        let over_h2 = stage.curl().with(&["--http2", "-X", method, "-d", question]).get(&stage.url("/scripted"));

        assert_eq!((reply.status, reply.text().as_str()), (207, body), "{method}");
        assert_eq!((over_h2.status, over_h2.text().as_str()), (207, body), "{method} over HTTP/2");
        let [h1, h2] = &stage.echo.take()[..] else { panic!("two requests") };
        for received in [h1, h2] {
            assert_eq!((received.method().as_str(), received.body.as_slice()), (method, question.as_bytes()));
        }
        for (name, value) in [("depth", "1"), ("overwrite", "F"), ("if", "(<opaquelocktoken:a>)"), ("translate", "f")] {
            assert_eq!(h1.header(name).as_deref(), Some(value), "{method}");
        }
    }
}

#[test]
fn given_soap_actions_when_sent_then_set_quoted_empty_and_absent_arrive_as_such() {
    let (stage, _portvakt) = Stage::running();
    for (lines, expected) in [
        ("SOAPAction: urn:door/open\r\n", vec!["urn:door/open"]),
        ("SOAPAction: \"urn:door/open\"\r\n", vec!["\"urn:door/open\""]),
        ("SOAPAction: \"\"\r\n", vec!["\"\""]),
        ("SOAPAction:\r\n", vec![""]),
        ("", vec![]),
    ] {
        let request = format!("POST /a HTTP/1.1\r\nHost: m5.test\r\n{lines}Content-Length: 1\r\n\r\nx");
        assert_eq!(stage.request(&request).status, 200);
        let received = stage.echo.last();
        assert_eq!(received.all("soapaction"), expected, "{lines}");
        assert_eq!(received.body, b"x");
    }
    for (value, expected) in [(Some(""), vec![""]), (Some("\"\""), vec!["\"\""]), (None, vec![])] {
        let mut fields = vec![(":method", "POST"), (":scheme", "https"), (":authority", "m5.test"), (":path", "/a")];
        fields.extend(value.map(|value| ("soapaction", value)));
        assert_eq!(stage.h2(&[]).request(&fields, Some(b"x")).status(), Some(200));
        assert_eq!(stage.echo.last().all("soapaction"), expected, "over HTTP/2");
    }
}

#[test]
fn given_a_body_where_few_expect_one_when_sent_then_it_arrives() {
    let (stage, _portvakt) = Stage::running();
    for method in ["GET", "DELETE", "OPTIONS"] {
        let request = format!("{method} /a HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 4\r\n\r\nbody");
        assert_eq!(stage.request(&request).status, 200);
        assert_eq!((stage.echo.last().method().as_str(), stage.echo.last().body.as_slice()), (method, &b"body"[..]));
        let chunked = format!(
            "{method} /a HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
        );
        assert_eq!(stage.request(&chunked).status, 200);
        assert_eq!(stage.echo.last().body, b"body", "{method} in chunks");
    }
}

#[test]
fn given_options_of_the_whole_server_when_sent_then_it_arrives_as_an_asterisk() {
    let (stage, _portvakt) = Stage::running();

    assert_eq!(stage.request("OPTIONS * HTTP/1.1\r\nHost: m5.test\r\n\r\n").status, 200);

    let received = stage.echo.last();
    assert_eq!((received.method().as_str(), received.target().as_str()), ("OPTIONS", "*"));
}

/// A site whose files lie on nginx over plain HTTP; `route` begins a route of its own.
fn with_files(route: &str) -> (Stage, Nginx, Portvakt) {
    let (stage, nginx) = (Stage::new(), Nginx::start());
    let url = format!("\"http://127.0.0.1:{}\"", nginx.http);
    match route {
        "" => stage.home.configure("", &Stage::site_with(&url)),
        _ => stage.configure("", &format!("[[site.route]]\n{route}upstream = {url}\n")),
    }
    let portvakt = stage.home.start();
    (stage, nginx, portvakt)
}
