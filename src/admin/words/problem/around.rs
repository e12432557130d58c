//! About what is around us: the configuration, the clock, servers and services.

use super::{Advice, Say};

pub(super) const RELOAD_FAILED: Advice = Advice {
    what: Say {
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
pub(super) const CLOCK_BEHIND: Advice = Advice {
    what: Say {
        en: "The clock of this machine is {span} slow, by the CA's answers: new certificates seem not valid yet",
        sv: "Den här maskinens klocka går {span} efter, enligt utfärdarens svar: nya certifikat verkar inte giltiga ännu",
        nb: "Klokken på denne maskinen går {span} etter, ifølge utstederens svar: nye sertifikater virker ikke gyldige ennå",
        de: "Die Uhr dieser Maschine geht nach den Antworten der Zertifizierungsstelle {span} nach: neue Zertifikate scheinen noch nicht gültig",
    },
    fix: Say {
        en: "Set the clock and let NTP keep it right: `timedatectl set-ntp true`, on Windows `w32tm /resync`",
        sv: "Ställ klockan och låt NTP hålla den rätt: `timedatectl set-ntp true`, på Windows `w32tm /resync`",
        nb: "Still klokken og la NTP holde den riktig: `timedatectl set-ntp true`, på Windows `w32tm /resync`",
        de: "Die Uhr stellen und NTP sie richtig halten lassen: `timedatectl set-ntp true`, unter Windows `w32tm /resync`",
    },
};
pub(super) const CLOCK_AHEAD: Advice = Advice {
    what: Say {
        en: "The clock of this machine is {span} fast, by the CA's answers: certificates seem to end before they do",
        sv: "Den här maskinens klocka går {span} före, enligt utfärdarens svar: certifikat verkar gå ut för tidigt",
        nb: "Klokken på denne maskinen går {span} for fort, ifølge utstederens svar: sertifikater virker å utløpe for tidlig",
        de: "Die Uhr dieser Maschine geht nach den Antworten der Zertifizierungsstelle {span} vor: Zertifikate scheinen zu früh abzulaufen",
    },
    fix: CLOCK_BEHIND.fix,
};
pub(super) const UPSTREAM_DOWN: Advice = Advice {
    what: Say {
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
pub(super) const UPSTREAM_TLS: Advice = Advice {
    what: Say {
        en: "No TLS with the server behind comes about: users get an error page",
        sv: "TLS med servern bakom misslyckas: användare får en felsida",
        nb: "TLS med serveren bak mislykkes: brukere får en feilside",
        de: "Mit dem Server dahinter kommt kein TLS zustande: Benutzer bekommen eine Fehlerseite",
    },
    fix: UPSTREAM_DOWN.fix,
};
pub(super) const PEERS_DOWN: Advice = Advice {
    what: Say {
        en: "{count} of {all} servers behind cannot be reached; the others carry the traffic",
        sv: "{count} av {all} servrar bakom kan inte nås; de andra bär trafiken",
        nb: "{count} av {all} servere bak kan ikke nås; de andre bærer trafikken",
        de: "Von den {all} Servern dahinter nicht erreichbar: {count}; die anderen tragen den Verkehr",
    },
    fix: UPSTREAM_DOWN.fix,
};
pub(super) const UPSTREAM_ENDS: Advice = Advice {
    what: Say {
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
pub(super) const UPSTREAM_ENDED: Advice = Advice {
    what: Say {
        en: "The certificate of the server behind has expired",
        sv: "Certifikatet hos servern bakom har gått ut",
        nb: "Sertifikatet til serveren bak er utløpt",
        de: "Das Zertifikat des Servers dahinter ist abgelaufen",
    },
    fix: UPSTREAM_ENDS.fix,
};
pub(super) const ANSWERS: Advice = Advice {
    what: Say {
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
pub(super) const EGRESS_UNREACHABLE: Advice = Advice {
    what: Say {
        en: "The service cannot be reached: calls to it fail",
        sv: "Tjänsten kan inte nås: anrop dit misslyckas",
        nb: "Tjenesten kan ikke nås: kall dit mislykkes",
        de: "Der Dienst ist nicht erreichbar: Aufrufe schlagen fehl",
    },
    fix: Say {
        en: "Let this machine reach `{address}`: DNS, firewall, route; then `portvakt egress check {name}`",
        sv: "Låt den här maskinen nå `{address}`: DNS, brandvägg, väg; sedan `portvakt egress check {name}`",
        nb: "La denne maskinen nå `{address}`: DNS, brannmur, rute; deretter `portvakt egress check {name}`",
        de: "Dieser Maschine den Weg zu `{address}` öffnen: DNS, Firewall, Route; dann `portvakt egress check {name}`",
    },
};
pub(super) const EGRESS_NOT_BELIEVED: Advice = Advice {
    what: Say {
        en: "Who answers in the place of the service is not believed: nothing is sent there",
        sv: "Den som svarar i tjänstens ställe är inte betrodd: inget skickas dit",
        nb: "Den som svarer i tjenestens sted, er ikke betrodd: ingenting sendes dit",
        de: "Wer an der Stelle des Dienstes antwortet, ist nicht vertrauenswürdig: nichts wird dorthin geschickt",
    },
    fix: Say {
        en: "`portvakt egress check {name}` shows who answers",
        sv: "`portvakt egress check {name}` visar vem som svarar",
        nb: "`portvakt egress check {name}` viser hvem som svarer",
        de: "`portvakt egress check {name}` zeigt, wer antwortet",
    },
};
pub(super) const NOT_TOLD: Advice = Advice {
    what: Say {
        en: "Messages to this notifier are not taken: nobody learns by it what goes wrong",
        sv: "Meddelanden till den här mottagaren tas inte emot: ingen får veta den vägen vad som går fel",
        nb: "Meldinger til denne mottakeren blir ikke tatt imot: ingen får vite den veien hva som går galt",
        de: "Nachrichten an diesen Empfänger werden nicht angenommen: niemand erfährt auf diesem Weg, was schiefgeht",
    },
    fix: Say {
        en: "{fix}. Then try it with `portvakt notify test {name}`",
        sv: "{fix}. Pröva sedan med `portvakt notify test {name}`",
        nb: "{fix}. Prøv deretter med `portvakt notify test {name}`",
        de: "{fix}. Dann mit `portvakt notify test {name}` probieren",
    },
};
