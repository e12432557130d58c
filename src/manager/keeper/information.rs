//! What the CA says about when to renew.

use tracing::debug;

use super::super::parts::Parts;
use super::Keeper;
use crate::causes::with_causes;
use crate::lifecycle::{Event, InfoAnswer, InfoStatus};
use crate::source::{AcmeSettings, Settings};

impl<P: Parts> Keeper<P> {
    /// Asks the CA that has issued what is served when it wants that to be renewed.
    pub(super) async fn ask_renewal_info(&mut self) {
        let answer = match (self.issuer(), &self.identity) {
            (Some(ca), Some(identity)) => {
                let answer = self.parts.renewal_info(ca, identity).await;
                answer.shifted(-self.ahead())
            }
            // Of a CA that is in the settings no more, or from before it was kept which one it was.
            _ => InfoAnswer::NotOffered,
        };
        let asked_about = self.life.served();
        // What another process has noted meanwhile must not be lost; while it orders, it alone writes.
        let guard = self.lock().await.ok().flatten();
        if guard.is_some() {
            self.look().await;
        }
        if self.life.served() == asked_about {
            let before = self.life.status(self.now()).info;
            self.life.informed(answer, self.now(), &mut self.parts.chance());
            self.tell_of_info(before);
        }
        // Without it the CA is asked once more after a restart.
        if guard.is_some()
            && let Err(error) = self.save_record().await
        {
            debug!(
                certificate = self.settings.name,
                error = with_causes(&error),
                "cannot keep the renewal information"
            );
        }
        self.show();
    }

    fn tell_of_info(&self, before: Option<InfoStatus>) {
        let status = self.life.status(self.now());
        let Some(info) = status.info else { return };
        let (window, trouble) = before.map_or((None, None), |before| (before.window, before.trouble));
        match (info.window, info.trouble) {
            (_, Some(new)) if trouble.as_ref() != Some(&new) => self.tell(&Event::Uninformed { trouble: new }),
            (Some(new), _) if window.as_ref() != Some(&new) => {
                self.tell(&Event::Informed { window: new, due: status.renewal_due });
            }
            _ => {}
        }
    }

    /// The CA that has issued what is served, when it is still in the settings.
    fn issuer(&self) -> Option<&AcmeSettings> {
        let Settings::Acme(cas) = &self.settings.source else { return None };
        cas.of(self.issued_by()?)
    }
}
