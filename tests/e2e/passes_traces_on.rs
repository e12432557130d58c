//! A sound W3C trace context passes unchanged; what is none is removed with its state, and none is ever made.

use crate::stage::Stage;
use crate::support::echo::Received;
use crate::support::home::Portvakt;

const SOUND: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn given_requests_of_a_trace_when_forwarded_then_only_a_sound_and_single_traceparent_passes_with_its_state() {
    let (stage, _portvakt) = Stage::running();
    let upper = SOUND.to_uppercase();
    let none_after = format!("{SOUND}-more");
    #[rustfmt::skip]
    let table: [(&[&str], Option<&str>); 6] = [
        (&[SOUND],                                                             Some(SOUND)),
        (&["cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later"],   Some("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later")),
        (&[&upper],                                                            None),
        (&[&none_after],                                                       None),
        (&["00-00000000000000000000000000000000-b7ad6b7169203331-01"],         None),
        (&[SOUND, SOUND],                                                      None),
    ];
    for (parents, expected) in table {
        let parents: String = parents.iter().map(|parent| format!("Traceparent: {parent}\r\n")).collect();
        let state = "tracestate: congo=t61rcWkgMzE\r\ntracestate: rojo=00f067aa0ba902b7\r\n";
        let received = ask(&stage, &format!("{parents}{state}"));
        assert_eq!(received.header("traceparent").as_deref(), expected, "{parents}");
        let head = String::from_utf8_lossy(&received.head).to_lowercase();
        let states = head.lines().filter(|line| line.starts_with("tracestate:")).count();
        assert_eq!(states, if expected.is_some() { 2 } else { 0 }, "{parents}");
    }
}

#[test]
fn given_a_request_without_a_trace_when_forwarded_then_none_is_made_and_a_lone_state_is_removed() {
    let (stage, _portvakt) = Stage::running();
    for header in ["", "tracestate: congo=t61rcWkgMzE\r\n"] {
        let received = ask(&stage, header);
        assert_eq!((received.header("traceparent"), received.header("tracestate")), (None, None));
    }
}

#[test]
fn given_a_request_of_a_trace_when_it_fails_then_the_log_line_names_the_trace() {
    let (stage, portvakt): (Stage, Portvakt) = Stage::running();
    let request = format!("POST /close HTTP/1.1\r\nHost: m5.test\r\nContent-Length: 0\r\ntraceparent: {SOUND}\r\n\r\n");
    let reply = stage.request(&request);
    assert_eq!(reply.status, 502);
    let id = reply.header("portvakt-request-id").expect("a request id").to_owned();
    let line = portvakt.child.wait_line("the failure", |line| line.contains(&id));
    assert!(line.contains("trace_id=\"0af7651916cd43dd8448eb211c80319c\""), "{line}");
}

fn ask(stage: &Stage, headers: &str) -> Received {
    let reply = stage.request(&format!("GET /x HTTP/1.1\r\nHost: m5.test\r\n{headers}\r\n"));
    assert_eq!(reply.status, 200);
    stage.echo.last()
}
