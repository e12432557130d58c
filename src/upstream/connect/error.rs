//! Why an upstream cannot be used, or a certificate is not accepted.

use std::io;
use std::sync::Arc;

use crate::causes::with_causes;
use crate::pki::{Fingerprint, LeafFacts};
use crate::store::StoreError;
use crate::upstream::TlsFailure;
use crate::upstream::acquaintance::in_words;
use crate::upstream::probe::ProbeError;

/// Why an upstream cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// Its name has no address.
    #[error("the name of upstream `{upstream}` cannot be resolved")]
    Resolve {
        /// Its label.
        upstream: String,
        /// The resolver's word.
        source: io::Error,
    },
    /// The probe refused it, or did not get through.
    #[error("upstream `{upstream}` {}", if source.is_unreachable() { "cannot be reached" } else { "is not believed" })]
    NotBelieved {
        /// Its label.
        upstream: String,
        /// Why.
        source: Box<ProbeError>,
    },
    /// Another request has just tried.
    #[error("upstream `{upstream}` was tried a moment ago: {why}")]
    JustTried {
        /// Its label.
        upstream: String,
        /// What came of it.
        why: String,
        /// Nobody answered.
        unreachable: bool,
        /// What was the matter with whoever did.
        failure: Option<TlsFailure>,
    },
    /// The checks of all its peers fail.
    #[error("upstream `{upstream}` is down: its health checks fail{}", why.as_ref().map(|why| format!(", the last one: {why}")).unwrap_or_default())]
    Down {
        /// Its label.
        upstream: String,
        /// What a check met.
        why: Option<Arc<String>>,
    },
    /// A connection showed another leaf than the probes that followed, which were believed.
    #[error(
        "upstream `{upstream}` is not believed: its certificate changed between two connections; one showed {}, another {}",
        or_nothing(.shown),
        or_nothing(.probed)
    )]
    Changed {
        /// Its label.
        upstream: String,
        /// What the connection showed.
        shown: Option<Fingerprint>,
        /// What the probe saw.
        probed: Option<Fingerprint>,
    },
    /// It cannot be used as it is.
    #[error("upstream `{upstream}` cannot be used: {why}")]
    Unusable {
        /// Its label.
        upstream: String,
        /// Why.
        why: String,
    },
}

impl UpstreamError {
    /// Whether nobody answered, so that another of its addresses may be tried.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::NotBelieved { source, .. } => source.is_unreachable(),
            Self::JustTried { unreachable, .. } => *unreachable,
            Self::Resolve { .. } | Self::Down { .. } | Self::Changed { .. } | Self::Unusable { .. } => false,
        }
    }

    /// Whether the next connection may well be believed: two of them differed.
    pub fn is_changed(&self) -> bool {
        matches!(self, Self::Changed { .. })
    }

    /// What is the matter with the server, where one has answered.
    pub fn failure(&self) -> Option<TlsFailure> {
        match self {
            Self::NotBelieved { source, .. } => source.failure(),
            Self::JustTried { failure, .. } => *failure,
            Self::Changed { .. } => Some(TlsFailure::Pin),
            Self::Unusable { .. } => TlsFailure::in_text(&self.to_string()),
            Self::Resolve { .. } | Self::Down { .. } => None,
        }
    }

    /// The error and its causes in one line.
    pub fn with_causes(&self) -> String {
        with_causes(self)
    }
}

/// Why a certificate was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// It is believed for another reason.
    #[error("it is not believed by its first use")]
    NotAtFirstUse,
    /// It shows another one than was named.
    #[error("it shows another certificate: {}", in_words(.shown))]
    ShowsAnother {
        /// Which.
        shown: Box<LeafFacts>,
    },
    /// Its name has no address.
    #[error(transparent)]
    Resolve(#[from] UpstreamError),
    /// It could not be asked.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// It cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn or_nothing(fingerprint: &Option<Fingerprint>) -> String {
    fingerprint.map_or_else(|| "nothing".to_owned(), |fingerprint| format!("the fingerprint {fingerprint}"))
}
