//! About who we are to others.

use super::{Advice, Say};

pub(super) const NO_IDENTITY: Advice = Advice {
    what: Say {
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
pub(super) const IDENTITY_REFUSED: Advice = Advice {
    what: Say {
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
pub(super) const IDENTITY_REFUSED_BANK: Advice = Advice {
    what: Say {
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
pub(super) const IDENTITY_EXPIRED: Advice = Advice {
    what: Say {
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
pub(super) const IDENTITY_EXPIRED_BANK: Advice = Advice {
    what: Say {
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
pub(super) const IDENTITY_ENDS: Advice = Advice {
    what: Say {
        en: "The client identity ends in {days}, and no other takes over",
        sv: "Klientidentiteten går ut om {days}, och ingen annan tar över",
        nb: "Klientidentiteten utløper om {days}, og ingen annen tar over",
        de: "Die Client-Identität läuft in {days} ab, und keine andere übernimmt",
    },
    fix: IDENTITY_EXPIRED.fix,
};
pub(super) const IDENTITY_ENDS_BANK: Advice = Advice {
    what: Say {
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
pub(super) const IDENTITY_FILES: Advice = Advice {
    what: Say {
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
pub(super) const NEXT_REFUSED: Advice = Advice {
    what: Say {
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
