//! SIGUSR2: the program's file, as it is then, takes over without losing anybody; one that cannot leaves all as it was.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crate::egress_stage::{AUTH, WayOut, request};
use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::home::Portvakt;
use crate::support::load::Load;
use crate::support::programs::{copy_program, write_program};
use crate::support::supervisor::{Supervisor, value};
use crate::support::{Holder, eventually, raw, tls};

#[test]
fn given_load_when_upgraded_again_and_again_then_no_request_fails() {
    let (stage, portvakt) = Stage::running();
    let load = Load::start(&stage.target("/"), 3, 0);
    let kept = Load::start(&stage.target("/kept"), 0, 2);
    // A connection that is idle may be closed; a client that keeps one tries again on another (RFC 9112 §9.3.1).
    kept.expect_end_of_idle();
    load.wait_for(10);

    // Each drains while the next serves.
    let mut processes = vec![upgraded(&portvakt, portvakt.child.id())];
    for _ in 0..4 {
        processes.push(upgraded(&portvakt, processes.last().unwrap().0));
        load.wait_for(10);
        kept.wait_for(5);
    }

    load.stop().assert_flawless();
    kept.stop().assert_flawless();
    processes.pop().unwrap().end(&stage);
}

/// By a port, which both processes accept on, and by a socket, whose name changes hands.
#[test]
fn given_applications_that_call_when_upgraded_then_no_call_fails() {
    let way = WayOut::new();
    let socket = way.home.path().join("app.sock");
    let local = way.egress(&format!("name = \"local\"\nlisten = \"unix:{}\"\n", socket.display()));
    way.home.configure("", &format!("{}{local}", way.egress("")));
    let portvakt = way.home.start();
    let (port, stop) = (way.port, Arc::new(AtomicBool::new(false)));
    let callers = [
        Caller::start(stop.clone(), move || raw::try_connect(port)),
        Caller::start(stop.clone(), move || UnixStream::connect(&socket)),
    ];
    let wait = || callers.iter().for_each(|caller| caller.wait_for(10));
    wait();

    // Each drains while the next serves.
    let first = upgraded(&portvakt, portvakt.child.id());
    wait();
    let _second = upgraded(&portvakt, first.0);
    wait();

    stop.store(true, Ordering::Relaxed);
    callers.into_iter().for_each(Caller::end);
}

#[test]
fn given_an_open_request_when_upgraded_then_the_old_process_finishes_it_and_ends_with_0() {
    let (stage, mut portvakt) = Stage::running();
    let mut open = stage.connect();
    open.write_all(b"GET /hold HTTP/1.1\r\nHost: m5.test\r\n\r\n").unwrap();
    eventually("the request is open", PATIENCE, || (!stage.echo.requests().is_empty()).then_some(()));

    let process = upgraded(&portvakt, portvakt.child.id());

    assert_eq!(stage.get("/new").status, 200, "the new process serves beside it");
    assert_eq!(portvakt.child.ended(), None);
    stage.echo.release();
    let reply = raw::read_reply(&mut open).unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (200, "released\n"));
    assert!(eventually("the old process has ended", PATIENCE, || portvakt.child.ended()).success());
    assert_eq!(stage.home.admin("/readyz").status, 200, "the admin listener was handed over");
    process.end(&stage);
}

#[test]
fn given_a_file_that_was_replaced_when_upgraded_then_the_new_file_runs() {
    for replaced in [replace_file, turn_link] {
        let stage = Stage::new();
        stage.configure("", "");
        let (first, second) = (stage.home.path().join("portvakt-1"), stage.home.path().join("portvakt-2"));
        copy_program(&first);
        copy_program(&second);
        let program = stage.home.path().join("portvakt");
        symlink(&first, &program).unwrap();
        let mut portvakt = stage.home.launch_as(&mut stage.home.command_of(&program));
        portvakt.wait_ready(&stage.home);

        let runs = replaced(&program, &first, &second);
        let process = upgraded(&portvakt, portvakt.child.id());

        assert_eq!(fs::read_link(format!("/proc/{}/exe", process.0)).unwrap(), runs);
        process.end(&stage);
    }
}

#[test]
fn given_a_new_program_that_cannot_take_over_when_upgraded_then_the_old_one_serves_on_and_says_why() {
    let (stage, program, portvakt) = running_from_a_file();
    let load = Load::start(&stage.target("/"), 2, 1);

    for (text, told) in [
        ("#!/bin/sh\necho out of order >&2; exit 7\n", "exit status: 7"),
        ("#!/bin/sh\nkill -9 $$\n", "signal: 9"),
        ("this is no program", "the program cannot be started"),
    ] {
        write_program(&program, text);
        let mark = portvakt.child.mark();
        portvakt.signal("USR2");
        let line = portvakt.child.wait_line_after(mark, "it failed", |line| line.contains("UPGRADE FAILED"));
        assert!(line.contains("ERROR") && line.contains(told) && line.contains("serves on"), "{line}");
        load.wait_for(5);
    }
    fs::remove_file(&program).unwrap();
    let mark = portvakt.child.mark();
    portvakt.signal("USR2");
    portvakt.child.wait_line_after(mark, "it failed", |line| line.contains("UPGRADE FAILED"));

    load.wait_for(5);
    load.stop().assert_flawless();
    assert!(portvakt.reload(&stage.home), "it can be reloaded still");
    copy_program(&program);
    upgraded(&portvakt, portvakt.child.id()).end(&stage);
}

#[test]
fn given_a_configuration_that_is_wrong_when_upgraded_then_the_old_process_serves_on() {
    let (stage, portvakt) = Stage::running();
    let good = fs::read_to_string(stage.home.file()).unwrap();
    fs::write(stage.home.file(), "this is no TOML [").unwrap();

    portvakt.signal("USR2");

    portvakt.child.wait_line("what is wrong", |line| line.contains("error[PV0101]"));
    portvakt.child.wait_line("it failed", |line| line.contains("UPGRADE FAILED") && line.contains("exit status: 1"));
    assert_eq!(stage.get("/").status, 200);
    fs::write(stage.home.file(), good).unwrap();
    upgraded(&portvakt, portvakt.child.id()).end(&stage);
}

#[test]
#[ignore = "long: waits until the new process is given up"]
fn given_a_new_program_that_hangs_when_upgraded_then_it_is_killed_and_the_old_one_serves_on() {
    let (stage, program, portvakt) = running_from_a_file();
    write_program(&program, "#!/bin/sh\nexec sleep 3600\n");

    portvakt.signal("USR2");

    let failed =
        || portvakt.child.lines().iter().any(|line| line.contains("UPGRADE FAILED") && line.contains("killed"));
    eventually("it is given up", PATIENCE * 3, || failed().then_some(()));
    assert_eq!(stage.get("/").status, 200);
}

#[test]
fn given_a_hanging_upgrade_when_terminated_then_it_ends() {
    let (_stage, program, mut portvakt) = running_from_a_file();
    write_program(&program, "#!/bin/sh\necho hanging\nexec sleep 3600\n");
    portvakt.signal("USR2");
    portvakt.child.wait_line("the new program runs", |line| line == "hanging");

    assert!(portvakt.terminate().success());
}

#[test]
fn given_a_service_manager_when_upgraded_then_it_hears_of_the_new_process_before_that_is_ready() {
    let stage = Stage::new();
    stage.configure("", "");
    let supervisor = Supervisor::start(stage.home.path());
    let mut command = stage.home.command();
    supervisor.listen_to(&mut command).env("WATCHDOG_USEC", "200000");
    let portvakt = stage.home.launch_as(&mut command);
    let (mark, _) = supervisor.wait_for(0, "READY=1");

    let process = upgraded(&portvakt, portvakt.child.id());

    let (mark, main) = supervisor.wait_for(mark, "MAINPID=");
    assert_eq!(value(&main, "MAINPID"), process.0.to_string());
    let (mark, _) = supervisor.wait_for(mark, "READY=1");
    supervisor.wait_for(mark, "WATCHDOG=1");
    assert!(!supervisor.messages().iter().any(|message| message.contains("STOPPING")), "the service does not stop");
    process.end(&stage);
    supervisor.wait_for(mark, "STOPPING=1");
}

#[test]
fn given_held_sockets_when_upgraded_then_the_new_process_knows_that_they_are_held() {
    let stage = Stage::new();
    stage.configure("", "");
    let holder = Holder::listen(&[([127, 0, 0, 1], stage.home.https).into()]);
    let mut portvakt = stage.home.launch_as(&mut holder.hand_to(&stage.home.command()));
    portvakt.wait_ready(&stage.home);
    let mark = portvakt.child.mark();

    let process = upgraded(&portvakt, portvakt.child.id());

    portvakt.child.wait_line_after(mark, "it is held", |line| line.contains("held for us"));
    assert_eq!(stage.get("/").status, 200);
    process.end(&stage);
    assert!(raw::try_connect(stage.home.https).is_ok(), "what is held stays open");
}

#[test]
fn given_a_new_address_in_the_configuration_when_upgraded_then_it_is_opened_and_the_old_one_closed() {
    let (stage, portvakt) = Stage::running();
    let text = fs::read_to_string(stage.home.file()).unwrap();
    let other = crate::support::ports::free_port();
    fs::write(stage.home.file(), text.replace(&stage.home.http.to_string(), &other.to_string())).unwrap();

    let process = upgraded(&portvakt, portvakt.child.id());

    assert_eq!(raw::get(other, "m5.test", "/").status, 302);
    eventually("the old address is closed", PATIENCE, || raw::try_connect(stage.home.http).is_err().then_some(()));
    assert_eq!(tls::served(stage.home.https, "m5.test").unwrap(), stage.leaf.der);
    process.end(&stage);
}

/// An application that calls again and again, each time on a new connection.
struct Caller {
    answered: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Caller {
    fn start<S: Read + Write>(stop: Arc<AtomicBool>, connect: impl Fn() -> io::Result<S> + Send + 'static) -> Self {
        let answered = Arc::<AtomicUsize>::default();
        let count = answered.clone();
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let mut stream = connect().expect("somebody accepts");
                stream.write_all(request("auth", AUTH).as_bytes()).expect("somebody reads");
                let reply = raw::read_reply(&mut stream).expect("an answer");
                assert_eq!(reply.status, 200, "{}", reply.text());
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { answered, thread }
    }

    fn wait_for(&self, more: usize) {
        let until = self.answered.load(Ordering::Relaxed) + more;
        eventually("answers", PATIENCE, || (self.answered.load(Ordering::Relaxed) >= until).then_some(()));
    }

    fn end(self) {
        self.thread.join().expect("every call was answered");
    }
}

/// Upgrades the process `old`, and gives the id of the one that serves then. Both write to the log of the first.
fn upgraded(portvakt: &Portvakt, old: u32) -> Process {
    let mark = portvakt.child.mark();
    signal(old, "USR2");
    let line =
        portvakt.child.wait_line_after(mark, "upgraded", |line| line.contains("upgraded: the new process serves"));
    let id = line.split("successor=").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    Process(id.unwrap_or_else(|| panic!("no process id in {line}")))
}

/// A process that is not our child, but ends with the test as if it were.
struct Process(u32);

impl Process {
    fn end(self, stage: &Stage) {
        signal(self.0, "TERM");
        eventually("the last process has ended", PATIENCE, || {
            raw::try_connect(stage.home.admin).is_err().then_some(())
        });
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", &self.0.to_string()]).stderr(Stdio::null()).status();
    }
}

fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), process.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "cannot send SIG{name} to {process}");
}

/// As a package manager does: the name leads to another file, the old one is gone.
fn replace_file(program: &Path, first: &Path, second: &Path) -> PathBuf {
    fs::remove_file(first).unwrap();
    fs::rename(second, program).unwrap();
    program.to_owned()
}

/// As an installation with versions does.
fn turn_link(program: &Path, _first: &Path, second: &Path) -> PathBuf {
    let turned = program.with_extension("new");
    symlink(second, &turned).unwrap();
    fs::rename(turned, program).unwrap();
    second.to_owned()
}

/// A portvakt whose program's file is the test's own to replace.
fn running_from_a_file() -> (Stage, PathBuf, Portvakt) {
    let stage = Stage::new();
    stage.configure("", "");
    let program = stage.home.path().join("portvakt");
    copy_program(&program);
    let mut portvakt = stage.home.launch_as(&mut stage.home.command_of(&program));
    portvakt.wait_ready(&stage.home);
    (stage, program, portvakt)
}
