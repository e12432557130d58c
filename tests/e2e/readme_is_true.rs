//! Every command of the README is run, every configuration in it is loaded, and nothing in it is left out here.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::egress_stage::WayOut;
use crate::support::bankid::{MODERN, PASSWORD};
use crate::support::child::Child;
use crate::support::clock::PATIENCE;
use crate::support::home::{self, Home, Portvakt, run};
use crate::support::pebble::{Pebble, Settings};
use crate::support::{Curl, Echo, eventually, raw};

const README: &str = include_str!("../../README.md");

const DEMO: &str = "sudo apt-get install -y cmake g++ && cargo run --release -- demo";
const TESTS: &str = "tests/run";
const CHECK: &str = "portvakt check --config portvakt.toml";
const RUN: &str = "sudo portvakt run --config portvakt.toml";
const ONE_LINER: &str = "sudo portvakt run --domain app.example.com --upstream http://127.0.0.1:8080 --agree-tos";
const ROOT: &str = "portvakt ca root --config portvakt.toml";
const BANKID_CHECK: &str = "portvakt check --config bankid.toml";
const BANKID_RUN: &str = "portvakt run --config bankid.toml";
const BANKID_ORDER: &str = "curl -sS http://127.0.0.1:9443/rp/v6.0/auth -H 'Content-Type: application/json' \
     -d '{\"endUserIp\":\"192.0.2.7\"}'";
const SHOW: &str = "portvakt config show --effective";
const EXPLAIN: &str = "portvakt explain https://app.example.com/login";
const SIMULATE: &str = "portvakt simulate --ca-outage 5d";
const SCHEMA: &str = "portvakt schema > portvakt.schema.json";
const HELP: &str = "portvakt help PV0204";
const DOCTOR: &str = "portvakt doctor https://app.example.com/login";
const STATUS: &str = "portvakt status";
const LIST: &str = "portvakt cert list";
const SHOW_ONE: &str = "portvakt cert show app.example.com";
const RELOAD_AND_WAIT: &str = "portvakt reload";
const RELOAD: &str = "kill -HUP $(pidof portvakt)";
const UPGRADE: &str = "kill -USR2 $(pidof portvakt)";
const STOP: &str = "kill -TERM $(pidof portvakt)";

#[test]
fn given_the_readme_then_its_commands_are_those_that_are_tested_here() {
    let text = blocks("sh").concat();
    let commands: Vec<_> = text.lines().map(without_remark).collect();

    assert_eq!(
        commands,
        [
            DEMO,
            TESTS,
            CHECK,
            RUN,
            ONE_LINER,
            DOCTOR,
            BANKID_CHECK,
            BANKID_RUN,
            BANKID_ORDER,
            SHOW,
            EXPLAIN,
            SIMULATE,
            SCHEMA,
            HELP,
            STATUS,
            LIST,
            SHOW_ONE,
            RELOAD_AND_WAIT,
            ROOT,
            RELOAD,
            UPGRADE,
            STOP
        ]
    );
}

#[test]
fn given_each_configuration_of_the_readme_when_checked_offline_then_good() {
    let configurations = blocks("toml");
    assert_eq!(configurations.len(), 11);

    for text in configurations {
        let home = Home::new();
        fs::write(home.file(), &text).unwrap();
        let output = run(home.path(), &["check", "--config", "portvakt.toml", "--offline"]);
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The four lines, the check, the run, a reload and the stop. Only what ties it to the world is laid beside it in
/// `conf.d`: ports, the state directory, and pebble for Let's Encrypt.
#[test]
fn given_the_four_lines_when_followed_then_the_server_is_served_over_https() {
    let home = Home::new();
    let pebble = Pebble::start(Settings::on(home.http, home.https));
    let echo = Echo::start();
    fs::write(home.file(), blocks("toml")[0].replace(":8080", &format!(":{}", echo.port()))).unwrap();
    fs::create_dir(home.path().join("conf.d")).unwrap();
    fs::write(home.path().join("conf.d/world.toml"), world(&home, &pebble)).unwrap();

    let checked = run(home.path(), &arguments(CHECK));
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let mut portvakt = Portvakt::launch(home.path(), &arguments(RUN));
    portvakt.wait_ready(&home);
    home.wait_certificate("app.example.com", "issued", Duration::from_secs(90));

    let answer = Curl::new()
        .resolve("app.example.com", home.https)
        .cacert(&pebble.issued_root())
        .get(&format!("https://app.example.com:{}/", home.https));
    assert_eq!(answer.status, 200);
    for (command, told) in [
        (SHOW, "# portvakt.toml:4"),
        (EXPLAIN, "HTTPS       goes to upstream 127.0.0.1:"),
        (SIMULATE, "The certificate survives."),
        (SCHEMA.split(" > ").next().unwrap(), "\"title\": \"portvakt "),
        (HELP, "PV0204: unknown certificate source"),
        (STATUS, "certificate app.example.com (listener): issued"),
        (LIST, "app.example.com  issued"),
        (SHOW_ONE, "  next action  renew 20"),
        (RELOAD_AND_WAIT, "reloaded: nothing has changed"),
    ] {
        let output = run(home.path(), &arguments(command));
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains(told), "{command}: {text}");
    }
    let root = pebble.issued_root().display().to_string();
    let place = format!(".com:{}/login --address 127.0.0.1 --trust-anchors {root}", home.https);
    let doctor = DOCTOR.replace(".com/login", &place);
    let doctor = run(home.path(), &doctor.split(' ').skip(1).collect::<Vec<_>>());
    let text = String::from_utf8_lossy(&doctor.stdout);
    assert!(doctor.status.success() && text.contains("Android phones accept this server"), "{text}");
    assert!(signal_of(RELOAD) == "HUP" && portvakt.reload(&home));
    portvakt.signal(signal_of(UPGRADE));
    let line = portvakt.child.wait_line("upgraded", |line| line.contains("upgraded: the new process serves"));
    assert!(eventually("the old process has ended", PATIENCE, || portvakt.child.ended()).success());
    let successor = line.split("successor=").nth(1).unwrap().split_whitespace().next().unwrap();
    assert_eq!(home.admin("/readyz?cert=strict").status, 200, "the certificate was kept");
    assert!(run(home.path(), &arguments(STATUS)).status.success(), "the control socket was taken over");
    let signal = format!("-{}", signal_of(STOP));
    assert!(Command::new("kill").args([&signal, successor]).status().unwrap().success());
    eventually("it has ended", PATIENCE, || raw::try_connect(home.admin).is_err().then_some(()));
}

/// The ports 80 and 443 are those of a network namespace of its own, with nothing in it but loopback.
#[test]
fn given_the_one_liner_when_typed_then_it_listens_on_the_well_known_ports() {
    let home = Home::new();
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--net", "python3", "-c", RAISE_LOOPBACK, env!("CARGO_BIN_EXE_portvakt")]);
    command.args(arguments(ONE_LINER)).current_dir(home.path()).env("STATE_DIRECTORY", home.state());

    let mut portvakt = Child::start("portvakt in a network of its own", &mut command);

    portvakt.wait_line("plain HTTP", |line| line.contains("listening") && line.contains("0.0.0.0:80"));
    portvakt.wait_line("HTTPS", |line| line.contains("listening") && line.contains("0.0.0.0:443"));
    portvakt.wait_line("ready, though no CA can be reached", |line| line.contains("ready"));
    portvakt.signal("TERM");
    assert_eq!(portvakt.wait(PATIENCE).code(), Some(0));
}

/// What is written is checked as it stands; then the stand-in takes the place of BankID's own service, which the preset names.
#[test]
fn given_bankid_in_ten_minutes_when_followed_then_the_first_order_is_made() {
    let way = WayOut::new();
    let folder = way.home.path();
    fs::copy(MODERN.path(), folder.join("FPTestcert5_20240610.p12")).unwrap();
    fs::write(folder.join("bankid.pass"), PASSWORD).unwrap();
    let written = blocks("toml").into_iter().find(|text| text.contains("[[egress]]")).unwrap();
    fs::write(folder.join("bankid.toml"), &written).unwrap();

    let checked = run(folder, &arguments(BANKID_CHECK));
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    let service = format!("destination = \"{}\"\ntrust_anchors = \"bankid-root.pem\"\n", way.bankid.url());
    let rules = "allow = [\"POST /rp/v6.0/*\"]\nrules = \"bankid\"\n";
    let lines = written.lines().map(|line| match line.starts_with("preset ") {
        true => format!("{service}{rules}"),
        false => format!("{}\n", line.replace("9443", &way.port.to_string())),
    });
    fs::write(folder.join("bankid.toml"), lines.collect::<String>()).unwrap();
    fs::create_dir(folder.join("conf.d")).unwrap();
    let admin = format!("state_dir = \"state\"\nlisten = {{ admin = \"127.0.0.1:{}\" }}\n", way.home.admin);
    fs::write(folder.join("conf.d/world.toml"), admin).unwrap();
    let mut portvakt = Portvakt::launch(folder, &arguments(BANKID_RUN));
    portvakt.wait_ready(&way.home);
    let order = BANKID_ORDER.replace("9443", &way.port.to_string());
    let answer = Command::new("bash").args(["-c", &order]).output().unwrap();

    let told: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(told["orderRef"], way.bankid.order().order_ref, "{told}");
    assert_eq!(way.bankid.last().leaf, MODERN.leaf());
}

#[test]
fn given_an_internal_certificate_when_the_root_is_asked_for_then_it_is_printed() {
    let home = Home::new();
    let site = "[[site]]\ndomain = \"localhost\"\nupstream = \"http://127.0.0.1:9\"\ncertificate = \"internal\"\n";
    home.configure("", site);
    let _portvakt = home.start();

    let output = run(home.path(), &arguments(ROOT));

    assert!(output.status.success() && output.stdout.starts_with(b"-----BEGIN CERTIFICATE-----"));
}

/// Long: it builds the release.
#[test]
#[ignore = "long: builds the release"]
fn given_a_fresh_machine_when_the_first_command_is_typed_then_the_demo_runs() {
    let command = if has_sudo() { DEMO.to_owned() } else { DEMO.replace("sudo ", "") };
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("exec 2>&1; {}", command.replace("cargo run", "exec cargo run --locked --quiet"))]);
    let mut demo = Child::start("the first command", shell.current_dir(env!("CARGO_MANIFEST_DIR")));

    eventually("the demo is built and runs", Duration::from_secs(3000), || {
        if let Some(status) = demo.ended() {
            panic!("it has ended with {status}:\n{}", demo.stdout());
        }
        demo.stdout().contains("Ctrl-C").then_some(())
    });

    demo.signal("INT");
    assert_eq!(demo.wait(PATIENCE).code(), Some(0));
}

#[test]
fn given_the_unit_when_its_commands_are_run_then_they_start_reload_and_stop() {
    let unit = include_str!("../../deploy/portvakt.service");
    let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).unwrap().to_owned();
    let start = value("ExecStart=");
    let words: Vec<_> = start.split(' ').collect();
    assert_eq!(words, ["/usr/local/bin/portvakt", "run", "--config", "/etc/portvakt/portvakt.toml"]);
    let (home, echo) = (Home::new(), Echo::start());
    let site = format!("[[site]]\ndomain = \"localhost\"\nupstream = \"{}\"\ncertificate = \"internal\"\n", echo.url());
    home.configure("", &site);
    // As StateDirectory= hands it over.
    let text = fs::read_to_string(home.file()).unwrap().replace("state_dir = \"state\"\n", "");
    fs::write(home.file(), text).unwrap();
    let mut command = home::command(home.path());
    command.args(&words[1..3]).arg(home.file()).env("STATE_DIRECTORY", home.state());

    let mut portvakt = Portvakt { child: Child::start("the unit", &mut command) };
    portvakt.wait_ready(&home);

    assert!(home.state().join("certs").exists(), "the state directory is systemd's");
    assert_eq!(value("#ExecReload="), "/bin/kill -HUP $MAINPID");
    assert!(portvakt.reload(&home));
    assert!(portvakt.terminate().success());
}

/// Code blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    let ends = |rest: &str| rest.split_once("```").map(|(block, _)| block.to_owned());
    README.split(&opening).skip(1).map(|rest| ends(rest).expect("a code block ends")).collect()
}

/// A command without the remark behind it.
fn without_remark(line: &str) -> &str {
    line.split("  #").next().unwrap_or_default().trim()
}

/// What a command gives to portvakt.
fn arguments(command: &'static str) -> Vec<&'static str> {
    command.trim_start_matches("sudo ").split(' ').skip(1).collect()
}

fn signal_of(command: &str) -> &str {
    command.trim_start_matches("kill -").split(' ').next().unwrap_or_default()
}

fn world(home: &Home, pebble: &Pebble) -> String {
    let (http, https, admin) = (home.http, home.https, home.admin);
    let acme = pebble.acme_section().replace("agree_tos = true\n", "");
    format!(
        "state_dir = \"state\"\n[listen]\nhttp = \"127.0.0.1:{http}\"\nhttps = \"127.0.0.1:{https}\"\n\
         admin = \"127.0.0.1:{admin}\"\n{acme}"
    )
}

fn has_sudo() -> bool {
    Command::new("sudo").arg("--version").output().is_ok()
}

/// Sets `lo` up (SIOCSIFFLAGS with IFF_UP and IFF_RUNNING), then becomes the program that is named behind it.
const RAISE_LOOPBACK: &str = "import fcntl,os,socket,struct,sys
fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 0x41))
os.execv(sys.argv[1], sys.argv[1:])";
