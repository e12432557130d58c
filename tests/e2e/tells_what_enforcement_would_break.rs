//! A site in `observe` serves everything, and tells its operator by path and client what would break without it.

use serde_json::Value;

use crate::stage::Stage;
use crate::support::raw;

const OBSERVED: &str = "https = { mode = \"observe\", rest = \"redirect\", paths = { \"/M5UserAPI/\" = \"reject\", \"/public/\" = \"allow\" } }\n";

#[test]
fn given_plain_requests_when_observed_then_path_client_and_reason_are_told_and_nothing_else() {
    let (stage, portvakt) = Stage::running_with("", OBSERVED);
    let plain = |line: &str, headers: &str| {
        let text = format!("{line} HTTP/1.1\r\nHost: m5.test\r\nConnection: close\r\n{headers}\r\n");
        assert_eq!(stage.plain(&text).status(), Some(200), "{line}");
    };
    for _ in 0..3 {
        plain("POST /M5UserAPI/doors/7?token=hemlig", "User-Agent: okhttp/4.12.0\r\nContent-Length: 0\r\n");
    }
    plain("GET /reports/x", "User-Agent: Mozilla/5.0 (X11) Gecko/20100101 Firefox/128.0\r\n");
    plain("POST /reports/y", "User-Agent: curl/8.5.0\r\nContent-Length: 0\r\n");
    plain("GET /reports/x", "Authorization: Basic hemlig\r\nUser-Agent: door/1\r\n");
    plain("GET /4f2a91c07be35d68hemlig", "");
    plain("GET /public/x", "");
    assert_eq!(stage.get("/M5UserAPI/x").status, 200);

    let status = stage.home.admin("/status.json").text();
    let site = &serde_json::from_str::<Value>(&status).expect("JSON")["observe"][0];
    assert_eq!(
        (&site["site"], &site["would_refuse"], &site["would_redirect"]),
        (&"m5.test".into(), &5.into(), &2.into())
    );
    let rows: Vec<_> = site["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
            format!("{} {} {} {} {}", text("path"), text("client"), text("risk"), text("method"), row["count"])
        })
        .collect();
    assert_eq!(rows[0], "/m5userapi/ android_app breaks POST 3");
    let mut rest = rows[1..].to_vec();
    rest.sort();
    assert_eq!(
        rest,
        [
            "- none may_break GET 1",
            "/reports/ curl breaks POST 1",
            "/reports/ firefox goes_on GET 1",
            "/reports/ other breaks GET 1",
        ]
    );
    let page = stage.home.admin("/").text();
    assert!(page.contains("What would break on m5.test") && page.contains("/m5userapi/"), "{page}");
    let told = portvakt.child.wait_line("what is new", |line| line.contains("observed: would be refused"));
    assert!(told.contains("/m5userapi/") && told.contains("okhttp"), "{told}");
    for text in [status, page, portvakt.child.lines().join("\n")] {
        assert!(!text.contains("hemlig"), "{text}");
    }
}

#[test]
fn given_an_end_of_observe_when_reloaded_then_the_report_goes_and_the_requests_are_refused() {
    let (stage, portvakt) = Stage::running_with("", OBSERVED);
    assert_eq!(raw::get(stage.home.http, "m5.test", "/M5UserAPI/x").status, 200);
    stage.configure("", &OBSERVED.replace("observe", "temporary"));

    assert!(portvakt.reload(&stage.home));

    assert_eq!(raw::get(stage.home.http, "m5.test", "/M5UserAPI/x").status, 403);
    let status: Value = serde_json::from_str(&stage.home.admin("/status.json").text()).expect("JSON");
    assert_eq!(status["observe"], Value::Array(Vec::new()));
}
