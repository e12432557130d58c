//! The guides for those who come from another server: each configuration in them is one, and nginx serves with certbot's
//! certificate until portvakt has its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::child::Child;
use crate::support::clock::PATIENCE;
use crate::support::home::run;
use crate::support::pebble::{Pebble, Settings};
use crate::support::peers::program;
use crate::support::podman::deploy;
use crate::support::ports::free_port;
use crate::support::{Ca, Curl, Echo, Home, eventually, raw};

#[test]
fn given_each_configuration_of_a_guide_when_checked_offline_then_good() {
    for guide in GUIDES {
        let blocks = blocks(guide, "toml");
        let main: Vec<_> = blocks.iter().filter(|text| !text.starts_with("# conf.d/")).collect();
        assert!(!main.is_empty(), "{guide}");
        for text in main {
            let dir = TempDir::new().unwrap();
            fs::write(dir.path().join("portvakt.toml"), text).unwrap();
            fs::create_dir(dir.path().join("conf.d")).unwrap();
            for part in blocks.iter().filter(|text| text.starts_with("# conf.d/")) {
                fs::write(dir.path().join("conf.d/part.toml"), part).unwrap();
            }
            let output = run(dir.path(), &["check", "--offline", "--config", "portvakt.toml"]);
            assert!(output.status.success(), "{guide}: {text}\n{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn given_the_commands_of_a_guide_then_the_program_knows_them() {
    for guide in GUIDES {
        let text = read(guide);
        let spans = text.split('`').skip(1).step_by(2).filter_map(|span| span.strip_prefix("portvakt "));
        let commands: Vec<_> = spans.collect();
        assert!(!commands.is_empty(), "{guide}");
        for command in commands {
            let is_verb = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase()) && *word != "partner";
            let verb: Vec<_> = command.split_whitespace().take_while(is_verb).collect();
            let output = run(Path::new("/"), &[&verb[..], &["--help"]].concat());
            assert!(output.status.success(), "{guide}: `portvakt {command}`");
        }
    }
}

/// The guide, step by step, with ports of this machine, and pebble for Let's Encrypt.
#[test]
fn given_nginx_when_portvakt_takes_over_then_somebody_serves_at_every_step() {
    let (home, echo, reports) = (Home::new(), Echo::start(), Echo::start());
    let (http, https) = (free_port(), free_port());
    let pebble = Pebble::start(Settings::on(http, https));
    let certbot = Ca::new("the CA that certbot asked");
    let old_root = certbot.write(home.path().join("certbot-root.pem"));
    certbot.issue(&["app.example.com"]).write(home.path(), "certbot");
    let old = blocks("from-nginx-certbot.md", "nginx");
    let (tls_server, _) = old[0].split_once("server {\n    listen 80;").expect("two servers");
    let placed = |text: &str| {
        text.replace("listen 443", &format!("listen 127.0.0.1:{https}"))
            .replace("listen 80", &format!("listen 127.0.0.1:{http}"))
            .replace(
                "/etc/letsencrypt/live/app.example.com/fullchain.pem",
                &home.path().join("certbot.pem").display().to_string(),
            )
            .replace(
                "/etc/letsencrypt/live/app.example.com/privkey.pem",
                &home.path().join("certbot.key").display().to_string(),
            )
            .replace("127.0.0.1:3000", &format!("127.0.0.1:{}", echo.port()))
            .replace("127.0.0.1:8081", &format!("127.0.0.1:{}", reports.port()))
            .replace("127.0.0.1:8080", &format!("127.0.0.1:{}", home.http))
    };
    let mut nginx = nginx(home.path(), &placed(&old[0]), http);
    let get = |port: u16, root: &Path, path: &str| {
        let curl = Curl::new().resolve("app.example.com", port).cacert(root);
        curl.try_get(&format!("https://app.example.com:{port}{path}"))
            .map(|answer| answer.status)
            .map_err(|failure| failure.message)
    };
    assert_eq!(get(https, &old_root, "/"), Ok(200));

    nginx.kill();
    let mut nginx = self::nginx(home.path(), &placed(&format!("{tls_server}{}", old[1])), http);
    let configuration = blocks("from-nginx-certbot.md", "toml")[0].clone();
    let configuration =
        configuration.replace(":3000", &format!(":{}", echo.port())).replace(":8081", &format!(":{}", reports.port()));
    fs::write(home.file(), configuration).unwrap();
    fs::create_dir(home.path().join("conf.d")).unwrap();
    let world = |http: u16, https: u16| {
        let acme = pebble.acme_section().replace("agree_tos = true\n", "");
        let listen = format!(
            "[listen]\nhttp = \"127.0.0.1:{http}\"\nhttps = \"127.0.0.1:{https}\"\nadmin = \"127.0.0.1:{}\"\n",
            home.admin
        );
        fs::write(
            home.path().join("conf.d/world.toml"),
            format!("state_dir = \"state\"\nwatch = false\n{listen}{acme}"),
        )
        .unwrap();
    };
    world(home.http, home.https);
    let portvakt = home.start();
    home.wait_certificate("app.example.com", "issued", Duration::from_secs(90));
    let new_root = pebble.issued_root();
    assert_eq!(get(https, &old_root, "/"), Ok(200), "nginx serves on");
    assert_eq!(get(home.https, &new_root, "/"), Ok(200), "portvakt is ready");

    world(http, https);
    nginx.kill();
    assert!(portvakt.reload(&home));
    assert_eq!(get(https, &new_root, "/"), Ok(200));
    assert_eq!(get(https, &new_root, "/reports/x"), Ok(200));
    let plain = Curl::new().resolve("app.example.com", http).get(&format!("http://app.example.com:{http}/"));
    assert_eq!(plain.status, 301);
    assert_eq!(pebble.issued(), 1);
}

#[test]
fn given_the_caddyfiles_when_caddy_reads_them_then_they_are_ones() {
    let blocks = blocks("from-caddy.md", "text");
    let dir = TempDir::new().unwrap();
    for text in [blocks[0].clone(), format!("{}{}", blocks[0], blocks[1])] {
        fs::write(dir.path().join("Caddyfile"), &text).unwrap();
        let mut caddy = Command::new(program("caddy"));
        caddy.args(["validate", "--adapter", "caddyfile", "--config", "Caddyfile"]).current_dir(dir.path());
        let output = caddy.env("HOME", dir.path()).env("XDG_DATA_HOME", dir.path()).output().expect("caddy starts");
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// nginx with these servers.
fn nginx(dir: &Path, servers: &str, port: u16) -> Child {
    let place = dir.display();
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {place}/{kind};\n"))
        .concat();
    let text = format!(
        "daemon off;\nmaster_process off;\npid {place}/nginx.pid;\nerror_log stderr warn;\nevents {{}}\n\
         http {{\naccess_log off;\n{paths}{servers}}}\n"
    );
    fs::write(dir.join("nginx.conf"), text).unwrap();
    let mut command = Command::new(program("nginx"));
    command.arg("-p").arg(dir).arg("-c").arg(dir.join("nginx.conf")).args(["-e", "stderr"]);
    let mut child = Child::start("nginx", &mut command);
    eventually("nginx listens", PATIENCE, || {
        assert!(child.ended().is_none(), "nginx has ended: {:?}", child.lines());
        raw::try_connect(port).ok()
    });
    child
}

/// What stands between fences in this language, without the fences' indentation.
fn blocks(guide: &str, language: &str) -> Vec<String> {
    let text = read(guide);
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start() == format!("```{language}") {
            let block = lines.by_ref().take_while(|line| line.trim() != "```");
            found.push(block.map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect());
        }
    }
    found
}

fn read(guide: &str) -> String {
    fs::read_to_string(deploy(&format!("guides/{guide}"))).unwrap()
}

const GUIDES: [&str; 4] = ["from-nginx-certbot.md", "from-caddy.md", "from-stunnel.md", "from-iis-binding.md"];
