//! About a configuration and the machine that it is for.

use super::{Page, Say};

pub(super) const IDENTITY_ENDS: Page = Page {
    title: Say {
        en: "a client identity has to be ordered anew",
        sv: "en klientidentitet måste beställas på nytt",
        nb: "en klientidentitet må bestilles på nytt",
        de: "eine Client-Identität muss neu bestellt werden",
    },
    what: Say {
        en: "`{name}`: {date}, {detail}",
        sv: "`{name}`, {date}: {detail}",
        nb: "`{name}`, {date}: {detail}",
        de: "`{name}` am {date}: {detail}",
    },
    why: Say {
        en: "nobody renews it by himself: a bank takes days, and when it ends the service (BankID, for one) refuses every call",
        sv: "ingen förnyar den av sig själv: en bank behöver dagar, och när den går ut vägrar tjänsten (till exempel BankID) varje anrop",
        nb: "ingen fornyer den av seg selv: en bank trenger dager, og når den utløper, avviser tjenesten (for eksempel BankID) hvert kall",
        de: "niemand erneuert sie von selbst: eine Bank braucht Tage, und wenn sie endet, lehnt der Dienst (etwa BankID) jeden Aufruf ab",
    },
    fix: Say {
        en: "order the next one (`portvakt egress csr NAME` makes the request, `portvakt egress calendar NAME` a calendar), and lay it beside as `next`",
        sv: "beställ nästa (`portvakt egress csr NAMN` gör begäran, `portvakt egress calendar NAMN` en kalender) och lägg den bredvid som `next`",
        nb: "bestill den neste (`portvakt egress csr NAVN` lager forespørselen, `portvakt egress calendar NAVN` en kalender), og legg den ved siden av som `next`",
        de: "die nächste bestellen (`portvakt egress csr NAME` erstellt den Antrag, `portvakt egress calendar NAME` einen Kalender) und als `next` danebenlegen",
    },
};

pub(super) const PORT_TAKEN: Page = Page {
    title: Say {
        en: "a port cannot be listened on",
        sv: "det går inte att lyssna på en port",
        nb: "det går ikke å lytte på en port",
        de: "auf einem Port kann nicht gelauscht werden",
    },
    what: Say {
        en: "{address} belongs to somebody else, or may not be opened: {owner}",
        sv: "{address} tillhör någon annan, eller får inte öppnas: {owner}",
        nb: "{address} tilhører noen andre, eller kan ikke åpnes: {owner}",
        de: "{address} gehört jemand anderem oder darf nicht geöffnet werden: {owner}",
    },
    why: Say {
        en: "portvakt cannot serve there, and a CA that asks on port 80 or 443 reaches the other one",
        sv: "portvakt kan inte svara där, och en utfärdare som frågar på port 80 eller 443 når den andra",
        nb: "portvakt kan ikke svare der, og en utsteder som spør på port 80 eller 443, når den andre",
        de: "portvakt kann dort nicht antworten, und eine Zertifizierungsstelle, die auf Port 80 oder 443 fragt, erreicht den anderen",
    },
    fix: Say {
        en: "stop the other program or give it another port. On Windows process 4 (System) is HTTP.sys: `netsh http show servicestate` shows who uses it, \
             `netstat -abno | findstr :{port}` any other; move the IIS binding to 127.0.0.1:8443, or add a second address and `netsh http add iplisten` for IIS. \
             On Linux ports below 1024 want root or CAP_NET_BIND_SERVICE",
        sv: "stoppa det andra programmet eller ge det en annan port. I Windows är process 4 (System) HTTP.sys: `netsh http show servicestate` visar vem som använder den, \
             `netstat -abno | findstr :{port}` alla andra; flytta IIS-bindningen till 127.0.0.1:8443, eller lägg till en andra adress och `netsh http add iplisten` för IIS. \
             I Linux kräver portar under 1024 root eller CAP_NET_BIND_SERVICE",
        nb: "stopp det andre programmet eller gi det en annen port. I Windows er prosess 4 (System) HTTP.sys: `netsh http show servicestate` viser hvem som bruker den, \
             `netstat -abno | findstr :{port}` alle andre; flytt IIS-bindingen til 127.0.0.1:8443, eller legg til en adresse og `netsh http add iplisten` for IIS. \
             I Linux krever porter under 1024 root eller CAP_NET_BIND_SERVICE",
        de: "das andere Programm beenden oder ihm einen anderen Port geben. Unter Windows ist Prozess 4 (System) HTTP.sys: `netsh http show servicestate` zeigt, wer ihn nutzt, \
             `netstat -abno | findstr :{port}` alle anderen; die IIS-Bindung auf 127.0.0.1:8443 verlegen oder eine zweite Adresse und `netsh http add iplisten` für IIS. \
             Unter Linux brauchen Ports unter 1024 root oder CAP_NET_BIND_SERVICE",
    },
};

pub(super) const ADDRESS_ELSEWHERE: Page = Page {
    title: Say {
        en: "the name leads to an address that is not this machine's",
        sv: "namnet leder till en adress som inte är den här datorns",
        nb: "navnet fører til en adresse som ikke er denne maskinens",
        de: "der Name führt zu einer Adresse, die nicht die dieses Rechners ist",
    },
    what: Say {
        en: "DNS says that `{name}` is at {addresses}",
        sv: "DNS säger att `{name}` finns på {addresses}",
        nb: "DNS sier at `{name}` er på {addresses}",
        de: "laut DNS liegt `{name}` auf {addresses}",
    },
    why: Say {
        en: "behind a router (NAT) or a load balancer that is as it should be, when it leads ports 80 and 443 on to here; else clients and CAs reach another machine. A CA prefers IPv6, and does not try IPv4 after an answer from the wrong machine",
        sv: "bakom en router (NAT) eller lastbalanserare är det som det ska, om den leder portarna 80 och 443 vidare hit; annars når klienter och utfärdare en annan dator. En utfärdare föredrar IPv6, och provar inte IPv4 efter ett svar från fel dator",
        nb: "bak en ruter (NAT) eller lastbalanserer er det som det skal være, når den fører portene 80 og 443 videre hit; ellers når klienter og utstedere en annen maskin. En utsteder foretrekker IPv6, og prøver ikke IPv4 etter et svar fra feil maskin",
        de: "hinter einem Router (NAT) oder Lastverteiler ist das richtig, wenn er die Ports 80 und 443 hierher leitet; sonst erreichen Clients und Zertifizierungsstellen einen anderen Rechner. Sie bevorzugen IPv6 und versuchen nach einer Antwort des falschen Rechners kein IPv4",
    },
    fix: Say {
        en: "nothing when the router forwards; else correct the A and AAAA records (an old AAAA is the usual case)",
        sv: "inget om routern vidarebefordrar; annars: rätta A- och AAAA-posterna (oftast är det en gammal AAAA)",
        nb: "ingenting når ruteren videresender; ellers: rett A- og AAAA-postene (som regel er det en gammel AAAA)",
        de: "nichts, wenn der Router weiterleitet; sonst A- und AAAA-Einträge berichtigen (meist ist es ein alter AAAA)",
    },
};

pub(super) const CAA_FORBIDS: Page = Page {
    title: Say {
        en: "CAA forbids the CA to issue",
        sv: "CAA förbjuder utfärdaren att ge ut certifikatet",
        nb: "CAA forbyr utstederen å gi ut sertifikatet",
        de: "CAA verbietet der Zertifizierungsstelle die Ausstellung",
    },
    what: Say {
        en: "`{name}`, by the records of `{at}`: {detail}; this CA goes by {issuers}",
        sv: "`{name}`, enligt posterna för `{at}`: {detail}; utfärdaren heter {issuers}",
        nb: "`{name}`, ifølge postene for `{at}`: {detail}; utstederen heter {issuers}",
        de: "`{name}`, nach den Einträgen von `{at}`: {detail}; diese Stelle heißt {issuers}",
    },
    why: Say {
        en: "every CA looks at these records before it issues, and refuses the order",
        sv: "varje utfärdare läser posterna innan den ger ut något, och vägrar beställningen",
        nb: "hver utsteder leser postene før den gir ut noe, og avviser bestillingen",
        de: "jede Zertifizierungsstelle liest diese Einträge vor der Ausstellung und lehnt den Auftrag ab",
    },
    fix: Say {
        en: "add `CAA 0 issue \"...\"` with one of the CA's names in DNS (and `issuewild` for a wildcard), or let another CA issue; an `accounturi` must be that of portvakt's account",
        sv: "lägg till `CAA 0 issue \"...\"` med ett av utfärdarens namn i DNS (och `issuewild` för ett jokertecken), eller låt en annan utfärda; en `accounturi` måste vara portvakts kontos",
        nb: "legg til `CAA 0 issue \"...\"` med et av utstederens navn i DNS (og `issuewild` for et jokertegn), eller la en annen utstede; en `accounturi` må være den til portvakts konto",
        de: "`CAA 0 issue \"...\"` mit einem der Namen der Stelle in DNS eintragen (und `issuewild` für Platzhalter) oder eine andere ausstellen lassen; eine `accounturi` muss die des Kontos von portvakt sein",
    },
};

pub(super) const DNSSEC_BROKEN: Page = Page {
    title: Say {
        en: "the domain's DNSSEC signatures do not hold",
        sv: "domänens DNSSEC-signaturer håller inte",
        nb: "domenets DNSSEC-signaturer holder ikke",
        de: "die DNSSEC-Signaturen der Domain halten nicht",
    },
    what: Say {
        en: "for `{name}` {detail}",
        sv: "om `{name}`: {detail}",
        nb: "for `{name}`: {detail}",
        de: "zu `{name}`: {detail}",
    },
    why: Say {
        en: "resolvers that check signatures answer nothing at all; all CAs do, so that no certificate is issued, and part of the clients finds nobody",
        sv: "namnservrar som kontrollerar signaturer svarar inget alls; alla utfärdare gör det, så att inget certifikat ges ut, och en del av klienterna hittar ingen",
        nb: "navnetjenere som kontrollerer signaturer, svarer ingenting; alle utstedere gjør det, så ingen sertifikater gis ut, og en del av klientene finner ingen",
        de: "Resolver, die Signaturen prüfen, antworten gar nicht; alle Zertifizierungsstellen tun das, sodass nichts ausgestellt wird, und ein Teil der Clients findet niemanden",
    },
    fix: Say {
        en: "let the domain's provider sign anew, or take the DS record out at the registrar (after a move to another provider it is usually left behind)",
        sv: "låt domänens leverantör signera på nytt, eller ta bort DS-posten hos registraren (efter ett byte av leverantör blir den ofta kvar)",
        nb: "la domenets leverandør signere på nytt, eller fjern DS-posten hos registraren (etter et leverandørbytte blir den ofte liggende)",
        de: "den Anbieter der Domain neu signieren lassen oder den DS-Eintrag beim Registrar entfernen (nach einem Umzug bleibt er meist zurück)",
    },
};

pub(super) const CHALLENGE_LOST: Page = Page {
    title: Say {
        en: "a CA's question on port 80 may not reach portvakt",
        sv: "en utfärdares fråga på port 80 kanske inte når portvakt",
        nb: "en utsteders spørsmål på port 80 når kanskje ikke portvakt",
        de: "die Frage einer Zertifizierungsstelle auf Port 80 erreicht portvakt vielleicht nicht",
    },
    what: Say {
        en: "`{name}` at {address} gives: {detail}",
        sv: "`{name}` på {address} ger: {detail}",
        nb: "`{name}` på {address} gir: {detail}",
        de: "`{name}` auf {address} ergibt: {detail}",
    },
    why: Say {
        en: "http-01 proves control over the name by a file that the CA fetches from port 80 of the public address, from several places of the world",
        sv: "http-01 styrker kontroll över namnet med en fil som utfärdaren hämtar från port 80 på den publika adressen, från flera platser i världen",
        nb: "http-01 beviser kontroll over navnet med en fil som utstederen henter fra port 80 på den offentlige adressen, fra flere steder i verden",
        de: "http-01 beweist die Kontrolle über den Namen mit einer Datei, die von Port 80 der öffentlichen Adresse geholt wird, von mehreren Orten der Welt aus",
    },
    fix: Say {
        en: "lead port 80 of the public address to portvakt, without a firewall that lets only some countries in. Silence alone may mean no more than a router that does not lead its own address back inside (hairpin NAT): try it from outside, or `portvakt rehearse`",
        sv: "led port 80 på den publika adressen till portvakt, utan brandvägg som bara släpper in vissa länder. Enbart tystnad kan betyda att routern inte leder sin egen adress tillbaka in (hairpin NAT): prova utifrån, eller `portvakt rehearse`",
        nb: "før port 80 på den offentlige adressen til portvakt, uten brannmur som bare slipper inn noen land. Bare stillhet kan bety at ruteren ikke fører sin egen adresse tilbake inn (hairpin NAT): prøv utenfra, eller `portvakt rehearse`",
        de: "Port 80 der öffentlichen Adresse zu portvakt leiten, ohne Firewall, die nur manche Länder einlässt. Bloße Stille kann auch heißen, dass der Router seine eigene Adresse nicht nach innen leitet (Hairpin-NAT): von außen versuchen, oder `portvakt rehearse`",
    },
};

pub(super) const CLOCK_WRONG: Page = Page {
    title: Say {
        en: "this machine's clock is wrong",
        sv: "den här datorns klocka går fel",
        nb: "denne maskinens klokke går feil",
        de: "die Uhr dieses Rechners geht falsch",
    },
    what: Say {
        en: "by the CA's clock it is {minutes} minutes {detail}",
        sv: "enligt utfärdarens klocka skiljer det {minutes} minuter ({detail})",
        nb: "ifølge utstederens klokke skiller det {minutes} minutter ({detail})",
        de: "nach der Uhr der Zertifizierungsstelle weicht sie um {minutes} Minuten ab ({detail})",
    },
    why: Say {
        en: "renewals come too late or too early, new certificates look as if they were not valid yet, and logs mislead",
        sv: "förnyelser kommer för sent eller för tidigt, nya certifikat ser ut att inte gälla ännu, och loggar vilseleder",
        nb: "fornyelser kommer for sent eller for tidlig, nye sertifikater ser ut til ikke å gjelde ennå, og logger villeder",
        de: "Erneuerungen kommen zu spät oder zu früh, neue Zertifikate scheinen noch nicht gültig, und Protokolle führen in die Irre",
    },
    fix: Say {
        en: "set it by the network: `timedatectl set-ntp true`, on Windows `w32tm /resync`",
        sv: "ställ den efter nätet: `timedatectl set-ntp true`, i Windows `w32tm /resync`",
        nb: "still den etter nettet: `timedatectl set-ntp true`, i Windows `w32tm /resync`",
        de: "nach dem Netz stellen: `timedatectl set-ntp true`, unter Windows `w32tm /resync`",
    },
};

pub(super) const CA_UNFIT: Page = Page {
    title: Say {
        en: "the CA cannot be used as it is configured",
        sv: "utfärdaren kan inte användas som den är inställd",
        nb: "utstederen kan ikke brukes slik den er satt opp",
        de: "die Zertifizierungsstelle ist so nicht nutzbar, wie sie eingestellt ist",
    },
    what: Say {
        en: "{directory}: {detail}",
        sv: "{directory} ger: {detail}",
        nb: "{directory} gir: {detail}",
        de: "{directory} ergibt: {detail}",
    },
    why: Say {
        en: "without it no certificate is obtained, and none renewed",
        sv: "utan den skaffas inget certifikat, och inget förnyas",
        nb: "uten den skaffes ingen sertifikater, og ingen fornyes",
        de: "ohne sie wird kein Zertifikat besorgt und keines erneuert",
    },
    fix: Say {
        en: "is `directory` right, and does a firewall or proxy let this machine reach it over https? A private CA needs `trust_anchors`; one that knows its customers needs `eab`",
        sv: "är `directory` rätt, och låter brandvägg eller proxy datorn nå den över https? En privat utfärdare behöver `trust_anchors`; en som känner sina kunder behöver `eab`",
        nb: "er `directory` riktig, og lar brannmur eller proxy maskinen nå den over https? En privat utsteder trenger `trust_anchors`; en som kjenner kundene sine, trenger `eab`",
        de: "stimmt `directory`, und lassen Firewall oder Proxy diesen Rechner über https hin? Eine private Stelle braucht `trust_anchors`; eine, die ihre Kunden kennt, braucht `eab`",
    },
};

pub(super) const NAME_NOT_PUBLIC: Page = Page {
    title: Say {
        en: "no public CA issues for this name",
        sv: "ingen publik utfärdare ger ut certifikat för namnet",
        nb: "ingen offentlig utsteder gir ut sertifikat for navnet",
        de: "keine öffentliche Zertifizierungsstelle stellt für diesen Namen aus",
    },
    what: Say {
        en: "`{name}` is known inside a network only ({detail})",
        sv: "`{name}` är bara känt inom ett nät ({detail})",
        nb: "`{name}` er bare kjent innenfor et nett ({detail})",
        de: "`{name}` ist nur innerhalb eines Netzes bekannt ({detail})",
    },
    why: Say {
        en: "such names belong to nobody, so that nobody can prove to own one: orders are refused, and count against the CA's limits",
        sv: "sådana namn tillhör ingen, så ingen kan styrka att han äger ett: beställningar vägras, och räknas mot utfärdarens gränser",
        nb: "slike navn tilhører ingen, så ingen kan bevise at han eier et: bestillinger avvises, og teller mot utstederens grenser",
        de: "solche Namen gehören niemandem, also kann niemand beweisen, dass er einen besitzt: Aufträge werden abgelehnt und zählen gegen die Grenzen der Stelle",
    },
    fix: Say {
        en: "use a name below a domain of your own (it may lead to an inner address), or a CA of your own: `certificate = \"internal\"`, or `directory` with `trust_anchors`",
        sv: "använd ett namn under en egen domän (det får leda till en inre adress), eller en egen utfärdare: `certificate = \"internal\"`, eller `directory` med `trust_anchors`",
        nb: "bruk et navn under et eget domene (det kan føre til en indre adresse), eller en egen utsteder: `certificate = \"internal\"`, eller `directory` med `trust_anchors`",
        de: "einen Namen unter einer eigenen Domain verwenden (er darf zu einer inneren Adresse führen) oder eine eigene Stelle: `certificate = \"internal\"` oder `directory` mit `trust_anchors`",
    },
};

pub(super) const STORAGE: Page = Page {
    title: Say {
        en: "state or keys are not kept as they should be",
        sv: "tillstånd eller nycklar förvaras inte som de ska",
        nb: "tilstand eller nøkler oppbevares ikke som de skal",
        de: "Zustand oder Schlüssel sind nicht so verwahrt, wie sie sollen",
    },
    what: Say {
        en: "`{path}`: {detail}",
        sv: "`{path}` – {detail}",
        nb: "`{path}` – {detail}",
        de: "`{path}`, {detail}",
    },
    why: Say {
        en: "what cannot be written is lost at the next start, and costs the CA's patience; a key that others can read is theirs too",
        sv: "det som inte kan skrivas är borta vid nästa start, och tär på utfärdarens tålamod; en nyckel som andra kan läsa är även deras",
        nb: "det som ikke kan skrives, er borte ved neste start, og tærer på utstederens tålmodighet; en nøkkel som andre kan lese, er også deres",
        de: "was nicht geschrieben werden kann, ist beim nächsten Start verloren und kostet die Geduld der Stelle; ein Schlüssel, den andere lesen können, gehört auch ihnen",
    },
    fix: Say {
        en: "give the folder to the user that portvakt runs as (`chown`), and keys to nobody else (`chmod 600`); on Windows: `icacls` with that user and Administrators only",
        sv: "ge mappen till den användare som portvakt kör som (`chown`), och nycklar till ingen annan (`chmod 600`); i Windows: `icacls` med bara den användaren och administratörer",
        nb: "gi mappen til brukeren som portvakt kjører som (`chown`), og nøkler til ingen andre (`chmod 600`); i Windows: `icacls` med bare den brukeren og administratorer",
        de: "den Ordner dem Benutzer geben, als der portvakt läuft (`chown`), und Schlüssel niemandem sonst (`chmod 600`); unter Windows: `icacls` nur mit diesem Benutzer und Administratoren",
    },
};

pub(super) const UPSTREAM_TROUBLE: Page = Page {
    title: Say {
        en: "the server behind cannot be used",
        sv: "servern bakom kan inte användas",
        nb: "serveren bak kan ikke brukes",
        de: "der Server dahinter ist nicht nutzbar",
    },
    what: Say {
        en: "{upstream}: {detail}",
        sv: "{upstream} – {detail}",
        nb: "{upstream} – {detail}",
        de: "{upstream}, {detail}",
    },
    why: Say {
        en: "requests get 502 until that is mended, whatever certificate is in front",
        sv: "anrop får 502 tills det är åtgärdat, vilket certifikat som än står framför",
        nb: "forespørsler får 502 til det er utbedret, uansett hvilket sertifikat som står foran",
        de: "Anfragen bekommen 502, bis das behoben ist, welches Zertifikat auch davor steht",
    },
    fix: Say {
        en: "does it run, and listen where the configuration says? Over https: is it pinned or believed by the right root, and does it speak TLS 1.2 with ECDHE and GCM?",
        sv: "är den igång, och lyssnar den där konfigurationen säger? Över https: är den pinnad eller betrodd genom rätt rot, och talar den TLS 1.2 med ECDHE och GCM?",
        nb: "kjører den, og lytter den der konfigurasjonen sier? Over https: er den festet eller klarert gjennom riktig rot, og snakker den TLS 1.2 med ECDHE og GCM?",
        de: "läuft er, und lauscht er, wo die Konfiguration es sagt? Über https: ist er angeheftet oder durch die richtige Wurzel beglaubigt, und spricht er TLS 1.2 mit ECDHE und GCM?",
    },
};

pub(super) const UPSTREAM_EXPOSED: Page = Page {
    title: Say {
        en: "clients may reach the server behind without passing portvakt",
        sv: "klienter kan nå servern bakom utan att passera portvakt",
        nb: "klienter kan nå serveren bak uten å passere portvakt",
        de: "Clients können den Server dahinter an portvakt vorbei erreichen",
    },
    what: Say {
        en: "{upstream} answers at {address} too, which is not loopback",
        sv: "{upstream} svarar även på {address}, som inte är loopback",
        nb: "{upstream} svarer også på {address}, som ikke er loopback",
        de: "{upstream} antwortet auch auf {address}, das nicht Loopback ist",
    },
    why: Say {
        en: "whoever asks there meets neither TLS nor the rules: enforced paths, allow-lists and limits hold only for what passes portvakt",
        sv: "den som frågar där möter varken TLS eller regler: tvingade sökvägar, tillåtelselistor och gränser gäller bara det som passerar portvakt",
        nb: "den som spør der, møter verken TLS eller regler: påtvungne stier, tillatelseslister og grenser gjelder bare det som passerer portvakt",
        de: "wer dort fragt, trifft weder TLS noch Regeln: erzwungene Pfade, Erlaubnislisten und Grenzen gelten nur für das, was portvakt passiert",
    },
    fix: Say {
        en: "bind the server to 127.0.0.1 (on IIS: the binding's IP address), or let a firewall admit nobody but portvakt to that port",
        sv: "bind servern till 127.0.0.1 (på IIS: bindningens IP-adress), eller låt en brandvägg släppa in ingen annan än portvakt till porten",
        nb: "bind serveren til 127.0.0.1 (på IIS: bindingens IP-adresse), eller la en brannmur slippe inn ingen andre enn portvakt til porten",
        de: "den Server an 127.0.0.1 binden (bei IIS: die IP-Adresse der Bindung) oder per Firewall niemanden außer portvakt an diesen Port lassen",
    },
};
