//! On the way to the server.

use super::{Page, Say};

pub(super) const NAME_UNKNOWN: Page = Page {
    title: Say {
        en: "the name leads nowhere",
        sv: "namnet leder ingenstans",
        nb: "navnet fører ingen steder",
        de: "der Name führt nirgendwohin",
    },
    what: Say {
        en: "DNS has no address for `{host}` ({detail})",
        sv: "DNS har ingen adress för `{host}` ({detail})",
        nb: "DNS har ingen adresse for `{host}` ({detail})",
        de: "DNS kennt keine Adresse für `{host}` ({detail})",
    },
    why: Say {
        en: "nobody reaches the server by this name, and no authority issues a certificate for it",
        sv: "ingen når servern under det här namnet, och ingen utfärdare ger ut ett certifikat för det",
        nb: "ingen når serveren med dette navnet, og ingen utsteder gir ut et sertifikat for det",
        de: "unter diesem Namen erreicht niemand den Server, und keine Zertifizierungsstelle stellt ein Zertifikat dafür aus",
    },
    fix: Say {
        en: "is the name spelt right? Else add an A record with the server's public address where the domain is managed; a name that only your own network knows has to be asked from there",
        sv: "är namnet rätt stavat? Annars: lägg till en A-post med serverns publika adress där domänen sköts; ett namn som bara ert eget nät känner till måste provas därifrån",
        nb: "er navnet riktig stavet? Ellers: legg til en A-post med serverens offentlige adresse der domenet forvaltes; et navn som bare deres eget nett kjenner, må prøves derfra",
        de: "ist der Name richtig geschrieben? Sonst dort, wo die Domain verwaltet wird, einen A-Eintrag mit der öffentlichen Adresse des Servers anlegen; ein Name, den nur das eigene Netz kennt, muss von dort aus geprüft werden",
    },
};

pub(super) const NOT_REACHED: Page = Page {
    title: Say {
        en: "the server cannot be reached",
        sv: "servern kan inte nås",
        nb: "serveren kan ikke nås",
        de: "der Server ist nicht erreichbar",
    },
    what: Say {
        en: "nobody answers on port {port} ({detail})",
        sv: "ingen svarar på port {port} ({detail})",
        nb: "ingen svarer på port {port} ({detail})",
        de: "auf Port {port} antwortet niemand ({detail})",
    },
    why: Say {
        en: "apps and browsers get no further either, at least from where this was tried",
        sv: "appar och webbläsare kommer inte heller längre, i varje fall inte härifrån",
        nb: "apper og nettlesere kommer heller ikke lenger, i hvert fall ikke herfra",
        de: "Apps und Browser kommen auch nicht weiter, zumindest von hier aus",
    },
    fix: Say {
        en: "refused: is the server running, and does it listen on this port? No answer: is the port open in every firewall and forwarded in the router?",
        sv: "nekad: är servern igång, och lyssnar den på porten? Inget svar: är porten öppen i varje brandvägg och vidarebefordrad i routern?",
        nb: "avvist: kjører serveren, og lytter den på porten? Intet svar: er porten åpen i alle brannmurer og videresendt i ruteren?",
        de: "abgelehnt: läuft der Server, und lauscht er auf diesem Port? Keine Antwort: ist der Port in jeder Firewall offen und im Router weitergeleitet?",
    },
};

pub(super) const ADDRESS_SILENT: Page = Page {
    title: Say {
        en: "one of the addresses does not serve",
        sv: "en av adresserna svarar inte som den ska",
        nb: "en av adressene svarer ikke som den skal",
        de: "eine der Adressen antwortet nicht, wie sie soll",
    },
    what: Say {
        en: "DNS names {address} too, and there: {detail}",
        sv: "DNS nämner även {address}, och där: {detail}",
        nb: "DNS nevner også {address}, og der: {detail}",
        de: "DNS nennt auch {address}, und dort: {detail}",
    },
    why: Say {
        en: "clients choose one of the addresses: phones prefer IPv6, and so do authorities that check the name. Some wait long, others fail",
        sv: "klienter väljer en av adresserna: telefoner föredrar IPv6, och det gör även utfärdare som kontrollerar namnet. Några väntar länge, andra misslyckas",
        nb: "klienter velger en av adressene: telefoner foretrekker IPv6, og det gjør også utstedere som kontrollerer navnet. Noen venter lenge, andre mislykkes",
        de: "Clients wählen eine der Adressen: Telefone bevorzugen IPv6, ebenso die Zertifizierungsstellen, die den Namen prüfen. Manche warten lange, andere scheitern",
    },
    fix: Say {
        en: "serve on this address too, or take it out of DNS (an AAAA record that nobody serves is the usual case). No route means only that this machine could not try it",
        sv: "svara även på den adressen, eller ta bort den ur DNS (oftast är det en AAAA-post som ingen betjänar). Ingen väg betyder bara att den här datorn inte kunde prova",
        nb: "svar også på denne adressen, eller fjern den fra DNS (som regel er det en AAAA-post som ingen betjener). Ingen rute betyr bare at denne maskinen ikke kunne prøve",
        de: "auch auf dieser Adresse antworten oder sie aus dem DNS nehmen (meist ist es ein AAAA-Eintrag, den niemand bedient). Keine Route heißt nur, dass dieser Rechner es nicht versuchen konnte",
    },
};

pub(super) const NO_TLS: Page = Page {
    title: Say {
        en: "there is no TLS on this port",
        sv: "det finns ingen TLS på den här porten",
        nb: "det finnes ingen TLS på denne porten",
        de: "auf diesem Port gibt es kein TLS",
    },
    what: Say {
        en: "{address}: no TLS is spoken ({detail})",
        sv: "{address}: svarar, men inte med TLS ({detail})",
        nb: "{address}: svarer, men ikke med TLS ({detail})",
        de: "{address}: antwortet, aber nicht mit TLS ({detail})",
    },
    why: Say {
        en: "an https:// address cannot work there: there is no certificate that anybody could accept",
        sv: "en https://-adress kan inte fungera där: det finns inget certifikat som någon kan godta",
        nb: "en https://-adresse kan ikke virke der: det finnes ikke noe sertifikat som noen kan godta",
        de: "eine https://-Adresse kann dort nicht funktionieren: es gibt kein Zertifikat, das jemand akzeptieren könnte",
    },
    fix: Say {
        en: "is {port} the right port? A server that speaks plain HTTP needs something in front of it that speaks TLS; that is what portvakt does",
        sv: "är {port} rätt port? En server som talar ren HTTP behöver något framför sig som talar TLS; det är vad portvakt gör",
        nb: "er {port} riktig port? En server som snakker ren HTTP, trenger noe foran seg som snakker TLS; det er det portvakt gjør",
        de: "ist {port} der richtige Port? Ein Server, der nur HTTP spricht, braucht etwas vor sich, das TLS spricht; genau das macht portvakt",
    },
};

pub(super) const OLD_TLS: Page = Page {
    title: Say {
        en: "the server speaks only an old kind of TLS",
        sv: "servern talar bara gammal TLS",
        nb: "serveren snakker bare gammel TLS",
        de: "der Server spricht nur veraltetes TLS",
    },
    what: Say {
        en: "it offers nothing better than {version} with {cipher}",
        sv: "den erbjuder inget bättre än {version} med {cipher}",
        nb: "den tilbyr ikke noe bedre enn {version} med {cipher}",
        de: "er bietet nichts Besseres als {version} mit {cipher}",
    },
    why: Say {
        en: "current phones and browsers refuse TLS 1.0 and 1.1; TLS 1.2 without modern ciphers still works with most, and iOS apps demand forward secrecy (ECDHE)",
        sv: "dagens telefoner och webbläsare vägrar TLS 1.0 och 1.1; TLS 1.2 utan moderna chiffer fungerar ännu med de flesta, och iOS-appar kräver framåtsekretess (ECDHE)",
        nb: "dagens telefoner og nettlesere avviser TLS 1.0 og 1.1; TLS 1.2 uten moderne chiffer virker ennå med de fleste, og iOS-apper krever forward secrecy (ECDHE)",
        de: "heutige Telefone und Browser lehnen TLS 1.0 und 1.1 ab; TLS 1.2 ohne moderne Chiffren geht bei den meisten noch, und iOS-Apps verlangen Forward Secrecy (ECDHE)",
    },
    fix: Say {
        en: "switch TLS 1.2 with ECDHE and GCM on (Windows Server 2016 and later have it; on 2012 R2 only with an ECDSA certificate), or put portvakt in front and let the old server listen on loopback only",
        sv: "slå på TLS 1.2 med ECDHE och GCM (Windows Server 2016 och senare har det; 2012 R2 bara med ett ECDSA-certifikat), eller ställ portvakt framför och låt den gamla servern bara lyssna på loopback",
        nb: "slå på TLS 1.2 med ECDHE og GCM (Windows Server 2016 og nyere har det; 2012 R2 bare med et ECDSA-sertifikat), eller sett portvakt foran og la den gamle serveren bare lytte på loopback",
        de: "TLS 1.2 mit ECDHE und GCM einschalten (Windows Server 2016 und neuer haben es; 2012 R2 nur mit einem ECDSA-Zertifikat), oder portvakt davorstellen und den alten Server nur auf Loopback lauschen lassen",
    },
};

pub(super) const HANDSHAKE_BROKEN: Page = Page {
    title: Say {
        en: "the TLS handshake fails",
        sv: "TLS-handskakningen misslyckas",
        nb: "TLS-håndtrykket mislykkes",
        de: "der TLS-Handshake scheitert",
    },
    what: Say {
        en: "{address} breaks it off: {detail}",
        sv: "{address} avbryter: {detail}",
        nb: "{address} avbryter: {detail}",
        de: "{address} bricht ab: {detail}",
    },
    why: Say {
        en: "without a handshake no client gets anything from this server",
        sv: "utan handskakning får ingen klient något av servern",
        nb: "uten håndtrykk får ingen klient noe fra serveren",
        de: "ohne Handshake bekommt kein Client etwas von diesem Server",
    },
    fix: Say {
        en: "has the server a certificate with its private key for this port? On IIS: the https binding, and `netsh http show sslcert`. The server's own log says more",
        sv: "har servern ett certifikat med privat nyckel för porten? På IIS: https-bindningen, och `netsh http show sslcert`. Serverns egen logg säger mer",
        nb: "har serveren et sertifikat med privat nøkkel for porten? På IIS: https-bindingen, og `netsh http show sslcert`. Serverens egen logg sier mer",
        de: "hat der Server für diesen Port ein Zertifikat mit privatem Schlüssel? Bei IIS: die https-Bindung und `netsh http show sslcert`. Mehr sagt das Protokoll des Servers",
    },
};

pub(super) const NAME_REFUSED: Page = Page {
    title: Say {
        en: "the server does not know this name",
        sv: "servern känner inte till namnet",
        nb: "serveren kjenner ikke navnet",
        de: "der Server kennt diesen Namen nicht",
    },
    what: Say {
        en: "{address} speaks TLS, but not as `{host}` (alert unrecognized_name)",
        sv: "{address} talar TLS, men inte som `{host}` (larm unrecognized_name)",
        nb: "{address} snakker TLS, men ikke som `{host}` (varsel unrecognized_name)",
        de: "{address} spricht TLS, aber nicht als `{host}` (Alarm unrecognized_name)",
    },
    why: Say {
        en: "every client says the name in its handshake, and is turned away with it",
        sv: "varje klient säger namnet i handskakningen, och avvisas med det",
        nb: "hver klient sier navnet i håndtrykket, og blir avvist med det",
        de: "jeder Client nennt den Namen im Handshake und wird damit abgewiesen",
    },
    fix: Say {
        en: "add the name to the server (on IIS a binding with this host name; in portvakt a `[[site]]` with it in `domains`), or lead the name to the right server",
        sv: "lägg till namnet på servern (på IIS en bindning med värdnamnet; i portvakt en `[[site]]` med det i `domains`), eller led namnet till rätt server",
        nb: "legg navnet til på serveren (på IIS en binding med vertsnavnet; i portvakt en `[[site]]` med det i `domains`), eller før navnet til riktig server",
        de: "den Namen am Server eintragen (bei IIS eine Bindung mit diesem Hostnamen; in portvakt eine `[[site]]` mit ihm in `domains`) oder den Namen zum richtigen Server führen",
    },
};

pub(super) const OTHER_CERTIFICATE: Page = Page {
    title: Say {
        en: "the addresses show different certificates",
        sv: "adresserna visar olika certifikat",
        nb: "adressene viser ulike sertifikater",
        de: "die Adressen zeigen verschiedene Zertifikate",
    },
    what: Say {
        en: "what is said here is about {address}; {others} show another certificate",
        sv: "det som sägs här gäller {address}; {others} visar ett annat certifikat",
        nb: "det som sies her, gjelder {address}; {others} viser et annet sertifikat",
        de: "was hier steht, gilt für {address}; {others} zeigen ein anderes Zertifikat",
    },
    why: Say {
        en: "it depends on the client which one it meets: works for some and fails for others is the usual complaint",
        sv: "det beror på klienten vilket den möter: fungerar för en del men inte för andra är det vanliga klagomålet",
        nb: "det avhenger av klienten hvilket den møter: virker for noen, men ikke for andre er den vanlige klagen",
        de: "es hängt vom Client ab, welchem er begegnet: geht bei manchen, bei anderen nicht, ist die übliche Klage",
    },
    fix: Say {
        en: "give every address the same certificate, or ask about each address by itself",
        sv: "ge varje adress samma certifikat, eller fråga om varje adress för sig",
        nb: "gi hver adresse samme sertifikat, eller spør om hver adresse for seg",
        de: "jeder Adresse dasselbe Zertifikat geben oder jede Adresse für sich prüfen",
    },
};

pub(super) const CLIENT_ASKED: Page = Page {
    title: Say {
        en: "the server asks for a client certificate",
        sv: "servern ber om ett klientcertifikat",
        nb: "serveren ber om et klientsertifikat",
        de: "der Server verlangt ein Client-Zertifikat",
    },
    what: Say {
        en: "`{host}` asks every client to prove itself with a certificate",
        sv: "`{host}` ber varje klient att styrka sig med ett certifikat",
        nb: "`{host}` ber hver klient om å legitimere seg med et sertifikat",
        de: "`{host}` fordert jeden Client auf, sich mit einem Zertifikat auszuweisen",
    },
    why: Say {
        en: "where it is demanded and not only asked for, phones and browsers without one are turned away; some show their users a puzzling question",
        sv: "där det krävs och inte bara efterfrågas avvisas telefoner och webbläsare som saknar ett; en del ställer en förbryllande fråga till användaren",
        nb: "der det kreves og ikke bare etterspørres, avvises telefoner og nettlesere uten; noen stiller brukeren et forvirrende spørsmål",
        de: "wo es verlangt und nicht nur erbeten wird, werden Telefone und Browser ohne eines abgewiesen; manche stellen ihren Nutzern eine rätselhafte Frage",
    },
    fix: Say {
        en: "if clients need none, switch it off (on IIS: SSL Settings, client certificates: Ignore)",
        sv: "om klienterna inte behöver något, stäng av det (på IIS: SSL-inställningar, klientcertifikat: Ignorera)",
        nb: "hvis klientene ikke trenger noe, slå det av (på IIS: SSL-innstillinger, klientsertifikater: Ignorer)",
        de: "wenn die Clients keines brauchen, abschalten (bei IIS: SSL-Einstellungen, Clientzertifikate: Ignorieren)",
    },
};
