//! Why a CA gave no certificate, in plain words, and what somebody can do.

use super::Say;
use crate::lifecycle::Reason;

/// What is said of a reason.
#[derive(Clone, Copy, Debug)]
pub(in crate::admin) struct Advice {
    /// What happened.
    pub(in crate::admin) what: Say,
    /// What to do.
    pub(in crate::admin) fix: Say,
}

/// What is said of `reason`.
pub(in crate::admin) const fn advice(reason: Reason) -> &'static Advice {
    match reason {
        Reason::Dns => &DNS,
        Reason::Connection => &CONNECTION,
        Reason::Unauthorized => &UNAUTHORIZED,
        Reason::Caa => &CAA,
        Reason::Dnssec => &DNSSEC,
        Reason::RateLimited => &RATE_LIMITED,
        Reason::RejectedIdentifier => &REJECTED_IDENTIFIER,
        Reason::BadCsr => &BAD_CSR,
        Reason::Server => &SERVER,
        Reason::Unusable => &UNUSABLE,
        Reason::Network => &NETWORK,
        Reason::Timeout => &TIMEOUT,
        Reason::OrderNotReady => &ORDER_NOT_READY,
        Reason::Account => &ACCOUNT,
        Reason::Storage => &STORAGE,
        Reason::Clock => &CLOCK,
        Reason::NotServed => &NOT_SERVED,
        Reason::Budget => &BUDGET,
    }
}

const DNS: Advice = Advice {
    what: Say {
        en: "The CA finds no address for the name in DNS",
        sv: "Utfärdaren hittar ingen adress för namnet i DNS",
        nb: "Utstederen finner ingen adresse for navnet i DNS",
        de: "Die Zertifizierungsstelle findet im DNS keine Adresse für den Namen",
    },
    fix: Say {
        en: "Let an A or AAAA record of the name lead to this machine",
        sv: "Låt en A- eller AAAA-post för namnet peka på den här maskinen",
        nb: "La en A- eller AAAA-post for navnet peke på denne maskinen",
        de: "Einen A- oder AAAA-Eintrag des Namens auf diese Maschine zeigen lassen",
    },
};
const CONNECTION: Advice = Advice {
    what: Say {
        en: "The CA cannot connect to this machine",
        sv: "Utfärdaren når inte den här maskinen",
        nb: "Utstederen når ikke denne maskinen",
        de: "Die Zertifizierungsstelle erreicht diese Maschine nicht",
    },
    fix: Say {
        en: "Open port 80 from the internet to this machine, in every firewall and router on the way",
        sv: "Öppna port 80 från internet till den här maskinen, i varje brandvägg och router på vägen",
        nb: "Åpne port 80 fra internett til denne maskinen, i hver brannmur og ruter på veien",
        de: "Port 80 aus dem Internet zu dieser Maschine öffnen, in jeder Firewall und jedem Router auf dem Weg",
    },
};
const UNAUTHORIZED: Advice = Advice {
    what: Say {
        en: "The CA was answered by something else than portvakt",
        sv: "Någon annan än portvakt svarade utfärdaren",
        nb: "Noe annet enn portvakt svarte utstederen",
        de: "Der Zertifizierungsstelle hat etwas anderes als portvakt geantwortet",
    },
    fix: Say {
        en: "See that the name's A and AAAA records lead here and nowhere else, and that nothing in front answers on port 80",
        sv: "Se till att namnets A- och AAAA-poster leder hit och ingen annanstans, och att inget framför svarar på port 80",
        nb: "Sørg for at navnets A- og AAAA-poster leder hit og ingen andre steder, og at ingenting foran svarer på port 80",
        de: "Dafür sorgen, dass die A- und AAAA-Einträge des Namens hierher und nirgends sonst führen und davor nichts auf Port 80 antwortet",
    },
};
const CAA: Advice = Advice {
    what: Say {
        en: "A CAA record in DNS forbids this CA",
        sv: "En CAA-post i DNS förbjuder den här utfärdaren",
        nb: "En CAA-post i DNS forbyr denne utstederen",
        de: "Ein CAA-Eintrag im DNS verbietet diese Zertifizierungsstelle",
    },
    fix: Say {
        en: "Add the CA to the domain's CAA record",
        sv: "Lägg till utfärdaren i domänens CAA-post",
        nb: "Legg til utstederen i domenets CAA-post",
        de: "Die Zertifizierungsstelle in den CAA-Eintrag der Domain aufnehmen",
    },
};
const DNSSEC: Advice = Advice {
    what: Say {
        en: "The domain's DNSSEC signatures are broken",
        sv: "Domänens DNSSEC-signaturer är trasiga",
        nb: "Domenets DNSSEC-signaturer er ødelagt",
        de: "Die DNSSEC-Signaturen der Domain sind fehlerhaft",
    },
    fix: Say {
        en: "Ask whoever runs the domain's DNS to mend its signatures",
        sv: "Be den som sköter domänens DNS att laga signaturerna",
        nb: "Be den som drifter domenets DNS, om å rette signaturene",
        de: "Den Betreiber des DNS der Domain bitten, die Signaturen in Ordnung zu bringen",
    },
};
const RATE_LIMITED: Advice = Advice {
    what: Say {
        en: "The CA has had too many requests",
        sv: "Utfärdaren har fått för många förfrågningar",
        nb: "Utstederen har fått for mange forespørsler",
        de: "Die Zertifizierungsstelle hat zu viele Anfragen erhalten",
    },
    fix: Say {
        en: "Wait: portvakt tries again when the CA allows it. More tries make it longer",
        sv: "Vänta: portvakt försöker igen när utfärdaren tillåter det. Fler försök förlänger väntan",
        nb: "Vent: portvakt prøver igjen når utstederen tillater det. Flere forsøk forlenger ventetiden",
        de: "Warten: portvakt versucht es wieder, sobald die Zertifizierungsstelle es zulässt. Mehr Versuche verlängern es",
    },
};
const REJECTED_IDENTIFIER: Advice = Advice {
    what: Say {
        en: "The CA does not issue certificates for this name",
        sv: "Utfärdaren ger inte ut certifikat för det här namnet",
        nb: "Utstederen gir ikke ut sertifikater for dette navnet",
        de: "Die Zertifizierungsstelle stellt für diesen Namen keine Zertifikate aus",
    },
    fix: Say {
        en: "Use a public name, or `certificate = \"internal\"` where only your own machines call",
        sv: "Använd ett publikt namn, eller `certificate = \"internal\"` där bara egna maskiner anropar",
        nb: "Bruk et offentlig navn, eller `certificate = \"internal\"` der bare egne maskiner ringer inn",
        de: "Einen öffentlichen Namen verwenden oder `certificate = \"internal\"`, wo nur eigene Maschinen anfragen",
    },
};
const BAD_CSR: Advice = Advice {
    what: Say {
        en: "The CA does not accept what is asked for",
        sv: "Utfärdaren godtar inte det som efterfrågas",
        nb: "Utstederen godtar ikke det som det spørres om",
        de: "Die Zertifizierungsstelle akzeptiert nicht, was verlangt wird",
    },
    fix: Say {
        en: "Compare `key_type`, `profile` and the names in `[acme]` with what the CA offers",
        sv: "Jämför `key_type`, `profile` och namnen i `[acme]` med vad utfärdaren erbjuder",
        nb: "Sammenlign `key_type`, `profile` og navnene i `[acme]` med det utstederen tilbyr",
        de: "`key_type`, `profile` und die Namen in `[acme]` mit dem Angebot der Zertifizierungsstelle vergleichen",
    },
};
const SERVER: Advice = Advice {
    what: Say {
        en: "The CA has trouble of its own",
        sv: "Utfärdaren har egna problem",
        nb: "Utstederen har egne problemer",
        de: "Die Zertifizierungsstelle hat selbst Schwierigkeiten",
    },
    fix: Say {
        en: "Wait: portvakt tries again by itself. A second CA in `[[acme.next]]` would be asked in need",
        sv: "Vänta: portvakt försöker igen av sig själv. En andra utfärdare i `[[acme.next]]` tillfrågas vid behov",
        nb: "Vent: portvakt prøver igjen av seg selv. En annen utsteder i `[[acme.next]]` blir spurt ved behov",
        de: "Warten: portvakt versucht es von selbst wieder. Eine zweite in `[[acme.next]]` würde im Notfall gefragt",
    },
};
const UNUSABLE: Advice = Advice {
    what: Say {
        en: "The CA has issued a certificate that cannot be used",
        sv: "Utfärdaren har gett ut ett certifikat som inte går att använda",
        nb: "Utstederen har gitt ut et sertifikat som ikke kan brukes",
        de: "Die Zertifizierungsstelle hat ein Zertifikat ausgestellt, das nicht verwendbar ist",
    },
    fix: Say {
        en: "Tell the CA's operator what stands below; portvakt tries again by itself",
        sv: "Berätta för utfärdaren vad som står nedan; portvakt försöker igen av sig själv",
        nb: "Fortell utstederen hva som står nedenfor; portvakt prøver igjen av seg selv",
        de: "Dem Betreiber der Zertifizierungsstelle mitteilen, was unten steht; portvakt versucht es von selbst wieder",
    },
};
const NETWORK: Advice = Advice {
    what: Say {
        en: "The CA cannot be reached from here",
        sv: "Utfärdaren kan inte nås härifrån",
        nb: "Utstederen kan ikke nås herfra",
        de: "Die Zertifizierungsstelle ist von hier aus nicht erreichbar",
    },
    fix: Say {
        en: "Let this machine reach the CA: outgoing port 443 and DNS",
        sv: "Låt den här maskinen nå utfärdaren: utgående port 443 och DNS",
        nb: "La denne maskinen nå utstederen: utgående port 443 og DNS",
        de: "Dieser Maschine den Weg zur Zertifizierungsstelle öffnen: ausgehend Port 443 und DNS",
    },
};
const TIMEOUT: Advice = Advice {
    what: Say {
        en: "The CA did not finish in time",
        sv: "Utfärdaren blev inte klar i tid",
        nb: "Utstederen ble ikke ferdig i tide",
        de: "Die Zertifizierungsstelle ist nicht rechtzeitig fertig geworden",
    },
    fix: Say {
        en: "Wait: portvakt tries again by itself",
        sv: "Vänta: portvakt försöker igen av sig själv",
        nb: "Vent: portvakt prøver igjen av seg selv",
        de: "Warten: portvakt versucht es von selbst wieder",
    },
};
const ORDER_NOT_READY: Advice = Advice {
    what: Say {
        en: "The order could not be finished",
        sv: "Beställningen kunde inte slutföras",
        nb: "Bestillingen kunne ikke fullføres",
        de: "Die Bestellung konnte nicht abgeschlossen werden",
    },
    fix: TIMEOUT.fix,
};
const ACCOUNT: Advice = Advice {
    what: Say {
        en: "The CA refuses our account",
        sv: "Utfärdaren vägrar vårt konto",
        nb: "Utstederen avviser kontoen vår",
        de: "Die Zertifizierungsstelle lehnt unser Konto ab",
    },
    fix: Say {
        en: "See `portvakt acme account show`, and `agree_tos`, `contact` and `eab` in `[acme]`",
        sv: "Se `portvakt acme account show`, samt `agree_tos`, `contact` och `eab` i `[acme]`",
        nb: "Se `portvakt acme account show`, og `agree_tos`, `contact` og `eab` i `[acme]`",
        de: "`portvakt acme account show` ansehen, ebenso `agree_tos`, `contact` und `eab` in `[acme]`",
    },
};
const STORAGE: Advice = Advice {
    what: Say {
        en: "Files cannot be read or written",
        sv: "Filer kan inte läsas eller skrivas",
        nb: "Filer kan ikke leses eller skrives",
        de: "Dateien können nicht gelesen oder geschrieben werden",
    },
    fix: Say {
        en: "See that the disk has room, and that portvakt's user may read and write there",
        sv: "Se till att disken har plats, och att portvakts användare får läsa och skriva där",
        nb: "Sørg for at disken har plass, og at portvakts bruker kan lese og skrive der",
        de: "Dafür sorgen, dass Platz auf der Platte ist und portvakts Benutzer dort lesen und schreiben darf",
    },
};
const CLOCK: Advice = Advice {
    what: Say {
        en: "This machine's clock and the CA's disagree",
        sv: "Den här maskinens klocka och utfärdarens går olika",
        nb: "Denne maskinens klokke og utstederens går ulikt",
        de: "Die Uhr dieser Maschine und die der Zertifizierungsstelle gehen verschieden",
    },
    fix: Say {
        en: "Set the clock of this machine: let NTP run",
        sv: "Ställ maskinens klocka: låt NTP vara igång",
        nb: "Still maskinens klokke: la NTP kjøre",
        de: "Die Uhr dieser Maschine stellen: NTP laufen lassen",
    },
};
const NOT_SERVED: Advice = Advice {
    what: Say {
        en: "Clients did not get the new certificate, so the one before is served again",
        sv: "Klienter fick inte det nya certifikatet, så det förra visas igen",
        nb: "Klienter fikk ikke det nye sertifikatet, så det forrige vises igjen",
        de: "Clients bekamen das neue Zertifikat nicht; darum wird wieder das vorige gezeigt",
    },
    fix: Say {
        en: "See whether another program listens on the same address: `portvakt doctor`",
        sv: "Se efter om ett annat program lyssnar på samma adress: `portvakt doctor`",
        nb: "Se etter om et annet program lytter på samme adresse: `portvakt doctor`",
        de: "Nachsehen, ob ein anderes Programm auf derselben Adresse lauscht: `portvakt doctor`",
    },
};
const BUDGET: Advice = Advice {
    what: Say {
        en: "By its limits the CA would refuse an order now, so none was sent",
        sv: "Enligt sina gränser skulle utfärdaren neka en beställning nu, så ingen skickades",
        nb: "Etter sine grenser ville utstederen avvist en bestilling nå, så ingen ble sendt",
        de: "Nach ihren Grenzen würde die Zertifizierungsstelle jetzt ablehnen; darum wurde nichts bestellt",
    },
    fix: Say {
        en: "Wait: `portvakt acme budget` tells when there is more",
        sv: "Vänta: `portvakt acme budget` säger när det finns mer",
        nb: "Vent: `portvakt acme budget` sier når det er mer",
        de: "Warten: `portvakt acme budget` sagt, wann es weitergeht",
    },
};
