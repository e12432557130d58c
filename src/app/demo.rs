//! `portvakt demo`: the main job on one machine, with nothing else installed.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::path::Path;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::{App, AppError, Inherited};
use crate::config::{self, Purpose};
use crate::platform::Signals;

/// Runs the demonstration until Ctrl-C or SIGTERM; `out` gets what a reader is to see.
///
/// The state lies in a temporary folder that is removed at the end.
///
/// # Errors
///
/// [`AppError`], when loopback cannot be used at all.
pub async fn demo(out: &mut dyn Write) -> Result<(), AppError> {
    let signals = Signals::new().map_err(AppError::Signals)?;
    let folder = tempfile::Builder::new().prefix("portvakt-demo-").tempdir().map_err(AppError::DemoFolder)?;
    let legacy = LegacyHost::start().await.map_err(AppError::DemoHost)?;
    let (app, text, ports) = start(folder.path(), legacy.address).await?;
    let root = folder.path().join("root.pem");
    std::fs::write(&root, app.internal_root()?).map_err(AppError::DemoFolder)?;
    // A reader that is gone (`portvakt demo | head`) ends nothing.
    let _ = out.write_all(introduction(&text, &legacy.address, &ports, &root).as_bytes()).and_then(|()| out.flush());
    app.run_until_stopped(signals).await;
    Ok(())
}

/// Starts on the ports of the documentation, or on free ones; on others when somebody takes one meanwhile.
async fn start(folder: &Path, legacy: SocketAddr) -> Result<(App, String, Ports), AppError> {
    let mut tries = 0;
    loop {
        let ports = Ports::choose().map_err(AppError::DemoHost)?;
        let text = configuration(folder, legacy, &ports);
        let loaded = config::from_text("demo.toml", &text, folder, Purpose::Run)?;
        super::log::start(&loaded.config.log)?;
        tries += 1;
        match App::start(loaded.config, None, Inherited::default()).await {
            Err(AppError::Bind(_)) if tries < TRIES => {}
            outcome => return Ok((outcome?, text, ports)),
        }
    }
}

/// A stand-in for a server that nobody may change: it knows nothing of TLS.
struct LegacyHost {
    address: SocketAddr,
}

impl LegacyHost {
    async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(
                    TokioIo::new(stream),
                    service_fn(|request| std::future::ready(answer(&request))),
                ));
            }
        });
        Ok(Self { address })
    }
}

fn answer(request: &Request<Incoming>) -> Result<Response<Full<Bytes>>, http::Error> {
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or("-").to_owned();
    let host = header("host");
    match request.uri().path() {
        "/" => Response::builder()
            .header("content-type", "text/html; charset=utf-8")
            .body(Full::from("<!doctype html><title>Legacy</title><h1>A server that knows nothing of TLS</h1>\n")),
        "/M5UserAPI/ping" => {
            let text = format!(
                "{{\"pong\": true, \"asked over\": \"{}\", \"by\": \"{}\"}}\n",
                header("x-forwarded-proto"),
                header("x-forwarded-for")
            );
            Response::builder().header("content-type", "application/json").body(Full::from(text))
        }
        "/M5UserAPI/login" => Response::builder()
            .status(StatusCode::FOUND)
            .header("location", format!("http://{host}/M5UserAPI/ping"))
            .header("set-cookie", "session=42; Path=/M5UserAPI/; HttpOnly")
            .body(Full::default()),
        _ => Response::builder().status(StatusCode::NOT_FOUND).body(Full::from("no such page\n")),
    }
}

/// The ports of the demonstration: the ones that the documentation names, or free ones.
struct Ports {
    http: u16,
    https: u16,
    admin: u16,
}

impl Ports {
    fn choose() -> std::io::Result<Self> {
        // All three are held until all are chosen, so that none is chosen twice.
        let (http, https, admin) = (Self::open(5002)?, Self::open(5001)?, Self::open(9464)?);
        let port = |listener: &StdListener| listener.local_addr().map(|address| address.port());
        Ok(Self { http: port(&http)?, https: port(&https)?, admin: port(&admin)? })
    }

    fn open(preferred: u16) -> std::io::Result<StdListener> {
        StdListener::bind((Ipv4Addr::LOCALHOST, preferred)).or_else(|_| StdListener::bind((Ipv4Addr::LOCALHOST, 0)))
    }
}

fn configuration(state: &Path, legacy: SocketAddr, ports: &Ports) -> String {
    let Ports { http, https, admin } = ports;
    let state = state.join("state");
    format!(
        r#"state_dir = '{}'
[listen]
http  = "127.0.0.1:{http}"
https = "127.0.0.1:{https}"
admin = "127.0.0.1:{admin}"
[log]
level = "warn"
[[site]]
domain      = "localhost"
upstream    = "http://{legacy}"
certificate = "internal"
[site.https]
mode  = "permanent"
rest  = "allow"
paths = {{ "/M5UserAPI/" = "redirect" }}
"#,
        state.display()
    )
}

fn introduction(text: &str, legacy: &SocketAddr, ports: &Ports, root: &Path) -> String {
    let Ports { http, https, admin } = ports;
    let root = root.display();
    format!(
        r#"portvakt demo

What was done:
  1. started a legacy server on http://{legacy}, which knows nothing of TLS and may not be changed
  2. made an internal CA and let it issue a certificate for `localhost`
  3. put portvakt in front: HTTPS on port {https}, plain HTTP on port {http}
  4. enforced HTTPS below /M5UserAPI/ and left the rest as it was

The configuration:
{config}
Try it in another terminal:
  # the page, over HTTPS, trusting the internal CA only
  curl --cacert {root} https://localhost:{https}/
  # plain HTTP still works where nobody asked for more
  curl http://localhost:{http}/
  # below /M5UserAPI/ it is sent to HTTPS
  curl -i http://localhost:{http}/M5UserAPI/ping
  # a POST is refused there: its body has crossed in clear already
  curl -i -d door=1 http://localhost:{http}/M5UserAPI/ping
  # the API itself
  curl --cacert {root} https://localhost:{https}/M5UserAPI/ping
  # the legacy server redirects to http:// and forgets Secure on its cookie; portvakt mends both
  curl -i --cacert {root} https://localhost:{https}/M5UserAPI/login
  # how long every certificate lasts
  curl -s http://127.0.0.1:{admin}/metrics

Status page: http://127.0.0.1:{admin}/
Ctrl-C ends it and removes everything.
"#,
        config = text.lines().map(|line| format!("  | {line}\n")).collect::<String>(),
    )
}

/// Several demonstrations started at one time choose the same ports; each round leaves fewer of them.
const TRIES: usize = 8;
