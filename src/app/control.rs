//! Answers to the operators' socket.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tracing::{info, warn};

use super::{App, describe_in, status};
use crate::admin::{Report, State as _};
use crate::causes::with_causes;
use crate::config::Style;
use crate::control::{Handler, Reply, Request, Server};
use crate::manager::{Told, Wanted};
use crate::pki::Fingerprint;
use crate::upstream::in_words;

impl App {
    /// Opens the socket and answers on it. When it cannot be opened, that is told and keeps nobody from being served.
    pub(super) fn open_control(&self) {
        let path = self.0.config.load().control.clone();
        match Server::bind(&path) {
            Ok(server) => {
                info!(path = %path.display(), "control socket");
                let serving = tokio::spawn(server.serve(Arc::new(self.clone())));
                *self.0.control.lock().unwrap_or_else(PoisonError::into_inner) = Some(serving);
            }
            Err(error) => warn!(
                path = %path.display(),
                error = with_causes(&error),
                fix = "set `control` to a path in a folder that portvakt may write",
                "no control socket: `portvakt status` and `portvakt reload` reach nobody"
            ),
        }
    }

    /// Closes the socket; its name is gone when this returns.
    pub(super) async fn close_control(&self) {
        let serving = self.0.control.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(serving) = serving {
            serving.abort();
            let _cancelled = serving.await;
        }
    }
}

#[async_trait]
impl Handler for App {
    async fn answer(&self, request: Request) -> Reply {
        match request {
            Request::Status => {
                let view = status::View(self.clone());
                match self.0.asked.take(STATUS_PATIENCE, move || json!(Report::of(view.status()))).await {
                    Some(report) => Reply::Done(report),
                    None => Reply::Failed(json!("not gathered in time: does the disk of `state_dir` answer?")),
                }
            }
            Request::Rehearse { site, directory } => match self.rehearse(site.as_deref(), directory.as_deref()).await {
                Ok(rehearsal) => Reply::Done(json!(rehearsal)),
                Err(error) => Reply::Failed(json!(with_causes(&error))),
            },
            Request::Reload { color } => match self.reload("asked on the control socket").await {
                Ok(reloaded) => Reply::Done(json!(reloaded)),
                Err(error) => {
                    let style = if color { Style::Color } else { Style::Plain };
                    Reply::Failed(json!(describe_in(&error, style)))
                }
            },
            Request::Renew { certificate, force } => {
                reply(self.0.manager.ask(&certificate, Wanted::Renewal { force }).await)
            }
            Request::Rollback { certificate, generation, force } => {
                let wanted = Wanted::Generation { number: generation, force };
                reply(self.0.manager.ask(&certificate, wanted).await)
            }
            Request::AcceptUpstream { upstream, peer, fingerprint } => {
                match self.accept_upstream(&upstream, &peer, &fingerprint).await {
                    Ok(told) => Reply::Done(json!(told)),
                    Err(error) => Reply::Failed(json!(error)),
                }
            }
            Request::Answer { token } => self.answer_doctor(&token),
            Request::OfferHttp2 { site } => {
                let sites = self.0.ntlm_sites.clone();
                match tokio::task::spawn_blocking(move || sites.forget(&site)).await {
                    Ok(Ok(was_withheld)) => Reply::Done(json!(was_withheld)),
                    Ok(Err(error)) => Reply::Failed(json!(with_causes(&error))),
                    Err(_died) => Reply::Failed(json!("the change was given up")),
                }
            }
        }
    }
}

impl App {
    /// Publishes an answer for a minute, unless the token could be a CA's.
    fn answer_doctor(&self, token: &str) -> Reply {
        let unique = token.strip_prefix(Request::DOCTOR);
        if !unique.is_some_and(|unique| unique.len() <= 64 && unique.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
            return Reply::Failed(json!("the token is none of portvakt's"));
        }
        let pending = self.0.challenges.publish_http(token, token);
        tokio::spawn(async move {
            tokio::time::sleep(A_MINUTE).await;
            drop(pending);
        });
        Reply::Done(json!("answered for a minute"))
    }
}

impl App {
    /// Believes the certificate that a server shows from now on, in the words of an operator.
    async fn accept_upstream(&self, upstream: &str, peer: &str, fingerprint: &str) -> Result<String, String> {
        let fingerprint = fingerprint.parse::<Fingerprint>().map_err(|error| error.to_string())?;
        let upstreams = self.0.server.upstreams();
        let found = upstreams.iter().find(|known| known.settings().name == upstream);
        let found = found.and_then(|found| found.peers().iter().find(|known| known.settings().to_string() == peer));
        let server =
            found.ok_or_else(|| format!("the running process knows no server {peer} of upstream `{upstream}`"))?;
        let leaf = server.accept(fingerprint).await.map_err(|error| with_causes(&error))?;
        info!(upstream, peer, %fingerprint, "accepted by an operator: {}", in_words(&leaf));
        Ok("accepted; the running process believes it from now on".to_owned())
    }
}

const A_MINUTE: Duration = Duration::from_secs(60);
/// Shorter than who asks waits.
const STATUS_PATIENCE: Duration = Duration::from_secs(3);

fn reply(told: Told) -> Reply {
    match told {
        Ok(text) => Reply::Done(json!(text)),
        Err(refused) => Reply::Failed(json!(refused)),
    }
}
