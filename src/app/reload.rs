//! Reload: read, check, diff, prepare all, swap all. If any step fails, the old configuration serves on.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use super::watch::{INTERVAL, Snapshot, Watch};
use super::{App, AppError, Inner, listener_label};
use crate::admin::EventKind;
use crate::config::{self, Config, Loaded, Machine, Purpose, Style};
use crate::metrics::Live;
use crate::notify::{Event, Kind};
use crate::platform::Notice;
use crate::source;
use crate::time::{Clock, SystemClock, Timestamp};

/// How the last reload went.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) at: Timestamp,
    /// `None` when all is well.
    pub(super) error: Option<String>,
}

/// What a reload brought.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Reloaded {
    /// A line for each difference.
    pub changes: Vec<String>,
    /// The warnings about the new configuration, as printed; empty without any.
    pub warnings: String,
    /// Everything came from the command line, so there was nothing to read again.
    pub has_no_file: bool,
}

impl Reloaded {
    /// In one line, or a line for each change.
    pub fn summary(&self) -> String {
        match &self.changes[..] {
            _ if self.has_no_file => "nothing to reload: everything came from the command line".to_owned(),
            [] => "reloaded: nothing has changed".to_owned(),
            changes => format!("reloaded: {}", changes.join("\n          ")),
        }
    }
}

impl App {
    /// Reads the configuration again and changes over to it; `why` is for the log.
    ///
    /// # Errors
    ///
    /// [`AppError`] when the new configuration cannot serve; it is told already, and the old one serves on.
    pub async fn reload(&self, why: &str) -> Result<Reloaded, AppError> {
        let inner = &self.0;
        let _one_at_a_time = inner.reloading.lock().await;
        // Whoever has moved its file away asks for this, whatever becomes of the configuration.
        if let Some(log) = &*inner.access_log.load() {
            log.reopen();
        }
        inner.tell(&[Notice::Reloading, Notice::Status("reloading the configuration")]);
        let outcome = self.try_reload(why).await;
        let at = SystemClock.now();
        let error = match &outcome {
            Ok(reloaded) => {
                inner.metrics.reload_succeeded(at);
                inner.events.push(EventKind::Reloaded, "", &reloaded.changes.join("; "));
                None
            }
            Err(error) => {
                inner.metrics.reload_failed();
                let text = super::describe(error);
                let file = inner.file.as_deref().map(|file| file.display().to_string()).unwrap_or_default();
                let event = Event::new(Kind::ReloadRefused, file, at);
                inner.notifiers.tell(&Event { detail: Some(text.clone()), ..event });
                inner.events.push(EventKind::ReloadFailed, "", first_error(&text));
                error!(why, "reload failed; the old configuration serves on\n{text}");
                Some(text)
            }
        };
        *inner.last_reload.lock().unwrap_or_else(PoisonError::into_inner) = Some(Outcome { at, error });
        // Also when it failed: what served before does so still.
        inner.tell(&[Notice::Ready, Notice::Status(&inner.status_line())]);
        outcome
    }

    async fn try_reload(&self, why: &str) -> Result<Reloaded, AppError> {
        let inner = &self.0;
        let Some(file) = inner.file.clone() else {
            warn!(why, "nothing to reload: there is no configuration file");
            return Ok(Reloaded { has_no_file: true, ..Reloaded::default() });
        };
        let Loaded { config: new, warnings, .. } = inner.read(file).await?;
        let old = inner.config.load_full();
        let warnings = if warnings.is_empty() { String::new() } else { warnings.render(Style::Plain) };
        if !warnings.is_empty() {
            warn!("{warnings}");
        }
        let changes = config::diff(&old, &new);
        let lasting: Vec<_> = changes.iter().filter(|change| change.needs_restart()).map(ToString::to_string).collect();
        if !lasting.is_empty() {
            return Err(AppError::NeedsRestart(lasting.join("; ")));
        }
        let access_log = super::access_log(&new, inner.access_log.load_full(), &inner.metrics)?;
        let snapshot = super::snapshot(
            &new,
            &inner.server.upstreams(),
            access_log.clone(),
            (&inner.metrics, &inner.notifiers, &inner.events),
            (&inner.client_identities, &inner.acquaintances),
        )?;
        let egresses = inner.prepare_egresses(&new)?;
        let bound = inner.listeners().bind(&new.listen).map_err(AppError::Bind)?;
        let open = inner.local_sockets().bind(&new)?;
        inner.resolver.apply(&new.tls).map_err(AppError::Tls)?;
        // From here on nothing fails.
        inner.ntlm_sites.apply();
        inner.certificates.apply(&new);
        inner.record.apply(&new);
        inner.manager.apply(new.certificates.clone()).await;
        inner.clients.apply(super::egress::client_settings(&new)).await;
        inner.server.apply(snapshot);
        inner.server.apply_egresses(egresses);
        inner.access_log.store(access_log);
        inner.listeners().swap(bound, &new.listen, &*self.serve());
        self.swap_sockets(open, &new);
        inner.look_at_listeners(&new);
        inner.forget_what_is_gone(&new);
        let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
        let new = Arc::new(new);
        inner.config.store(new.clone());
        inner.cas.forget();
        inner.apply_notifiers(&new);
        info!(why, changes = changes.join("; "), "reloaded");
        Ok(Reloaded { changes, warnings, has_no_file: false })
    }

    /// Reloads when a configuration file, or a trust anchor that it names, has changed and then stood still.
    pub(super) async fn reload_on_change(self) {
        let mut watch = Watch::new(self.look().await);
        if self.0.config.load().watch && self.is_outdated().await {
            let _told = self.reload("a file changed during the start").await;
            watch.go_on(self.look().await);
        }
        loop {
            tokio::time::sleep(INTERVAL).await;
            if self.0.config.load().watch && watch.look(self.look().await) {
                let _told = self.reload("a file changed").await;
                // The new configuration may name other files.
                watch.go_on(self.look().await);
            }
        }
    }

    /// Whether the files mean something else than what serves; `false` when they cannot be read.
    async fn is_outdated(&self) -> bool {
        let Some(file) = self.0.file.clone() else { return false };
        self.0.read(file).await.is_ok_and(|loaded| loaded.config != **self.0.config.load())
    }

    async fn look(&self) -> Snapshot {
        let files = watched(&self.0.config.load());
        let look = tokio::task::spawn_blocking(move || Snapshot::take(&files));
        look.await.unwrap_or_else(|_| Snapshot::take(&[]))
    }
}

/// Of what is printed, the line that says what refused it.
fn first_error(text: &str) -> &str {
    let mut lines = text.lines();
    let error = lines.clone().find(|line| line.starts_with("error"));
    error.or_else(|| lines.next()).unwrap_or_default()
}

impl Inner {
    /// Reading is quick, but files may lie on a network drive.
    async fn read(&self, file: PathBuf) -> Result<Loaded, AppError> {
        let machine = Machine::confined_to(self.confined.as_ref().map(|confinement| confinement.places.clone()));
        let reading = tokio::task::spawn_blocking(move || config::load_on(&file, Purpose::Run, &machine));
        Ok(reading.await.map_err(AppError::Task)??)
    }

    /// Ends the series of what the configuration no longer has.
    pub(super) fn forget_what_is_gone(&self, config: &Config) {
        let listeners: Vec<_> =
            self.listeners().open().iter().map(|(kind, address)| listener_label(*kind, *address)).collect();
        let sockets = config.egress.iter().map(|egress| super::egress::label(&egress.settings.listen));
        let listeners: Vec<_> = listeners.into_iter().chain(sockets).collect();
        let routes: Vec<_> = config.route.sites.iter().flat_map(crate::route::Site::labels).collect();
        self.metrics.retain(&Live {
            listeners: &listeners.iter().map(String::as_str).collect::<Vec<_>>(),
            routes: &routes.iter().map(String::as_str).collect::<Vec<_>>(),
            peers: &config
                .upstreams
                .iter()
                .flat_map(|upstream| upstream.peers.iter().map(|peer| (&*upstream.name, peer.address.to_string())))
                .collect::<Vec<_>>(),
            upstreams: &config.upstreams.iter().map(|upstream| &*upstream.name).collect::<Vec<_>>(),
            certificates: &config.certificates.iter().map(|certificate| &*certificate.name).collect::<Vec<_>>(),
            cas: &crate::app::certificates::cas(config).iter().map(String::as_str).collect::<Vec<_>>(),
            notifiers: &config.notify.iter().map(|settings| &*settings.name).collect::<Vec<_>>(),
            egresses: &config.egress.iter().map(|egress| &*egress.settings.name).collect::<Vec<_>>(),
        });
    }
}

/// The files that a reload follows. Certificate files are followed by `manager`, which swaps them without a reload.
fn watched(config: &Config) -> Vec<PathBuf> {
    let of_clients = config.client_identities.iter().flat_map(|identity| {
        let next = identity.next.iter().map(|next| &next.files);
        std::iter::once(&identity.files).chain(next).flat_map(source::FileSettings::paths)
    });
    let of_certificates: Vec<_> = config
        .certificates
        .iter()
        .filter_map(|certificate| match &certificate.source {
            source::Settings::Files(files) => Some(files.paths()),
            source::Settings::Acme(_) | source::Settings::Internal => None,
        })
        .flatten()
        .chain(of_clients)
        .collect();
    config.files.iter().filter(|file| !of_certificates.contains(&file.as_path())).cloned().collect()
}
