//! What `portvakt help` tells of each reason why an attempt gave no certificate.

use super::{LastFailure, Reason};

impl Reason {
    /// Such as 280; `portvakt help` tells of it.
    pub const fn number(self) -> u16 {
        self.about().0
    }

    /// As it is written: `PV0280`.
    pub fn code(self) -> String {
        format!("PV{:04}", self.number())
    }

    /// A few words that name it.
    pub const fn title(self) -> &'static str {
        self.about().1
    }

    /// What `portvakt help` says of the number; `None` when it is none of these.
    pub fn help(number: u16) -> Option<String> {
        let reason = Self::ALL.into_iter().find(|reason| reason.number() == number)?;
        let (code, title, label, more) = (reason.code(), reason.title(), reason.as_str(), reason.about().2);
        Some(format!(
            "{code}: {title}\nWhy an attempt gave no certificate; the one in service stays. `portvakt cert show` has the CA's own\n\
             words and the time of the next attempt; `portvakt cert renew NAME` makes one now.\n\n{more}\n\n\
             Counted in `portvakt_acme_failures_total` with the reason `{label}`.\n"
        ))
    }

    /// Number, title, and what an operator does.
    const fn about(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Dns => (280, "the CA cannot resolve a name", DNS),
            Self::Connection => (281, "the CA cannot connect to this machine", CONNECTION),
            Self::Unauthorized => (282, "the CA gets another answer than portvakt's", UNAUTHORIZED),
            Self::Caa => (283, "a CAA record forbids this CA", CAA),
            Self::Dnssec => (284, "a DNSSEC signature does not hold", DNSSEC),
            Self::RateLimited => (285, "the CA asks to come back later", RATE_LIMITED),
            Self::RejectedIdentifier => (286, "the CA does not issue for a name or profile", REJECTED),
            Self::BadCsr => (287, "the CA does not accept a request", BAD_CSR),
            Self::Server => (288, "trouble at the CA, or an address that is no CA's", SERVER),
            Self::Unusable => (289, "what the CA has issued cannot be used", UNUSABLE),
            Self::Network => (290, "the CA cannot be reached", NETWORK),
            Self::Timeout => (291, "the CA does not come to an end", TIMEOUT),
            Self::OrderNotReady => (292, "an order cannot be finished", ORDER),
            Self::Account => (293, "the CA refuses the account", ACCOUNT),
            Self::Storage => (294, "the state directory or a file fails", STORAGE),
            Self::Clock => (295, "a clock is wrong", CLOCK),
            Self::NotServed => (296, "clients do not get the new certificate", NOT_SERVED),
            Self::Budget => (297, "the CA would refuse the order", BUDGET),
        }
    }
}

impl LastFailure {
    /// What happened, what to do, and where more stands.
    pub fn told(&self) -> String {
        let fix = self.fix.as_deref().map(|fix| format!("; {fix}")).unwrap_or_default();
        format!("{}{fix} (portvakt help {})", self.detail, self.reason.code())
    }
}

const DNS: &str = "\
The CA asks the public DNS for the name, and gets none, or an error. What this machine resolves does not count.
- Give the name an A or AAAA record that the whole internet sees: `dig +short NAME @9.9.9.9`.
- For dns-01: the zone of the name must be delegated, and its servers must answer: `dig +trace NAME`.
- A name that only exists inside a house cannot have a public certificate by http-01; dns-01 or `certificate =
  \"internal\"` can.
`portvakt doctor --config FILE` looks for what is in the way.";

const CONNECTION: &str = "\
The CA connects from several places of the world to every address of the name: to port 80 for http-01, to 443 for
tls-alpn-01.
- Firewall and port forwarding: from outside, `curl -v http://NAME/.well-known/acme-challenge/x` must reach portvakt
  (404 is right).
- An AAAA record that leads elsewhere is enough to fail: the CA prefers IPv6. Mend it or take it away.
- Blocked countries block the CA too. Where no port can be opened, dns-01 needs none: `[acme.dns]`.
`portvakt doctor --config FILE` looks for what is in the way.";

const UNAUTHORIZED: &str = "\
Something else answered in portvakt's place, or the text in DNS was another one.
- http-01: A and AAAA records lead to another machine, or a proxy, load balancer or IIS binding on port 80 answers
  itself.
- tls-alpn-01: something before portvakt ends TLS, so that the CA's question never arrives; use http-01 there.
- dns-01: an old text, a second provider's zone, or a CNAME that leads elsewhere: `dig TXT _acme-challenge.NAME
  +trace`.
The CA's words say what it saw, and from which address.";

const CAA: &str = "\
A CAA record (RFC 8659) of the name, or of a domain above it, lists the CAs that may issue, and this one is not among
them.
- Add it: `NAME. CAA 0 issue \"letsencrypt.org\"` for Let's Encrypt; each CA documents its own word.
- Or choose a CA that is listed: `acme.directory`, `[[acme.next]]`.
- With `accounturi` or `validationmethods` in the record, account and challenge kind must match: `portvakt acme
  account show`.
`portvakt check` and `portvakt doctor` find it before the CA does.";

const DNSSEC: &str = "\
The domain is signed, and a signature does not hold or has run out; the CA treats that as no answer at all. Look at it
with `delv NAME` or a DNSSEC debugger; mostly the DS record at the registry belongs to an old key, or the zone is not
signed anew any more. Whoever runs the zone has to mend it.";

const RATE_LIMITED: &str = "\
The CA counts orders, failures and names, and has asked to be left alone until a time; portvakt comes back then, not
before. `portvakt acme budget` shows what was used. Mostly the state directory was lost with each deployment: keep the
whole of it. Names that Let's Encrypt has paused need a human: the CA's words name the page, then `portvakt cert renew
NAME --force`.";

const REJECTED: &str = "\
No public CA issues for internal names (`.local`, `.lan`, a bare host name), for private addresses, nor for names on
its own list; and a profile must be one of the CA's. Only other settings help, so that it is not tried again by
itself.
- Take the name out of `domain` and `aliases`, or give that site `certificate = \"internal\"` or files.
- Or another CA (`acme.directory`) or profile (`acme.profile`): `portvakt check` tells which profiles there are.";

const BAD_CSR: &str = "\
The CA takes no signing request like this: mostly a key type that it does not know. Try `key_type = \"p256\"` under
`[acme]`; some CAs allow fewer names in one certificate: split the site's `aliases`. The CA's words say more.";

const SERVER: &str = "\
The CA has answered with an error of its own, or with something that is no ACME. It passes by itself, mostly; the CA's
status page tells. When it never worked: `acme.directory` must be the directory's address (for Let's Encrypt
`https://acme-v02.api.letsencrypt.org/directory`), and no proxy between may answer in its place. `portvakt check` asks
it.";

const UNUSABLE: &str = "\
A certificate came that cannot be served: another key's, names missing, half a chain, run out, or one that no client
trusts. It was not taken, the one before stays, and each such try may count against the CA's limits. Tell the CA. A
private CA: name its root in `acme.trust_anchors`; one of staging is never taken where a real one was.";

const NETWORK: &str = "\
No connection came about from here to the CA, or TLS with it failed.
- `curl -v DIRECTORY` from this machine as portvakt's user: DNS, firewall, route, and `acme.proxy` where one is needed
  to get out.
- A private CA: its root has to be named in `acme.trust_anchors`. A proxy that breaks TLS open: its root too.
The certificate in service stays, and portvakt tries again ever more seldom, more often as the end comes near.";

const TIMEOUT: &str = "\
The CA began and did not finish in time. For validations: one of the ways of PV0280 to PV0282, where packets are
dropped in silence. For the issuance: trouble at the CA. The order is kept, and gone on with next time.";

const ORDER: &str = "\
The order was given up by the CA, or the process ended in the middle of it. What can be gone on with is gone on with;
else a new order follows after a pause, so that a process that dies again and again does not use the CA's limits up.
When it comes again: `journalctl -u portvakt` tells why the process ended.";

const ACCOUNT: &str = "\
The CA refuses the account, or wants one that is bound to one of its own (external account binding, RFC 8555 section
7.3.4).
- EAB: get a key id and a MAC key from the CA, `eab = { kid = \"..\", key_file = \"FILE\" }` under `[acme]`. Both may
  serve once only, and may have expired: then get new ones. The key is base64url, as the CA shows it (PV0245).
- `contact`: a `mailto:` address that exists; some CAs refuse `example.com`.
- An account that was deactivated at the CA: move its `account.json` (below `acme` in the state directory) away, and
  another is registered.";

const STORAGE: &str = "\
The state directory could not be read or written: full, read-only, not ours, damaged. Nothing is ordered that could
not be kept. The line names the file and the system's reason; `portvakt doctor --config FILE` tests the rights. A
certificate that was got and could not be kept is served from memory and written as soon as the disk takes it.";

const CLOCK: &str = "\
The certificate is not valid yet, or no more, by this machine's clock. Set the clock and keep it right with NTP
(`timedatectl set-ntp true`, `w32tm /resync`). `portvakt_acme_clock_skew_seconds` says how far it is off by the CA's
answers.";

const NOT_SERVED: &str = "\
portvakt shakes hands with its own listeners after each renewal, and got another certificate there than the new one;
so the one before is served again. Something else listens on an address of `listen.https`, or answers in between: `ss
-ltnp`. The new certificate is kept and tried again later, without another order.";

const BUDGET: &str = "\
By the CA's published limits, and by what was ordered before, the order would surely be refused; so it was not sent.
`portvakt acme budget` shows each limit and when there is room again. Mostly the state directory was lost with each
deployment, or many machines order the same names. `portvakt rehearse` tries the whole way at the staging CA, which
does not count.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn given_every_reason_when_numbered_then_in_order_and_told_of() {
        let numbers: Vec<_> = Reason::ALL.iter().map(|reason| reason.number()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        for reason in Reason::ALL {
            let page = Reason::help(reason.number()).unwrap();
            assert!(page.starts_with(&format!("{}: {}", reason.code(), reason.title())), "{page}");
            assert!(page.contains(&format!("`{}`", reason.as_str())), "{page}");
            let longest = page.lines().map(|line| line.chars().count()).max();
            assert!(longest <= Some(125), "{longest:?} {page}");
        }
        assert_eq!(Reason::help(279), None);
    }

    #[test]
    fn given_a_failure_when_told_then_what_happened_what_to_do_and_where_more_stands() {
        let fix = Some("add this CA".to_owned());
        let failure =
            LastFailure { at: Timestamp::from_unix(0), reason: Reason::Caa, detail: "CAA forbids".to_owned(), fix };
        assert_eq!(failure.told(), "CAA forbids; add this CA (portvakt help PV0283)");
        let failure = LastFailure { fix: None, ..failure };
        assert_eq!(failure.told(), "CAA forbids (portvakt help PV0283)");
    }
}
