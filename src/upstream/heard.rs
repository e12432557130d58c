//! What came of the last call to a service, for those who look after it.

use super::client::ExchangeError;
use super::failure::TlsFailure;
use crate::causes::with_causes;
use crate::time::Timestamp;

/// What came of the last call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When.
    pub at: Timestamp,
    /// Why nobody could be asked; `None` where somebody has answered.
    pub lack: Option<Lack>,
}

/// Why nobody could be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// What is the matter with who answers; `None` where nobody does.
    pub failure: Option<TlsFailure>,
    /// In words.
    pub detail: String,
}

impl Lack {
    /// `None` for what says nothing about the way to the service: what it thinks of our identity is known elsewhere, and one
    /// answer that broke is no more than that.
    pub(super) fn of(error: &ExchangeError) -> Option<Self> {
        let failure = match error {
            ExchangeError::Resolve { .. } | ExchangeError::Unusable { .. } => None,
            ExchangeError::Connect { source } => source.failure(),
            ExchangeError::NoIdentity
            | ExchangeError::Refused { .. }
            | ExchangeError::Timeout { .. }
            | ExchangeError::Renegotiation { .. }
            | ExchangeError::Switched
            | ExchangeError::Broken { .. } => return None,
        };
        Some(Self { failure, detail: with_causes(error) })
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::*;
    use crate::upstream::ProbeError;

    #[test]
    fn given_an_error_when_judged_then_nobody_there_and_nobody_believed_are_told_apart_from_one_broken_answer() {
        let address = "127.0.0.1:443".parse().unwrap();
        let other = |kind: io::ErrorKind| io::Error::from(kind);
        let connect = |source| ExchangeError::Connect { source };
        let refused = ProbeError::Connect { address, source: other(io::ErrorKind::ConnectionRefused) };
        let handshake = ProbeError::Handshake {
            address,
            failure: TlsFailure::UnknownCa,
            refusal: None,
            source: other(io::ErrorKind::InvalidData),
        };
        let table = [
            (ExchangeError::Resolve { source: other(io::ErrorKind::NotFound) }, Some(None)),
            (connect(refused), Some(None)),
            (connect(handshake), Some(Some(TlsFailure::UnknownCa))),
            (ExchangeError::Timeout { address, limit: Duration::from_secs(1) }, None),
            (ExchangeError::NoIdentity, None),
        ];
        for (error, expected) in table {
            assert_eq!(Lack::of(&error).map(|lack| lack.failure), expected, "{error}");
        }
    }
}
