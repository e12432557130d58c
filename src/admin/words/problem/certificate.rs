//! About certificates: our own, and those that others are judged by.

use super::{Advice, Say};

pub(super) const EXPIRED: Advice = Advice {
    what: Say {
        en: "The certificate has expired: phones and browsers refuse it",
        sv: "Certifikatet har gått ut: telefoner och webbläsare vägrar det",
        nb: "Sertifikatet er utløpt: telefoner og nettlesere avviser det",
        de: "Das Zertifikat ist abgelaufen: Telefone und Browser lehnen es ab",
    },
    fix: Say {
        en: "Ask for a new one now and read what comes of it: `portvakt cert renew {name}`",
        sv: "Begär ett nytt nu och läs vad som händer: `portvakt cert renew {name}`",
        nb: "Be om et nytt nå og les hva som skjer: `portvakt cert renew {name}`",
        de: "Jetzt ein neues anfordern und lesen, was geschieht: `portvakt cert renew {name}`",
    },
};
pub(super) const EXPIRED_BY_HAND: Advice = Advice {
    what: EXPIRED.what,
    fix: Say {
        en: "Put a new certificate and its key into the files; portvakt takes them over by itself",
        sv: "Lägg ett nytt certifikat och dess nyckel i filerna; portvakt tar över dem av sig själv",
        nb: "Legg et nytt sertifikat og nøkkelen i filene; portvakt tar dem over av seg selv",
        de: "Ein neues Zertifikat und seinen Schlüssel in die Dateien legen; portvakt übernimmt sie von selbst",
    },
};
pub(super) const MISSING: Advice = Advice {
    what: Say {
        en: "There is no certificate: connections fail",
        sv: "Det finns inget certifikat: anslutningar misslyckas",
        nb: "Det finnes ikke noe sertifikat: tilkoblinger mislykkes",
        de: "Es gibt kein Zertifikat: Verbindungen schlagen fehl",
    },
    fix: Say {
        en: "The log says why: look for the name `{name}`",
        sv: "Loggen säger varför: sök efter namnet `{name}`",
        nb: "Loggen sier hvorfor: søk etter navnet `{name}`",
        de: "Das Protokoll sagt, warum: nach dem Namen `{name}` suchen",
    },
};
pub(super) const PLACEHOLDER: Advice = Advice {
    what: Say {
        en: "Clients get a self-signed placeholder and refuse it",
        sv: "Klienter får ett självsignerat tillfälligt certifikat och vägrar det",
        nb: "Klienter får et midlertidig selvsignert sertifikat og avviser det",
        de: "Clients bekommen ein selbst signiertes Ersatzzertifikat und lehnen es ab",
    },
    fix: EXPIRED.fix,
};
pub(super) const ON_ITS_WAY: Advice = Advice {
    what: Say {
        en: "The first certificate is on its way; until it comes, clients get a self-signed one",
        sv: "Det första certifikatet är på väg; tills det kommer får klienter ett självsignerat",
        nb: "Det første sertifikatet er på vei; inntil det kommer, får klienter et selvsignert",
        de: "Das erste Zertifikat ist unterwegs; bis es kommt, bekommen Clients ein selbst signiertes",
    },
    fix: Say {
        en: "Nothing to do: it takes a minute or two",
        sv: "Inget att göra: det tar någon minut",
        nb: "Ingenting å gjøre: det tar et minutt eller to",
        de: "Nichts zu tun: es dauert ein bis zwei Minuten",
    },
};
pub(super) const NOT_SERVED: Advice = Advice {
    what: Say {
        en: "Clients get another certificate than the one that is meant ({count} of the places looked at)",
        sv: "Klienter får ett annat certifikat än det avsedda ({count} av de undersökta ställena)",
        nb: "Klienter får et annet sertifikat enn det som er ment ({count} av stedene som ble undersøkt)",
        de: "Clients bekommen ein anderes Zertifikat als gemeint ({count} der geprüften Stellen)",
    },
    fix: Say {
        en: "See whether another program listens on the same address: `portvakt doctor`",
        sv: "Se efter om ett annat program lyssnar på samma adress: `portvakt doctor`",
        nb: "Se etter om et annet program lytter på samme adresse: `portvakt doctor`",
        de: "Nachsehen, ob ein anderes Programm auf derselben Adresse lauscht: `portvakt doctor`",
    },
};
pub(super) const FAILED_ONCE: Advice = Advice {
    what: Say {
        en: "The last renewal failed",
        sv: "Den senaste förnyelsen misslyckades",
        nb: "Den siste fornyelsen mislyktes",
        de: "Die letzte Erneuerung ist gescheitert",
    },
    fix: EXPIRED.fix,
};
pub(super) const FAILING: Advice = Advice {
    what: Say {
        en: "Renewal has failed {count} times in a row",
        sv: "Förnyelsen har misslyckats {count} gånger i rad",
        nb: "Fornyelsen har mislyktes {count} ganger på rad",
        de: "Die Erneuerung ist {count} Mal hintereinander gescheitert",
    },
    fix: EXPIRED.fix,
};
pub(super) const FAILING_LATE: Advice = Advice {
    what: Say {
        en: "The certificate ends very soon, and renewal fails",
        sv: "Certifikatet går ut mycket snart, och förnyelsen misslyckas",
        nb: "Sertifikatet utløper svært snart, og fornyelsen mislykkes",
        de: "Das Zertifikat läuft sehr bald ab, und die Erneuerung scheitert",
    },
    fix: EXPIRED.fix,
};
pub(super) const OVERDUE: Advice = Advice {
    what: Say {
        en: "Renewal is overdue, and nothing was tried",
        sv: "Förnyelsen är försenad, och inget har försökts",
        nb: "Fornyelsen er forsinket, og ingenting er forsøkt",
        de: "Die Erneuerung ist überfällig, und nichts wurde versucht",
    },
    fix: EXPIRED.fix,
};
pub(super) const ENDS: Advice = Advice {
    what: Say {
        en: "The certificate ends in {days}, and nothing renews it",
        sv: "Certifikatet går ut om {days}, och inget förnyar det",
        nb: "Sertifikatet utløper om {days}, og ingenting fornyer det",
        de: "Das Zertifikat läuft in {days} ab, und nichts erneuert es",
    },
    fix: EXPIRED_BY_HAND.fix,
};
pub(super) const CHAIN_ENDS: Advice = Advice {
    what: Say {
        en: "A certificate above it in the chain ends in {days}",
        sv: "Ett certifikat ovanför det i kedjan går ut om {days}",
        nb: "Et sertifikat over det i kjeden utløper om {days}",
        de: "Ein Zertifikat darüber in der Kette läuft in {days} ab",
    },
    fix: Say {
        en: "Get the CA's new chain: `portvakt cert renew {name}`, or new files where you keep them yourself",
        sv: "Hämta utfärdarens nya kedja: `portvakt cert renew {name}`, eller nya filer där du sköter dem själv",
        nb: "Hent utstederens nye kjede: `portvakt cert renew {name}`, eller nye filer der du steller dem selv",
        de: "Die neue Kette holen: `portvakt cert renew {name}`, oder neue Dateien, wo sie von Hand gepflegt werden",
    },
};
pub(super) const NOT_STORED: Advice = Advice {
    what: Say {
        en: "The new certificate is served, but the disk does not take it",
        sv: "Det nya certifikatet visas, men disken tar inte emot det",
        nb: "Det nye sertifikatet vises, men disken tar ikke imot det",
        de: "Das neue Zertifikat wird gezeigt, aber die Platte nimmt es nicht an",
    },
    fix: Say {
        en: "Make room on the disk and let portvakt's user write in the state directory; the rest happens by itself",
        sv: "Skapa plats på disken och låt portvakts användare skriva i tillståndskatalogen; resten sker av sig självt",
        nb: "Lag plass på disken og la portvakts bruker skrive i tilstandskatalogen; resten skjer av seg selv",
        de: "Platz schaffen und portvakts Benutzer im Zustandsverzeichnis schreiben lassen; der Rest geschieht von selbst",
    },
};
pub(super) const ANCHOR_ENDS: Advice = Advice {
    what: Say {
        en: "A root that is believed ends in {days}",
        sv: "En betrodd rot går ut om {days}",
        nb: "En betrodd rot utløper om {days}",
        de: "Ein Stammzertifikat, dem vertraut wird, läuft in {days} ab",
    },
    fix: Say {
        en: "Put its successor beside it into the file, before it ends",
        sv: "Lägg dess efterträdare bredvid den i filen innan den går ut",
        nb: "Legg etterfølgeren ved siden av den i filen før den utløper",
        de: "Vor dem Ablauf den Nachfolger daneben in die Datei legen",
    },
};
pub(super) const ANCHOR_ENDED: Advice = Advice {
    what: Say {
        en: "A root that is believed has expired: whatever leads to it is refused",
        sv: "En betrodd rot har gått ut: allt som leder till den vägras",
        nb: "En betrodd rot er utløpt: alt som leder til den, avvises",
        de: "Ein Stammzertifikat, dem vertraut wird, ist abgelaufen: was darauf führt, wird abgelehnt",
    },
    fix: Say {
        en: "Put its successor into the file",
        sv: "Lägg dess efterträdare i filen",
        nb: "Legg etterfølgeren i filen",
        de: "Den Nachfolger in die Datei legen",
    },
};
pub(super) const CLIENT_CA_ENDS: Advice = Advice {
    what: Say {
        en: "The root that lets users in by their certificates ends in {days}",
        sv: "Roten som släpper in användare med certifikat går ut om {days}",
        nb: "Roten som slipper inn brukere med sertifikat, utløper om {days}",
        de: "Das Stammzertifikat, das Benutzer mit Zertifikat einlässt, läuft in {days} ab",
    },
    fix: Say {
        en: "Add the root that follows it to `trust_anchors`, and let users have certificates from there",
        sv: "Lägg till efterföljande rot i `trust_anchors`, och låt användarna få certifikat därifrån",
        nb: "Legg til den etterfølgende roten i `trust_anchors`, og la brukerne få sertifikater derfra",
        de: "Das nachfolgende Stammzertifikat in `trust_anchors` ergänzen und Benutzern Zertifikate von dort geben",
    },
};
pub(super) const CLIENT_CA_ENDED: Advice = Advice {
    what: Say {
        en: "The root that lets users in by their certificates has expired: nobody is let in by it",
        sv: "Roten som släpper in användare med certifikat har gått ut: ingen släpps in med den",
        nb: "Roten som slipper inn brukere med sertifikat, er utløpt: ingen slipper inn med den",
        de: "Das Stammzertifikat, das Benutzer mit Zertifikat einlässt, ist abgelaufen: niemand kommt damit mehr hinein",
    },
    fix: CLIENT_CA_ENDS.fix,
};
pub(super) const CRL_OLD: Advice = Advice {
    what: Say {
        en: "The list of revoked clients is old: nobody with a certificate of its CA is let in",
        sv: "Listan över återkallade klienter är för gammal: ingen med certifikat från dess utfärdare släpps in",
        nb: "Listen over tilbakekalte klienter er for gammel: ingen med sertifikat fra utstederen av den slipper inn",
        de: "Die Liste widerrufener Clients ist veraltet: niemand mit einem Zertifikat ihres Ausstellers wird eingelassen",
    },
    fix: Say {
        en: "Fetch the CA's new list and put it in the place of the old one; portvakt takes it over by itself",
        sv: "Hämta utfärdarens nya lista och lägg den i stället för den gamla; portvakt tar över den av sig själv",
        nb: "Hent utstederens nye liste og legg den i stedet for den gamle; portvakt tar den over av seg selv",
        de: "Die neue Liste der Zertifizierungsstelle an die Stelle der alten legen; portvakt übernimmt sie von selbst",
    },
};
pub(super) const CRL_OLD_COUNTS: Advice = Advice {
    what: Say {
        en: "The list of revoked clients is old and counts on: whoever was revoked since is let in",
        sv: "Listan över återkallade klienter är för gammal men gäller ändå: den som återkallats sedan dess släpps in",
        nb: "Listen over tilbakekalte klienter er for gammel, men gjelder likevel: den som er tilbakekalt siden, slipper inn",
        de: "Die Liste widerrufener Clients ist veraltet und gilt weiter: wer seither widerrufen wurde, kommt hinein",
    },
    fix: CRL_OLD.fix,
};
pub(super) const CRL_ENDS: Advice = Advice {
    what: Say {
        en: "The list of revoked clients runs out in {days}",
        sv: "Listan över återkallade klienter går ut om {days}",
        nb: "Listen over tilbakekalte klienter utløper om {days}",
        de: "Die Liste widerrufener Clients läuft in {days} ab",
    },
    fix: CRL_OLD.fix,
};
