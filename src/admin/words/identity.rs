//! Why a client identity is in use, and why one is refused.

use super::Say;
use crate::lifecycle::rotation::Why;

/// Why it is the one in use, behind "because".
pub(in crate::admin) const fn chosen(why: Why) -> Say {
    match why {
        Why::Alone => {
            Say { en: "it is the only one", sv: "den är den enda", nb: "den er den eneste", de: "es die einzige ist" }
        }
        Why::NextLater => Say {
            en: "the date of `next` has not come",
            sv: "datumet för `next` inte har kommit",
            nb: "datoen for `next` ikke er kommet",
            de: "der Tag von `next` noch nicht gekommen ist",
        },
        Why::NextUntried => Say {
            en: "`next` has not been accepted by the server yet",
            sv: "servern ännu inte har godtagit `next`",
            nb: "serveren ennå ikke har godtatt `next`",
            de: "der Server `next` noch nicht akzeptiert hat",
        },
        Why::NextRefused => Say {
            en: "the server refuses `next`",
            sv: "servern vägrar `next`",
            nb: "serveren avviser `next`",
            de: "der Server `next` ablehnt",
        },
        Why::NextExpired => Say {
            en: "`next` has expired",
            sv: "`next` har gått ut",
            nb: "`next` er utløpt",
            de: "`next` abgelaufen ist",
        },
        Why::NextDue => Say {
            en: "its date has come, and the server accepts it",
            sv: "dess datum har kommit och servern godtar den",
            nb: "datoen er kommet og serveren godtar den",
            de: "ihr Tag gekommen ist und der Server sie akzeptiert",
        },
        Why::FirstMissing => Say {
            en: "`identity` cannot be used",
            sv: "`identity` inte går att använda",
            nb: "`identity` ikke kan brukes",
            de: "`identity` nicht verwendbar ist",
        },
        Why::FirstRefused => Say {
            en: "the server refuses `identity`",
            sv: "servern vägrar `identity`",
            nb: "serveren avviser `identity`",
            de: "der Server `identity` ablehnt",
        },
        Why::FirstOutOfDate => Say {
            en: "`identity` is not valid now",
            sv: "`identity` inte är giltig nu",
            nb: "`identity` ikke er gyldig nå",
            de: "`identity` jetzt nicht gültig ist",
        },
        Why::NewUntried => Say {
            en: "the server has not accepted the new one in the files yet",
            sv: "servern ännu inte har godtagit den nya i filerna",
            nb: "serveren ennå ikke har godtatt den nye i filene",
            de: "der Server die neue in den Dateien noch nicht akzeptiert hat",
        },
        Why::NewUnfit => Say {
            en: "the new one in the files is refused or not valid now",
            sv: "den nya i filerna vägras eller inte är giltig nu",
            nb: "den nye i filene avvises eller ikke er gyldig nå",
            de: "die neue in den Dateien abgelehnt wird oder jetzt nicht gültig ist",
        },
        Why::NothingAccepted => Say {
            en: "the server refuses every identity",
            sv: "servern vägrar varje identitet",
            nb: "serveren avviser hver identitet",
            de: "der Server jede Identität ablehnt",
        },
        Why::NothingValid => Say {
            en: "it has expired, and there is none that is valid",
            sv: "den har gått ut och ingen annan är giltig",
            nb: "den er utløpt og ingen annen er gyldig",
            de: "sie abgelaufen ist und keine andere gültig ist",
        },
        Why::NothingValidYet => Say {
            en: "it is not valid yet, and there is none that is",
            sv: "den inte är giltig ännu och ingen annan är det",
            nb: "den ikke er gyldig ennå og ingen annen er det",
            de: "sie noch nicht gültig ist und keine andere es ist",
        },
    }
}

/// Why the server refuses one, by the label of the metrics; `None` for one of another version.
pub(in crate::admin) fn refused(reason: &str) -> Option<Say> {
    Some(match reason {
        "required" => Say {
            en: "it asks for a client certificate and gets none",
            sv: "den begär ett klientcertifikat och får inget",
            nb: "den ber om et klientsertifikat og får ikke noe",
            de: "er verlangt ein Client-Zertifikat und bekommt keines",
        },
        "expired" => Say {
            en: "it says that the certificate has expired",
            sv: "den säger att certifikatet har gått ut",
            nb: "den sier at sertifikatet er utløpt",
            de: "er sagt, das Zertifikat sei abgelaufen",
        },
        "revoked" => Say {
            en: "it says that the certificate has been revoked",
            sv: "den säger att certifikatet är återkallat",
            nb: "den sier at sertifikatet er tilbakekalt",
            de: "er sagt, das Zertifikat sei widerrufen",
        },
        "unknown_ca" => Say {
            en: "it does not know who has issued the certificate; a test identity is refused in production, and the reverse",
            sv: "den känner inte till vem som har utfärdat certifikatet; en testidentitet vägras i produktion, och omvänt",
            nb: "den kjenner ikke den som har utstedt sertifikatet; en testidentitet avvises i produksjon, og omvendt",
            de: "er kennt den Aussteller des Zertifikats nicht; eine Testidentität wird in der Produktion abgelehnt, und umgekehrt",
        },
        "bad" => Say {
            en: "it finds the certificate unfit; a test identity is refused in production, and the reverse",
            sv: "den godtar inte certifikatet; en testidentitet vägras i produktion, och omvänt",
            nb: "den godtar ikke sertifikatet; en testidentitet avvises i produksjon, og omvendt",
            de: "er hält das Zertifikat für ungeeignet; eine Testidentität wird in der Produktion abgelehnt, und umgekehrt",
        },
        "other" => Say {
            en: "it knows the certificate and does not let it in",
            sv: "den känner till certifikatet men släpper inte in det",
            nb: "den kjenner sertifikatet, men slipper det ikke inn",
            de: "er kennt das Zertifikat und lässt es nicht zu",
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::rotation::Refusal;

    #[test]
    fn given_every_refusal_when_told_then_in_all_languages() {
        Refusal::ALL.iter().for_each(|why| refused(why.as_str()).unwrap_or_else(|| panic!("{why:?}")).assert_whole());
        assert!(refused("of another version").is_none());
    }
}
