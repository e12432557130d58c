//! What requests get.

use super::{Page, Say};

pub(super) const PLAIN_HTTP: Page = Page {
    title: Say {
        en: "plain HTTP is served too",
        sv: "ren HTTP svarar också",
        nb: "ren HTTP svarer også",
        de: "auch unverschlüsseltes HTTP antwortet",
    },
    what: Say {
        en: "{url} answers {status}, without a redirect to https",
        sv: "{url} svarar {status}, utan omdirigering till https",
        nb: "{url} svarer {status}, uten omdirigering til https",
        de: "{url} antwortet {status}, ohne Umleitung auf https",
    },
    why: Say {
        en: "whoever follows an old http:// link stays unencrypted, passwords included",
        sv: "den som följer en gammal http://-länk förblir okrypterad, med lösenord och allt",
        nb: "den som følger en gammel http://-lenke, forblir ukryptert, passord medregnet",
        de: "wer einem alten http://-Link folgt, bleibt unverschlüsselt, samt Passwörtern",
    },
    fix: Say {
        en: "redirect to https when nothing needs plain HTTP any more; portvakt does it path by path and can look first (`mode = \"observe\"`)",
        sv: "omdirigera till https när inget längre behöver ren HTTP; portvakt gör det sökväg för sökväg och kan först bara iaktta (`mode = \"observe\"`)",
        nb: "omdiriger til https når ingenting lenger trenger ren HTTP; portvakt gjør det sti for sti og kan først bare observere (`mode = \"observe\"`)",
        de: "auf https umleiten, wenn nichts mehr unverschlüsseltes HTTP braucht; portvakt macht das Pfad für Pfad und kann erst nur beobachten (`mode = \"observe\"`)",
    },
};

pub(super) const REDIRECT_LOOP: Page = Page {
    title: Say {
        en: "the server redirects in a circle",
        sv: "servern omdirigerar i en cirkel",
        nb: "serveren omdirigerer i sirkel",
        de: "der Server leitet im Kreis um",
    },
    what: Say {
        en: "it comes back to where it was: {urls}",
        sv: "den kommer tillbaka dit den var: {urls}",
        nb: "den kommer tilbake dit den var: {urls}",
        de: "er kommt dorthin zurück, wo er war: {urls}",
    },
    why: Say {
        en: "browsers give up with `too many redirects`, apps with an error",
        sv: "webbläsare ger upp med `för många omdirigeringar`, appar med ett fel",
        nb: "nettlesere gir opp med `for mange omdirigeringer`, apper med en feil",
        de: "Browser geben mit `zu viele Weiterleitungen` auf, Apps mit einem Fehler",
    },
    fix: Say {
        en: "usually the application demands https itself and does not see that it is behind a proxy: let it believe `X-Forwarded-Proto`, switch its own redirect off, or reach it over https (`upstream = { url = \"https://...\", fingerprint = \"...\" }`)",
        sv: "oftast kräver applikationen själv https och ser inte att den står bakom en proxy: låt den lita på `X-Forwarded-Proto`, stäng av dess egen omdirigering, eller nå den över https (`upstream = { url = \"https://...\", fingerprint = \"...\" }`)",
        nb: "som regel krever applikasjonen selv https og ser ikke at den står bak en proxy: la den stole på `X-Forwarded-Proto`, slå av dens egen omdirigering, eller nå den over https (`upstream = { url = \"https://...\", fingerprint = \"...\" }`)",
        de: "meist verlangt die Anwendung selbst https und sieht nicht, dass sie hinter einem Proxy steht: sie `X-Forwarded-Proto` glauben lassen, ihre eigene Umleitung abschalten oder sie über https erreichen (`upstream = { url = \"https://...\", fingerprint = \"...\" }`)",
    },
};

pub(super) const DOWNGRADE: Page = Page {
    title: Say {
        en: "https leads back to plain HTTP",
        sv: "https leder tillbaka till ren HTTP",
        nb: "https fører tilbake til ren HTTP",
        de: "https führt zurück zu unverschlüsseltem HTTP",
    },
    what: Say {
        en: "{from} redirects to {to}",
        sv: "{from} omdirigerar till {to}",
        nb: "{from} omdirigerer til {to}",
        de: "{from} leitet um auf {to}",
    },
    why: Say {
        en: "the next request crosses the net in clear; iOS apps refuse it, and with a redirect to https it becomes a circle",
        sv: "nästa anrop går i klartext över nätet; iOS-appar vägrar, och med en omdirigering till https blir det en cirkel",
        nb: "neste forespørsel går i klartekst over nettet; iOS-apper nekter, og med en omdirigering til https blir det en sirkel",
        de: "die nächste Anfrage geht im Klartext durchs Netz; iOS-Apps lehnen sie ab, und mit einer Umleitung auf https wird ein Kreis daraus",
    },
    fix: Say {
        en: "the application builds its links with http://: set its public address to https://, or let it believe `X-Forwarded-Proto`",
        sv: "applikationen bygger sina länkar med http://: ställ in dess publika adress på https://, eller låt den lita på `X-Forwarded-Proto`",
        nb: "applikasjonen bygger lenkene sine med http://: sett dens offentlige adresse til https://, eller la den stole på `X-Forwarded-Proto`",
        de: "die Anwendung bildet ihre Links mit http://: ihre öffentliche Adresse auf https:// stellen oder sie `X-Forwarded-Proto` glauben lassen",
    },
};

pub(super) const NO_ANSWER: Page = Page {
    title: Say {
        en: "behind the handshake the server does not answer well",
        sv: "efter handskakningen svarar servern inte som den ska",
        nb: "etter håndtrykket svarer serveren ikke som den skal",
        de: "nach dem Handshake antwortet der Server nicht richtig",
    },
    what: Say {
        en: "{url}: {detail}",
        sv: "{url} ger: {detail}",
        nb: "{url} gir: {detail}",
        de: "{url} ergibt: {detail}",
    },
    why: Say {
        en: "the certificate may be good, but the application behind it is not there",
        sv: "certifikatet kan vara bra, men applikationen bakom det är inte där",
        nb: "sertifikatet kan være bra, men applikasjonen bak det er ikke der",
        de: "das Zertifikat mag gut sein, aber die Anwendung dahinter ist nicht da",
    },
    fix: Say {
        en: "look at the application and at what stands between it and the port",
        sv: "se efter hur det är med applikationen och det som står mellan den och porten",
        nb: "se på applikasjonen og på det som står mellom den og porten",
        de: "die Anwendung ansehen, und was zwischen ihr und dem Port steht",
    },
};

pub(super) const COOKIE_IN_CLEAR: Page = Page {
    title: Say {
        en: "a cookie may travel unencrypted",
        sv: "en kaka kan skickas okrypterad",
        nb: "en informasjonskapsel kan sendes ukryptert",
        de: "ein Cookie kann unverschlüsselt reisen",
    },
    what: Say {
        en: "{url} sets {cookies} without `Secure`",
        sv: "{url} sätter {cookies} utan `Secure`",
        nb: "{url} setter {cookies} uten `Secure`",
        de: "{url} setzt {cookies} ohne `Secure`",
    },
    why: Say {
        en: "a browser sends it with an http:// request to the same name too; who reads along takes over the session",
        sv: "en webbläsare skickar den även med ett http://-anrop till samma namn; den som läser med tar över sessionen",
        nb: "en nettleser sender den også med en http://-forespørsel til samme navn; den som leser med, tar over økten",
        de: "ein Browser sendet es auch mit einer http://-Anfrage an denselben Namen; wer mitliest, übernimmt die Sitzung",
    },
    fix: Say {
        en: "let the application add `Secure` (ASP.NET: `requireSSL=\"true\"` on `httpCookies` and `forms`); portvakt adds it where no plain path is left",
        sv: "låt applikationen lägga till `Secure` (ASP.NET: `requireSSL=\"true\"` på `httpCookies` och `forms`); portvakt lägger till det där ingen okrypterad sökväg finns kvar",
        nb: "la applikasjonen legge til `Secure` (ASP.NET: `requireSSL=\"true\"` på `httpCookies` og `forms`); portvakt legger det til der ingen ukryptert sti er igjen",
        de: "die Anwendung `Secure` setzen lassen (ASP.NET: `requireSSL=\"true\"` bei `httpCookies` und `forms`); portvakt setzt es, wo kein unverschlüsselter Pfad übrig ist",
    },
};

pub(super) const BOUND_LOGIN: Page = Page {
    title: Say {
        en: "the login belongs to its connection",
        sv: "inloggningen hör till sin anslutning",
        nb: "innloggingen hører til sin forbindelse",
        de: "die Anmeldung gehört zu ihrer Verbindung",
    },
    what: Say {
        en: "{url} asks for {schemes}",
        sv: "{url} kräver {schemes}",
        nb: "{url} krever {schemes}",
        de: "{url} verlangt {schemes}",
    },
    why: Say {
        en: "a proxy that shares connections among users breaks it or mixes users up, HTTP/2 does not carry it, and over plain http:// it can be stolen on the way",
        sv: "en proxy som delar anslutningar mellan användare förstör den eller förväxlar användare, HTTP/2 bär den inte, och över http:// kan den stjälas på vägen",
        nb: "en proxy som deler forbindelser mellom brukere, ødelegger den eller forveksler brukere, HTTP/2 bærer den ikke, og over http:// kan den stjeles underveis",
        de: "ein Proxy, der Verbindungen unter Benutzern teilt, zerstört sie oder verwechselt Benutzer, HTTP/2 trägt sie nicht, und über http:// kann sie unterwegs gestohlen werden",
    },
    fix: Say {
        en: "nothing over https behind portvakt, which keeps such connections apart and speaks HTTP/1.1 there; over http:// enforce https for that path",
        sv: "inget över https bakom portvakt, som håller sådana anslutningar isär och talar HTTP/1.1 där; över http:// ska https tvingas för sökvägen",
        nb: "ingenting over https bak portvakt, som holder slike forbindelser fra hverandre og snakker HTTP/1.1 der; over http:// må https tvinges for stien",
        de: "nichts über https hinter portvakt, das solche Verbindungen getrennt hält und dort HTTP/1.1 spricht; über http:// für diesen Pfad https erzwingen",
    },
};
