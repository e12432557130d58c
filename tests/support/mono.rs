//! An ASP.NET application as it runs on servers of ten years ago: Mono's System.Web behind nginx.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::child::Child;
use super::clock::{PATIENCE, eventually};
use super::peers::{fetched, program};
use super::ports::free_port;
use super::raw;

/// The pages of `tests/data/aspnet`, over plain HTTP.
pub(crate) struct AspNet {
    /// Where it listens.
    pub(crate) port: u16,
    _dir: TempDir,
    _children: [Child; 2],
}

impl AspNet {
    /// Starts it, and waits until its pages are compiled.
    pub(crate) fn start() -> Self {
        let (dir, port, fastcgi) = (TempDir::new().expect("a temporary folder"), free_port(), free_port());
        let pages = dir.path().join("pages");
        fs::create_dir(&pages).expect("a folder for pages");
        for page in fs::read_dir("tests/data/aspnet").expect("the pages").flatten() {
            fs::copy(page.path(), pages.join(page.file_name())).expect("the page is copied");
        }
        let mono = mono(dir.path(), &pages, fastcgi);
        let nginx = nginx(dir.path(), port, fastcgi);
        let application = Self { port, _dir: dir, _children: [mono, nginx] };
        eventually("the pages are compiled", PATIENCE, || {
            let page = raw::get(port, "warm.test", "/Info.aspx");
            (page.status == 200).then_some(())
        });
        application
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

fn mono(dir: &Path, pages: &Path, port: u16) -> Child {
    let root = fetched().join("mono");
    let run = root.join("run");
    assert!(run.is_file(), "Mono is missing\n  hint: run `tests/peers`, or `tests/run`, which calls it");
    let mut command = Command::new(run);
    command.arg(root.join("usr/lib/mono/4.5/fastcgi-mono-server4.exe"));
    command.arg(format!("/applications=/:{}", pages.display())).arg(format!("/socket=tcp:127.0.0.1:{port}"));
    // It compiles pages and keeps sessions there.
    command.env("TMPDIR", dir).env("HOME", dir).current_dir(dir);
    let mut child = Child::start("mono", &mut command);
    eventually("Mono listens", PATIENCE, || {
        assert!(child.ended().is_none(), "Mono has ended: {:?}", child.lines());
        raw::try_connect(port).ok()
    });
    child
}

fn nginx(dir: &Path, port: u16, fastcgi: u16) -> Child {
    let at = dir.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = temporary.iter().map(|name| format!("{name}_temp_path {at}/{name};\n")).collect();
    let told = [
        ("QUERY_STRING", "$query_string"),
        ("REQUEST_METHOD", "$request_method"),
        ("CONTENT_TYPE", "$content_type"),
        ("CONTENT_LENGTH", "$content_length"),
        ("SCRIPT_NAME", "$fastcgi_script_name"),
        ("SCRIPT_FILENAME", "$document_root$fastcgi_script_name"),
        ("PATH_INFO", "\"\""),
        ("REQUEST_URI", "$request_uri"),
        ("DOCUMENT_ROOT", "$document_root"),
        ("SERVER_PROTOCOL", "$server_protocol"),
        ("SERVER_NAME", "$host"),
        ("SERVER_PORT", "80"),
        ("REMOTE_ADDR", "$remote_addr"),
    ];
    let told: String = told.iter().map(|(name, value)| format!("fastcgi_param {name} {value};\n")).collect();
    let config = dir.join("nginx.conf");
    let text = format!(
        "daemon off; master_process off; pid {at}/pid; error_log stderr warn; events {{ }}\n\
         http {{ access_log off; client_max_body_size 0; {temporary}\n\
         server {{ listen 127.0.0.1:{port}; root {at}/pages;\n\
         location / {{ {told} fastcgi_pass 127.0.0.1:{fastcgi}; fastcgi_read_timeout 60s; }} }} }}\n"
    );
    fs::write(&config, text).expect("the configuration is written");
    let mut command = Command::new(program("nginx"));
    command.arg("-p").arg(dir).arg("-c").arg(config).args(["-e", "stderr"]);
    let mut child = Child::start("nginx", &mut command);
    eventually("nginx listens", PATIENCE, || {
        assert!(child.ended().is_none(), "nginx has ended: {:?}", child.lines());
        raw::try_connect(port).ok()
    });
    child
}
