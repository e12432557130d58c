//! The ways out of local applications: prepared whole, then swapped.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch as channel;
use tracing::warn;

use super::listeners::Kind;
use super::{App, Inner, listener_label, rejection};
use crate::causes::with_causes;
use crate::config::Config;
use crate::egress::Listen;
use crate::proxy::{Caller, Egress};
use crate::source::files::FilesSource;
use crate::source::off_thread;
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
            Ok(Egress::new(egress.settings.clone(), client(&egress.upstream)?, metrics))
        };
        config.egress.iter().map(egress).collect()
    }
}

impl Inner {
    /// Shows the client identities that can be read; of the others is told what is wrong with them.
    pub(super) async fn publish_identities(&self, config: &Config) {
        for settings in &config.client_identities {
            let mut source = FilesSource::new(settings.files.clone());
            match off_thread(move || source.load()).await {
                Ok(assembled) => self.client_identities.get(&settings.name).publish(assembled.identity),
                Err(errors) => {
                    let why: Vec<_> = errors.iter().map(|error| with_causes(error)).collect();
                    warn!(identity = settings.name, "no client identity: {}", why.join("; "));
                }
            }
        }
    }
}

impl App {
    /// Serves the applications that call at `listener`, until told to stop.
    pub(super) async fn accept_applications(self, listener: TcpListener, stop: channel::Receiver<bool>) {
        let Ok(address) = listener.local_addr() else { return };
        let metrics = self.0.metrics.listener(&listener_label(Kind::Egress, address));
        let (server, limits) = (self.0.server.clone(), self.0.server.clone());
        // A drain waits for the last connection that is let in.
        let _open = server.keep_open();
        let (counted, stopped) = (metrics.clone(), stop.clone());
        let listen = Listen::Tcp(address);
        crate::listener::accept(
            listener,
            // All of them come from few addresses.
            move |client| (limits.limits(client).0, true),
            move |why| counted.rejected(rejection(why)),
            stop,
            move |incoming| {
                let caller = Caller { stream: incoming.stream.into(), peer: incoming.peer, place: incoming.place };
                server.clone().serve_application(caller, &listen, metrics.clone(), stopped.clone())
            },
        )
        .await;
    }
}
