//! What clients' certificates are judged by, watched as it runs out: in numbers, and in the log.

use std::collections::{BTreeMap, HashMap};
use std::sync::Weak;
use std::time::Duration;

use tracing::warn;

use super::{App, Inner, Phase};
use crate::admin::ClientCrl;
use crate::config::Config;
use crate::lifecycle::State;
use crate::metrics::{CertificateRole, CertificateStatus, ClientCrlStatus};
use crate::pki::CertificateChain;
use crate::time::{Clock, SystemClock, Timestamp};
use crate::tls::SiteSettings;

/// Lists of revoked clients, for the metrics: of each file the list that ends first. Nothing once the process is gone.
pub(super) fn crls(inner: &Weak<Inner>) -> Vec<ClientCrlStatus> {
    let Some(inner) = inner.upgrade() else { return Vec::new() };
    let config = inner.config.load();
    let mut first: BTreeMap<(&str, &str), ClientCrlStatus> = BTreeMap::new();
    for site in &config.tls {
        for crl in site.clients.iter().flat_map(|clients| &clients.crls) {
            let status = ClientCrlStatus {
                site: site.name.clone(),
                file: crl.file.clone(),
                this_update: crl.list.this_update,
                next_update: crl.list.next_update,
            };
            let known = first.entry((&site.name, &crl.file)).or_insert_with(|| status.clone());
            if status.next_update < known.next_update {
                *known = status;
            }
        }
    }
    first.into_values().collect()
}

/// Lists of revoked clients, for people: every one.
pub(super) fn shown(config: &Config) -> Vec<ClientCrl> {
    config.tls.iter().flat_map(lists).filter_map(End::shown).collect()
}

/// Of the trust anchors of each site's clients the one that ends first, for the metrics.
pub(super) fn anchors(config: &Config) -> Vec<CertificateStatus> {
    let of = |(site, chain): (&str, CertificateChain)| {
        super::certificate_status::of_chain(site, CertificateRole::ClientCa, State::Static, &chain)
    };
    let mut first: BTreeMap<&str, CertificateChain> = BTreeMap::new();
    for (site, chain) in all_anchors(config) {
        let known = first.entry(site).or_insert_with(|| chain.clone());
        if chain.leaf().not_after < known.leaf().not_after {
            *known = chain;
        }
    }
    first.into_iter().map(of).collect()
}

/// With the names of their sites; roots of browsers left out.
fn all_anchors(config: &Config) -> impl Iterator<Item = (&str, CertificateChain)> {
    let asking = config.tls.iter().filter_map(|site| Some((site.name.as_str(), site.clients.as_ref()?)));
    let few = asking.filter(|(_, clients)| clients.anchors.certificates().len() <= FEW);
    few.flat_map(|(site, clients)| {
        let read = |der: &_| CertificateChain::from_der(vec![Clone::clone(der)]).ok();
        clients.anchors.certificates().iter().filter_map(read).map(move |chain| (site, chain))
    })
}

impl App {
    /// Says what runs out, and again each day until it is replaced. Returns when draining begins.
    pub(super) async fn tell_what_clients_are_judged_by(self) {
        let mut told = Told::default();
        let mut phase = self.0.phase.subscribe();
        loop {
            let now = SystemClock.now();
            let ends = ends(&self.0.config.load());
            ends.iter().for_each(|end| told.tell(end, now));
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = phase.wait_for(|phase| *phase == Phase::Draining) => return,
            }
        }
    }
}

/// Something that runs out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct End {
    what: What,
    site: String,
    issuer: String,
    from: Timestamp,
    until: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum What {
    /// With its file, and whether it counts on when it is old.
    List(String, bool),
    Anchor,
}

/// How near an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Near {
    Soon,
    Past,
}

fn ends(config: &Config) -> Vec<End> {
    let of_anchor = |(site, chain): (&str, CertificateChain)| {
        let leaf = chain.leaf();
        let (from, until) = (leaf.not_before, leaf.not_after);
        End { what: What::Anchor, site: site.to_owned(), issuer: leaf.common_name.clone(), from, until }
    };
    config.tls.iter().flat_map(lists).chain(all_anchors(config).map(of_anchor)).collect()
}

/// The lists of a site.
fn lists(site: &SiteSettings) -> impl Iterator<Item = End> {
    let clients = site.clients.iter();
    let lists = clients.flat_map(|clients| clients.crls.iter().map(|crl| (crl, clients.takes_old_crls)));
    lists.map(|(crl, takes_old)| End {
        what: What::List(crl.file.clone(), takes_old),
        site: site.name.clone(),
        issuer: crl.list.issuer.clone(),
        from: crl.list.this_update,
        until: crl.list.next_update,
    })
}

impl End {
    fn near(&self, now: Timestamp) -> Option<Near> {
        match now {
            _ if now >= self.until => Some(Near::Past),
            _ if now >= self.due() => Some(Near::Soon),
            _ => None,
        }
    }

    /// A twentieth of its life before it ends, somebody has to look.
    fn due(&self) -> Timestamp {
        let longest = match self.what {
            What::List(..) => 7 * DAY,
            What::Anchor => 30 * DAY,
        };
        self.until - (self.until.since(self.from) / 20).clamp(HOUR, longest)
    }

    /// `None` for an anchor, which is shown with the certificates.
    fn shown(self) -> Option<ClientCrl> {
        let due = self.due();
        let What::List(file, takes_old) = self.what else { return None };
        let (this_update, next_update) = (self.from, self.until);
        let Self { site, issuer, .. } = self;
        Some(ClientCrl { site, file, issuer, this_update, due, next_update, refuses_when_old: !takes_old })
    }

    fn tell(&self, near: Near) {
        let Self { what, site, issuer, until, .. } = self;
        match (what, near) {
            (What::List(file, _), Near::Soon) => {
                warn!(site, file, issuer, %until, "the list of revoked clients runs out soon: put the CA's next one there, it is taken over by itself");
            }
            (What::List(file, false), Near::Past) => {
                warn!(site, file, issuer, %until, "the list of revoked clients is old: nobody whose certificate that CA has issued is let in; put its new one there");
            }
            (What::List(file, true), Near::Past) => {
                warn!(site, file, issuer, %until, "the list of revoked clients is old and counts on, as `expired_crl` wants it: what was revoked since is not known");
            }
            (What::Anchor, Near::Soon) => {
                warn!(site, issuer, %until, "a trust anchor of clients expires soon: add the one that follows it to `trust_anchors`");
            }
            (What::Anchor, Near::Past) => {
                warn!(site, issuer, %until, "a trust anchor of clients has expired: nobody is let in by it; name the one that follows it in `trust_anchors`");
            }
        }
    }
}

/// What was said, and when.
#[derive(Debug, Default)]
struct Told(HashMap<End, (Near, Timestamp)>);

impl Told {
    fn tell(&mut self, end: &End, now: Timestamp) {
        if let Some(near) = self.is_due(end, now) {
            end.tell(near);
        }
    }

    fn is_due(&mut self, end: &End, now: Timestamp) -> Option<Near> {
        let Some(near) = end.near(now) else {
            self.0.remove(end);
            return None;
        };
        let is_told = self.0.get(end).is_some_and(|(what, at)| *what == near && now.since(*at) < DAY);
        if is_told {
            return None;
        }
        self.0.insert(end.clone(), (near, now));
        Some(near)
    }
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// More anchors than these are a collection of others, which nobody here looks after.
const FEW: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_list_when_it_runs_out_then_told_ahead_when_it_is_old_and_each_day() {
        let day = 86_400;
        let list = end(What::List("staff.crl".into(), false), 20 * day);
        let mut told = Told::default();
        let table = [
            (0, None),
            (19 * day - 1, None),
            (19 * day, Some(Near::Soon)),
            (19 * day + 60, None),
            (20 * day - 1, None),
            (20 * day, Some(Near::Past)),
            (20 * day + 3600, None),
            (21 * day, Some(Near::Past)),
            (21 * day + 10, None),
        ];
        for (now, expected) in table {
            assert_eq!(told.is_due(&list, Timestamp::from_unix(now)), expected, "{now}");
        }
        let next = end(What::List("staff.crl".into(), false), 22 * day);
        assert_eq!(told.is_due(&next, Timestamp::from_unix(22 * day)), Some(Near::Past), "another list");
    }

    #[test]
    fn given_lives_when_asked_for_the_lead_then_between_an_hour_and_a_week_or_a_month() {
        let day = 86_400;
        for (what, life, lead) in [
            (What::List(String::new(), false), 3600, 3600),
            (What::List(String::new(), true), 40 * day, 2 * day),
            (What::List(String::new(), true), 3650 * day, 7 * day),
            (What::Anchor, 3650 * day, 30 * day),
        ] {
            let end = end(what, life);
            assert_eq!(end.near(Timestamp::from_unix(life - lead)), Some(Near::Soon), "{end:?}");
            assert_eq!(end.near(Timestamp::from_unix(life - lead - 1)), None, "{end:?}");
        }
    }

    fn end(what: What, until: i64) -> End {
        let (site, issuer) = ("m5.test".into(), "CN=Staff CA".into());
        End { what, site, issuer, from: Timestamp::from_unix(0), until: Timestamp::from_unix(until) }
    }
}
