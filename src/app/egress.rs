//! The ways out of local applications: prepared whole, then swapped.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch as channel;
use tracing::info;

use super::listeners::Kind;
use super::{App, Inner, listener_label, rejection};
use crate::config::Config;
use crate::egress::Listen;
use crate::listener::{Acceptor, Admission, Incoming};
use crate::manager::client::ClientSettings;
use crate::platform::LocalListener;
use crate::proxy::{Caller, Egress};
use crate::source::ClientIdentitySettings;
use crate::upstream::{Client, UpstreamError};

impl Inner {
    /// What applications may call by this configuration. A client whose settings stay is kept, with its connections.
    pub(super) fn prepare_egresses(&self, config: &Config) -> Result<Vec<Egress>, UpstreamError> {
        let running = self.server.egresses();
        let client = |settings: &crate::upstream::Settings| {
            let kept = running.iter().find(|egress| egress.client().settings() == settings);
            match kept {
                Some(egress) => Ok(egress.client().clone()),
                None => Client::new(settings.clone(), &self.client_identities).map(Arc::new),
            }
        };
        let egress = |egress: &crate::config::Egress| {
            let metrics = self.metrics.egress(&egress.settings.name);
            let before = running.iter().find(|before| before.settings().name == egress.settings.name);
            let before = before.map(|before| &**before);
            Ok(Egress::new(egress.settings.clone(), client(&egress.upstream)?, metrics, before))
        };
        config.egress.iter().map(egress).collect()
    }
}

/// The client identities, each with the servers that it is for.
pub(super) fn client_settings(config: &Config) -> Vec<ClientSettings> {
    let upstreams = || config.egress.iter().map(|egress| &egress.upstream).chain(&config.upstreams);
    let is_for = |upstream: &crate::upstream::Settings, name: &str| {
        upstream.peers.iter().filter_map(|peer| peer.tls.as_ref()).any(|tls| tls.identity.as_deref() == Some(name))
    };
    let of = |identity: &ClientIdentitySettings| {
        let upstream = upstreams().find(|upstream| is_for(upstream, &identity.name))?;
        Some(ClientSettings { identity: identity.clone(), upstream: upstream.clone() })
    };
    config.client_identities.iter().filter_map(of).collect()
}

/// Sockets of this machine that are open already, but serve nobody yet.
pub(super) struct OpenSockets(Vec<(Listen, LocalListener)>);

/// The sockets of this machine that serve. Dropping it stops them all.
#[derive(Default)]
pub(super) struct LocalSockets(HashMap<Listen, channel::Sender<bool>>);

impl LocalSockets {
    /// Opens what `config` asks for and is not open yet; changes nothing else.
    ///
    /// # Errors
    ///
    /// The first that cannot be opened.
    pub(super) fn bind(&self, config: &Config) -> Result<OpenSockets, SocketError> {
        let mut open = Vec::new();
        for listen in local(config).filter(|listen| !self.0.contains_key(listen)) {
            let Listen::Unix { path, group } = listen else { continue };
            let bound = match group {
                Some(group) => LocalListener::bind_for(path, group),
                None => LocalListener::bind(path),
            };
            let socket = bound.map_err(|source| SocketError { path: path.clone(), source })?;
            open.push((listen.clone(), socket));
        }
        Ok(OpenSockets(open))
    }

    /// Serves on what was opened, and stops what is not wanted any more.
    fn swap(&mut self, open: OpenSockets, config: &Config, app: &App) {
        for (listen, socket) in open.0 {
            let (stop, stopped) = channel::channel(false);
            info!(address = %listen, "listening for applications");
            tokio::spawn(app.clone().accept_local(listen.clone(), socket, stopped));
            self.0.insert(listen, stop);
        }
        let wanted: Vec<_> = local(config).collect();
        self.0.retain(|listen, stop| {
            let stays = wanted.contains(&listen);
            if !stays {
                stop.send_replace(true);
                info!(address = %listen, "no longer listening for applications");
            }
            stays
        });
    }

    /// Stops accepting.
    pub(super) fn stop(&mut self) {
        self.0.drain().for_each(|(_, stop)| {
            stop.send_replace(true);
        });
    }
}

fn local(config: &Config) -> impl Iterator<Item = &Listen> {
    config.egress.iter().map(|egress| &egress.settings.listen).filter(|listen| matches!(listen, Listen::Unix { .. }))
}

/// A socket that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on the socket `{}`", path.display())]
pub struct SocketError {
    /// Its file.
    pub path: PathBuf,
    source: io::Error,
}

impl App {
    /// Serves applications on the sockets of this machine that were opened.
    pub(super) fn swap_sockets(&self, open: OpenSockets, config: &Config) {
        self.0.local_sockets().swap(open, config, self);
    }

    /// Serves the applications that call at `listener`, until told to stop.
    pub(super) async fn accept_applications(self, listener: TcpListener, stop: channel::Receiver<bool>) {
        let Ok(address) = listener.local_addr() else { return };
        self.accept_callers(Listen::Tcp(address), listener, stop, Caller::remote).await;
    }

    async fn accept_local(self, listen: Listen, listener: LocalListener, stop: channel::Receiver<bool>) {
        self.accept_callers(listen, listener, stop, Caller::local).await;
    }

    async fn accept_callers<A: Acceptor>(
        self,
        listen: Listen,
        listener: A,
        stop: channel::Receiver<bool>,
        caller: fn(Incoming<A::Stream>) -> Caller,
    ) {
        let metrics = self.0.metrics.listener(&label(&listen));
        let (server, limits) = (self.0.server.clone(), self.0.server.clone());
        // A drain waits for the last connection that is let in.
        let _open = server.keep_open();
        let (counted, stopped) = (metrics.clone(), stop.clone());
        crate::listener::accept(
            listener,
            // All of them come from few addresses.
            move |peer| Admission { limits: limits.limits(peer.ip()).0, is_exempt: true, is_own: false },
            move |why| counted.rejected(rejection(why)),
            stop,
            move |incoming| {
                server.clone().serve_application(caller(incoming), &listen, metrics.clone(), stopped.clone())
            },
        )
        .await;
    }
}

/// Metric label of the listener.
pub(super) fn label(listen: &Listen) -> String {
    match listen {
        Listen::Tcp(address) => listener_label(Kind::Egress, *address),
        Listen::Unix { .. } => format!("{} {listen}", Kind::Egress.as_str()),
    }
}
