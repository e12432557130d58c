//! Of notifiers.

use super::Say;

pub(in crate::admin) const NOTIFIERS: Say =
    Say { en: "Who is told", sv: "Vem som meddelas", nb: "Hvem som får beskjed", de: "Wer benachrichtigt wird" };

pub(in crate::admin) const NOTIFIER: Say = Say { en: "Notifier", sv: "Mottagare", nb: "Mottaker", de: "Empfänger" };

pub(in crate::admin) const LAST_DELIVERY: Say = Say {
    en: "Last message taken",
    sv: "Senast mottaget meddelande",
    nb: "Siste melding mottatt",
    de: "Zuletzt angenommen",
};

pub(in crate::admin) const STILL_TO_BE_TOLD: Say = Say { en: "Waiting", sv: "Väntar", nb: "Venter", de: "Ausstehend" };

pub(in crate::admin) const NO_ERROR: Say = Say { en: "none", sv: "inget", nb: "ingen", de: "keiner" };

pub(in crate::admin) const TRIED_AGAIN: Say =
    Say { en: "tried again", sv: "nytt försök", nb: "nytt forsøk", de: "neuer Versuch" };
