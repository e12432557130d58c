//! What is wrong, and what to do, in plain words.

use super::{Advice, Lang, Say, advice, days};
use crate::admin::problem::{Matter, Problem};
use crate::lifecycle::Reason;
use crate::metrics::CertificateRole;

/// A problem in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::admin) struct Told {
    /// What is wrong.
    pub(in crate::admin) title: String,
    /// Why, where that is known.
    pub(in crate::admin) why: Option<&'static str>,
    /// What to do.
    pub(in crate::admin) fix: String,
}

/// Tells a problem.
pub(in crate::admin) fn tell(problem: &Problem, lang: Lang) -> Told {
    let facts = facts(problem, lang);
    let Words { title, fix } = words(&problem.matter);
    let advice = reason(&problem.matter).map(advice);
    let fix = advice.map_or(fix, |Advice { fix, .. }| fix);
    Told {
        title: title.fill(lang, &facts),
        why: advice.map(|advice| advice.what.to(lang)),
        fix: fix.fill(lang, &facts),
    }
}

struct Words {
    title: Say,
    fix: Say,
}

const fn reason(matter: &Matter) -> Option<Reason> {
    match matter {
        Matter::Expired { reason, .. } | Matter::Placeholder { reason } => *reason,
        Matter::Failing { reason, .. } => Some(*reason),
        _ => None,
    }
}

fn facts(problem: &Problem, lang: Lang) -> Vec<(&'static str, String)> {
    let mut facts = vec![("name", problem.about.clone())];
    match problem.matter {
        Matter::NotServed { count } => facts.push(("count", count.to_string())),
        Matter::Failing { times, .. } => facts.push(("count", times.to_string())),
        Matter::Ends { days: left, .. }
        | Matter::ChainEnds { days: left }
        | Matter::IdentityEnds { days: left, .. } => {
            facts.push(("days", days(left, lang)));
        }
        Matter::UpstreamEnds { days: left } => facts.push(("days", days(left.unsigned_abs(), lang))),
        Matter::PeersDown { down, all } => facts.extend([("count", down.to_string()), ("all", all.to_string())]),
        _ => {}
    }
    facts
}

/// With places for facts.
const fn words(matter: &Matter) -> &'static Words {
    match matter {
        Matter::ReloadFailed => &RELOAD_FAILED,
        Matter::Expired { is_manual: true, .. } => &EXPIRED_BY_HAND,
        Matter::Expired { is_manual: false, .. } => &EXPIRED,
        Matter::Missing => &MISSING,
        Matter::Placeholder { reason: None } => &ON_ITS_WAY,
        Matter::Placeholder { reason: Some(_) } => &PLACEHOLDER,
        Matter::NotServed { .. } => &NOT_SERVED,
        Matter::Failing { is_emergency: true, .. } => &FAILING_LATE,
        Matter::Failing { times: 1, .. } => &FAILED_ONCE,
        Matter::Failing { .. } => &FAILING,
        Matter::Overdue => &OVERDUE,
        Matter::Ends { role: CertificateRole::Listener, .. } => &ENDS,
        Matter::Ends { .. } => &ANCHOR_ENDS,
        Matter::ChainEnds { .. } => &CHAIN_ENDS,
        Matter::NotStored => &NOT_STORED,
        Matter::NoIdentity => &NO_IDENTITY,
        Matter::IdentityRefused { is_bankid: true } => &IDENTITY_REFUSED_BANK,
        Matter::IdentityRefused { is_bankid: false } => &IDENTITY_REFUSED,
        Matter::IdentityExpired { is_bankid: true } => &IDENTITY_EXPIRED_BANK,
        Matter::IdentityExpired { is_bankid: false } => &IDENTITY_EXPIRED,
        Matter::IdentityEnds { is_bankid: true, .. } => &IDENTITY_ENDS_BANK,
        Matter::IdentityEnds { is_bankid: false, .. } => &IDENTITY_ENDS,
        Matter::IdentityFiles => &IDENTITY_FILES,
        Matter::NextRefused => &NEXT_REFUSED,
        Matter::UpstreamDown => &UPSTREAM_DOWN,
        Matter::PeersDown { .. } => &PEERS_DOWN,
        Matter::UpstreamEnds { days: ..0 } => &UPSTREAM_ENDED,
        Matter::UpstreamEnds { .. } => &UPSTREAM_ENDS,
        Matter::Answers => &ANSWERS,
    }
}

const RELOAD_FAILED: Words = Words {
    title: Say {
        en: "The new configuration is refused; the one before it serves on",
        sv: "Den nya konfigurationen godtas inte; den förra gäller fortfarande",
        nb: "Den nye konfigurasjonen godtas ikke; den forrige gjelder fortsatt",
        de: "Die neue Konfiguration wird nicht angenommen; die vorige gilt weiter",
    },
    fix: Say {
        en: "Mend the file, then `portvakt reload`",
        sv: "Rätta filen, kör sedan `portvakt reload`",
        nb: "Rett filen, kjør deretter `portvakt reload`",
        de: "Die Datei berichtigen, dann `portvakt reload`",
    },
};
const EXPIRED: Words = Words {
    title: Say {
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
const EXPIRED_BY_HAND: Words = Words {
    title: EXPIRED.title,
    fix: Say {
        en: "Put a new certificate and its key into the files; portvakt takes them over by itself",
        sv: "Lägg ett nytt certifikat och dess nyckel i filerna; portvakt tar över dem av sig själv",
        nb: "Legg et nytt sertifikat og nøkkelen i filene; portvakt tar dem over av seg selv",
        de: "Ein neues Zertifikat und seinen Schlüssel in die Dateien legen; portvakt übernimmt sie von selbst",
    },
};
const MISSING: Words = Words {
    title: Say {
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
const PLACEHOLDER: Words = Words {
    title: Say {
        en: "Clients get a self-signed placeholder and refuse it",
        sv: "Klienter får ett självsignerat tillfälligt certifikat och vägrar det",
        nb: "Klienter får et midlertidig selvsignert sertifikat og avviser det",
        de: "Clients bekommen ein selbst signiertes Ersatzzertifikat und lehnen es ab",
    },
    fix: EXPIRED.fix,
};
const ON_ITS_WAY: Words = Words {
    title: Say {
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
const NOT_SERVED: Words = Words {
    title: Say {
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
const FAILED_ONCE: Words = Words {
    title: Say {
        en: "The last renewal failed",
        sv: "Den senaste förnyelsen misslyckades",
        nb: "Den siste fornyelsen mislyktes",
        de: "Die letzte Erneuerung ist gescheitert",
    },
    fix: EXPIRED.fix,
};
const FAILING: Words = Words {
    title: Say {
        en: "Renewal has failed {count} times in a row",
        sv: "Förnyelsen har misslyckats {count} gånger i rad",
        nb: "Fornyelsen har mislyktes {count} ganger på rad",
        de: "Die Erneuerung ist {count} Mal hintereinander gescheitert",
    },
    fix: EXPIRED.fix,
};
const FAILING_LATE: Words = Words {
    title: Say {
        en: "The certificate ends very soon, and renewal fails",
        sv: "Certifikatet går ut mycket snart, och förnyelsen misslyckas",
        nb: "Sertifikatet utløper svært snart, og fornyelsen mislykkes",
        de: "Das Zertifikat läuft sehr bald ab, und die Erneuerung scheitert",
    },
    fix: EXPIRED.fix,
};
const OVERDUE: Words = Words {
    title: Say {
        en: "Renewal is overdue, and nothing was tried",
        sv: "Förnyelsen är försenad, och inget har försökts",
        nb: "Fornyelsen er forsinket, og ingenting er forsøkt",
        de: "Die Erneuerung ist überfällig, und nichts wurde versucht",
    },
    fix: EXPIRED.fix,
};
const ENDS: Words = Words {
    title: Say {
        en: "The certificate ends in {days}, and nothing renews it",
        sv: "Certifikatet går ut om {days}, och inget förnyar det",
        nb: "Sertifikatet utløper om {days}, og ingenting fornyer det",
        de: "Das Zertifikat läuft in {days} ab, und nichts erneuert es",
    },
    fix: EXPIRED_BY_HAND.fix,
};
const ANCHOR_ENDS: Words = Words {
    title: Say {
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
const CHAIN_ENDS: Words = Words {
    title: Say {
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
const NOT_STORED: Words = Words {
    title: Say {
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
const NO_IDENTITY: Words = Words {
    title: Say {
        en: "There is no client identity to show: the server refuses every call",
        sv: "Det finns ingen klientidentitet att visa: servern vägrar varje anrop",
        nb: "Det finnes ingen klientidentitet å vise: serveren avviser hvert kall",
        de: "Es gibt keine Client-Identität zum Vorzeigen: der Server lehnt jeden Aufruf ab",
    },
    fix: Say {
        en: "Put the certificate and its key into the files of `identity`; portvakt takes them over by itself",
        sv: "Lägg certifikatet och dess nyckel i filerna för `identity`; portvakt tar över dem av sig själv",
        nb: "Legg sertifikatet og nøkkelen i filene til `identity`; portvakt tar dem over av seg selv",
        de: "Zertifikat und Schlüssel in die Dateien von `identity` legen; portvakt übernimmt sie von selbst",
    },
};
const IDENTITY_REFUSED: Words = Words {
    title: Say {
        en: "The server refuses our client identity",
        sv: "Servern vägrar vår klientidentitet",
        nb: "Serveren avviser klientidentiteten vår",
        de: "Der Server lehnt unsere Client-Identität ab",
    },
    fix: Say {
        en: "Ask whoever runs the server why; then `portvakt egress check {name}`",
        sv: "Fråga den som driver servern varför; sedan `portvakt egress check {name}`",
        nb: "Spør den som drifter serveren hvorfor; deretter `portvakt egress check {name}`",
        de: "Den Betreiber des Servers nach dem Grund fragen; dann `portvakt egress check {name}`",
    },
};
const IDENTITY_REFUSED_BANK: Words = Words {
    title: Say {
        en: "BankID refuses our RP certificate: nobody can sign or log in",
        sv: "BankID vägrar vårt RP-certifikat: ingen kan logga in eller skriva under",
        nb: "BankID avviser RP-sertifikatet vårt: ingen kan logge inn eller signere",
        de: "BankID lehnt unser RP-Zertifikat ab: niemand kann sich anmelden oder unterschreiben",
    },
    fix: Say {
        en: "Order a new RP certificate at your bank; `portvakt egress check {name}` tells what BankID says",
        sv: "Beställ ett nytt RP-certifikat hos banken; `portvakt egress check {name}` visar vad BankID säger",
        nb: "Bestill et nytt RP-sertifikat i banken; `portvakt egress check {name}` viser hva BankID sier",
        de: "Ein neues RP-Zertifikat bei der Bank bestellen; `portvakt egress check {name}` zeigt, was BankID sagt",
    },
};
const IDENTITY_EXPIRED: Words = Words {
    title: Say {
        en: "The client identity in use has expired",
        sv: "Klientidentiteten som används har gått ut",
        nb: "Klientidentiteten som brukes, er utløpt",
        de: "Die verwendete Client-Identität ist abgelaufen",
    },
    fix: Say {
        en: "Order a new one and put it into the files of `next`",
        sv: "Beställ en ny och lägg den i filerna för `next`",
        nb: "Bestill en ny og legg den i filene til `next`",
        de: "Eine neue bestellen und in die Dateien von `next` legen",
    },
};
const IDENTITY_EXPIRED_BANK: Words = Words {
    title: Say {
        en: "The RP certificate in use has expired: nobody can sign or log in with BankID",
        sv: "RP-certifikatet som används har gått ut: ingen kan använda BankID här",
        nb: "RP-sertifikatet som brukes, er utløpt: ingen kan bruke BankID her",
        de: "Das verwendete RP-Zertifikat ist abgelaufen: niemand kann sich mit BankID anmelden",
    },
    fix: Say {
        en: "Order a new RP certificate at your bank now, and put it into the files of `next`",
        sv: "Beställ ett nytt RP-certifikat hos banken nu, och lägg det i filerna för `next`",
        nb: "Bestill et nytt RP-sertifikat i banken nå, og legg det i filene til `next`",
        de: "Jetzt ein neues RP-Zertifikat bei der Bank bestellen und in die Dateien von `next` legen",
    },
};
const IDENTITY_ENDS: Words = Words {
    title: Say {
        en: "The client identity ends in {days}, and no other takes over",
        sv: "Klientidentiteten går ut om {days}, och ingen annan tar över",
        nb: "Klientidentiteten utløper om {days}, og ingen annen tar over",
        de: "Die Client-Identität läuft in {days} ab, und keine andere übernimmt",
    },
    fix: IDENTITY_EXPIRED.fix,
};
const IDENTITY_ENDS_BANK: Words = Words {
    title: Say {
        en: "The RP certificate for BankID ends in {days}, and no other takes over",
        sv: "RP-certifikatet för BankID går ut om {days}, och inget annat tar över",
        nb: "RP-sertifikatet for BankID utløper om {days}, og ingen annet tar over",
        de: "Das RP-Zertifikat für BankID läuft in {days} ab, und kein anderes übernimmt",
    },
    fix: Say {
        en: "Order a new RP certificate at your bank, which takes days, and put it into the files of `next`",
        sv: "Beställ ett nytt RP-certifikat hos banken, det tar dagar, och lägg det i filerna för `next`",
        nb: "Bestill et nytt RP-sertifikat i banken, det tar dager, og legg det i filene til `next`",
        de: "Ein neues RP-Zertifikat bei der Bank bestellen, was Tage dauert, und in die Dateien von `next` legen",
    },
};
const IDENTITY_FILES: Words = Words {
    title: Say {
        en: "Files of a client identity cannot be used",
        sv: "Filer för en klientidentitet går inte att använda",
        nb: "Filer til en klientidentitet kan ikke brukes",
        de: "Dateien einer Client-Identität sind nicht verwendbar",
    },
    fix: Say {
        en: "Mend the files; portvakt reads them again by itself",
        sv: "Rätta filerna; portvakt läser dem igen av sig själv",
        nb: "Rett filene; portvakt leser dem igjen av seg selv",
        de: "Die Dateien berichtigen; portvakt liest sie von selbst wieder",
    },
};
const NEXT_REFUSED: Words = Words {
    title: Say {
        en: "The client identity that is to take over is refused",
        sv: "Klientidentiteten som ska ta över vägras",
        nb: "Klientidentiteten som skal ta over, blir avvist",
        de: "Die Client-Identität, die übernehmen soll, wird abgelehnt",
    },
    fix: Say {
        en: "See that it is for this server, and in date: `portvakt egress check {name}`",
        sv: "Se till att den gäller för den här servern och i tiden: `portvakt egress check {name}`",
        nb: "Sjekk at den gjelder for denne serveren og i tid: `portvakt egress check {name}`",
        de: "Prüfen, ob sie für diesen Server und zeitlich gültig ist: `portvakt egress check {name}`",
    },
};
const UPSTREAM_DOWN: Words = Words {
    title: Say {
        en: "The server behind cannot be reached: users get an error page",
        sv: "Servern bakom kan inte nås: användare får en felsida",
        nb: "Serveren bak kan ikke nås: brukere får en feilside",
        de: "Der Server dahinter ist nicht erreichbar: Benutzer bekommen eine Fehlerseite",
    },
    fix: Say {
        en: "Start the server, or mend the way to it",
        sv: "Starta servern, eller laga vägen dit",
        nb: "Start serveren, eller reparer veien dit",
        de: "Den Server starten oder den Weg dorthin in Ordnung bringen",
    },
};
const PEERS_DOWN: Words = Words {
    title: Say {
        en: "{count} of {all} servers behind cannot be reached; the others carry the traffic",
        sv: "{count} av {all} servrar bakom kan inte nås; de andra bär trafiken",
        nb: "{count} av {all} servere bak kan ikke nås; de andre bærer trafikken",
        de: "{count} von {all} Servern dahinter sind nicht erreichbar; die anderen tragen den Verkehr",
    },
    fix: UPSTREAM_DOWN.fix,
};
const UPSTREAM_ENDS: Words = Words {
    title: Say {
        en: "The certificate of the server behind ends in {days}",
        sv: "Certifikatet hos servern bakom går ut om {days}",
        nb: "Sertifikatet til serveren bak utløper om {days}",
        de: "Das Zertifikat des Servers dahinter läuft in {days} ab",
    },
    fix: Say {
        en: "Renew it on that server, or pin it with `fingerprint`, which looks at no dates",
        sv: "Förnya det på den servern, eller fäst det med `fingerprint`, som inte ser på datum",
        nb: "Forny det på den serveren, eller fest det med `fingerprint`, som ikke ser på datoer",
        de: "Es auf jenem Server erneuern oder mit `fingerprint` festlegen, was nicht auf Daten sieht",
    },
};
const UPSTREAM_ENDED: Words = Words {
    title: Say {
        en: "The certificate of the server behind has expired",
        sv: "Certifikatet hos servern bakom har gått ut",
        nb: "Sertifikatet til serveren bak er utløpt",
        de: "Das Zertifikat des Servers dahinter ist abgelaufen",
    },
    fix: UPSTREAM_ENDS.fix,
};
const ANSWERS: Words = Words {
    title: Say {
        en: "Answers of the server behind give a mistake in its set-up away",
        sv: "Svar från servern bakom avslöjar ett fel i hur den är uppsatt",
        nb: "Svar fra serveren bak avslører en feil i oppsettet",
        de: "Antworten des Servers dahinter verraten einen Fehler in seiner Einrichtung",
    },
    fix: Say {
        en: "Do what stands below",
        sv: "Gör det som står nedan",
        nb: "Gjør det som står nedenfor",
        de: "Tun, was unten steht",
    },
};
