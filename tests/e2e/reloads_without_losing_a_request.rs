//! SIGHUP, or a changed file, swaps the whole configuration under load; one that is wrong changes nothing but what is said.

use std::fs;

use crate::stage::Stage;
use crate::support::ca::replace;
use crate::support::clock::PATIENCE;
use crate::support::load::Load;
use crate::support::ports::free_port;
use crate::support::{Echo, eventually, raw, tls};

#[test]
fn given_load_when_reloaded_again_and_again_then_no_request_fails() {
    let (stage, portvakt) = Stage::running();
    let load = Load::start(&stage.target("/"), 2, 2);
    load.wait_for(10);

    for round in 0..10 {
        stage.configure(&format!("drain = \"{}s\"\n", 20 + round), "");
        assert!(portvakt.reload(&stage.home));
        load.wait_for(10);
    }

    load.stop().assert_flawless();
}

#[test]
fn given_another_upstream_when_reloaded_then_new_requests_go_there_and_open_ones_finish() {
    let (stage, portvakt) = Stage::running();
    let mut open = stage.connect();
    std::io::Write::write_all(&mut open, b"GET /hold HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
    eventually("the request is open", PATIENCE, || (!stage.echo.requests().is_empty()).then_some(()));
    let new = Echo::start();

    stage.home.configure("", &Stage::site_with(&format!("{:?}", new.url())));
    assert!(portvakt.reload(&stage.home));

    assert_eq!(stage.get("/x").status, 200);
    assert_eq!(new.requests().len(), 1);
    stage.echo.release();
    assert_eq!(raw::read_reply(&mut open).unwrap().text(), "released\n");
}

#[test]
fn given_a_connection_of_before_when_reloaded_then_its_next_request_follows_the_new_rules() {
    let (stage, portvakt) = Stage::running();
    let mut kept = stage.connect();
    let request = "GET /x HTTP/1.1\r\nHost: m5.test\r\n\r\n";
    assert_eq!(tls::exchange(&mut kept, request).unwrap().status, 200);
    let new = Echo::start();

    stage.home.configure("", &Stage::site_with(&format!("{:?}", new.url())));
    assert!(portvakt.reload(&stage.home));

    // The connection may have been closed for the reload; then it was closed before the request.
    if tls::exchange(&mut kept, request).is_ok() {
        assert_eq!(new.requests().len(), 1);
    }
    assert_eq!(stage.echo.requests().len(), 1);
}

#[test]
fn given_a_listener_when_it_is_added_and_removed_then_it_opens_and_closes() {
    let (stage, portvakt) = Stage::running();
    let (first, second) = (stage.home.https, free_port());
    let listen = |ports: &str| {
        let text = std::fs::read_to_string(stage.home.file()).unwrap();
        let line = text.lines().find(|line| line.starts_with("https = ")).unwrap().to_owned();
        replace(&stage.home.file(), &text.replace(&line, &format!("https = [{ports}]")));
    };
    let answers = |port: u16| {
        let client = tls::Client::new(stage.ca.roots());
        let mut stream = client.connect(port, "m5.test").ok()?;
        tls::exchange(&mut stream, "GET / HTTP/1.1\r\nHost: m5.test\r\n\r\n").ok().map(|reply| reply.status)
    };

    listen(&format!("\"127.0.0.1:{first}\", \"127.0.0.1:{second}\""));
    assert!(portvakt.reload(&stage.home));
    assert_eq!((answers(first), answers(second)), (Some(200), Some(200)));

    let mut open = stage.connect();
    std::io::Write::write_all(&mut open, b"GET /hold HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
    eventually("the request is open", PATIENCE, || {
        stage.echo.requests().iter().any(|request| request.target() == "/hold").then_some(())
    });
    listen(&format!("\"127.0.0.1:{second}\""));
    assert!(portvakt.reload(&stage.home));
    eventually("the removed listener is closed", PATIENCE, || raw::try_connect(first).is_err().then_some(()));
    assert_eq!(answers(second), Some(200));
    stage.echo.release();
    assert_eq!(raw::read_reply(&mut open).unwrap().text(), "released\n", "an open request on it is finished");
}

#[test]
fn given_load_on_one_listener_when_others_come_and_go_then_no_request_fails() {
    let (stage, portvakt) = Stage::running();
    let load = Load::start(&stage.target("/"), 2, 2);
    let text = std::fs::read_to_string(stage.home.file()).unwrap();
    let line = text.lines().find(|line| line.starts_with("https = ")).unwrap().to_owned();

    for _ in 0..5 {
        let more = format!("https = [\"127.0.0.1:{}\", \"127.0.0.1:{}\"]", stage.home.https, free_port());
        for listen in [&more, &line] {
            replace(&stage.home.file(), &text.replace(&line, listen));
            assert!(portvakt.reload(&stage.home));
            load.wait_for(5);
        }
    }

    load.stop().assert_flawless();
}

#[test]
fn given_a_configuration_that_is_wrong_when_reloaded_then_the_old_one_serves_and_log_and_metric_say_so() {
    let (stage, portvakt) = Stage::running();
    let good = std::fs::read_to_string(stage.home.file()).unwrap();
    let wait_told = |expected: f64| {
        stage.home.wait_metrics("the metric says how it went", PATIENCE, |metrics| {
            (metrics.one("portvakt_config_last_reload_successful", &[]) == expected).then_some(())
        });
    };
    wait_told(1.0);

    for wrong in ["this is no TOML [", "unknown_key = 1\n", "[[site]]\ndomain = \"m5.test\"\n"] {
        let mark = portvakt.child.mark();
        replace(&stage.home.file(), &format!("{wrong}\n{}", if wrong.starts_with('[') { "" } else { &good }));
        assert!(!portvakt.reload(&stage.home), "{wrong}");
        portvakt.child.wait_line_after(mark, "what is wrong", |line| line.contains("PV") || line.contains("error"));
        wait_told(0.0);
        assert_eq!(stage.get("/").status, 200);
    }

    replace(&stage.home.file(), &good);
    assert!(portvakt.reload(&stage.home));
    wait_told(1.0);
}

#[test]
fn given_a_port_that_is_taken_when_reloaded_then_nothing_of_the_new_configuration_holds() {
    let (stage, portvakt) = Stage::running();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let new = Echo::start();
    let port = taken.local_addr().unwrap().port();

    stage.home.configure("", &Stage::site_with(&format!("{:?}", new.url())));
    let text = std::fs::read_to_string(stage.home.file()).unwrap();
    let both = format!("https = [\"127.0.0.1:{}\", \"127.0.0.1:{port}\"]", stage.home.https);
    let line = text.lines().find(|line| line.starts_with("https = ")).unwrap().to_owned();
    replace(&stage.home.file(), &text.replace(&line, &both));
    assert!(!portvakt.reload(&stage.home));

    assert_eq!(stage.get("/").status, 200);
    assert!(new.requests().is_empty());
}

#[test]
fn given_a_watched_file_when_it_changes_then_it_is_reloaded_without_a_signal() {
    let (stage, _portvakt) = Stage::running_with("watch = true\n", "");
    let new = Echo::start();

    stage.home.configure("watch = true\n", &Stage::site_with(&format!("{:?}", new.url())));

    eventually("the change is seen", PATIENCE, || {
        assert_eq!(stage.get("/").status, 200);
        (!new.requests().is_empty()).then_some(())
    });
}

#[test]
fn given_a_fragment_that_is_added_when_watched_then_its_site_is_served() {
    let (stage, _portvakt) = Stage::running_with("watch = true\n", "");
    let new = Echo::start();
    let site = format!("[[site]]\ndomain = \"new.test\"\nupstream = \"{}\"\ncertificate = \"internal\"\n", new.url());
    fs::create_dir(stage.home.path().join("conf.d")).unwrap();

    fs::write(stage.home.path().join("conf.d/new.toml"), site).unwrap();

    eventually("the new site is served", PATIENCE, || {
        tls::served(stage.home.https, "new.test").ok().filter(|der| *der != stage.leaf.der)
    });
}

#[test]
fn given_many_signals_at_once_when_reloaded_then_it_still_serves() {
    let (stage, portvakt) = Stage::running();

    for _ in 0..50 {
        portvakt.signal("HUP");
    }

    assert!(portvakt.reload(&stage.home));
    assert_eq!(stage.get("/").status, 200);
}
