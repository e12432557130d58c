//! Started as root with `user`, it opens the ports, becomes that user for ever, and can do all it could: reload, upgrade,
//! tell its numbers. Memory reaches no disk, and as many files may be open as the system allows.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use crate::stage::Stage;
use crate::support::ca::replace;
use crate::support::clock::PATIENCE;
use crate::support::home::Portvakt;
use crate::support::programs::copy_program;
use crate::support::{eventually, raw};

#[test]
fn given_root_and_a_user_when_started_then_every_thread_is_that_user_with_one_right() {
    let stage = stage("user = \"nobody\"\n");
    let portvakt = stage.home.start();

    let process = portvakt.child.id();
    assert_is_nobody(process);
    assert_eq!(fs::metadata(stage.home.state()).unwrap().uid(), NOBODY);
    assert_eq!(stage.get("/").status, 200);
    let metrics = stage.home.metrics();
    for name in ["process_open_fds", "process_max_fds", "process_resident_memory_bytes", "process_cpu_seconds_total"] {
        assert!(metrics.one(name, &[]) >= 0.0, "{name} can be read still");
    }
    assert!(metrics.one("process_open_fds", &[]) > 0.0);
}

#[test]
fn given_a_user_when_reloaded_then_a_low_port_can_be_opened() {
    let stage = stage("user = \"nobody\"\n");
    let portvakt = stage.home.start();
    let low = (600..1024).find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap();
    let text = fs::read_to_string(stage.home.file()).unwrap();
    let line = format!("http = \"127.0.0.1:{}\"", stage.home.http);
    let both = format!("http = [\"127.0.0.1:{}\", \"127.0.0.1:{low}\"]", stage.home.http);

    replace(&stage.home.file(), &text.replace(&line, &both));
    open_to_all(&stage.home.file());
    assert!(portvakt.reload(&stage.home));

    assert_eq!(raw::get(low, "m5.test", "/").status, 302);
}

#[test]
fn given_a_user_when_upgraded_then_the_new_process_is_that_user_too() {
    let stage = stage("user = \"nobody\"\n");
    let program = stage.home.path().join("portvakt");
    copy_program(&program);
    let mut portvakt = stage.home.launch_as(&mut stage.home.command_of(&program));
    portvakt.wait_ready(&stage.home);

    portvakt.signal("USR2");

    let line = portvakt.child.wait_line("upgraded", |line| line.contains("upgraded: the new process serves"));
    let process = line.split("successor=").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    let _ended_with_the_test = EndOf(process);
    assert_is_nobody(process);
    assert_eq!(stage.get("/").status, 200);
}

#[test]
fn given_a_state_directory_of_another_user_when_started_then_the_error_says_how_to_mend_it() {
    let stage = stage("user = \"nobody\"\n");
    fs::create_dir(stage.home.state()).unwrap();

    let told = refusal(&stage);

    assert!(told.contains("does not belong to `nobody`") && told.contains("chown -R nobody: "), "{told}");
    assert_eq!(fs::metadata(stage.home.state()).unwrap().uid(), 0, "nothing was given away");
    assert!(raw::try_connect(stage.home.https).is_err());
}

#[test]
fn given_a_key_that_the_user_may_not_read_when_started_then_the_error_names_it() {
    let stage = stage("user = \"nobody\"\n");
    chown(stage.home.path().join("m5.key"), Some(0), Some(0)).unwrap();

    let told = refusal(&stage);

    assert!(told.contains("PV0301") && told.contains("m5.key"), "{told}");
}

#[test]
fn given_root_without_a_user_when_checked_then_the_warning_says_why_and_root_by_name_is_silent() {
    for (top, is_warned) in [("", true), ("user = \"root\"\n", false)] {
        let stage = stage(top);
        let output = crate::support::home::run(stage.home.path(), &["check", "--config", "portvakt.toml"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && told.contains("PV0521") == is_warned, "{told}");
    }
}

#[test]
fn given_any_user_when_started_then_no_core_is_dumped_and_files_are_as_many_as_allowed() {
    let stage = stage("");
    let mut shell = Command::new("bash");
    shell.args(["-c", "ulimit -Sn 300; ulimit -Hn 5000; ulimit -c unlimited 2>/dev/null; exec \"$0\" \"$@\""]);
    let command = stage.home.command();
    shell.arg(command.get_program()).args(command.get_args()).current_dir(stage.home.path());
    let mut portvakt = stage.home.launch_as(&mut shell);
    portvakt.wait_ready(&stage.home);

    let limits = fs::read_to_string(format!("/proc/{}/limits", portvakt.child.id())).unwrap();
    let line = |name: &str| limits.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let core: Vec<_> = line("Max core file size").split_whitespace().skip(4).map(str::to_owned).collect();
    assert_eq!(core[..2], ["0", "0"]);
    assert_eq!(stage.home.metrics().one("process_max_fds", &[]), 5000.0);
    let status = stage.home.admin("/status.json").text().replace(' ', "");
    assert!(status.contains("\"descriptor_limit\":5000"), "{status}");
    let told = portvakt.child.wait_line("few files", |line| line.contains("FEW FILES"));
    assert!(told.contains("limit=5000") && told.contains("needed=40128"), "{told}");
    let status = fs::read_to_string(format!("/proc/{}/status", portvakt.child.id())).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
}

/// A scene that `nobody` can enter.
fn stage(top: &str) -> Stage {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    assert!(is_root, "NOT TESTED: giving up rights needs root; run these tests with sudo, as CI does");
    let stage = Stage::new();
    stage.configure(top, "");
    fs::set_permissions(stage.home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for file in [stage.home.file(), stage.home.path().join("m5.pem")] {
        open_to_all(&file);
    }
    let key = stage.home.path().join("m5.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    chown(key, Some(NOBODY), None).unwrap();
    stage
}

fn open_to_all(file: &Path) {
    fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
}

fn refusal(stage: &Stage) -> String {
    let mut portvakt: Portvakt = stage.home.launch();
    assert_eq!(portvakt.child.wait(PATIENCE).code(), Some(1));
    portvakt.child.stderr()
}

fn assert_is_nobody(process: u32) {
    let tasks: Vec<_> = fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten().collect();
    assert!(tasks.len() > 1, "the runtime has threads");
    let memory = fs::metadata(format!("/proc/{process}/mem")).unwrap();
    assert_eq!(memory.uid(), 0, "what is not dumpable can be read by no other process of its user");
    for task in tasks {
        let status = fs::read_to_string(task.path().join("status")).unwrap();
        let line = |name: &str| {
            let found = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            found.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let nobody = [(); 4].map(|()| NOBODY.to_string()).join(" ");
        assert_eq!((line("Uid:"), line("Groups:")), (nobody, String::new()), "{status}");
        for rights in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
            assert_eq!(u64::from_str_radix(&line(rights), 16), Ok(NET_BIND_SERVICE), "{rights} {status}");
        }
        assert_eq!(line("NoNewPrivs:"), "1");
    }
}

/// Ends a process that is not our child.
struct EndOf(u32);

impl Drop for EndOf {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", &self.0.to_string()]).status();
        eventually("it has ended", PATIENCE, || (!Path::new(&format!("/proc/{}/exe", self.0)).exists()).then_some(()));
    }
}

const NOBODY: u32 = 65_534;
/// Bit 10: the right to open ports below 1024.
const NET_BIND_SERVICE: u64 = 1 << 10;
