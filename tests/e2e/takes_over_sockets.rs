//! Sockets that somebody holds for portvakt (LISTEN_FDS) are used, kept over reloads, and lose nobody over a restart.

use std::net::SocketAddr;

use crate::stage::Stage;
use crate::support::ca::replace;
use crate::support::clock::PATIENCE;
use crate::support::home::Portvakt;
use crate::support::load::Load;
use crate::support::ports::free_port;
use crate::support::{Holder, eventually, raw};

#[test]
fn given_sockets_that_are_held_when_restarted_again_and_again_then_no_new_connection_fails() {
    let (stage, holder) = held(&[]);
    let mut portvakt = started(&stage, &holder);
    let load = Load::start(&stage.target("/"), 3, 0);
    load.wait_for(10);

    for _ in 0..5 {
        assert!(portvakt.terminate().success());
        portvakt = started(&stage, &holder);
        load.wait_for(10);
    }

    load.stop().assert_flawless();
}

#[test]
fn given_a_request_that_comes_while_nothing_runs_when_started_then_it_is_answered() {
    let (stage, holder) = held(&[]);
    let mut early = raw::connect(stage.home.http);
    std::io::Write::write_all(&mut early, b"GET / HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();

    let _portvakt = started(&stage, &holder);

    assert_eq!(raw::read_reply(&mut early).unwrap().status, 302);
}

#[test]
fn given_a_held_socket_when_its_address_is_removed_and_added_by_reload_then_it_is_used_again() {
    let (stage, holder) = held(&[]);
    let portvakt = started(&stage, &holder);
    let good = std::fs::read_to_string(stage.home.file()).unwrap();
    let line = format!("http = \"127.0.0.1:{}\"", stage.home.http);
    let answers = || raw::get(stage.home.http, "m5.test", "/").status;

    replace(&stage.home.file(), &good.replace(&line, "http = []"));
    assert!(portvakt.reload(&stage.home));
    portvakt.child.wait_line("it is closed", |text| text.contains("no longer listening"));
    replace(&stage.home.file(), &good);
    assert!(portvakt.reload(&stage.home));

    assert_eq!(answers(), 302);
}

#[test]
fn given_a_held_socket_that_nobody_configured_when_started_then_it_is_told_loudly_and_a_reload_can_use_it() {
    let spare = free_port();
    let (stage, holder) = held(&[spare]);
    let portvakt = started(&stage, &holder);
    let told = portvakt.child.wait_line("nobody is served", |line| line.contains("NOBODY IS SERVED"));
    assert!(told.contains(&spare.to_string()) && told.contains("WARN"), "{told}");
    let text = std::fs::read_to_string(stage.home.file()).unwrap();
    let line = format!("http = \"127.0.0.1:{}\"", stage.home.http);
    let more = format!("http = [\"127.0.0.1:{}\", \"127.0.0.1:{spare}\"]", stage.home.http);

    replace(&stage.home.file(), &text.replace(&line, &more));
    assert!(portvakt.reload(&stage.home));

    assert_eq!(raw::get(spare, "m5.test", "/").status, 302);
}

#[test]
fn given_a_configured_address_that_is_not_held_when_started_then_it_is_opened_as_usual() {
    let (stage, holder) = held(&[]);
    let mut portvakt = started(&stage, &holder);

    assert_eq!(stage.home.admin("/readyz").status, 200, "the admin listener was not handed over");

    assert!(portvakt.terminate().success());
    eventually("what was opened is closed", PATIENCE, || raw::try_connect(stage.home.admin).is_err().then_some(()));
    assert!(raw::try_connect(stage.home.https).is_ok(), "what is held stays open");
}

/// A stage whose ports for clients, and `more`, are listened on by the test.
fn held(more: &[u16]) -> (Stage, Holder) {
    let stage = Stage::new();
    stage.configure("", "");
    let ports = [stage.home.https, stage.home.http];
    let addresses: Vec<_> = ports.iter().chain(more).map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect();
    (stage, Holder::listen(&addresses))
}

fn started(stage: &Stage, holder: &Holder) -> Portvakt {
    let mut portvakt = stage.home.launch_as(&mut holder.hand_to(&stage.home.command()));
    portvakt.wait_ready(&stage.home);
    portvakt
}
