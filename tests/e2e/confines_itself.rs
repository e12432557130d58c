//! `landlock = true`: portvakt does all its work and can open nothing else, whatever links lead there; nor can what it starts.
//!
//! All of it needs a kernel that has Landlock, and fails where it has none: nothing would be shown then.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::stage::Stage;
use crate::support::clock::PATIENCE;
use crate::support::home::{Portvakt, run};
use crate::support::pebble::{Pebble, Settings};
use crate::support::peers::program;
use crate::support::ports::free_port;
use crate::support::programs::write_program;
use crate::support::tls::served;
use crate::support::{eventually, raw};

#[test]
fn given_a_confined_process_when_it_works_then_it_orders_renews_follows_files_reloads_and_upgrades() {
    let (stage, pebble) = scene();
    let portvakt = start(&stage);
    portvakt.child.wait_line("confined", |line| line.contains("confined: beside what every process needs"));
    stage.home.wait_certificate("acme.test", "issued", Duration::from_secs(90));
    assert_eq!(stage.get("/").status, 200);
    assert!(stage.home.admin("/status.json").text().contains("\"confined\": true"));
    let shown = run(stage.home.path(), &["status"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("\nconfined       to the files"), "{shown:?}");
    let textfile = stage.home.path().join("metrics/portvakt.prom");
    eventually("the metrics are written", PATIENCE, || fs::read_to_string(&textfile).ok());

    let first = served(stage.home.https, "acme.test").unwrap();
    let renewed = run(stage.home.path(), &["cert", "renew", "acme.test", "--force"]);
    assert!(renewed.status.success(), "{}", String::from_utf8_lossy(&renewed.stderr));
    eventually("the renewed one is served", PATIENCE, || {
        served(stage.home.https, "acme.test").ok().filter(|leaf| *leaf != first)
    });
    let followed = stage.ca.issue(&["m5.test"]);
    followed.write(stage.home.path(), "m5");
    wait_leaf(&stage, &followed.der);
    // Bodies of unknown length are kept in a file meanwhile.
    let body = format!("{:x}\r\n{}\r\n0\r\n\r\n", 3 << 20, "x".repeat(3 << 20));
    let upload = format!("POST /upload HTTP/1.1\r\nHost: m5.test\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    assert_eq!(stage.request(&upload).status, 200);
    // TCP is not confined: another port is listened on.
    let added = free_port();
    configure(&stage, &pebble, "drain = \"20s\"\n", "m5.pem");
    let text = fs::read_to_string(stage.home.file()).unwrap();
    let both = format!("[\"127.0.0.1:{}\", \"127.0.0.1:{added}\"]", stage.home.http);
    fs::write(stage.home.file(), text.replace(&format!("\"127.0.0.1:{}\"", stage.home.http), &both)).unwrap();
    eventually("the new port is open", PATIENCE, || raw::try_connect(added).ok());

    let mark = portvakt.child.mark();
    portvakt.signal("USR2");
    let line =
        portvakt.child.wait_line_after(mark, "upgraded", |line| line.contains("upgraded: the new process serves"));
    let id = line.split("successor=").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a process id");
    assert_eq!(stage.get("/").status, 200);
    let ended = Command::new("kill").args(["-TERM", id]).status().unwrap();
    assert!(ended.success());
    eventually("the successor has ended", PATIENCE, || raw::try_connect(stage.home.admin).is_err().then_some(()));
}

#[test]
fn given_a_link_that_leads_outside_when_followed_then_the_kernel_refuses_and_what_was_there_serves_on() {
    let (stage, _pebble) = scene();
    let portvakt = start(&stage);
    let (outside, mark) = (TempDir::new().unwrap(), portvakt.child.mark());
    stage.ca.issue(&["m5.test"]).write(outside.path(), "m5");

    for file in ["m5.pem", "m5.key"] {
        symlink(outside.path().join(file), stage.home.path().join("new")).unwrap();
        fs::rename(stage.home.path().join("new"), stage.home.path().join(file)).unwrap();
    }

    portvakt.child.wait_line_after(mark, "refused", |line| line.contains("which `landlock` confines"));
    assert_eq!(served(stage.home.https, "m5.test").unwrap(), stage.leaf.der);
}

#[test]
fn given_a_file_in_another_folder_when_reloaded_then_a_restart_is_asked_for_and_brings_it() {
    let (stage, pebble) = scene();
    let mut portvakt = start(&stage);
    let outside = TempDir::new().unwrap();
    let other = stage.ca.issue(&["m5.test"]);
    other.write(outside.path(), "m5");
    fs::copy(outside.path().join("m5.key"), stage.home.path().join("m5.key")).unwrap();

    configure(&stage, &pebble, "watch = false\n", outside.path().join("m5.pem").to_str().unwrap());
    let output = run(stage.home.path(), &["reload"]);

    let told = String::from_utf8_lossy(&output.stderr);
    let title = format!("error[PV0721]: this process cannot read `{}`", outside.path().join("m5.pem").display());
    assert!(!output.status.success() && told.contains(&title) && told.contains("restart portvakt"), "{told}");
    assert!(!told.contains("PV0301") && told.matches("error[").count() == 1, "one reason is enough: {told}");
    assert_eq!(served(stage.home.https, "m5.test").unwrap(), stage.leaf.der);
    let checked = run(stage.home.path(), &["check"]);
    let listed = String::from_utf8_lossy(&checked.stdout).into_owned();
    let reads = listed.lines().find(|line| line.starts_with("  read ")).unwrap_or_default();
    assert!(reads.contains(&outside.path().display().to_string()), "what a new process could: {listed}");
    assert!(portvakt.terminate().success());
    let _portvakt = start(&stage);
    wait_leaf(&stage, &other.der);
}

#[test]
fn given_a_program_that_it_starts_when_that_reads_and_writes_elsewhere_then_the_kernel_refuses() {
    let (stage, outside) = (Stage::new(), TempDir::new().unwrap());
    let (hooks, told) = (stage.home.path().join("hooks"), stage.home.path().join("state/told"));
    fs::create_dir(&hooks).unwrap();
    fs::create_dir(stage.home.path().join("tmp")).unwrap();
    fs::write(outside.path().join("secret"), "geheim").unwrap();
    let (hook, elsewhere) = (hooks.join("tell"), outside.path().display());
    let script = format!(
        "#!/bin/sh\nexec 2>&1 >{0}.new\ncat {elsewhere}/secret && echo READ\necho x >{elsewhere}/written && echo WROTE\n\
         echo x >{1}/beside && echo WROTE\necho done >>{0}.new\nmv {0}.new {0}\n",
        told.display(),
        hooks.display()
    );
    write_program(&hook, &script);
    let notify = format!("[[notify]]\nexec = {{ command = [{hook:?}] }}\n");
    let tables = format!("{}{notify}", stage.site());
    stage.home.configure("landlock = true\n", &tables);
    let portvakt = start(&stage);

    stage.home.configure("landlock = true\n", &format!("{tables}[[nonsense]]\n"));
    assert!(!portvakt.reload(&stage.home), "which people are told of");

    let told = eventually("the program has run", PATIENCE, || fs::read_to_string(&told).ok());
    assert!(told.ends_with("done\n") && !["READ", "WROTE", "geheim"].iter().any(|word| told.contains(word)), "{told}");
    assert!(!outside.path().join("written").exists() && !hooks.join("beside").exists());
    let unconfined = Command::new(&hook).output().unwrap();
    assert!(unconfined.status.success() && outside.path().join("written").exists(), "by hand it can");
}

#[test]
fn given_a_system_that_refuses_landlock_when_started_then_it_does_not_start_and_says_why() {
    let stage = Stage::new();
    stage.configure("landlock = true\n", "");

    let mut python = Command::new(program("python3"));
    python.args(["-c", WITHOUT_LANDLOCK, env!("CARGO_BIN_EXE_portvakt"), "run", "--config"]).arg(stage.home.file());
    let output = python.output().unwrap();

    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{told}");
    for words in ["error[PV0720]", "portvakt.toml:", "a filter of system calls forbids it", "/sys/kernel/security/lsm"]
    {
        assert!(told.contains(words), "{words}: {told}");
    }
}

/// A site with files and one by ACME, confined.
fn scene() -> (Stage, Pebble) {
    let stage = Stage::new();
    let pebble = Pebble::start(Settings::on(stage.home.http, stage.home.https));
    for folder in ["tmp", "metrics"] {
        fs::create_dir(stage.home.path().join(folder)).unwrap();
    }
    fs::copy(pebble.trust_anchors(), stage.home.path().join("pebble.pem")).unwrap();
    configure(&stage, &pebble, "", "m5.pem");
    (stage, pebble)
}

fn configure(stage: &Stage, pebble: &Pebble, top: &str, chain: &str) {
    let acme = format!(
        "acme = {{ agree_tos = true, trust_anchors = \"pebble.pem\", directory = \"{}\" }}\n",
        pebble.directory()
    );
    let upstream = format!("{{ url = {:?}, request_buffering = \"length\" }}", stage.echo.url());
    let site = Stage::site_with(&upstream).replace("\"m5.pem\"", &format!("{chain:?}"));
    let by_acme = format!("[[site]]\ndomain = \"acme.test\"\nupstream = {:?}\n", stage.echo.url());
    let watch = if top.contains("watch") { "" } else { "watch = true\n" };
    let top = format!(
        "landlock = true\ncontrol = \"run/control.sock\"\nmetrics = {{ textfile = \"metrics/portvakt.prom\" }}\n{watch}{top}{acme}"
    );
    stage.home.configure(&top, &format!("{site}{by_acme}"));
}

/// With a folder for temporary files of its own: the tests' would let it into those of all.
fn start(stage: &Stage) -> Portvakt {
    stage.home.start_as(stage.home.command().env("TMPDIR", stage.home.path().join("tmp")))
}

fn wait_leaf(stage: &Stage, leaf: &[u8]) {
    eventually("the new certificate is served", PATIENCE, || {
        served(stage.home.https, "m5.test").ok().filter(|served| served.as_ref() == leaf)
    });
}

/// Runs its arguments under a filter that answers the system calls of Landlock (444 to 446 on every architecture) with EPERM.
const WITHOUT_LANDLOCK: &str = r#"
import ctypes, os, struct, sys
load, below, above, refuse, allow = (0x20, 0, 0, 0), (0x35, 0, 2, 444), (0x25, 1, 0, 446), (6, 0, 0, 0x50001), (6, 0, 0, 0x7fff0000)
code = b"".join(struct.pack("HBBI", *line) for line in (load, below, above, refuse, allow))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0, "no new privileges"
assert libc.prctl(22, 2, ctypes.byref(Program(len(code) // 8, code)), 0, 0) == 0, "the filter"
os.execv(sys.argv[1], sys.argv[1:])
"#;
