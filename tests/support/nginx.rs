//! nginx as the real server behind: by http, by https with a given identity, and on a Unix socket.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::ca::{Ca, Leaf};
use super::child::Child;
use super::clock::{PATIENCE, eventually};
use super::peers::program;
use super::ports::free_port;
use super::raw;

/// A running nginx. `/` tells what it received; `/files/` is a folder of WebDAV.
pub(crate) struct Nginx {
    /// Plain HTTP.
    pub(crate) http: u16,
    /// TLS; nobody listens when no identity was given.
    pub(crate) https: u16,
    dir: TempDir,
    child: Child,
}

impl Nginx {
    /// nginx without TLS.
    pub(crate) fn start() -> Self {
        Self::launch(None)
    }

    /// nginx that proves itself with `identity`.
    pub(crate) fn start_tls(identity: &Leaf) -> Self {
        Self::launch(Some(identity))
    }

    /// As [`Self::start_tls`], with more directives in its server block.
    pub(crate) fn start_tls_with(identity: &Leaf, more: &str) -> Self {
        Self::launch_with(Some(identity), None, more)
    }

    /// nginx that proves itself with `identity` on a port of 127.0.0.1 that others may listen on too.
    pub(crate) fn start_tls_on(port: u16, identity: &Leaf) -> Self {
        Self::launch_on(port, Some(identity), None, "")
    }

    /// nginx that proves itself with `identity` and demands a client certificate that `clients` has issued.
    pub(crate) fn start_for_clients_of(identity: &Leaf, clients: &Ca) -> Self {
        Self::launch_with(Some(identity), Some(clients), "")
    }

    /// Ends it at once, as `kill -9` does.
    pub(crate) fn stop(&mut self) {
        self.child.kill();
        // Killed, it leaves this behind and would not start again.
        let _ = fs::remove_file(self.socket());
    }

    /// Starts it again where it was.
    pub(crate) fn start_again(&mut self) {
        self.child = run(self.dir.path(), self.http);
    }

    /// Proves itself with `identity` from now on; connections made before are closed.
    pub(crate) fn show(&mut self, identity: &Leaf) {
        self.stop();
        identity.write(self.dir.path(), "server");
        self.start_again();
    }

    /// The Unix socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// What lies below `/files/`.
    pub(crate) fn files(&self) -> PathBuf {
        self.dir.path().join("root/files")
    }

    fn launch(identity: Option<&Leaf>) -> Self {
        Self::launch_with(identity, None, "")
    }

    fn launch_with(identity: Option<&Leaf>, clients: Option<&Ca>, more: &str) -> Self {
        Self::launch_on(free_port(), identity, clients, more)
    }

    fn launch_on(https: u16, identity: Option<&Leaf>, clients: Option<&Ca>, more: &str) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let http = free_port();
        fs::create_dir_all(dir.path().join("root/files")).expect("a folder for files");
        let mut tls = identity.map(|identity| tls_part(identity, dir.path(), https)).unwrap_or_default();
        if let Some(clients) = clients {
            let root = clients.write(dir.path().join("clients.pem"));
            tls.push_str(&format!(" ssl_client_certificate {}; ssl_verify_client on;", root.display()));
        }
        tls.push_str(more);
        let config = dir.path().join("nginx.conf");
        fs::write(&config, configuration(dir.path(), http, &tls)).expect("the configuration is written");
        let child = run(dir.path(), http);
        Self { http, https, dir, child }
    }
}

fn run(dir: &Path, http: u16) -> Child {
    let mut command = Command::new(program("nginx"));
    command.arg("-p").arg(dir).arg("-c").arg(dir.join("nginx.conf")).args(["-e", "stderr"]);
    let mut child = Child::start("nginx", &mut command);
    eventually("nginx listens", PATIENCE, || {
        assert!(child.ended().is_none(), "nginx has ended: {:?}", child.lines());
        raw::try_connect(http).ok()
    });
    child
}

fn tls_part(identity: &Leaf, dir: &Path, port: u16) -> String {
    let (chain, key) = identity.write(dir, "server");
    let (chain, key) = (chain.display(), key.display());
    format!("listen 127.0.0.1:{port} ssl reuseport; ssl_certificate {chain}; ssl_certificate_key {key};")
}

fn configuration(dir: &Path, http: u16, tls: &str) -> String {
    let dir = dir.display();
    format!(
        r#"
daemon off;
master_process off;
pid {dir}/pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    client_max_body_size 0;
    server {{
        listen 127.0.0.1:{http};
        listen unix:{dir}/socket;
        {tls}
        server_name _;
        default_type text/plain;
        location / {{
            return 200 "nginx scheme=$scheme sni=$ssl_server_name method=$request_method uri=$request_uri host=$http_host proto=$http_x_forwarded_proto client=$ssl_client_s_dn.\n";
        }}
        location /files/ {{
            root {dir}/root;
            dav_methods PUT MKCOL MOVE COPY DELETE;
        }}
    }}
}}
"#
    )
}
