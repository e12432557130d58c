//! Plain HTTP gets, on every path and however that path is written, what the configuration says; challenges come first.

use crate::stage::Stage;
use crate::support::raw::Outcome;

/// The case the program was made for: one application is protected, the rest of the host stays as it was.
const PROTECTED: &str =
    "https = { mode = \"permanent\", rest = \"allow\", paths = { \"/M5UserAPI/\" = \"reject\" } }\n";

#[test]
fn given_one_protected_path_when_it_is_written_in_any_way_then_refused_and_not_forwarded() {
    let (stage, _portvakt) = Stage::running_with("", PROTECTED);

    let ways = [
        "/M5UserAPI",
        "/M5UserAPI/",
        "/m5userapi/",
        "/M5USERAPI/x",
        "/%4D5UserAPI/x",
        "/%4d5user%41PI/x",
        "/a/../M5UserAPI/x",
        "/a/%2e%2e/M5UserAPI/x",
        "/./M5UserAPI/x",
        "//M5UserAPI/x",
        "/\\M5UserAPI/x",
        "\\M5UserAPI\\x",
        "/M5UserAPI%2Fx",
        "/M5UserAPI%5Cx",
        "/M5UserAPI./x",
        "/M5UserAPI%20/x",
        "/(S(abc))/M5UserAPI/x",
        "/M5UserAPI;x",
        "/M5UserAPI;a=b/x",
        "/M5UserAPI?x",
        "http://m5.test/M5UserAPI",
        "http://M5.TEST:80/m5userapi/x",
    ];
    for target in ways {
        for method in ["GET", "POST"] {
            let outcome = plain(&stage, method, target, "");
            assert!(matches!(outcome.status(), Some(400 | 403)), "{method} {target}: {outcome:?}");
        }
    }
    assert_eq!(stage.echo.requests().iter().map(|request| request.target()).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn given_the_ways_that_are_sound_http_when_refused_then_with_403() {
    let (stage, _portvakt) = Stage::running_with("", PROTECTED);

    let ways = [
        "/M5UserAPI",
        "/m5userapi/",
        "/M5USERAPI/x",
        "/%4D5UserAPI/x",
        "/a/../M5UserAPI/x",
        "//M5UserAPI/x",
        "/M5UserAPI%2Fx",
        "/M5UserAPI./x",
        "/(S(abc))/M5UserAPI/x",
        "/M5UserAPI;x",
        "http://m5.test/M5UserAPI",
    ];
    for target in ways {
        assert_eq!(plain(&stage, "GET", target, "").status(), Some(403), "{target}");
    }
}

#[test]
fn given_what_no_server_reads_alike_when_asked_for_then_400() {
    let (stage, _portvakt) = Stage::running_with("", PROTECTED);

    for target in ["/%254D5UserAPI/x", "/M5UserAPI%00/x", "/%c0%af/M5UserAPI/x", "/%e0%80%af/x", "/a%zz", "/a%"] {
        assert_eq!(plain(&stage, "GET", target, "").status(), Some(400), "{target}");
    }
    assert!(stage.echo.requests().is_empty());
}

#[test]
fn given_the_rest_of_the_host_when_asked_for_then_forwarded_byte_for_byte() {
    let (stage, _portvakt) = Stage::running_with("", PROTECTED);

    for target in
        ["/", "/M5UserAPI2/x", "/M5User", "/other/M5UserAPI/x", "/a?b=/M5UserAPI/", "/%C3%A5%C3%A4%C3%B6?x=%2F"]
    {
        assert_eq!(plain(&stage, "GET", target, "").status(), Some(200), "{target}");
        assert_eq!(stage.echo.last().target(), target);
    }
    assert_eq!(plain(&stage, "POST", "/form", "Content-Length: 6\r\n").status(), Some(200));
}

#[test]
fn given_the_protected_path_when_it_comes_by_tls_then_forwarded() {
    let (stage, _portvakt) = Stage::running_with("", PROTECTED);

    assert_eq!(stage.get("/M5UserAPI/doors").status, 200);
    assert_eq!(stage.echo.last().target(), "/M5UserAPI/doors");
}

#[test]
fn given_each_mode_when_a_page_is_asked_for_then_redirected_or_served() {
    for (mode, status) in [("permanent", 301), ("temporary", 302)] {
        let (stage, _portvakt) = Stage::running_with("", &format!("https = {{ mode = \"{mode}\" }}\n"));
        for method in ["GET", "HEAD"] {
            let Outcome::Answered(reply) = plain(&stage, method, "/a%20b/../c?d=e&f", "") else {
                panic!("{mode} {method}: closed")
            };
            assert_eq!(reply.status, status, "{mode} {method}");
            assert_eq!(reply.header("location"), Some(stage.url("/a%20b/../c?d=e&f").as_str()));
        }
        assert!(stage.echo.requests().is_empty());
    }
}

#[test]
fn given_a_public_port_when_redirected_then_that_port_is_named_and_443_is_left_out() {
    let stage = Stage::new();
    for (port, location) in [(443, "https://m5.test/x"), (8443, "https://m5.test:8443/x")] {
        stage.configure("", "");
        let text = std::fs::read_to_string(stage.home.file()).unwrap();
        let text = text.replace("[listen]\n", &format!("[listen]\npublic_https_port = {port}\n"));
        std::fs::write(stage.home.file(), text).unwrap();
        let _portvakt = stage.home.start();

        let Outcome::Answered(reply) = plain(&stage, "GET", "/x", "") else { panic!("closed") };

        assert_eq!(reply.header("location"), Some(location));
    }
}

#[test]
fn given_anything_but_get_and_head_when_plain_is_not_allowed_then_403_and_not_forwarded() {
    let (stage, _portvakt) = Stage::running();

    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        let outcome = plain(&stage, method, "/x", "Content-Length: 6\r\n");
        assert_eq!(outcome.status(), Some(403), "{method}");
    }
    assert!(stage.echo.requests().is_empty());
}

#[test]
fn given_all_methods_may_be_redirected_when_posted_then_the_status_keeps_the_method() {
    for (mode, status) in [("permanent", 308), ("temporary", 307)] {
        let tables = format!("https = {{ mode = \"{mode}\", redirect_methods = \"all\" }}\n");
        let (stage, _portvakt) = Stage::running_with("", &tables);

        assert_eq!(plain(&stage, "POST", "/x", "Content-Length: 6\r\n").status(), Some(status));
        assert!(stage.echo.requests().is_empty());
    }
}

#[test]
fn given_credentials_when_they_came_in_clear_then_403_unless_plain_is_allowed() {
    let tables = "https = { rest = \"redirect\", paths = { \"/api/\" = \"redirect\", \"/public/\" = \"allow\" } }\n";
    let (stage, _portvakt) = Stage::running_with("", tables);
    let (authorization, cookie) = ("Authorization: Basic YTpi\r\n", "Cookie: session=1\r\n");

    let rows = [
        ("/", authorization, 403),
        ("/api/x", authorization, 403),
        ("/public/x", authorization, 200),
        ("/", cookie, 302),
        ("/api/x", cookie, 403),
        ("/public/x", cookie, 200),
        ("/api/x", "", 302),
    ];
    for (target, credentials, status) in rows {
        assert_eq!(plain(&stage, "GET", target, credentials).status(), Some(status), "{target} {credentials}");
    }
    assert_eq!(stage.echo.requests().len(), 2);
}

#[test]
fn given_an_allowed_path_when_its_raw_form_is_not_canonical_then_the_rest_decides() {
    let tables = "https = { rest = \"reject\", paths = { \"/public/\" = \"allow\" } }\n";
    let (stage, _portvakt) = Stage::running_with("", tables);

    for (target, status) in
        [("/public/x", 200), ("/public", 200), ("/x", 403), ("/a/../public/x", 403), ("/%70ublic/x", 403)]
    {
        assert_eq!(plain(&stage, "GET", target, "").status(), Some(status), "{target}");
    }
}

#[test]
fn given_observe_when_plain_comes_then_everything_is_served_and_counted() {
    let tables = "https = { mode = \"observe\", rest = \"redirect\", paths = { \"/M5UserAPI/\" = \"reject\" } }\n";
    let (stage, _portvakt) = Stage::running_with("", tables);

    assert_eq!(plain(&stage, "GET", "/x", "").status(), Some(200));
    assert_eq!(plain(&stage, "POST", "/M5UserAPI/x", "Content-Length: 6\r\n").status(), Some(200));

    let count = |action| stage.home.metrics().sum("portvakt_https_enforcement_total", &[("action", action)]);
    assert_eq!((count("would_redirect"), count("would_reject")), (1.0, 1.0));
    assert_eq!((count("redirected"), count("rejected")), (0.0, 0.0));
}

#[test]
fn given_enforcement_when_it_acts_then_each_action_is_counted() {
    let tables =
        "https = { rest = \"redirect\", paths = { \"/M5UserAPI/\" = \"reject\", \"/public/\" = \"allow\" } }\n";
    let (stage, _portvakt) = Stage::running_with("", tables);

    plain(&stage, "GET", "/x", "");
    plain(&stage, "GET", "/M5UserAPI/x", "");
    plain(&stage, "GET", "/public/x", "");

    for action in ["redirected", "rejected", "allowed"] {
        let count = stage.home.metrics().sum("portvakt_https_enforcement_total", &[("action", action)]);
        assert_eq!(count, 1.0, "{action}");
    }
}

#[test]
fn given_a_site_without_plain_paths_when_the_server_sets_cookies_then_they_become_secure() {
    let (stage, _portvakt) = Stage::running();
    let cookies = |headers: &[(String, String)]| -> Vec<String> {
        headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.clone()).collect()
    };

    let strict = cookies(&stage.get("/cookie").headers);
    assert!(strict.len() == 2 && strict.iter().all(|cookie| cookie.matches("Secure").count() == 1), "{strict:?}");

    let (stage, _portvakt) = Stage::running_with("", PROTECTED);
    let open = cookies(&stage.get("/cookie").headers);
    assert!(open.iter().any(|cookie| !cookie.contains("Secure")), "{open:?}");
}

#[test]
fn given_hsts_when_opted_in_and_permanent_then_only_tls_answers_carry_it() {
    let tables = "https = { mode = \"permanent\" }\nhsts = { max_age = \"10m\", include_subdomains = true }\n";
    let (stage, _portvakt) = Stage::running_with("", tables);

    let value = stage.get("/").header("strict-transport-security").map(str::to_owned);
    assert_eq!(value.as_deref(), Some("max-age=600; includeSubDomains"));
    let Outcome::Answered(redirect) = plain(&stage, "GET", "/", "") else { panic!("closed") };
    assert_eq!(redirect.header("strict-transport-security"), None);

    let (stage, _portvakt) = Stage::running();
    assert_eq!(stage.get("/").header("strict-transport-security"), None);
}

/// A request on the plain listener; with a body, if `headers` announce one of six bytes.
fn plain(stage: &Stage, method: &str, target: &str, headers: &str) -> Outcome {
    let body = if headers.contains("Content-Length: 6") { "secret" } else { "" };
    stage.plain(&format!("{method} {target} HTTP/1.1\r\nHost: m5.test\r\nConnection: close\r\n{headers}\r\n{body}"))
}
