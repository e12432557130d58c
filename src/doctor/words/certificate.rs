//! About what the server shows.

use super::{Page, Say};

pub(super) const WRONG_NAME: Page = Page {
    title: Say {
        en: "the certificate is for another name",
        sv: "certifikatet gäller ett annat namn",
        nb: "sertifikatet gjelder et annet navn",
        de: "das Zertifikat gilt für einen anderen Namen",
    },
    what: Say {
        en: "it does not cover `{host}`; it covers {names}",
        sv: "det omfattar inte `{host}`; det omfattar {names}",
        nb: "det omfatter ikke `{host}`; det omfatter {names}",
        de: "es umfasst `{host}` nicht; es umfasst {names}",
    },
    why: Say {
        en: "every client compares the name in the address with those in the certificate, and stops when none fits",
        sv: "varje klient jämför namnet i adressen med dem i certifikatet och stannar när inget passar",
        nb: "hver klient sammenligner navnet i adressen med dem i sertifikatet og stopper når ingen passer",
        de: "jeder Client vergleicht den Namen in der Adresse mit denen im Zertifikat und bricht ab, wenn keiner passt",
    },
    fix: Say {
        en: "use one of the certificate's names in the app and in links, or obtain a certificate for `{host}`",
        sv: "använd ett av certifikatets namn i appen och i länkar, eller skaffa ett certifikat för `{host}`",
        nb: "bruk et av sertifikatets navn i appen og i lenker, eller skaff et sertifikat for `{host}`",
        de: "in der App und in Links einen der Namen des Zertifikats verwenden oder ein Zertifikat für `{host}` besorgen",
    },
};

pub(super) const COMMON_NAME_ONLY: Page = Page {
    title: Say {
        en: "the name stands where nobody looks any more",
        sv: "namnet står där ingen längre tittar",
        nb: "navnet står der ingen lenger ser",
        de: "der Name steht, wo niemand mehr nachsieht",
    },
    what: Say {
        en: "`{host}` is only the common name (CN); there is no subjectAltName",
        sv: "`{host}` är bara certifikatets eget namn (CN); subjectAltName saknas",
        nb: "`{host}` er bare sertifikatets eget navn (CN); subjectAltName mangler",
        de: "`{host}` ist nur der Common Name (CN); ein subjectAltName fehlt",
    },
    why: Say {
        en: "browsers have not looked at the common name since 2017, Android and iOS not since 2019",
        sv: "webbläsare har inte tittat på CN sedan 2017, Android och iOS inte sedan 2019",
        nb: "nettlesere har ikke sett på CN siden 2017, Android og iOS ikke siden 2019",
        de: "Browser beachten den Common Name seit 2017 nicht mehr, Android und iOS seit 2019",
    },
    fix: Say {
        en: "obtain a certificate with `{host}` as subjectAltName; every public authority makes them so, and portvakt does too",
        sv: "skaffa ett certifikat med `{host}` som subjectAltName; alla publika utfärdare gör så, och portvakt också",
        nb: "skaff et sertifikat med `{host}` som subjectAltName; alle offentlige utstedere gjør det slik, og portvakt også",
        de: "ein Zertifikat mit `{host}` als subjectAltName besorgen; alle öffentlichen Zertifizierungsstellen machen es so, und portvakt auch",
    },
};

pub(super) const EXPIRED: Page = Page {
    title: Say {
        en: "the certificate has expired",
        sv: "certifikatet har gått ut",
        nb: "sertifikatet er utløpt",
        de: "das Zertifikat ist abgelaufen",
    },
    what: Say {
        en: "it was valid until {date}, {days} days ago",
        sv: "det gällde till {date}, för {days} dagar sedan",
        nb: "det gjaldt til {date}, for {days} dager siden",
        de: "es galt bis {date}, vor {days} Tagen",
    },
    why: Say {
        en: "apps stop working at once, and browsers show a warning page",
        sv: "appar slutar fungera genast, och webbläsare visar en varningssida",
        nb: "apper slutter å virke med en gang, og nettlesere viser en advarselsside",
        de: "Apps hören sofort auf zu funktionieren, und Browser zeigen eine Warnseite",
    },
    fix: Say {
        en: "renew it today; so that it does not happen again, let something renew it by itself, such as portvakt. Renewed already? Then the server still shows the old one: load it again",
        sv: "förnya det i dag; för att det inte ska hända igen, låt något förnya det av sig självt, till exempel portvakt. Redan förnyat? Då visar servern ännu det gamla: läs in det på nytt",
        nb: "forny det i dag; for at det ikke skal skje igjen, la noe fornye det av seg selv, for eksempel portvakt. Allerede fornyet? Da viser serveren ennå det gamle: last det inn på nytt",
        de: "heute noch erneuern; damit es nicht wieder vorkommt, etwas einsetzen, das von selbst erneuert, etwa portvakt. Schon erneuert? Dann zeigt der Server noch das alte: neu laden",
    },
};

pub(super) const NOT_YET_VALID: Page = Page {
    title: Say {
        en: "the certificate is not valid yet",
        sv: "certifikatet gäller inte ännu",
        nb: "sertifikatet gjelder ikke ennå",
        de: "das Zertifikat gilt noch nicht",
    },
    what: Say {
        en: "it begins on {date}",
        sv: "det börjar gälla {date}",
        nb: "det begynner å gjelde {date}",
        de: "es beginnt am {date}",
    },
    why: Say {
        en: "clients refuse it until then",
        sv: "klienter vägrar det till dess",
        nb: "klienter avviser det til da",
        de: "bis dahin lehnen Clients es ab",
    },
    fix: Say {
        en: "is this machine's clock right? Then serve the certificate before it until that day",
        sv: "går den här datorns klocka rätt? Visa då det förra certifikatet till den dagen",
        nb: "går denne maskinens klokke riktig? Vis da det forrige sertifikatet til den dagen",
        de: "geht die Uhr dieses Rechners richtig? Dann bis zu diesem Tag das vorige Zertifikat zeigen",
    },
};

pub(super) const SELF_SIGNED: Page = Page {
    title: Say {
        en: "the certificate is self-signed",
        sv: "certifikatet är självsignerat",
        nb: "sertifikatet er selvsignert",
        de: "das Zertifikat ist selbst signiert",
    },
    what: Say {
        en: "nobody but the server itself vouches for it ({issuer})",
        sv: "ingen annan än servern själv går i god för det ({issuer})",
        nb: "ingen andre enn serveren selv går god for det ({issuer})",
        de: "niemand außer dem Server selbst bürgt dafür ({issuer})",
    },
    why: Say {
        en: "phones refuse it without a question, so that an app cannot log in; browsers warn everybody who opens a link",
        sv: "telefoner vägrar utan att fråga, så att en app inte kan logga in; webbläsare varnar alla som öppnar en länk",
        nb: "telefoner avviser det uten å spørre, så en app ikke kan logge inn; nettlesere advarer alle som åpner en lenke",
        de: "Telefone lehnen es ohne Rückfrage ab, sodass eine App sich nicht anmelden kann; Browser warnen jeden, der einen Link öffnet",
    },
    fix: Say {
        en: "obtain a certificate from a public authority; it costs nothing, and portvakt does it by itself for a server that cannot be changed",
        sv: "skaffa ett certifikat från en publik utfärdare; det kostar inget, och portvakt gör det av sig självt för en server som inte kan ändras",
        nb: "skaff et sertifikat fra en offentlig utsteder; det koster ingenting, og portvakt gjør det av seg selv for en server som ikke kan endres",
        de: "ein Zertifikat einer öffentlichen Zertifizierungsstelle besorgen; es kostet nichts, und portvakt macht es von selbst für einen Server, der nicht geändert werden kann",
    },
};

pub(super) const UNKNOWN_ISSUER: Page = Page {
    title: Say {
        en: "the issuer is not known to phones and browsers",
        sv: "utfärdaren är okänd för telefoner och webbläsare",
        nb: "utstederen er ukjent for telefoner og nettlesere",
        de: "der Aussteller ist Telefonen und Browsern unbekannt",
    },
    what: Say {
        en: "it is issued by {issuer}, and no way leads from there to a root that they believe in",
        sv: "det är utfärdat av {issuer}, och därifrån leder ingen väg till ett rotcertifikat som de litar på",
        nb: "det er utstedt av {issuer}, og derfra fører ingen vei til et rotsertifikat som de stoler på",
        de: "ausgestellt ist es von {issuer}, und von dort führt kein Weg zu einem Stammzertifikat, dem sie vertrauen",
    },
    why: Say {
        en: "a company's own authority is believed only where its root was installed; apps on Android 7 and later do not even look at roots that users install",
        sv: "ett företags egen utfärdare godtas bara där dess rot har installerats; appar på Android 7 och senare bryr sig inte ens om rötter som användare installerar",
        nb: "et firmas egen utsteder godtas bare der roten er installert; apper på Android 7 og nyere ser ikke engang på røtter som brukere installerer",
        de: "einer firmeneigenen Zertifizierungsstelle wird nur geglaubt, wo ihr Stammzertifikat installiert ist; Apps ab Android 7 beachten von Nutzern installierte nicht einmal",
    },
    fix: Say {
        en: "obtain a certificate from a public authority; or, if an intermediate is missing, send it along. For devices of your own that have the root: `--trust-anchors FILE` judges with it",
        sv: "skaffa ett certifikat från en publik utfärdare; eller skicka med mellancertifikatet, om det saknas. För egna enheter som har roten: `--trust-anchors FIL` bedömer med den",
        nb: "skaff et sertifikat fra en offentlig utsteder; eller send med mellomsertifikatet, om det mangler. For egne enheter som har roten: `--trust-anchors FIL` bedømmer med den",
        de: "ein Zertifikat einer öffentlichen Zertifizierungsstelle besorgen; oder das Zwischenzertifikat mitschicken, wenn es fehlt. Für eigene Geräte mit dem Stammzertifikat: `--trust-anchors DATEI` urteilt damit",
    },
};

pub(super) const MISSING_INTERMEDIATE: Page = Page {
    title: Say {
        en: "the server does not send its intermediate certificate",
        sv: "servern skickar inte med sitt mellancertifikat",
        nb: "serveren sender ikke med mellomsertifikatet sitt",
        de: "der Server schickt sein Zwischenzertifikat nicht mit",
    },
    what: Say {
        en: "`{missing}` is missing; it lies at {url}",
        sv: "`{missing}` saknas; det finns på {url}",
        nb: "`{missing}` mangler; det ligger på {url}",
        de: "`{missing}` fehlt; es liegt unter {url}",
    },
    why: Say {
        en: "Android does not fetch it, so apps fail there. iPhones, Chrome, Edge and Safari fetch it, and Firefox knows most: that is why it looks fine on a desktop",
        sv: "Android hämtar det inte, så appar misslyckas där. iPhone, Chrome, Edge och Safari hämtar det, och Firefox känner till de flesta: därför ser allt bra ut på en dator",
        nb: "Android henter det ikke, så apper mislykkes der. iPhone, Chrome, Edge og Safari henter det, og Firefox kjenner de fleste: derfor ser alt bra ut på en datamaskin",
        de: "Android holt es nicht nach, deshalb scheitern dort Apps. iPhone, Chrome, Edge und Safari holen es, und Firefox kennt die meisten: darum sieht am Rechner alles gut aus",
    },
    fix: Say {
        en: "add it to the file with the certificate, behind the leaf; on Windows import it into \"Intermediate Certification Authorities\" of the computer and restart the server; portvakt puts chains in order and names what is missing",
        sv: "lägg till det i certifikatfilen, efter serverns certifikat; i Windows: importera det till datorns \"Mellanliggande certifikatutfärdare\" och starta om servern; portvakt ordnar kedjan och säger vad som saknas",
        nb: "legg det til i sertifikatfilen, etter serverens sertifikat; i Windows: importer det til maskinens \"Mellomliggende sertifiseringsinstanser\" og start serveren på nytt; portvakt ordner kjeden og sier hva som mangler",
        de: "in der Zertifikatsdatei hinter dem Serverzertifikat anfügen; unter Windows in \"Zwischenzertifizierungsstellen\" des Computers importieren und den Server neu starten; portvakt ordnet Ketten und nennt, was fehlt",
    },
};

pub(super) const WEAK_KEY: Page = Page {
    title: Say {
        en: "the key is too weak, or of a kind that nobody takes",
        sv: "nyckeln är för svag, eller av ett slag som ingen godtar",
        nb: "nøkkelen er for svak, eller av et slag som ingen godtar",
        de: "der Schlüssel ist zu schwach oder von einer Art, die niemand annimmt",
    },
    what: Say {
        en: "the key is {key}",
        sv: "nyckeln är {key}",
        nb: "nøkkelen er {key}",
        de: "der Schlüssel ist {key}",
    },
    why: Say {
        en: "phones and browsers want RSA with 2048 bits or more, or an elliptic curve (P-256, P-384)",
        sv: "telefoner och webbläsare vill ha RSA med minst 2048 bitar, eller en elliptisk kurva (P-256, P-384)",
        nb: "telefoner og nettlesere vil ha RSA med minst 2048 biter, eller en elliptisk kurve (P-256, P-384)",
        de: "Telefone und Browser verlangen RSA ab 2048 Bit oder eine elliptische Kurve (P-256, P-384)",
    },
    fix: Say {
        en: "make a new key, and obtain a certificate for it",
        sv: "gör en ny nyckel och skaffa ett certifikat för den",
        nb: "lag en ny nøkkel og skaff et sertifikat for den",
        de: "einen neuen Schlüssel erzeugen und ein Zertifikat dafür besorgen",
    },
};

pub(super) const WEAK_SIGNATURE: Page = Page {
    title: Say {
        en: "the signature is out of date",
        sv: "signaturen är föråldrad",
        nb: "signaturen er foreldet",
        de: "die Signatur ist veraltet",
    },
    what: Say {
        en: "`{subject}` is signed with {digest}",
        sv: "`{subject}` är signerat med {digest}",
        nb: "`{subject}` er signert med {digest}",
        de: "`{subject}` ist mit {digest} signiert",
    },
    why: Say {
        en: "browsers have refused it since 2017 and phones since 2019, since it can be forged",
        sv: "webbläsare har vägrat det sedan 2017 och telefoner sedan 2019, eftersom det kan förfalskas",
        nb: "nettlesere har avvist det siden 2017 og telefoner siden 2019, fordi det kan forfalskes",
        de: "Browser lehnen es seit 2017 ab und Telefone seit 2019, weil es sich fälschen lässt",
    },
    fix: Say {
        en: "obtain a certificate that is signed with SHA-2; every public authority has done so since 2016",
        sv: "skaffa ett certifikat som är signerat med SHA-2; alla publika utfärdare gör så sedan 2016",
        nb: "skaff et sertifikat som er signert med SHA-2; alle offentlige utstedere gjør det siden 2016",
        de: "ein mit SHA-2 signiertes Zertifikat besorgen; alle öffentlichen Zertifizierungsstellen tun das seit 2016",
    },
};

pub(super) const WRONG_PURPOSE: Page = Page {
    title: Say {
        en: "the certificate does not say that it is for servers",
        sv: "certifikatet säger inte att det är för servrar",
        nb: "sertifikatet sier ikke at det er for servere",
        de: "das Zertifikat sagt nicht, dass es für Server ist",
    },
    what: Say {
        en: "its purposes (extended key usage) are: {found}",
        sv: "dess ändamål (extended key usage) är: {found}",
        nb: "formålene (extended key usage) er: {found}",
        de: "seine Zwecke (Extended Key Usage) sind: {found}",
    },
    why: Say {
        en: "iPhones want `serverAuth` to be said in whatever was issued since July 2019; everybody refuses a certificate that names only other purposes",
        sv: "iPhone kräver att `serverAuth` står där i allt som utfärdats sedan juli 2019; alla vägrar ett certifikat som bara nämner andra ändamål",
        nb: "iPhone krever at `serverAuth` står der i alt som er utstedt siden juli 2019; alle avviser et sertifikat som bare nevner andre formål",
        de: "iPhones verlangen `serverAuth` in allem, was seit Juli 2019 ausgestellt ist; ein Zertifikat, das nur andere Zwecke nennt, lehnen alle ab",
    },
    fix: Say {
        en: "obtain a certificate for servers (extended key usage `serverAuth`)",
        sv: "skaffa ett certifikat för servrar (extended key usage `serverAuth`)",
        nb: "skaff et sertifikat for servere (extended key usage `serverAuth`)",
        de: "ein Zertifikat für Server besorgen (Extended Key Usage `serverAuth`)",
    },
};

pub(super) const TOO_LONG: Page = Page {
    title: Say {
        en: "the certificate is valid for too long",
        sv: "certifikatet gäller för länge",
        nb: "sertifikatet gjelder for lenge",
        de: "das Zertifikat gilt zu lange",
    },
    what: Say {
        en: "it is valid for {days} days; {limit} are allowed for one that begins when it does",
        sv: "det gäller i {days} dagar; {limit} är tillåtna för ett som börjar när det gör",
        nb: "det gjelder i {days} dager; {limit} er tillatt for et som begynner når det gjør",
        de: "es gilt {days} Tage; {limit} sind erlaubt für eines, das dann beginnt",
    },
    why: Say {
        en: "iPhones refuse it without saying why; for public authorities the others do too. Private roots may give 825 days, public ones 398 since September 2020 and 200 since 15 March 2026",
        sv: "iPhone vägrar utan att säga varför; för publika utfärdare gör de andra det också. Privata rötter får ge 825 dagar, publika 398 sedan september 2020 och 200 sedan 15 mars 2026",
        nb: "iPhone avviser det uten å si hvorfor; for offentlige utstedere gjør de andre det også. Private røtter kan gi 825 dager, offentlige 398 siden september 2020 og 200 siden 15. mars 2026",
        de: "iPhones lehnen es ab, ohne zu sagen warum; bei öffentlichen Zertifizierungsstellen tun es auch die anderen. Private dürfen 825 Tage geben, öffentliche 398 seit September 2020 und 200 seit dem 15. März 2026",
    },
    fix: Say {
        en: "obtain one that is shorter, and let it be renewed by itself",
        sv: "skaffa ett kortare, och låt det förnyas av sig självt",
        nb: "skaff et kortere, og la det fornyes av seg selv",
        de: "ein kürzeres besorgen und es von selbst erneuern lassen",
    },
};

pub(super) const YOUNG_ROOT: Page = Page {
    title: Say {
        en: "older phones do not know the root",
        sv: "äldre telefoner känner inte till roten",
        nb: "eldre telefoner kjenner ikke roten",
        de: "ältere Telefone kennen das Stammzertifikat nicht",
    },
    what: Say {
        en: "the root `{root}` was made in {made}, and is known since {version} (as of {as_of})",
        sv: "roten `{root}` gjordes {made} och är känd sedan {version} (läget {as_of})",
        nb: "roten `{root}` ble laget i {made} og er kjent siden {version} (per {as_of})",
        de: "das Stammzertifikat `{root}` ist von {made} und bekannt seit {version} (Stand {as_of})",
    },
    why: Say {
        en: "a phone that gets no updates keeps the roots that it was made with, and refuses what leads to newer ones",
        sv: "en telefon som inte får uppdateringar behåller de rötter den tillverkades med, och vägrar det som leder till nyare",
        nb: "en telefon som ikke får oppdateringer, beholder røttene den ble laget med, og avviser det som fører til nyere",
        de: "ein Telefon ohne Aktualisierungen behält die Stammzertifikate, mit denen es gebaut wurde, und lehnt ab, was zu neueren führt",
    },
    fix: Say {
        en: "if old phones matter: ask the authority for a chain to an older root (with ACME `preferred_chain`), such as ISRG Root X1",
        sv: "om gamla telefoner är viktiga: be utfärdaren om en kedja till en äldre rot (med ACME `preferred_chain`), till exempel ISRG Root X1",
        nb: "hvis gamle telefoner er viktige: be utstederen om en kjede til en eldre rot (med ACME `preferred_chain`), for eksempel ISRG Root X1",
        de: "wenn alte Telefone wichtig sind: bei der Zertifizierungsstelle eine Kette zu einem älteren Stammzertifikat wählen (bei ACME `preferred_chain`), etwa ISRG Root X1",
    },
};

pub(super) const REJECTED: Page = Page {
    title: Say {
        en: "a strict verifier refuses the chain",
        sv: "en sträng kontroll underkänner kedjan",
        nb: "en streng kontroll underkjenner kjeden",
        de: "eine strenge Prüfung lehnt die Kette ab",
    },
    what: Say {
        en: "the verifier says: {detail}",
        sv: "kontrollen säger: {detail}",
        nb: "kontrollen sier: {detail}",
        de: "die Prüfung sagt: {detail}",
    },
    why: Say {
        en: "phones and browsers verify in much the same way; what one of them refuses, others may refuse too",
        sv: "telefoner och webbläsare kontrollerar på ungefär samma sätt; det som en underkänner kan andra underkänna",
        nb: "telefoner og nettlesere kontrollerer på omtrent samme måte; det én underkjenner, kan andre også underkjenne",
        de: "Telefone und Browser prüfen auf etwa dieselbe Weise; was einer ablehnt, können andere auch ablehnen",
    },
    fix: Say {
        en: "ask the authority that issued it, or obtain another certificate",
        sv: "fråga utfärdaren, eller skaffa ett annat certifikat",
        nb: "spør utstederen, eller skaff et annet sertifikat",
        de: "bei der Zertifizierungsstelle nachfragen oder ein anderes Zertifikat besorgen",
    },
};

pub(super) const ENDS_SOON: Page = Page {
    title: Say {
        en: "the certificate ends soon",
        sv: "certifikatet går snart ut",
        nb: "sertifikatet utløper snart",
        de: "das Zertifikat läuft bald ab",
    },
    what: Say {
        en: "it stops working on {date}, in {days} days",
        sv: "det slutar fungera {date}, om {days} dagar",
        nb: "det slutter å virke {date}, om {days} dager",
        de: "es gilt nicht mehr ab {date}, in {days} Tagen",
    },
    why: Say {
        en: "whatever renews by itself has done so by now: nobody does it here, or it fails",
        sv: "det som förnyar av sig självt har gjort det vid det här laget: ingen gör det här, eller så misslyckas det",
        nb: "det som fornyer av seg selv, har gjort det nå: ingen gjør det her, eller det mislykkes",
        de: "was von selbst erneuert, hätte es inzwischen getan: hier tut es niemand, oder es scheitert",
    },
    fix: Say {
        en: "renew it before that day; with portvakt, `portvakt status` says why it has not been",
        sv: "förnya det före den dagen; med portvakt säger `portvakt status` varför det inte har skett",
        nb: "forny det før den dagen; med portvakt sier `portvakt status` hvorfor det ikke har skjedd",
        de: "vor diesem Tag erneuern; bei portvakt sagt `portvakt status`, warum es nicht geschehen ist",
    },
};

pub(super) const PRIVATE_ROOT: Page = Page {
    title: Say {
        en: "it is believed only where your own root is installed",
        sv: "det godtas bara där er egen rot är installerad",
        nb: "det godtas bare der deres egen rot er installert",
        de: "geglaubt wird nur, wo das eigene Stammzertifikat installiert ist",
    },
    what: Say {
        en: "the chain leads to `{root}`, which was given with `--trust-anchors`",
        sv: "kedjan leder till `{root}`, som angavs med `--trust-anchors`",
        nb: "kjeden fører til `{root}`, som ble oppgitt med `--trust-anchors`",
        de: "die Kette führt zu `{root}`, angegeben mit `--trust-anchors`",
    },
    why: Say {
        en: "the phones of customers and guests do not have it; apps on Android 7 and later look at it only when the device is managed or the app allows it",
        sv: "kunders och gästers telefoner har den inte; appar på Android 7 och senare bryr sig om den bara när enheten är hanterad eller appen tillåter det",
        nb: "telefonene til kunder og gjester har den ikke; apper på Android 7 og nyere ser på den bare når enheten er administrert eller appen tillater det",
        de: "Telefone von Kunden und Gästen haben es nicht; Apps ab Android 7 beachten es nur, wenn das Gerät verwaltet ist oder die App es erlaubt",
    },
    fix: Say {
        en: "nothing for devices of your own; for everybody else a certificate from a public authority",
        sv: "inget för egna enheter; för alla andra ett certifikat från en publik utfärdare",
        nb: "ingenting for egne enheter; for alle andre et sertifikat fra en offentlig utsteder",
        de: "nichts für eigene Geräte; für alle anderen ein Zertifikat einer öffentlichen Zertifizierungsstelle",
    },
};
