//! All words of messages, in all languages. A missing one does not compile.

use super::event::Kind;
use super::facts::Role;
pub(super) use crate::language::Say;

/// In a line what has happened to `{subject}`.
pub(super) fn title(kind: Kind, end: End, needs: usize) -> Say {
    match kind {
        Kind::Renewed => RENEWED,
        Kind::Failing => FAILING,
        Kind::Expiring => match end {
            End::Days => ENDING,
            End::Soon => ENDING_SOON,
            End::Over => ENDED,
        },
        Kind::PinChanged => PIN_CHANGED,
        Kind::UpstreamChanged => UPSTREAM_CHANGED,
        Kind::RolledBack => ROLLED_BACK,
        Kind::ReloadRefused => RELOAD_REFUSED,
        Kind::Heartbeat if needs == 0 => ALIVE,
        Kind::Heartbeat => ALIVE_BUT,
        Kind::Test => TEST,
    }
}

/// How far an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Two days or more.
    Days,
    /// Less than two days.
    Soon,
    /// It has passed.
    Over,
}

/// What it is, in the middle of a sentence.
pub(super) const fn what(role: Role) -> Say {
    match role {
        Role::Listener => Say::new("certificate", "certifikat", "sertifikat", "Zertifikat"),
        Role::EgressClient => {
            Say::new("client certificate", "klientcertifikat", "klientsertifikat", "Client-Zertifikat")
        }
        Role::UpstreamPeer => Say::new(
            "certificate of the server",
            "serverns certifikat",
            "serverens sertifikat",
            "Zertifikat des Servers",
        ),
        Role::ClientCa => Say::new(
            "CA of client certificates",
            "CA för klientcertifikat",
            "CA for klientsertifikater",
            "CA der Client-Zertifikate",
        ),
        Role::InternalCa => Say::new(
            "root of the internal CA",
            "den interna CA:ns rot",
            "roten til den interne CA-en",
            "Wurzel der internen CA",
        ),
        Role::TrustAnchor => {
            Say::new("trust anchor", "betrott rotcertifikat", "betrodd rotsertifikat", "Vertrauensanker")
        }
    }
}

/// What somebody should do about the end of something that nothing renews.
pub(super) const fn advice(role: Role) -> Say {
    match role {
        Role::Listener => Say::new(
            "Nothing renews it: put new files in its place, or let a CA issue it (`certificate = \"acme\"`).",
            "Ingenting förnyar det: lägg nya filer på dess plats, eller låt en CA utfärda det (`certificate = \"acme\"`).",
            "Ingenting fornyer det: legg nye filer på plassen, eller la en CA utstede det (`certificate = \"acme\"`).",
            "Nichts erneuert es: neue Dateien an seine Stelle legen oder eine CA ausstellen lassen (`certificate = \"acme\"`).",
        ),
        Role::EgressClient => Say::new(
            "Order the next one now and put it into `next`: `portvakt egress csr NAME` makes the signing request.",
            "Beställ nästa nu och ange det i `next`: `portvakt egress csr NAMN` gör certifikatbegäran.",
            "Bestill neste nå og sett det i `next`: `portvakt egress csr NAVN` lager sertifikatforespørselen.",
            "Das nächste jetzt bestellen und in `next` eintragen: `portvakt egress csr NAME` erzeugt die Zertifikatsanforderung.",
        ),
        Role::UpstreamPeer => Say::new(
            "Whoever runs that server has to renew it; after its end it is not believed any more.",
            "Den som sköter servern måste förnya det; efter slutdatum är det inte längre betrott.",
            "Den som drifter serveren må fornye det; etter sluttdato er det ikke lenger betrodd.",
            "Wer diesen Server betreibt, muss es erneuern; nach seinem Ende wird ihm nicht mehr vertraut.",
        ),
        Role::ClientCa | Role::TrustAnchor => Say::new(
            "Get its successor from whoever issues it, and name both for a while.",
            "Hämta efterföljaren från utfärdaren, och ange båda under en tid.",
            "Hent etterfølgeren fra utstederen, og oppgi begge en stund.",
            "Den Nachfolger beim Aussteller holen und eine Zeit lang beide angeben.",
        ),
        Role::InternalCa => Say::new(
            "Every client that believes it needs a new root.",
            "Varje klient som litar på den behöver en ny rot.",
            "Hver klient som stoler på den trenger en ny rot.",
            "Jeder Client, der ihr vertraut, braucht eine neue Wurzel.",
        ),
    }
}

#[rustfmt::skip]
mod all {
    use super::Say;

    pub(in super::super) const RENEWED: Say = Say::new("{subject}: new certificate, seen in a handshake", "{subject}: nytt certifikat, sett i en handskakning", "{subject}: nytt sertifikat, sett i et håndtrykk", "{subject}: neues Zertifikat, in einem Handshake gesehen");
    pub(in super::super) const FAILING: Say = Say::new("{subject}: no new certificate (failures in a row: {failures})", "{subject}: inget nytt certifikat (misslyckanden i rad: {failures})", "{subject}: intet nytt sertifikat (feil på rad: {failures})", "{subject}: kein neues Zertifikat (Fehlschläge in Folge: {failures})");
    pub(in super::super) const ENDING: Say = Say::new("{subject}: {what} ends in {days} days", "{subject}: {what} går ut om {days} dagar", "{subject}: {what} går ut om {days} dager", "{subject}: {what} läuft in {days} Tagen ab");
    pub(in super::super) const ENDING_SOON: Say = Say::new("{subject}: {what} ENDS WITHIN TWO DAYS", "{subject}: {what} GÅR UT INOM TVÅ DAGAR", "{subject}: {what} GÅR UT INNEN TO DAGER", "{subject}: {what} LÄUFT INNERHALB VON ZWEI TAGEN AB");
    pub(in super::super) const ENDED: Say = Say::new("{subject}: {what} HAS ENDED", "{subject}: {what} HAR GÅTT UT", "{subject}: {what} HAR GÅTT UT", "{subject}: {what} IST ABGELAUFEN");
    pub(in super::super) const PIN_CHANGED: Say = Say::new("{subject}: the server shows ANOTHER CERTIFICATE than the one that is believed", "{subject}: servern visar ETT ANNAT CERTIFIKAT än det betrodda", "{subject}: serveren viser ET ANNET SERTIFIKAT enn det betrodde", "{subject}: der Server zeigt EIN ANDERES ZERTIFIKAT als das, dem vertraut wird");
    pub(in super::super) const UPSTREAM_CHANGED: Say = Say::new("{subject}: the server has a new certificate", "{subject}: servern har ett nytt certifikat", "{subject}: serveren har et nytt sertifikat", "{subject}: der Server hat ein neues Zertifikat");
    pub(in super::super) const ROLLED_BACK: Say = Say::new("{subject}: the new certificate was taken back", "{subject}: det nya certifikatet togs tillbaka", "{subject}: det nye sertifikatet ble trukket tilbake", "{subject}: das neue Zertifikat wurde zurückgenommen");
    pub(in super::super) const RELOAD_REFUSED: Say = Say::new("{subject}: the configuration was not taken over", "{subject}: konfigurationen togs inte i bruk", "{subject}: konfigurasjonen ble ikke tatt i bruk", "{subject}: die Konfiguration wurde nicht übernommen");
    pub(in super::super) const ALIVE: Say = Say::new("alive, and all is well", "lever, och allt är väl", "lever, og alt er vel", "lebt, und alles ist in Ordnung");
    pub(in super::super) const ALIVE_BUT: Say = Say::new("alive, but {needs} things need somebody", "lever, men {needs} saker behöver någon", "lever, men {needs} ting trenger noen", "lebt, aber {needs} Dinge brauchen jemanden");
    pub(in super::super) const TEST: Say = Say::new("a test message; nothing has happened", "ett testmeddelande; ingenting har hänt", "en testmelding; ingenting har skjedd", "eine Testnachricht; nichts ist geschehen");

    pub(in super::super) const SEVERAL: Say = Say::new("{count} messages: {first}", "{count} meddelanden: {first}", "{count} meldinger: {first}", "{count} Meldungen: {first}");
    pub(in super::super) const ABOUT_MESSAGES: Say = Say::new("about earlier messages", "om tidigare meddelanden", "om tidligere meldinger", "über frühere Meldungen");
    pub(in super::super) const ISSUED_BY: Say = Say::new("Issued by {issuer}, valid until {until}.", "Utfärdat av {issuer}, giltigt till {until}.", "Utstedt av {issuer}, gyldig til {until}.", "Ausgestellt von {issuer}, gültig bis {until}.");
    pub(in super::super) const UNTIL: Say = Say::new("Valid until {until}.", "Giltigt till {until}.", "Gyldig til {until}.", "Gültig bis {until}.");
    pub(in super::super) const DOWN: Say = Say::new("CLIENTS ARE REFUSED NOW.", "KLIENTER AVVISAS NU.", "KLIENTER AVVISES NÅ.", "CLIENTS WERDEN JETZT ABGEWIESEN.");
    pub(in super::super) const SERVES_ON: Say = Say::new("The one before serves on.", "Den tidigare används fortfarande.", "Den forrige brukes fortsatt.", "Die vorherige gilt weiter.");
    pub(in super::super) const OLD_SERVES_ON: Say = Say::new("Handshakes did not get it; the one before is served again.", "Handskakningar fick det inte; det tidigare används igen.", "Håndtrykk fikk det ikke; det forrige brukes igjen.", "Handshakes bekamen es nicht; das vorherige wird wieder verwendet.");
    pub(in super::super) const REFUSED: Say = Say::new("Requests for it get 502. Ask whoever runs the server; if the change was meant: `portvakt upstream show`, then `portvakt upstream accept NAME`, or correct the pin.", "Anrop dit får 502. Fråga den som sköter servern; om bytet var avsiktligt: `portvakt upstream show`, sedan `portvakt upstream accept NAMN`, eller rätta pinnen.", "Kall dit får 502. Spør den som drifter serveren; om byttet var ment: `portvakt upstream show`, så `portvakt upstream accept NAVN`, eller rett pinnen.", "Anfragen dorthin bekommen 502. Den Betreiber fragen; war der Wechsel gewollt: `portvakt upstream show`, dann `portvakt upstream accept NAME`, oder den Pin berichtigen.");
    pub(in super::super) const STILL_BELIEVED: Say = Say::new("It is believed by the rules that are set.", "Det är betrott enligt inställningarna.", "Det er betrodd etter innstillingene.", "Ihm wird nach den Einstellungen vertraut.");
    pub(in super::super) const WHY: Say = Say::new("Why: {detail}", "Varför: {detail}", "Hvorfor: {detail}", "Warum: {detail}");
    pub(in super::super) const SHOWN: Say = Say::new("Shown now: {detail}", "Visas nu: {detail}", "Vises nå: {detail}", "Gezeigt wird jetzt: {detail}");
    pub(in super::super) const FIX: Say = Say::new("Fix: {fix}", "Åtgärd: {fix}", "Tiltak: {fix}", "Abhilfe: {fix}");
    pub(in super::super) const NEXT: Say = Say::new("Next attempt: {next}.", "Nästa försök: {next}.", "Neste forsøk: {next}.", "Nächster Versuch: {next}.");
    pub(in super::super) const TESTED: Say = Say::new("This is how portvakt tells you when something needs you.", "Så här meddelar portvakt när något behöver dig.", "Slik sier portvakt fra når noe trenger deg.", "So meldet sich portvakt, wenn etwas Sie braucht.");

    pub(in super::super) const STANDING: Say = Say::new("{valid} of {all} certificates are valid.", "{valid} av {all} certifikat är giltiga.", "{valid} av {all} sertifikater er gyldige.", "{valid} von {all} Zertifikaten sind gültig.");
    pub(in super::super) const FIRST_END: Say = Say::new("The first to end: {what} {name}, {until} (days left: {days}).", "Först att gå ut: {what} {name}, {until} (dagar kvar: {days}).", "Først ut: {what} {name}, {until} (dager igjen: {days}).", "Als Nächstes läuft ab: {what} {name}, {until} (Tage übrig: {days}).");

    pub(in super::super) const REPEATED: Say = Say::new("Since the last message again: {what}, {times} times.", "Sedan förra meddelandet igen: {what}, {times} gånger.", "Siden forrige melding igjen: {what}, {times} ganger.", "Seit der letzten Meldung erneut: {what}, {times}-mal.");
    pub(in super::super) const LOST: Say = Say::new("{count} further events could not be told one by one; see the log.", "{count} ytterligare händelser kunde inte meddelas var för sig; se loggen.", "{count} flere hendelser kunne ikke meldes hver for seg; se loggen.", "{count} weitere Ereignisse konnten nicht einzeln gemeldet werden; siehe Log.");
    pub(in super::super) const UNSURE: Say = Say::new("{count} earlier messages may not have arrived: portvakt ended while they were sent.", "{count} tidigare meddelanden kom kanske inte fram: portvakt avslutades medan de skickades.", "{count} tidligere meldinger kom kanskje ikke fram: portvakt ble avsluttet mens de ble sendt.", "{count} frühere Meldungen kamen vielleicht nicht an: portvakt endete, während sie gesendet wurden.");
}

pub(super) use all::*;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_any_kind_and_role_when_said_then_every_language_names_the_same_facts() {
        let mut all = vec![ISSUED_BY, UNTIL, WHY, SHOWN, FIX, NEXT, STANDING, FIRST_END];
        all.extend([REPEATED, LOST, UNSURE, SEVERAL]);
        for kind in Kind::ALL.into_iter().chain([Kind::Test]) {
            all.extend([title(kind, End::Days, 0), title(kind, End::Soon, 0), title(kind, End::Over, 1)]);
        }
        all.into_iter().for_each(Say::assert_whole);
    }
}
