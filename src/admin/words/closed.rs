//! Words of closed sets: states, roles, steps, limits, events.

use super::{Lang, Say};
use crate::admin::status::{Detail, EventKind};
use crate::lifecycle::State;
use crate::lifecycle::budget::Limit;
use crate::lifecycle::outlook::Todo;
use crate::metrics::CertificateRole;
use crate::time::Timestamp;

/// How a certificate is served.
pub(in crate::admin) const fn state(state: State, lang: Lang) -> &'static str {
    let say = match state {
        State::Issued | State::Static => Say { en: "valid", sv: "giltigt", nb: "gyldig", de: "gültig" },
        State::Placeholder => Say {
            en: "self-signed placeholder",
            sv: "tillfälligt, självsignerat",
            nb: "midlertidig, selvsignert",
            de: "Ersatz, selbst signiert",
        },
        State::Expired => Say { en: "expired", sv: "har gått ut", nb: "utløpt", de: "abgelaufen" },
        State::Missing => Say { en: "missing", sv: "saknas", nb: "mangler", de: "fehlt" },
    };
    say.to(lang)
}

/// What a certificate is used for.
pub(in crate::admin) const fn role(role: CertificateRole, lang: Lang) -> &'static str {
    let say = match role {
        CertificateRole::Listener => Say {
            en: "shown to clients",
            sv: "visas för klienter",
            nb: "vises for klienter",
            de: "wird Clients gezeigt",
        },
        CertificateRole::EgressClient => {
            Say {
                en: "shown to servers", sv: "visas för servrar", nb: "vises for servere", de: "wird Servern gezeigt"
            }
        }
        CertificateRole::UpstreamPeer => Say {
            en: "of a server behind",
            sv: "hos en server bakom",
            nb: "hos en server bak",
            de: "eines Servers dahinter",
        },
        CertificateRole::ClientCa => Say {
            en: "root of users' certificates",
            sv: "rot för användares certifikat",
            nb: "rot for brukeres sertifikater",
            de: "Stamm der Benutzerzertifikate",
        },
        CertificateRole::InternalCa => {
            Say { en: "our own root", sv: "vår egen rot", nb: "vår egen rot", de: "unser eigener Stamm" }
        }
        CertificateRole::TrustAnchor => {
            Say { en: "a root that is believed", sv: "en betrodd rot", nb: "en betrodd rot", de: "vertrauter Stamm" }
        }
    };
    say.to(lang)
}

/// Whether somebody has to replace a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) enum ByHand {
    No,
    InTime,
    /// It has ended.
    Now,
}

/// What happens next to a certificate, as a sentence before its time.
pub(in crate::admin) fn next(action: &str, by_hand: ByHand, lang: Lang) -> &'static str {
    let say = match action {
        "issue" => Say { en: "is ordered", sv: "beställs", nb: "bestilles", de: "wird bestellt" },
        "renew" => Say {
            en: "renews by itself",
            sv: "förnyas av sig självt",
            nb: "fornyes av seg selv",
            de: "erneuert sich selbst",
        },
        _ if by_hand == ByHand::Now => Say {
            en: "replace by hand now",
            sv: "byt ut för hand nu",
            nb: "bytt ut for hånd nå",
            de: "jetzt von Hand ersetzen",
        },
        _ if by_hand == ByHand::InTime => Say {
            en: "replace by hand before it ends",
            sv: "byt ut för hand innan det går ut",
            nb: "bytt ut for hånd før det utløper",
            de: "vor dem Ablauf von Hand ersetzen",
        },
        _ => {
            Say {
                en: "nothing is planned", sv: "inget är planerat", nb: "ingenting er planlagt", de: "nichts geplant"
            }
        }
    };
    say.to(lang)
}

/// Why a certificate's next step comes when it does; `None` for a reason of another version.
pub(in crate::admin) fn because(reason: &str, lang: Lang) -> Option<&'static str> {
    let say = match reason {
        "nothing_served" => Say {
            en: "there is no certificate yet",
            sv: "det finns inget certifikat ännu",
            nb: "det finnes ikke noe sertifikat ennå",
            de: "noch keines da ist",
        },
        "settings_changed" => Say {
            en: "the settings ask for another certificate than the one served",
            sv: "inställningarna begär ett annat certifikat än det som visas",
            nb: "innstillingene ber om et annet sertifikat enn det som vises",
            de: "die Einstellungen ein anderes verlangen als das gezeigte",
        },
        "expired" => {
            Say { en: "it has expired", sv: "det har gått ut", nb: "det er utløpt", de: "es abgelaufen ist" }
        }
        "requested" => Say {
            en: "somebody asked for it",
            sv: "någon har begärt det",
            nb: "noen har bedt om det",
            de: "es jemand verlangt hat",
        },
        "emergency" => Say {
            en: "it ends very soon",
            sv: "det går ut mycket snart",
            nb: "det utløper svært snart",
            de: "es sehr bald abläuft",
        },
        "renewal_due" => {
            Say { en: "its time has come", sv: "det är dags", nb: "tiden er inne", de: "es an der Zeit ist" }
        }
        "renewal_planned" => Say {
            en: "that is when the plan, or the CA, says so",
            sv: "planen, eller utfärdaren, säger så",
            nb: "planen, eller utstederen, sier det",
            de: "der Plan oder die Zertifizierungsstelle es so will",
        },
        "backoff" => Say {
            en: "the last try failed, and the next one waits a while",
            sv: "det senaste försöket misslyckades, och nästa väntar ett tag",
            nb: "det siste forsøket mislyktes, og det neste venter litt",
            de: "der letzte Versuch gescheitert ist und der nächste etwas wartet",
        },
        "retry_after" => Say {
            en: "the CA asks to wait until then",
            sv: "utfärdaren ber om väntan till dess",
            nb: "utstederen ber om venting til da",
            de: "die Zertifizierungsstelle bis dahin zu warten bittet",
        },
        "budget" => Say {
            en: "the CA would refuse before, by its limits",
            sv: "utfärdaren skulle neka dessförinnan, enligt sina gränser",
            nb: "utstederen ville avvist før det, etter sine grenser",
            de: "die Zertifizierungsstelle vorher nach ihren Grenzen ablehnen würde",
        },
        "renewal_loop" => Say {
            en: "each new certificate is due again at once: is the clock right?",
            sv: "varje nytt certifikat ska förnyas direkt igen: går klockan rätt?",
            nb: "hvert nytt sertifikat skal fornyes med en gang igjen: går klokken riktig?",
            de: "jedes neue sofort wieder fällig ist: geht die Uhr richtig?",
        },
        "went_back" => Say {
            en: "somebody has gone back to this certificate",
            sv: "någon har gått tillbaka till det här certifikatet",
            nb: "noen har gått tilbake til dette sertifikatet",
            de: "jemand zu diesem zurückgekehrt ist",
        },
        "refused" => Say {
            en: "it was refused for good: only other settings help",
            sv: "det nekades för gott: bara andra inställningar hjälper",
            nb: "det ble avvist for godt: bare andre innstillinger hjelper",
            de: "es endgültig abgelehnt wurde: nur andere Einstellungen helfen",
        },
        "too_many_failures" => Say {
            en: "too many tries failed within an hour",
            sv: "för många försök misslyckades inom en timme",
            nb: "for mange forsøk mislyktes innen en time",
            de: "zu viele Versuche binnen einer Stunde gescheitert sind",
        },
        "attempt" => Say {
            en: "a try is running now",
            sv: "ett försök pågår nu",
            nb: "et forsøk pågår nå",
            de: "gerade ein Versuch läuft",
        },
        "asking_the_ca" => Say {
            en: "the CA is being asked when",
            sv: "utfärdaren tillfrågas om när",
            nb: "utstederen blir spurt om når",
            de: "die Zertifizierungsstelle gerade nach der Zeit gefragt wird",
        },
        "files" | "by_hand" => Say {
            en: "no protocol renews it; its files are read again when they change",
            sv: "inget protokoll förnyar det; filerna läses om när de ändras",
            nb: "ingen protokoll fornyer det; filene leses på nytt når de endres",
            de: "kein Protokoll es erneuert; die Dateien werden bei Änderung neu gelesen",
        },
        _ => return None,
    };
    Some(say.to(lang))
}

/// What comes next for a client identity.
pub(in crate::admin) const fn todo(todo: Todo, is_bankid: bool, lang: Lang) -> &'static str {
    let say = match (todo, is_bankid) {
        (Todo::PutIn, _) => Say {
            en: "put certificate and key into the files",
            sv: "lägg certifikat och nyckel i filerna",
            nb: "legg sertifikat og nøkkel i filene",
            de: "Zertifikat und Schlüssel in die Dateien legen",
        },
        (Todo::TakeOver, _) => Say {
            en: "`next` takes over by itself",
            sv: "`next` tar över av sig själv",
            nb: "`next` tar over av seg selv",
            de: "`next` übernimmt von selbst",
        },
        (Todo::Replace | Todo::OrderNow, true) => Say {
            en: "order a new one at your bank now",
            sv: "beställ ett nytt hos banken nu",
            nb: "bestill et nytt i banken nå",
            de: "jetzt ein neues bei der Bank bestellen",
        },
        (Todo::Replace | Todo::OrderNow, false) => Say {
            en: "order a new one now",
            sv: "beställ ett nytt nu",
            nb: "bestill et nytt nå",
            de: "jetzt ein neues bestellen",
        },
        (Todo::OrderBy, true) => Say {
            en: "order a new one at your bank by",
            sv: "beställ ett nytt hos banken senast",
            nb: "bestill et nytt i banken senest",
            de: "ein neues bei der Bank bestellen bis",
        },
        (Todo::OrderBy, false) => Say {
            en: "order a new one by",
            sv: "beställ ett nytt senast",
            nb: "bestill et nytt senest",
            de: "ein neues bestellen bis",
        },
    };
    say.to(lang)
}

/// What a limit counts.
pub(in crate::admin) const fn limit(limit: Limit, lang: Lang) -> &'static str {
    let say = match limit {
        Limit::Registrations => Say {
            en: "new accounts from this address",
            sv: "nya konton från den här adressen",
            nb: "nye kontoer fra denne adressen",
            de: "neue Konten von dieser Adresse",
        },
        Limit::Orders => Say {
            en: "new orders of this account",
            sv: "nya beställningar från kontot",
            nb: "nye bestillinger fra kontoen",
            de: "neue Bestellungen dieses Kontos",
        },
        Limit::Domain => Say {
            en: "certificates under the domain",
            sv: "certifikat under domänen",
            nb: "sertifikater under domenet",
            de: "Zertifikate unter der Domain",
        },
        Limit::SameSet => Say {
            en: "certificates for exactly these names",
            sv: "certifikat för exakt dessa namn",
            nb: "sertifikater for akkurat disse navnene",
            de: "Zertifikate für genau diese Namen",
        },
        Limit::FailedAuthorizations => Say {
            en: "failed validations",
            sv: "misslyckade valideringar",
            nb: "mislykkede valideringer",
            de: "gescheiterte Prüfungen",
        },
        Limit::FailedInARow => Say {
            en: "failed validations in a row",
            sv: "misslyckade valideringar i rad",
            nb: "mislykkede valideringer på rad",
            de: "gescheiterte Prüfungen hintereinander",
        },
    };
    say.to(lang)
}

/// What happened.
pub(in crate::admin) const fn event(kind: EventKind, lang: Lang) -> &'static str {
    let say = match kind {
        EventKind::Started => Say { en: "started", sv: "startade", nb: "startet", de: "gestartet" },
        EventKind::Issued => {
            Say {
                en: "first certificate", sv: "första certifikatet", nb: "første sertifikat", de: "erstes Zertifikat"
            }
        }
        EventKind::Renewed => Say { en: "renewed", sv: "förnyat", nb: "fornyet", de: "erneuert" },
        EventKind::Loaded => Say { en: "read", sv: "inläst", nb: "lest inn", de: "eingelesen" },
        EventKind::Failed => Say {
            en: "no new certificate",
            sv: "inget nytt certifikat",
            nb: "intet nytt sertifikat",
            de: "kein neues Zertifikat",
        },
        EventKind::RolledBack => {
            Say { en: "rolled back", sv: "återställt", nb: "rullet tilbake", de: "zurückgenommen" }
        }
        EventKind::Placeholder => Say {
            en: "placeholder served",
            sv: "tillfälligt certifikat visas",
            nb: "midlertidig sertifikat vises",
            de: "Ersatzzertifikat gezeigt",
        },
        EventKind::Trouble => Say { en: "trouble", sv: "problem", nb: "problem", de: "Störung" },
        EventKind::Reloaded => Say {
            en: "configuration loaded",
            sv: "konfiguration inläst",
            nb: "konfigurasjon lest inn",
            de: "Konfiguration geladen",
        },
        EventKind::ReloadFailed => Say {
            en: "configuration refused",
            sv: "konfiguration avvisad",
            nb: "konfigurasjon avvist",
            de: "Konfiguration abgelehnt",
        },
        EventKind::UpstreamLost => Say {
            en: "server lost",
            sv: "servern svarar inte",
            nb: "serveren svarer ikke",
            de: "Server antwortet nicht",
        },
        EventKind::UpstreamBack => {
            Say {
                en: "server is back", sv: "servern är tillbaka", nb: "serveren er tilbake", de: "Server ist zurück"
            }
        }
        EventKind::IdentityInUse => Say {
            en: "client identity in use",
            sv: "klientidentitet i bruk",
            nb: "klientidentitet i bruk",
            de: "Client-Identität in Gebrauch",
        },
        EventKind::IdentityLost => Say {
            en: "no client identity",
            sv: "ingen klientidentitet",
            nb: "ingen klientidentitet",
            de: "keine Client-Identität",
        },
    };
    say.to(lang)
}

/// More of what happened, with times as `time` writes them. [`Detail::Words`] are as they are.
pub(in crate::admin) fn detail(detail: &Detail, lang: Lang, time: impl Fn(Timestamp) -> String) -> String {
    match detail {
        Detail::Words(words) => words.clone(),
        Detail::Issued { by, until } => ISSUED.fill(lang, &[("by", by.clone()), ("until", time(*until))]),
        Detail::Until(until) => UNTIL.fill(lang, &[("until", time(*until))]),
        Detail::Shown { name, until } => SHOWN.fill(lang, &[("name", name.clone()), ("until", time(*until))]),
    }
}

const ISSUED: Say = Say {
    en: "by {by}, until {until}",
    sv: "av {by}, till {until}",
    nb: "av {by}, til {until}",
    de: "von {by}, bis {until}",
};
const UNTIL: Say = Say { en: "until {until}", sv: "till {until}", nb: "til {until}", de: "bis {until}" };
const SHOWN: Say = Say {
    en: "CN={name}, until {until}",
    sv: "CN={name}, till {until}",
    nb: "CN={name}, til {until}",
    de: "CN={name}, bis {until}",
};
