//! What an answer of a server tells about how the server is set up.

use std::fmt;

/// A mistake in the set-up behind us that answers give away, and that nobody finds by looking at the answers alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// 403.4 of IIS over plain HTTP: the application has `Require SSL` ticked.
    SslRequired,
    /// 403.7 of IIS: it wants a certificate of the client, whose TLS ended at portvakt.
    ClientCertificateRequired,
    /// Clients are sent to where they are, again and again.
    RedirectLoop,
}

impl Trouble {
    /// Every one, by number.
    pub const ALL: [Self; 3] = [Self::SslRequired, Self::ClientCertificateRequired, Self::RedirectLoop];

    /// Those that are about an upstream, and counted on it.
    pub const OF_UPSTREAMS: [Self; 2] = [Self::SslRequired, Self::ClientCertificateRequired];

    /// The number behind `PV`.
    pub const fn number(self) -> u16 {
        match self {
            Self::SslRequired => 317,
            Self::ClientCertificateRequired => 318,
            Self::RedirectLoop => 319,
        }
    }

    /// As in metrics and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SslRequired => "ssl_required",
            Self::ClientCertificateRequired => "client_certificate_required",
            Self::RedirectLoop => "redirect_loop",
        }
    }

    /// The metric that counts it.
    pub fn metric(self) -> &'static str {
        match self {
            Self::SslRequired | Self::ClientCertificateRequired => "portvakt_upstream_troubles_total{upstream,reason}",
            Self::RedirectLoop => "portvakt_redirect_loops_total{route}",
        }
    }

    /// A few words that name it.
    pub fn title(self) -> &'static str {
        match self {
            Self::SslRequired => "IIS wants TLS on the inner way too",
            Self::ClientCertificateRequired => "IIS wants a client certificate",
            Self::RedirectLoop => "redirect loop",
        }
    }

    /// What happens and why, in one line.
    pub const fn what(self) -> &'static str {
        match self {
            Self::SslRequired => {
                "IIS answers 403.4: the application has `Require SSL` ticked, and portvakt speaks plain HTTP to it; no header \
                 changes that, since IIS looks at the connection"
            }
            Self::ClientCertificateRequired => {
                "IIS answers 403.7: it wants a certificate of the client, whose TLS connection ends at portvakt, so that IIS \
                 never sees one"
            }
            Self::RedirectLoop => {
                "clients are sent to where they are, again and again: the application forces https, and believes that it is \
                 asked in clear, since it looks at its own connection"
            }
        }
    }

    /// How to mend it, in one line.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::SslRequired => {
                "way A, Server 2016 and later: give IIS an https binding on another port or on loopback, and write `upstream = \
                 { url = \"https://127.0.0.1:8443\", fingerprint = \"..\" }`; way B, older servers: bind IIS to 127.0.0.1 \
                 alone and untick `Require SSL` of the application, so that portvakt does the enforcing"
            }
            Self::ClientCertificateRequired => {
                "in IIS, set `Client certificates` in the SSL settings of the application to `Ignore`; a certificate by \
                 which IIS is to know portvakt itself stands in `identity` of the upstream"
            }
            Self::RedirectLoop => {
                "switch off the redirect of the application, since portvakt forces https; or let it hear of TLS, by \
                 `X-Forwarded-Proto`, which it always gets, or by `preset = \"iis\"` or `\"arr\"` of the upstream; or give it an \
                 https binding and write `https://` with its `fingerprint`"
            }
        }
    }
}

/// As `PV0317`.
impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PV{:04}", self.number())
    }
}

/// What the begin of the body of a 403 tells; `is_plain` says that it came over plain HTTP.
///
/// # Why
///
/// IIS names the sub-status in the page alone, not in the status line. Its number stands in the page in every language, in
/// the title of the newer ones and in a headline of the older ones. A page of an application that speaks of 403.4 for
/// another reason costs one line in the log.
pub fn forbidden(body: &[u8], is_plain: bool) -> Option<Trouble> {
    let trouble = match sub_status(body)? {
        4 => Trouble::SslRequired,
        7 => Trouble::ClientCertificateRequired,
        _ => return None,
    };
    (is_plain || trouble != Trouble::SslRequired).then_some(trouble)
}

/// The number behind the first `403.` that is a number of its own.
fn sub_status(body: &[u8]) -> Option<u8> {
    const STATUS: &[u8] = b"403.";
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'.');
    let mut at = 0;
    while let Some(found) = body.get(at..)?.windows(STATUS.len()).position(|window| window == STATUS) {
        let (begin, end) = (at + found, at + found + STATUS.len());
        let digits = body[end..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, behind) = (&body[end..end + digits], body.get(end + digits));
        let is_alone = !is_part(begin.checked_sub(1).and_then(|before| body.get(before)));
        // A full stop may end a sentence; letters and digits may not follow.
        let ends = behind.is_none_or(|byte| !byte.is_ascii_alphanumeric());
        if is_alone && ends && (1..=2).contains(&digits) {
            return std::str::from_utf8(number).ok()?.parse().ok();
        }
        at = end;
    }
    None
}

/// Bytes of a body that are looked at; the style sheet of the newer pages alone has three thousand.
pub const LOOKED_AT: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_pages_of_iis_when_looked_at_then_what_they_mean() {
        use Trouble::{ClientCertificateRequired, SslRequired};
        #[rustfmt::skip]
        let table = [
            ("<title>IIS 8.5 Detailed Error - 403.4 - Forbidden</title>",        Some(SslRequired)),
            ("<h2>HTTP Error 403.4 - Forbidden: SSL is required.</h2>",          Some(SslRequired)),
            ("<h2>HTTP-Fehler 403.4 - Verboten</h2>",                            Some(SslRequired)),
            ("<h3>HTTP-fel 403.7 - F\u{f6}rbjudet</h3>",                         Some(ClientCertificateRequired)),
            ("See 403.",                                                         None),
            ("It is 403.4.",                                                     Some(SslRequired)),
            ("403.4",                                                            Some(SslRequired)),
            ("403 kB, 1403.4 kB, 403.4kB, 403.400, 10.403.4",                    None),
            ("<title>403.14 - Forbidden</title>",                                None),
            ("403.40 is none, 403.4 is one",                                     None),
            ("<h1>Forbidden</h1>",                                               None),
            ("",                                                                 None),
        ];
        for (page, expected) in table {
            assert_eq!(forbidden(page.as_bytes(), true), expected, "{page}");
        }
    }

    #[test]
    fn given_a_hop_with_tls_when_looked_at_then_only_the_certificate_matters() {
        assert_eq!(forbidden(b"403.4 - Forbidden", false), None);
        assert_eq!(forbidden(b"403.7 - Forbidden", false), Some(Trouble::ClientCertificateRequired));
    }

    #[test]
    fn given_every_trouble_when_told_then_number_and_label_are_its_own() {
        assert!(Trouble::ALL.is_sorted_by(|a, b| a.number() < b.number() && a.as_str() != b.as_str()));
        assert_eq!(Trouble::SslRequired.to_string(), "PV0317");
        assert!(Trouble::SslRequired.fix().contains("way A") && Trouble::SslRequired.fix().contains("way B"));
    }

    proptest! {
        #[test]
        fn given_any_bytes_when_looked_at_then_no_panic(body: Vec<u8>, front in "[0-9. ]{0,4}", number in 0_u16..1000) {
            forbidden(&body, true);
            let page = [&body, front.as_bytes(), format!("403.{number}").as_bytes()].concat();
            forbidden(&page, true);
        }
    }
}
