//! What was seen last, and when it is looked at again.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{Fault, Finding, Flaw, Place, Prober, Published, Target, Verdict, is_here, judge, targets, verdict};
use crate::pki::CertificateChain;
use crate::time::{Clock, Timestamp};
use crate::tls::SiteSettings;

/// Knows what our listeners serve, since it looks.
pub struct Truth {
    prober: Prober,
    clock: Arc<dyn Clock>,
    by_cas: Arc<dyn Clock>,
    state: Mutex<State>,
    /// There is more to look at, or less.
    changed: Notify,
    /// Looks of any kind: a machine that is short of time is not to be kept from its clients by us.
    places: Arc<Semaphore>,
}

/// What was seen of one name on one listener.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Where, and for whom.
    pub target: Arc<Target>,
    /// Since when it has been looked at.
    pub since: Timestamp,
    /// The last look that proves something, and when.
    pub proof: Option<(Timestamp, Finding)>,
    /// The last look of all.
    pub last: Option<Finding>,
}

#[derive(Default)]
struct State {
    /// `None` while no listener is open.
    watched: Option<Vec<Watched>>,
    /// Certificates whose listeners are known.
    certificates: HashSet<String>,
    /// With whether the time of the CAs counts.
    published: HashMap<String, (Published, bool)>,
}

struct Watched {
    sight: Sight,
    due: Instant,
    /// Looks in a row that proved nothing.
    silent: u32,
    /// The beat that later looks keep: `phase`, and each [`EVERY`] behind it.
    phase: Instant,
}

impl Truth {
    /// Nothing to look at yet.
    ///
    /// `by_cas` is our clock, put right by public CAs.
    pub fn new(prober: Prober, clock: Arc<dyn Clock>, by_cas: Arc<dyn Clock>) -> Self {
        Self {
            prober,
            clock,
            by_cas,
            state: Mutex::default(),
            changed: Notify::new(),
            places: Arc::new(Semaphore::new(AT_A_TIME)),
        }
    }

    /// Makes the handshakes, and knows where they come from.
    pub fn prober(&self) -> &Prober {
        &self.prober
    }

    /// Handshakes get this chain for the certificate from now on. `goes_by_cas` says whether a public CA has issued it, so that
    /// its validity is judged by the time of those.
    pub fn published(&self, certificate: &str, chain: &CertificateChain, goes_by_cas: bool) {
        self.lock().published.insert(certificate.to_owned(), (chain.into(), goes_by_cas));
    }

    /// Looks at these listeners and names from now on, and forgets what was seen of others.
    pub fn watch(&self, places: &[Place], sites: &[SiteSettings], load_balancers: &[IpNet]) {
        let targets = targets(places, sites, load_balancers, is_here);
        let (now, since) = (Instant::now(), self.clock.now());
        let count = u32::try_from(targets.len()).unwrap_or(u32::MAX).max(1);
        let mut state = self.lock();
        let mut before: HashMap<_, _> = state
            .watched
            .take()
            .unwrap_or_default()
            .into_iter()
            .map(|watched| (watched.sight.target.clone(), watched))
            .collect();
        let watched = (1..).zip(targets).map(|(nth, target)| {
            let target = Arc::new(target);
            let phase = now + EVERY * nth / count;
            match before.remove(&target) {
                Some(known) => Watched { phase, due: known.due.min(phase), ..known },
                None => Watched { sight: Sight { target, since, proof: None, last: None }, due: now, silent: 0, phase },
            }
        });
        state.watched = Some(watched.collect());
        state.certificates = sites.iter().map(|site| site.name.clone()).collect();
        let State { certificates, published, .. } = &mut *state;
        published.retain(|name, _| certificates.contains(name));
        drop(state);
        self.changed.notify_one();
    }

    /// Looks at nothing any more: the listeners are being closed.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.watched = None;
        state.certificates.clear();
    }

    /// Everything that is looked at.
    pub fn sights(&self) -> Vec<Sight> {
        self.lock().watched.iter().flatten().map(|watched| watched.sight.clone()).collect()
    }

    /// Whether clients get what was published for a certificate, on every listener and for every name, asked now.
    ///
    /// What is wrong has to be wrong [`LOOKS`] times: while one process takes over from another, either may answer.
    pub async fn confirm(self: &Arc<Self>, certificate: &str) -> Verdict {
        let targets: Vec<_> = {
            let state = self.lock();
            if !state.certificates.contains(certificate) {
                return Verdict::Unsure("its listeners are not open yet".to_owned());
            }
            let watched = state.watched.iter().flatten().map(|watched| &watched.sight.target);
            watched.filter(|target| target.certificate == certificate).cloned().collect()
        };
        let mut last = Verdict::Seen;
        let mut is_always_wrong = true;
        for look in 0..LOOKS {
            if look > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            last = self.look_at_all(&targets).await;
            is_always_wrong &= matches!(last, Verdict::Wrong(_));
            if last == Verdict::Seen {
                return last;
            }
        }
        match last {
            Verdict::Wrong(why) if !is_always_wrong => Verdict::Unsure(why),
            verdict => verdict,
        }
    }

    /// Looks at everything, again each [`EVERY`], spread over that time. Never returns.
    pub async fn run(self: Arc<Self>) {
        loop {
            let due = self.lock().watched.iter().flatten().map(|watched| watched.due).min();
            let pause = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = pause => {}
                () = self.changed.notified() => continue,
            }
            let place = self.place().await;
            let Some(target) = self.next() else { continue };
            let truth = self.clone();
            tokio::spawn(async move { truth.look(&target, place).await });
            tokio::time::sleep(GAP).await;
        }
    }

    /// Waits until there is room for one more look; the limit of a look begins behind it.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        // Nobody closes it.
        self.places.clone().acquire_owned().await.ok()
    }

    /// Takes what has waited longest, and plans its next look.
    fn next(&self) -> Option<Arc<Target>> {
        let now = Instant::now();
        let mut state = self.lock();
        let watched = state.watched.iter_mut().flatten().min_by_key(|watched| watched.due)?;
        if watched.due > now {
            return None;
        }
        watched.due = beat_after(now, watched.phase);
        Some(watched.sight.target.clone())
    }

    async fn look_at_all(self: &Arc<Self>, targets: &[Arc<Target>]) -> Verdict {
        let mut findings = Vec::with_capacity(targets.len());
        for some in targets.chunks(AT_A_TIME) {
            let mut looks = JoinSet::new();
            for target in some {
                let (truth, target) = (self.clone(), target.clone());
                looks.spawn(async move {
                    let place = truth.place().await;
                    let finding = truth.look(&target, place).await;
                    (format!("{} on {}", target.domain, target.listener), finding)
                });
            }
            findings.extend(looks.join_all().await);
        }
        verdict(findings.iter().map(|(place, finding)| (place.clone(), finding)))
    }

    /// One look, noted. Another certificate is looked at twice: the right one may have changed meanwhile.
    async fn look(&self, target: &Target, _place: Option<OwnedSemaphorePermit>) -> Finding {
        let mut finding = self.look_once(target).await;
        if matches!(&finding, Finding::Shown { flaws, .. } if flaws.iter().any(is_identity)) {
            tokio::time::sleep(GAP).await;
            finding = self.look_once(target).await;
        }
        self.note(target, &finding);
        finding
    }

    async fn look_once(&self, target: &Target) -> Finding {
        let shown = match self.prober.look(target).await {
            Ok(shown) => shown,
            Err(fault) => return Finding::Fault(fault),
        };
        // What is published by now: a handshake that has met a change is made twice.
        let Some((published, goes_by_cas)) = self.lock().published.get(&target.certificate).copied() else {
            return Finding::Fault(Fault::Unreachable("nothing is published yet".to_owned()));
        };
        let now = if goes_by_cas { self.by_cas.now() } else { self.clock.now() };
        let flaws = judge(&published, &shown, &target.server_name, now);
        Finding::Shown { not_after: shown.leaf().not_after, flaws }
    }

    fn note(&self, target: &Target, finding: &Finding) {
        let now = self.clock.now();
        let mut state = self.lock();
        let mut all = state.watched.iter_mut().flatten();
        let Some(watched) = all.find(|watched| *watched.sight.target == *target) else { return };
        watched.sight.last = Some(finding.clone());
        if !finding.is_proof() {
            watched.silent = watched.silent.saturating_add(1);
            let is_news = watched.silent == SILENT;
            drop(state);
            if is_news {
                tell_silence(target, finding);
            }
            return;
        }
        watched.silent = 0;
        let before = watched.sight.proof.replace((now, finding.clone()));
        drop(state);
        tell(target, before.map(|(_, before)| before).as_ref(), finding);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_identity(flaw: &Flaw) -> bool {
    matches!(flaw, Flaw::Other { .. } | Flaw::OtherChain)
}

/// Tells a change once.
fn tell(target: &Target, before: Option<&Finding>, finding: &Finding) {
    let Target { certificate, listener, domain, .. } = target;
    if !finding.is_good() && before != Some(finding) {
        error!(certificate, listener, name = domain, found = %finding, "CLIENTS DO NOT GET THE CERTIFICATE that was published");
    }
    if finding.is_good() && before.is_some_and(|before| !before.is_good()) {
        info!(certificate, listener, name = domain, "clients get the right certificate again");
    }
}

fn tell_silence(target: &Target, finding: &Finding) {
    let Target { certificate, listener, domain, .. } = target;
    warn!(certificate, listener, name = domain, found = %finding, "our own listener does not answer us");
}

/// The first beat behind `now`.
fn beat_after(now: Instant, phase: Instant) -> Instant {
    let behind = now.saturating_duration_since(phase);
    match phase > now {
        true => phase,
        false => phase + EVERY * (u32::try_from(behind.as_secs() / EVERY.as_secs()).unwrap_or(u32::MAX - 1) + 1),
    }
}

/// Between two looks at the same name and listener.
const EVERY: Duration = Duration::from_secs(60);
/// Between two looks of any kind: a thousand names that are new take ten seconds of little work.
const GAP: Duration = Duration::from_millis(10);
/// Looks at one time; more only when listeners do not answer.
const AT_A_TIME: usize = 16;
/// So many looks in vain are told: one may be the load of a moment.
const SILENT: u32 = 3;
/// How often in a row a thing has to be wrong.
const LOOKS: usize = 3;
/// Between them.
const PAUSE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};

    use rustls::crypto::aws_lc_rs;
    use tokio_rustls::LazyConfigAcceptor;

    use super::super::Sources;
    use super::*;
    use crate::pki::Identity;
    use crate::time::SystemClock;
    use crate::tls::MinVersion;

    #[test]
    fn given_a_phase_when_looked_then_the_next_beat_lies_within_a_minute() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        for (now, expected) in [(0, 20), (19, 20), (20, 80), (79, 80), (80, 140), (3600, 3620)] {
            assert_eq!(beat_after(after(now), after(20)), after(expected), "{now}");
        }
    }

    #[tokio::test]
    async fn given_no_listeners_yet_when_asked_then_unsure_and_with_none_at_all_nothing_is_wrong() {
        let truth = truth();
        assert!(matches!(truth.confirm("a").await, Verdict::Unsure(_)));

        truth.watch(&[], &[site()], &[]);

        assert_eq!(truth.confirm("a").await, Verdict::Seen);
        assert!(matches!(truth.confirm("b").await, Verdict::Unsure(_)), "its site is not there yet");
        truth.stop();
        assert!(matches!(truth.confirm("a").await, Verdict::Unsure(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn given_a_listener_that_never_answers_when_asked_then_unsure() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let truth = truth();
        let identity = Identity::self_signed(&["a.test".to_owned()], SystemClock.now(), SystemClock.now()).unwrap();
        truth.published("a", identity.chain(), false);
        truth.watch(&[place(silent.local_addr().unwrap())], &[site()], &[]);

        assert!(matches!(truth.confirm("a").await, Verdict::Unsure(why) if why.contains("no handshake within")));

        let sights = truth.sights();
        assert!(sights[0].proof.is_none() && sights[0].last.is_some());
        truth.watch(&[], &[site()], &[]);
        assert!(truth.sights().is_empty(), "forgotten with its listener");
    }

    /// Clients of an address send no server name (RFC 6066 §3).
    #[tokio::test]
    async fn given_a_site_that_is_an_address_when_asked_then_seen_without_a_server_name() {
        let names = ["127.0.0.1".to_owned()];
        let now = SystemClock.now();
        let identity = Identity::self_signed(&names, now, now + EVERY).unwrap();
        let (address, mut asked) = serve(&identity).await;
        let truth = truth();
        truth.published("a", identity.chain(), false);
        truth.watch(&[place(address)], &[SiteSettings { domains: names.to_vec(), ..site() }], &[]);

        assert_eq!(truth.confirm("a").await, Verdict::Seen);

        assert_eq!(asked.recv().await.unwrap(), None);
        assert_eq!(truth.sights()[0].target.domain, "127.0.0.1");
    }

    /// A private CA's certificate begins by our own clock, however late public CAs say that it is.
    #[tokio::test]
    async fn given_a_clock_that_public_cas_call_wrong_when_asked_then_each_certificate_by_the_clock_that_counts_for_it()
    {
        let now = SystemClock.now();
        let identity = Identity::self_signed(&["a.test".to_owned()], now, now + EVERY * 3).unwrap();
        let (address, _asked) = serve(&identity).await;
        let by_cas = Arc::new(Fixed(now.shifted(-7_200)));
        let truth = Arc::new(Truth::new(Prober::new(Sources::default()).unwrap(), Arc::new(SystemClock), by_cas));
        truth.published("a", identity.chain(), false);
        truth.watch(&[place(address)], &[site()], &[]);

        assert_eq!(truth.confirm("a").await, Verdict::Seen);

        truth.published("a", identity.chain(), true);
        assert!(matches!(truth.confirm("a").await, Verdict::Wrong(why) if why.contains("not valid before")));
    }

    struct Fixed(Timestamp);

    #[async_trait::async_trait]
    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            self.0
        }

        async fn sleep_until(&self, _: Timestamp) {}
    }

    /// Shows an identity to whoever comes; tells which server names were asked for.
    async fn serve(identity: &Identity) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<Option<String>>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let chain = identity.chain().certificates().to_vec();
        let key = rustls::pki_types::PrivateKeyDer::try_from(identity.key().der().to_vec()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let (config, (tell, asked)) = (Arc::new(config), tokio::sync::mpsc::unbounded_channel());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await.unwrap();
                let _ = tell.send(hello.client_hello().server_name().map(str::to_owned));
                // The look ends as soon as it has seen enough.
                let _ = hello.into_stream(config.clone()).await;
            }
        });
        (address, asked)
    }

    fn truth() -> Arc<Truth> {
        Arc::new(Truth::new(Prober::new(Sources::default()).unwrap(), Arc::new(SystemClock), Arc::new(SystemClock)))
    }

    fn place(address: SocketAddr) -> Place {
        Place { listener: format!("https {address}"), address }
    }

    fn site() -> SiteSettings {
        SiteSettings {
            name: "a".into(),
            domains: vec!["a.test".into()],
            is_default: false,
            is_http1_only: false,
            min_version: MinVersion::Tls12,
            clients: None,
        }
    }
}
