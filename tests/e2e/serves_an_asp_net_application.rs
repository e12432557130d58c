//! A real ASP.NET application, which believes that it is asked in clear, works behind TLS: redirects, cookies, WSDL, its limit
//! on uploads; and passes byte for byte where nothing is to be mended.

use crate::stage::Stage;
use crate::support::raw::Reply;
use crate::support::{AspNet, Portvakt};

#[test]
fn given_an_application_when_it_redirects_then_over_https_and_never_in_a_circle() {
    let application = AspNet::start();
    let (stage, portvakt) = before(&application, "preset = \"iis\"", "");

    let path = get(&stage, "/Redirect.aspx?to=path");
    let url = get(&stage, "/Redirect.aspx?to=url");
    let told = get(&stage, "/Redirect.aspx?to=front-end");
    // Mono sets a cookie with each, so that it takes ten.
    let circle = [(); 10].map(|()| get(&stage, "/Redirect.aspx?to=https"));

    assert_eq!((path.status, path.header("location")), (302, Some("/Info.aspx")));
    assert_eq!((url.status, url.header("location")), (302, Some(&*stage.url("/Info.aspx?a=b"))));
    assert_eq!((told.status, told.text().contains("here")), (200, true));
    assert_eq!(circle[9].header("location"), Some(&*stage.url("/Redirect.aspx?to=https")));
    portvakt.child.wait_line("the explanation of the circle", |line| line.contains("PV0319"));
}

#[test]
fn given_an_application_when_it_sets_a_session_then_its_cookie_is_secure() {
    let application = AspNet::start();
    let (stage, _portvakt) =
        before(&application, "preset = \"iis\"", "answers = { same_site = \"lax\", http_only = true }\n");

    let page = get(&stage, "/Info.aspx");

    let cookie = page.header("set-cookie").unwrap();
    assert!(cookie.starts_with("ASP.NET_SessionId=") && cookie.contains("; Secure"), "{cookie}");
    assert!(cookie.contains("; HttpOnly") && cookie.ends_with("; SameSite=Lax"), "{cookie}");
    assert!(page.text().trim_end().ends_with("False on"), "{}", page.text());
}

#[test]
fn given_an_application_when_its_wsdl_is_asked_for_then_its_addresses_are_the_clients() {
    let application = AspNet::start();
    let (stage, _portvakt) = before(&application, "preset = \"arr\"", "answers = { xml = true }\n");

    let (wsdl, disco) = (get(&stage, "/Door.asmx?wsdl").text(), get(&stage, "/Door.asmx?disco").text());

    let address = format!("location=\"{}\"", stage.url("/Door.asmx"));
    assert_eq!((wsdl.matches(&address).count(), wsdl.matches("location=\"http://").count()), (4, 0), "{wsdl}");
    assert!(disco.contains(&format!("docRef=\"{}\"", stage.url("/Door.asmx"))), "{disco}");
    assert!(!disco.contains("ef=\"http://") && !disco.contains("address=\"http://"), "{disco}");
    let body = "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><Open xmlns=\"urn:door\"><id>7</id></Open>\
        </s:Body></s:Envelope>";
    let call = |action: &str| {
        let head = format!("POST /Door.asmx HTTP/1.1\r\nHost: m5.test\r\nContent-Type: text/xml\r\n{action}");
        stage.request(&format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))
    };
    let opened = call("SOAPAction: \"urn:door/Open\"\r\n");
    assert!(opened.status == 200 && opened.text().contains("open 7"), "{}", opened.text());
    // ASMX finds the method by it; what is empty stays empty.
    assert_eq!(call("SOAPAction: \"\"\r\n").status, 500);
}

#[test]
fn given_an_application_with_a_limit_when_5_mb_are_uploaded_then_its_own_answer_comes_back() {
    let application = AspNet::start();
    let (stage, _portvakt) = before(&application, "preset = \"iis\"", "");
    let file = stage.home.path().join("5mb");
    let data = format!("@{}", file.display());
    for (length, expected) in [(3_000_000, 200), (5_000_000, 500)] {
        std::fs::write(&file, vec![b'x'; length]).unwrap();
        for how in [
            &["--http1.1", "-H", "Expect: 100-continue"][..],
            &["--http2"],
            &["--http1.1", "-H", "Transfer-Encoding: chunked"],
        ] {
            let answer = stage.curl().with(how).with(&["--data-binary", &data]).get(&stage.url("/Upload.aspx"));
            assert_eq!(answer.status, expected, "{length} bytes {how:?}: {}", answer.text());
            match expected {
                200 => assert_eq!(answer.text().trim(), length.to_string(), "{how:?}"),
                _ => assert!(answer.header("x-aspnet-version").is_some(), "{how:?}: {}", answer.text()),
            }
        }
    }
}

#[test]
fn given_everything_switched_off_when_asked_then_the_applications_own_bytes() {
    let application = AspNet::start();
    let (stage, _portvakt) =
        before(&application, "preset = \"iis\"", "answers = { locations = false, cookies = false }\n");
    for target in ["/Redirect.aspx?to=url", "/Door.asmx?wsdl", "/Door.asmx?disco"] {
        let direct = crate::support::raw::get(application.port, "m5.test", target);
        let through = get(&stage, target);

        let told = |reply: &Reply| {
            let own = |name: &str| !matches!(name, "date" | "connection" | "set-cookie");
            // The order of fields with different names means nothing (RFC 9110 §5.3).
            reply.headers.iter().filter(|(name, _)| own(name)).cloned().collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!((through.status, told(&through)), (direct.status, told(&direct)), "{target}");
        assert_eq!(through.body, direct.body, "{target}");
    }
    assert!(!get(&stage, "/Info.aspx").header("set-cookie").unwrap().contains("Secure"));
}

/// `m5.test` in front of the application.
fn before(application: &AspNet, keys: &str, lines: &str) -> (Stage, Portvakt) {
    let stage = Stage::new();
    let upstream = format!("{{ url = {:?}, {keys} }}", application.url());
    stage.home.configure("", &format!("{}{lines}", Stage::site_with(&upstream)));
    let portvakt = stage.home.start();
    (stage, portvakt)
}

fn get(stage: &Stage, target: &str) -> Reply {
    let host = format!("m5.test:{}", stage.home.https);
    // The name alone, as IIS has it after the binding; the port is that of the test.
    let host = if target.contains("https") || target.contains("front-end") { host.as_str() } else { "m5.test" };
    stage.request(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: test\r\n\r\n"))
}
