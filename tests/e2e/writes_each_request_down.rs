//! The access log has one JSON object for each request, keeps secrets out, and never holds a request up.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::home::Portvakt;
use crate::support::ports::free_port;
use crate::support::{eventually, raw};

#[test]
fn given_requests_of_every_kind_when_answered_then_one_object_each_says_what_became_of_them() {
    let stage = Stage::new();
    let dead = format!("[[site.route]]\npath = \"/dead/\"\nupstream = \"http://127.0.0.1:{}\"\n", free_port());
    let https = "https = { rest = \"redirect\", paths = { \"/api/\" = \"reject\" } }\n";
    stage.configure("log = { access = { path = \"access.log\" } }\n", &format!("{https}{dead}"));
    let _portvakt = stage.home.start();

    let trace =
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nX-Request-Id: from-outside\r\n";
    let text = format!(
        "POST /a?token=geheim HTTP/1.1\r\nHost: m5.test\r\nUser-Agent: door/1\r\n{trace}Content-Length: 5\r\n\r\nhello"
    );
    let answer = stage.request(&text);
    wait_lines(&stage, 1);
    let failed = stage.request("GET /dead/x HTTP/1.1\r\nHost: m5.test\r\n\r\n");
    wait_lines(&stage, 2);
    stage.plain("GET /b HTTP/1.1\r\nHost: m5.test\r\nConnection: close\r\n\r\n");
    wait_lines(&stage, 3);
    stage.plain("GET /api/x HTTP/1.1\r\nHost: m5.test\r\n\r\n");
    wait_lines(&stage, 4);
    stage.plain("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
    wait_lines(&stage, 5);
    stage.curl().with(&["--http2"]).get(&stage.url("/h2"));
    let log = wait_lines(&stage, 6);

    let forwarded = &log[0];
    assert_eq!((&forwarded["outcome"], &forwarded["status"]), (&"forwarded".into(), &200.into()));
    assert_eq!((&forwarded["method"], &forwarded["path"]), (&"POST".into(), &"/a?[redacted]".into()));
    assert_eq!((&forwarded["site"], &forwarded["route"]), (&"m5.test".into(), &"m5.test:/".into()));
    assert_eq!((&forwarded["client"], &forwarded["user_agent"]), (&"127.0.0.1".into(), &"door/1".into()));
    assert_eq!((&forwarded["protocol"], &forwarded["tls"]), (&"HTTP/1.1".into(), &"TLSv1.3".into()));
    assert_eq!((&forwarded["bytes_in"], &forwarded["bytes_out"]), (&5.into(), &answer.body.len().into()));
    assert_eq!(forwarded["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(forwarded["request_id"], "from-outside");
    assert_eq!(forwarded["peer"], format!("127.0.0.1:{}", stage.echo.port()));
    assert_eq!(forwarded["listener"], format!("https 127.0.0.1:{}", stage.home.https));
    assert!(forwarded["upstream_ms"].as_f64() <= forwarded["duration_ms"].as_f64(), "{forwarded}");
    let time = forwarded["time"].as_str().unwrap();
    assert!(time.len() == "2026-11-22T01:33:00.007Z".len() && time.ends_with('Z'), "{time}");

    assert_eq!((&log[1]["outcome"], &log[1]["status"]), (&"failed".into(), &502.into()));
    assert_eq!((&log[1]["error"], &log[1]["route"]), (&"upstream_unreachable".into(), &"m5.test:/dead/".into()));
    assert_eq!(log[1]["request_id"].as_str(), failed.header("portvakt-request-id"));
    assert_eq!(
        (&log[2]["outcome"], &log[2]["status"], &log[2]["tls"]),
        (&"redirected".into(), &302.into(), &Value::Null)
    );
    assert_eq!((&log[3]["outcome"], &log[3]["status"]), (&"refused".into(), &403.into()));
    assert_eq!((&log[4]["status"], &log[4]["site"]), (&404.into(), &Value::Null));
    assert_eq!((&log[5]["protocol"], &log[5]["path"]), (&"HTTP/2.0".into(), &"/h2".into()));
}

#[test]
fn given_secrets_and_control_characters_when_written_then_the_former_are_absent_and_the_latter_escaped() {
    let (stage, _portvakt) = logging("{ path = \"access.log\" }");
    let hostile = "x\t\"},{\\[2Jå";
    let text = format!(
        "GET /a?password=geheim HTTP/1.1\r\nHost: m5.test\r\nUser-Agent: {hostile}\r\nAuthorization: Basic geheim\r\nCookie: s=geheim\r\n\r\n"
    );
    assert_eq!(stage.request(&text).status, 200);
    wait_lines(&stage, 1);
    // An absolute target, with a password.
    stage.request("GET https://m5.test/b?geheim HTTP/1.1\r\nHost: m5.test\r\n\r\n");

    let log = wait_lines(&stage, 2);
    assert_eq!((&log[0]["user_agent"], &log[1]["path"]), (&hostile.into(), &"/b?[redacted]".into()));
    let bytes = fs::read(file(&stage)).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("geheim"), "{}", String::from_utf8_lossy(&bytes));
    assert!(bytes.iter().all(|byte| *byte >= 0x20 || *byte == b'\n'));
}

#[test]
fn given_the_operators_word_when_queries_are_kept_then_they_are() {
    let (stage, _portvakt) = logging("{ path = \"access.log\", query = \"keep\" }");
    stage.get("/a?b=c");
    assert_eq!(wait_lines(&stage, 1)[0]["path"], "/a?b=c");
}

#[test]
fn given_a_file_that_was_moved_away_when_more_comes_then_into_a_new_one_by_itself_or_at_once_by_sighup() {
    let (stage, portvakt) = logging("{ path = \"access.log\" }");
    let moved = |name: &str| fs::rename(file(&stage), stage.home.path().join(name)).unwrap();
    stage.get("/one");
    wait_lines(&stage, 1);

    moved("access.log.1");
    assert!(portvakt.reload(&stage.home));
    stage.get("/two");
    let log = eventually("a new file", PATIENCE, || file(&stage).exists().then(|| wait_lines(&stage, 1)));
    assert_eq!(log[0]["path"], "/two");

    moved("access.log.2");
    eventually("a new file by itself", PATIENCE, || {
        stage.get("/three");
        file(&stage).exists().then_some(())
    });
    let first = fs::read_to_string(stage.home.path().join("access.log.1")).unwrap();
    assert_eq!(first.lines().count(), 1);
}

#[test]
fn given_requests_in_flight_when_stopped_then_their_lines_are_not_lost() {
    let (stage, mut portvakt) = logging("{ path = \"access.log\" }");
    let mut held = stage.connect();
    held.write_all(b"GET /hold HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
    eventually("it is held", PATIENCE, || (stage.echo.requests().len() == 1).then_some(()));
    portvakt.signal("TERM");
    portvakt.child.wait_line("draining", |line| line.contains("draining"));

    stage.echo.release();
    assert_eq!(raw::read_reply(&mut held).unwrap().status, 200);

    assert!(portvakt.child.wait(PATIENCE).success());
    let log = lines(&stage);
    assert_eq!((log.len(), &log[0]["path"]), (1, &"/hold".into()));
}

#[test]
fn given_a_full_disk_when_requests_come_then_they_are_answered_and_the_loss_is_counted_and_told() {
    let (stage, portvakt) = logging("{ path = \"/dev/full\" }");

    (0..20).for_each(|_| assert_eq!(stage.get("/x").status, 200));

    portvakt.child.wait_line("the loss", |line| {
        line.contains("ERROR") && line.contains("the access log cannot be written") && line.contains("/dev/full")
    });
    stage.home.wait_metrics("every line is counted", PATIENCE, |metrics| {
        (metrics.sum("portvakt_access_log_dropped_total", &[]) == 20.0).then_some(())
    });
    portvakt.child.wait_line("how many", |line| line.contains("were lost") && line.contains("dropped="));
    let told = portvakt.child.lines().iter().filter(|line| line.contains("cannot be written")).count();
    assert_eq!(told, 1 + portvakt.child.lines().iter().filter(|line| line.contains("were lost")).count());
}

#[test]
fn given_no_path_when_requests_come_then_standard_output_has_them_and_nothing_else() {
    let (stage, portvakt) = logging("true");
    let wait = |count| {
        eventually("lines", PATIENCE, || Some(portvakt.child.stdout()).filter(|text| text.lines().count() == count))
    };
    stage.get("/one");
    wait(1);
    stage.get("/two");

    let log = wait(2);
    let paths: Vec<Value> =
        log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["path"].clone()).collect();
    assert_eq!(paths, ["/one", "/two"]);
}

#[test]
fn given_a_log_that_is_switched_on_by_a_reload_when_requests_come_then_they_are_written() {
    let (stage, portvakt) = logging("false");
    stage.get("/before");
    stage.home.wait_sum("portvakt_http_requests_total", &[], 1.0);
    stage.configure("log = { access = { path = \"access.log\" } }\n", "");
    assert!(portvakt.reload(&stage.home));

    stage.get("/after");

    let log = wait_lines(&stage, 1);
    assert_eq!(log[0]["path"], "/after");
}

fn logging(access: &str) -> (Stage, Portvakt) {
    Stage::running_with(&format!("log = {{ access = {access} }}\n"), "")
}

fn file(stage: &Stage) -> PathBuf {
    stage.home.path().join("access.log")
}

fn lines(stage: &Stage) -> Vec<Value> {
    let text = fs::read_to_string(file(stage)).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn wait_lines(stage: &Stage, count: usize) -> Vec<Value> {
    eventually(&format!("{count} lines"), PATIENCE, || Some(lines(stage)).filter(|lines| lines.len() >= count))
}
