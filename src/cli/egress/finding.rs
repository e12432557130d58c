//! What came of showing one identity to its service.

use serde::Serialize;

use crate::causes::with_causes;
use crate::lifecycle::outlook::{Level, Outlook};
use crate::lifecycle::rotation::{Refusal, Slot};
use crate::manager::client::question;
use crate::pki::{CertificateChain, Identity, LeafFacts};
use crate::source::files::FilesSource;
use crate::source::{FileSettings, Trial};
use crate::time::{Clock, SystemClock, Timestamp};
use crate::upstream::{PeerSettings, ProbeError, Seen, Settings, TlsFailure, TrialAnswer, TrialError, Trust, attempt};

/// What is known of one identity after it was shown.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// `identity` or `next`.
    pub(super) slot: &'static str,
    /// Where it lies.
    pub(super) file: String,
    /// `None` when the files cannot be used.
    pub(super) certificate: Option<CertificateFacts>,
    /// `None` when none was believed.
    pub(super) server: Option<Server>,
    /// Of the roots that are believed the one that ends first.
    pub(super) trust_anchor: Option<CertificateFacts>,
    pub(super) answer: Option<AnswerFacts>,
    pub(super) cause: Cause,
    pub(super) detail: String,
    pub(super) fix: Option<String>,
}

/// How it ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cause {
    /// The service lets it in.
    Accepted,
    /// Its files cannot be used.
    Files,
    /// It is not valid now, whatever the service says.
    OutOfDate,
    /// The service does not let it in.
    Refused,
    /// Nobody answers.
    Unreachable,
    /// The service's certificate is of another CA than those believed, or somebody stands between.
    UnknownIssuer,
    /// The service's certificate is for another name.
    NameMismatch,
    /// The service's own certificate is not valid now.
    ServerExpired,
    /// The service's certificate is not the pinned one.
    NotPinned,
    /// Something else broke the exchange.
    Broken,
}

impl Cause {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Files => "files",
            Self::OutOfDate => "out of date",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::UnknownIssuer => "not believed",
            Self::NameMismatch => "wrong name",
            Self::ServerExpired => "server's date",
            Self::NotPinned => "not pinned",
            Self::Broken => "broken",
        }
    }
}

/// A certificate, for people.
#[derive(Debug, Serialize)]
pub(super) struct CertificateFacts {
    pub(super) subject: String,
    /// What users see of a client certificate.
    pub(super) display_name: String,
    pub(super) issuer: String,
    pub(super) sha256: String,
    pub(super) not_before: String,
    pub(super) not_after: String,
    /// Negative for those since.
    pub(super) days_left: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct Server {
    pub(super) address: String,
    pub(super) tls: &'static str,
    pub(super) chain: Vec<CertificateFacts>,
}

#[derive(Debug, Serialize)]
pub(super) struct AnswerFacts {
    pub(super) status: u16,
    /// BankID's `errorCode`.
    pub(super) error_code: Option<String>,
}

impl Finding {
    pub(super) fn is_good(&self) -> bool {
        self.cause == Cause::Accepted
    }
}

/// Shows the identity in the files to the service, and tells what came of it.
pub(super) async fn examine(slot: Slot, files: &FileSettings, trial: &Trial, upstream: &Settings) -> Finding {
    let now = SystemClock.now();
    let mut finding = Finding {
        slot: slot.as_str(),
        file: files.main().display().to_string(),
        certificate: None,
        server: None,
        trust_anchor: trust_anchor(upstream, now),
        answer: None,
        cause: Cause::Files,
        detail: String::new(),
        fix: None,
    };
    let identity = match FilesSource::new(files.clone()).load() {
        Ok(assembled) => assembled.identity,
        Err(errors) => {
            finding.detail = errors.iter().map(|error| with_causes(error)).collect::<Vec<_>>().join("; ");
            finding.fix = Some("repair the files; `portvakt check` tells more about them".to_owned());
            return finding;
        }
    };
    finding.certificate = Some(CertificateFacts::of(identity.chain().leaf(), now));
    match attempt(upstream, Some(&identity), question(trial, upstream).as_ref()).await {
        Ok(seen) => finding.take(&seen, trial, now),
        Err(error) => finding.fail(&error, upstream, trial).await,
    }
    finding.judge_dates(&identity, trial, now);
    finding
}

impl Finding {
    fn take(&mut self, seen: &Seen, trial: &Trial, now: Timestamp) {
        self.server = Some(Server {
            address: seen.address.to_string(),
            tls: seen.tls,
            chain: each(&seen.server.chain).map(|leaf| CertificateFacts::of(&leaf, now)).collect(),
        });
        self.cause = Cause::Accepted;
        self.detail = match &seen.answer {
            None => "the handshake is done, and no alert followed".to_owned(),
            Some(answer) => {
                let facts = AnswerFacts { status: answer.status.as_u16(), error_code: error_code(answer) };
                let detail = meaning(trial, &facts);
                self.answer = Some(facts);
                detail
            }
        };
    }

    async fn fail(&mut self, error: &TrialError, upstream: &Settings, trial: &Trial) {
        self.detail = with_causes(error);
        let (cause, fix) = match error {
            TrialError::Refused { why, .. } => (Cause::Refused, fix_of_refusal(*why, trial)),
            TrialError::Resolve { host, .. } => {
                (Cause::Unreachable, format!("is `{host}` spelt right, and does this machine have a resolver?"))
            }
            TrialError::Connect(error) if error.is_unreachable() => (Cause::Unreachable, UNREACHABLE.to_owned()),
            TrialError::Timeout { .. } => (Cause::Unreachable, UNREACHABLE.to_owned()),
            TrialError::Connect(error) => self.not_believed(error, upstream).await,
            TrialError::Unfit(_) => (Cause::Broken, "mend the settings of this egress or upstream".to_owned()),
            TrialError::Broken { .. } => {
                (Cause::Broken, "try again; does a proxy on the way cut connections?".to_owned())
            }
        };
        (self.cause, self.fix) = (cause, Some(fix));
    }

    /// Why the service itself is not believed. Looks at what it shows once more, with nothing of ours.
    async fn not_believed(&mut self, error: &ProbeError, upstream: &Settings) -> (Cause, String) {
        let failure = error.failure();
        let shown = match failure {
            Some(TlsFailure::UnknownCa | TlsFailure::Name | TlsFailure::Expired) => stranger(upstream).await,
            _ => None,
        };
        if let Some(leaf) = &shown {
            let names = leaf.names.join(", ");
            self.detail = format!(
                "{}; it shows CN={} for {names}, issued by {}, until {}",
                self.detail, leaf.common_name, leaf.issuer, leaf.not_after
            );
        }
        let fix =
            failure.filter(|failure| *failure != TlsFailure::Other).map_or("try again", TlsFailure::fix).to_owned();
        match failure {
            Some(TlsFailure::UnknownCa) => (Cause::UnknownIssuer, INTERCEPTED.to_owned()),
            Some(TlsFailure::Name) => (Cause::NameMismatch, fix),
            Some(TlsFailure::Expired) => {
                (Cause::ServerExpired, "is this machine's clock right? If so, tell whoever runs the service".to_owned())
            }
            Some(TlsFailure::Pin) => (Cause::NotPinned, fix),
            Some(
                TlsFailure::ClientCertRejected
                | TlsFailure::OldProtocol
                | TlsFailure::NoCommonSuite
                | TlsFailure::WeakKey
                | TlsFailure::FirstUse
                | TlsFailure::Unreadable
                | TlsFailure::Other,
            )
            | None => (Cause::Broken, fix),
        }
    }

    /// Our own dates are told even where the service does not look at them.
    fn judge_dates(&mut self, identity: &Identity, trial: &Trial, now: Timestamp) {
        let leaf = identity.chain().leaf();
        let outlook = Outlook::of(leaf.not_after, now);
        let order = match trial {
            Trial::BankId { .. } => "order a new one at your bank",
            Trial::Handshake | Trial::Request { .. } => "order a new one",
        };
        let words = outlook.in_words();
        if now < leaf.not_before {
            self.cause = Cause::OutOfDate;
            self.detail = format!("it is not valid before {}; {}", leaf.not_before, self.detail);
        } else if outlook.level == Level::Expired {
            self.cause = Cause::OutOfDate;
            self.detail = format!("CN={} {words}; {}", leaf.common_name, self.detail);
            self.fix = Some(order.to_owned());
        } else if outlook.level != Level::Fine {
            self.fix.get_or_insert_with(|| format!("{order}: it {words}"));
        }
    }
}

impl CertificateFacts {
    fn of(leaf: &LeafFacts, now: Timestamp) -> Self {
        Self {
            subject: leaf.common_name.clone(),
            display_name: crate::manager::client::name_shown(leaf).to_owned(),
            issuer: leaf.issuer.clone(),
            sha256: leaf.fingerprint.to_string(),
            not_before: leaf.not_before.to_string(),
            not_after: leaf.not_after.to_string(),
            days_left: leaf.not_after.as_unix().saturating_sub(now.as_unix()).div_euclid(86_400),
        }
    }
}

/// The facts of each certificate of a chain.
fn each(chain: &CertificateChain) -> impl Iterator<Item = LeafFacts> {
    let each = chain.certificates().iter().filter_map(|der| CertificateChain::from_der(vec![der.clone()]).ok());
    each.map(|one| one.leaf().clone())
}

fn trust_anchor(upstream: &Settings, now: Timestamp) -> Option<CertificateFacts> {
    let Trust::Anchors(anchors) = &upstream.peers.first()?.tls.as_ref()?.trust else { return None };
    let each = anchors.certificates().iter().filter_map(|der| CertificateChain::from_der(vec![der.clone()]).ok());
    let first = each.min_by_key(|chain| chain.leaf().not_after)?;
    Some(CertificateFacts::of(first.leaf(), now))
}

/// What a service shows that is not believed: a handshake that pins nothing tells it, and shows nothing of ours.
async fn stranger(upstream: &Settings) -> Option<LeafFacts> {
    let nothing = Trust::Pinned { fingerprints: Vec::new(), pins: Vec::new() };
    let unpinned = |peer: &PeerSettings| {
        let mut peer = peer.clone();
        if let Some(tls) = &mut peer.tls {
            tls.trust = nothing.clone();
        }
        peer
    };
    let settings = Settings { peers: upstream.peers.iter().map(unpinned).collect(), ..upstream.clone() };
    match attempt(&settings, None, None).await {
        Err(TrialError::Connect(ProbeError::NotPinned { leaf, .. })) => Some(*leaf),
        _ => None,
    }
}

/// BankID's word for what is wrong.
fn error_code(answer: &TrialAnswer) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let code = body.get("errorCode")?.as_str()?;
    let is_word = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word.then(|| code.to_owned())
}

/// What an answer says about an identity that was let in.
fn meaning(trial: &Trial, answer: &AnswerFacts) -> String {
    let Trial::BankId { .. } = trial else {
        return "the service has answered, so it lets the identity in".to_owned();
    };
    match (answer.status, answer.error_code.as_deref()) {
        (400, Some("invalidParameters")) => {
            "BankID lets the identity in: it was asked for an order that nobody has, and says so".to_owned()
        }
        (503, _) => "BankID lets the identity in, but is in maintenance".to_owned(),
        (404 | 410, _) => {
            "BankID lets the identity in, but does not know this version of its interface any more".to_owned()
        }
        _ => "BankID lets the identity in, and gives another answer than it should".to_owned(),
    }
}

fn fix_of_refusal(why: Refusal, trial: &Trial) -> String {
    let issuer = if matches!(trial, Trial::BankId { .. }) { "your bank" } else { "whoever has issued it" };
    match why {
        Refusal::Required => "the identity was not shown: is the service behind something that ends TLS?".to_owned(),
        Refusal::Expired => format!("order a new one at {issuer}"),
        Refusal::Revoked => format!("it is revoked: ask {issuer} why, and order a new one"),
        Refusal::UnknownCa | Refusal::Bad => {
            "is it an identity for this service? One for test is refused in production, and the reverse".to_owned()
        }
        Refusal::Other => format!("ask {issuer} whether it is still let in"),
    }
}

const UNREACHABLE: &str = "let this machine reach the service: is the port open in every firewall on the way?";
const INTERCEPTED: &str = "is that issuer a proxy of your own that intercepts TLS? Take this service out of it: it cannot work with \
                           client certificates. Else put the service's own root into `trust_anchors`";
