//! The words of BankID's answers: closed lists, so that they can be labels.

/// Declares an enum of known words and `Other`.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $(#[doc = concat!("`", $text, "`.")] $variant,)*
            /// None of the known ones: a client has to live with new ones.
            Other,
        }

        impl $name {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant,)* Self::Other];

            /// The word as BankID writes it, case included; what is not known is [`Self::Other`].
            pub fn read(word: &[u8]) -> Self {
                match word {
                    $(word if word == $text.as_bytes() => Self::$variant,)*
                    _ => Self::Other,
                }
            }

            /// The word, or `other`.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other => "other",
                }
            }
        }
    };
}
pub(super) use words;

words! {
    /// `status` of a collect's answer.
    Status { Pending = "pending", Complete = "complete", Failed = "failed" }
}

words! {
    /// `hintCode` of a collect's answer: why it is pending, or has failed.
    Hint {
        OutstandingTransaction = "outstandingTransaction",
        NoClient = "noClient",
        Started = "started",
        UserMrtd = "userMrtd",
        UserCallConfirm = "userCallConfirm",
        UserSign = "userSign",
        Processing = "processing",
        UserFace = "userFace",
        UserStepUp = "userStepUp",
        ExpiredTransaction = "expiredTransaction",
        CertificateErr = "certificateErr",
        UserCancel = "userCancel",
        Cancelled = "cancelled",
        StartFailed = "startFailed",
        UserDeclinedCall = "userDeclinedCall",
        NotSupportedByUserApp = "notSupportedByUserApp",
        TransactionRiskBlocked = "transactionRiskBlocked",
        MrtdVerificationFailed = "mrtdVerificationFailed",
        FacialRecognitionFailed = "facialRecognitionFailed",
        NfcNotSupportedByDevice = "nfcNotSupportedByDevice",
        MultipleBankIdsOnDevice = "multipleBankIdsOnDevice",
        StepUpFailed = "stepUpFailed",
    }
}

words! {
    /// `errorCode` of an answer that is an error.
    ErrorCode {
        AlreadyInProgress = "alreadyInProgress",
        InvalidParameters = "invalidParameters",
        Canceled = "canceled",
        VerificationFailed = "verificationFailed",
        Unauthorized = "unauthorized",
        NotFound = "notFound",
        MethodNotAllowed = "methodNotAllowed",
        RequestTimeout = "requestTimeout",
        UnsupportedMediaType = "unsupportedMediaType",
        TooManyRequests = "tooManyRequests",
        InternalError = "internalError",
        Maintenance = "maintenance",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_every_word_when_read_then_itself_and_nothing_near_it() {
        for &hint in Hint::ALL {
            assert_eq!(Hint::read(hint.label().as_bytes()), hint);
        }
        for &code in ErrorCode::ALL {
            assert_eq!(ErrorCode::read(code.label().as_bytes()), code);
        }
        for &status in Status::ALL {
            assert_eq!(Status::read(status.label().as_bytes()), status);
        }
        for near in ["", "Pending", "pending ", "usersign", "190000000000"] {
            assert_eq!(
                (Status::read(near.as_bytes()), Hint::read(near.as_bytes())),
                (Status::Other, Hint::Other),
                "{near}"
            );
        }
    }

    #[test]
    fn given_the_words_when_counted_then_those_of_the_interface() {
        assert_eq!((Status::ALL.len(), Hint::ALL.len(), ErrorCode::ALL.len()), (4, 23, 13));
    }
}
