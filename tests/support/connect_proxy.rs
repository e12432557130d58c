//! A forward proxy that tunnels (CONNECT, RFC 9110 §9.3.6) and keeps what it was asked.

use std::io::{self, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::raw;

/// A proxy; it lives as long as the tests do.
pub(crate) struct ConnectProxy {
    port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Where it leads, whatever it is asked for.
    to: Option<u16>,
    wants_user: bool,
    asked: Vec<String>,
}

impl ConnectProxy {
    /// Leads to where it is asked to.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let (port, state) = (listener.local_addr().expect("an address").port(), Arc::<Mutex<State>>::default());
        let seen = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let seen = seen.clone();
                // Whoever breaks it off has what he wants.
                thread::spawn(move || tunnel(client, &seen));
            }
        });
        Self { port, state }
    }

    /// From now on it leads to this port of ours, whatever it is asked for: a name of the world can be played here.
    pub(crate) fn lead_to(&self, port: u16) {
        self.state.lock().unwrap().to = Some(port);
    }

    /// From now on nobody gets through but the user of [`Self::url_of_user`].
    pub(crate) fn ask_for_a_user(&self) {
        self.state.lock().unwrap().wants_user = true;
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The same, with a user and its password.
    pub(crate) fn url_of_user(&self) -> String {
        format!("http://anna:geheim@127.0.0.1:{}", self.port)
    }

    /// The heads of all requests, in their order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }
}

fn tunnel(mut client: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let head = String::from_utf8_lossy(&raw::read_head(&mut client)?).into_owned();
    let (to, wants_user) = {
        let mut state = state.lock().unwrap();
        state.asked.push(head.clone());
        (state.to, state.wants_user)
    };
    // Base64 of the user and its password.
    if wants_user && !head.to_ascii_lowercase().contains("proxy-authorization: basic yw5uytpnzwhlaw0=") {
        return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    }
    let asked =
        head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).ok_or(io::ErrorKind::InvalidData)?;
    let server = TcpStream::connect(to.map_or_else(|| asked.to_owned(), |port| format!("127.0.0.1:{port}")))?;
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let (mut up, mut down) = (server.try_clone()?, client.try_clone()?);
    let back = thread::spawn(move || {
        let _ = io::copy(&mut up, &mut down);
        let _ = down.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut client, &mut &server);
    let _ = server.shutdown(Shutdown::Write);
    // It has done what it could.
    let _ = back.join();
    Ok(())
}
