//! Applications that stood behind Microsoft's proxies find the headers that they know, and nobody else can send them.

use crate::stage::Stage;
use crate::support::echo::Received;

/// What only a proxy may say, as it is spelt and as CGI would mistake it.
const NAMES: [&str; 12] = [
    "Front-End-Https",
    "X-ARR-SSL",
    "X-ARR-LOG-ID",
    "X-ARR-ClientCert",
    "X-Original-Host",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-SSL-Client-Cert",
    "Client-Cert",
    "X-Forwarded-Proto",
    "Proxy",
];

#[test]
fn given_the_preset_iis_when_forwarded_over_tls_then_its_headers_and_no_others() {
    let (stage, _portvakt) = running("iis", "");

    let received = ask(&stage, "/Default.aspx?a=b", "");

    assert_eq!(received.all("front-end-https"), ["on"]);
    assert_eq!(received.all("x-original-host"), ["m5.test"]);
    assert_eq!(received.all("x-original-url"), ["/Default.aspx?a=b"]);
    assert_eq!(received.all("host"), ["m5.test"]);
    assert_eq!((received.header("x-arr-ssl"), received.header("x-arr-log-id")), (None, None));
}

#[test]
fn given_the_preset_arr_when_forwarded_then_a_guid_that_leads_to_our_log_and_what_the_client_was_shown() {
    let (stage, portvakt) = running("arr", "log = { access = true }\n");

    let received = ask(&stage, "/", "");

    let guid = received.header("x-arr-log-id").unwrap();
    let lengths: Vec<_> = guid.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12], "{guid}");
    let id = &guid.replace('-', "")[16..];
    portvakt
        .child
        .wait_line("the request in the access log", |line| line.contains(&format!("\"request_id\":\"{id}\"")));
    let told = received.header("x-arr-ssl").unwrap();
    let parts: Vec<_> = told.split('|').collect();
    assert_eq!((parts.len(), parts[0], parts[1]), (4, "256", "256"), "{told}");
    assert!(parts[2].contains("root of the test"), "{told}");
    let another = ask(&stage, "/", "").header("x-arr-log-id").unwrap();
    assert_ne!(another, guid);
}

#[test]
fn given_the_preset_arr_when_the_server_fails_then_the_answer_names_the_end_of_the_guid() {
    let (stage, _portvakt) = running("arr", "");

    let reply = stage.get("/close");

    let guid = stage.echo.last().header("x-arr-log-id").unwrap();
    assert_eq!(reply.status, 502);
    let id = reply.header("portvakt-request-id").unwrap();
    assert!(guid.replace('-', "").ends_with(id), "{id} {guid}");
}

#[test]
fn given_plain_http_when_forwarded_then_nothing_says_tls() {
    let stage = Stage::new();
    let upstream = format!("{{ url = {:?}, preset = \"arr\" }}", stage.echo.url());
    let site = Stage::site_with(&upstream);
    stage.home.configure("", &format!("{site}https = {{ rest = \"allow\" }}\n"));
    let _portvakt = stage.home.start();

    stage.plain("GET /a HTTP/1.1\r\nHost: m5.test\r\nFront-End-Https: on\r\nX-ARR-SSL: forged\r\n\r\n");

    let received = stage.echo.last();
    assert_eq!((received.header("front-end-https"), received.header("x-arr-ssl")), (None, None));
    assert_eq!(received.all("x-original-url"), ["/a"]);
}

#[test]
fn given_a_prefix_that_is_taken_off_and_another_host_when_forwarded_then_the_originals_stand_in_the_headers() {
    let stage = Stage::new();
    let upstream = format!("{{ url = {:?}, preset = \"iis\", host = \"legacy.local\" }}", stage.echo.url());
    let route = format!("[[site.route]]\npath = \"/api/\"\nstrip_prefix = true\nupstream = {upstream}\n");
    stage.configure("", &route);
    let _portvakt = stage.home.start();

    let received = ask(&stage, "/Api/x?y", "");

    assert_eq!((received.target().as_str(), received.header("host").as_deref()), ("/x?y", Some("legacy.local")));
    assert_eq!(received.all("x-original-url"), ["/Api/x?y"]);
    assert_eq!(received.all("x-original-host"), ["m5.test"]);
}

#[test]
fn given_a_client_that_sends_them_when_forwarded_then_whatever_preset_none_arrives() {
    for preset in [None, Some("iis"), Some("arr")] {
        let (stage, _portvakt) = match preset {
            Some(preset) => running(preset, ""),
            None => Stage::running(),
        };
        let spelt = NAMES.iter().flat_map(|name| [(*name).to_owned(), name.replace('-', "_"), name.to_lowercase()]);
        let spelt: Vec<_> = spelt.collect();
        let lines: String = spelt.iter().map(|name| format!("{name}: forged\r\n")).collect();

        let h1 = ask(&stage, "/", &lines);

        let lower: Vec<_> = spelt.iter().map(|name| name.to_lowercase()).collect();
        let mut fields = vec![(":method", "GET"), (":scheme", "https"), (":authority", "m5.test"), (":path", "/")];
        fields.extend(lower.iter().map(|name| (name.as_str(), "forged")));
        assert_eq!(stage.h2(&[]).request(&fields, None).status(), Some(200));
        for received in [h1, stage.echo.last()] {
            let head = String::from_utf8_lossy(&received.head).into_owned();
            assert!(!head.contains("forged"), "{preset:?}:\n{head}");
        }
    }
}

fn running(preset: &str, top: &str) -> (Stage, crate::support::Portvakt) {
    let stage = Stage::new();
    let upstream = format!("{{ url = {:?}, preset = {preset:?} }}", stage.echo.url());
    stage.home.configure(top, &Stage::site_with(&upstream));
    let portvakt = stage.home.start();
    (stage, portvakt)
}

fn ask(stage: &Stage, target: &str, lines: &str) -> Received {
    assert_eq!(stage.request(&format!("GET {target} HTTP/1.1\r\nHost: m5.test\r\n{lines}\r\n")).status, 200);
    stage.echo.last()
}
