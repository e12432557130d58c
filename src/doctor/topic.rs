//! What can be found, each with its code.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! topics {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*) => {
        /// What was found. Its number is that of its code, and never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) enum Topic { $($(#[$doc])* $variant = $number,)* }

        impl Topic {
            /// Every one, in the order of their numbers.
            pub(crate) const EVERY: &[Self] = &[$(Self::$variant),*];

            /// For programs.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Of its code.
            pub(crate) const fn number(self) -> u16 {
                match self { $(Self::$variant => $number,)* }
            }
        }
    };
}

topics! {
    NameUnknown = 640, "name_unknown";
    NotReached = 641, "not_reached";
    AddressSilent = 642, "address_silent";
    NoTls = 643, "no_tls";
    OldTls = 644, "old_tls";
    HandshakeBroken = 645, "handshake_broken";
    IdentityEnds = 646, "identity_ends";
    NameRefused = 647, "name_refused";
    WrongName = 648, "wrong_name";
    CommonNameOnly = 649, "common_name_only";
    Expired = 650, "expired";
    NotYetValid = 651, "not_yet_valid";
    SelfSigned = 652, "self_signed";
    UnknownIssuer = 653, "unknown_issuer";
    MissingIntermediate = 654, "missing_intermediate";
    WeakKey = 655, "weak_key";
    WeakSignature = 656, "weak_signature";
    WrongPurpose = 657, "wrong_purpose";
    TooLong = 658, "too_long";
    YoungRoot = 659, "young_root";
    OtherCertificate = 660, "other_certificate";
    Rejected = 661, "rejected";
    EndsSoon = 662, "ends_soon";
    PrivateRoot = 663, "private_root";
    PlainHttp = 664, "plain_http";
    RedirectLoop = 665, "redirect_loop";
    Downgrade = 666, "downgrade";
    NoAnswer = 667, "no_answer";
    ClientAsked = 668, "client_asked";
    PortTaken = 669, "port_taken";
    AddressElsewhere = 670, "address_elsewhere";
    CaaForbids = 671, "caa_forbids";
    DnssecBroken = 672, "dnssec_broken";
    ChallengeLost = 673, "challenge_lost";
    ClockWrong = 674, "clock_wrong";
    CaUnfit = 675, "ca_unfit";
    NameNotPublic = 676, "name_not_public";
    Storage = 677, "storage";
    UpstreamTrouble = 678, "upstream_trouble";
    UpstreamExposed = 679, "upstream_exposed";
    CookieInClear = 680, "cookie_in_clear";
    BoundLogin = 681, "bound_login";
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PV{:04}", self.number())
    }
}

impl Serialize for Topic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
