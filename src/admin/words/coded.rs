//! What a number of `portvakt help` says of a server, in plain words.

use super::{Advice, Say};
use crate::route::Trouble;
use crate::upstream::TlsFailure;

/// What is said of a number, such as `PV0436`; `None` for one that has no words here. Sentences begin small, and `NAME` stands for
/// the server's name.
pub(in crate::admin) fn coded(code: &str) -> Option<&'static Advice> {
    let number: u16 = code.strip_prefix("PV")?.parse().ok()?;
    let failure = TlsFailure::EVERY.into_iter().find(|it| it.number() == number).map(of_failure);
    failure.or_else(|| Trouble::ALL.into_iter().find(|it| it.number() == number).map(of_trouble))
}

const fn of_failure(failure: TlsFailure) -> &'static Advice {
    match failure {
        TlsFailure::Pin => &PIN,
        TlsFailure::OldProtocol => &OLD_PROTOCOL,
        TlsFailure::NoCommonSuite => &NO_COMMON_SUITE,
        TlsFailure::WeakKey => &WEAK_KEY,
        TlsFailure::Name => &NAME,
        TlsFailure::Expired => &EXPIRED,
        TlsFailure::UnknownCa => &UNKNOWN_CA,
        TlsFailure::ClientCertRejected => &CLIENT_CERT_REJECTED,
        TlsFailure::FirstUse => &FIRST_USE,
        TlsFailure::Other => &OTHER,
        TlsFailure::Unreadable => &UNREADABLE,
    }
}

const fn of_trouble(trouble: Trouble) -> &'static Advice {
    match trouble {
        Trouble::SslRequired => &SSL_REQUIRED,
        Trouble::ClientCertificateRequired => &CLIENT_CERTIFICATE_REQUIRED,
        Trouble::RedirectLoop => &REDIRECT_LOOP,
    }
}

const PIN: Advice = Advice {
    what: Say {
        en: TlsFailure::Pin.cause(),
        sv: "den visar ett annat certifikat än det betrodda",
        nb: "den viser et annet sertifikat enn det betrodde",
        de: "er zeigt ein anderes Zertifikat als das, dem vertraut wird",
    },
    fix: Say {
        en: TlsFailure::Pin.fix(),
        sv: "om bytet var avsiktligt: `portvakt upstream accept NAME` vid `trust = \"first-use\"`, annars det nya värdet i `fingerprint` eller `pin`; om inte står någon emellan",
        nb: "hvis byttet var ment: `portvakt upstream accept NAME` ved `trust = \"first-use\"`, ellers den nye verdien i `fingerprint` eller `pin`; hvis ikke står noen imellom",
        de: "war der Wechsel gewollt: `portvakt upstream accept NAME` bei `trust = \"first-use\"`, sonst den neuen Wert in `fingerprint` oder `pin` eintragen; wenn nicht, steht jemand dazwischen",
    },
};
const OLD_PROTOCOL: Advice = Advice {
    what: Say {
        en: TlsFailure::OldProtocol.cause(),
        sv: "den erbjuder bara TLS 1.1 eller äldre, och portvakt talar TLS 1.2 och 1.3",
        nb: "den tilbyr bare TLS 1.1 eller eldre, og portvakt snakker TLS 1.2 og 1.3",
        de: "er bietet nur TLS 1.1 oder älter an, und portvakt spricht TLS 1.2 und 1.3",
    },
    fix: Say {
        en: TlsFailure::OldProtocol.fix(),
        sv: "A: låt servern tala TLS 1.2 med ECDHE och GCM (Windows Server 2016 eller senare, eller ett ECDSA-certifikat på 2012 R2); B: HTTP i klartext på loopback bredvid den; C: ett annat TLS-program emellan, som stunnel",
        nb: "A: la serveren snakke TLS 1.2 med ECDHE og GCM (Windows Server 2016 eller nyere, eller et ECDSA-sertifikat på 2012 R2); B: HTTP i klartekst på loopback ved siden av den; C: et annet TLS-program imellom, som stunnel",
        de: "A: den Server TLS 1.2 mit ECDHE und GCM sprechen lassen (Windows Server 2016 oder neuer, oder ein ECDSA-Zertifikat auf 2012 R2); B: HTTP im Klartext auf Loopback daneben; C: ein anderes TLS-Programm dazwischen, etwa stunnel",
    },
};
const NO_COMMON_SUITE: Advice = Advice {
    what: Say {
        en: TlsFailure::NoCommonSuite.cause(),
        sv: "den erbjuder TLS 1.2 utan ECDHE och AES-GCM eller ChaCha20: bara CBC eller RSA-nyckelutbyte",
        nb: "den tilbyr TLS 1.2 uten ECDHE og AES-GCM eller ChaCha20: bare CBC eller RSA-nøkkelutveksling",
        de: "er bietet TLS 1.2 ohne ECDHE und AES-GCM oder ChaCha20 an: nur CBC oder RSA-Schlüsselaustausch",
    },
    fix: OLD_PROTOCOL.fix,
};
const WEAK_KEY: Advice = Advice {
    what: Say {
        en: TlsFailure::WeakKey.cause(),
        sv: "dess RSA-nyckel har färre än 2048 bitar, så att inget den signerar kan kontrolleras",
        nb: "RSA-nøkkelen har færre enn 2048 biter, slik at ingenting den signerer, kan kontrolleres",
        de: "sein RSA-Schlüssel hat weniger als 2048 Bit, sodass nichts, was er signiert, geprüft werden kann",
    },
    fix: Say {
        en: TlsFailure::WeakKey.fix(),
        sv: "A: ge servern ett certifikat med en RSA-nyckel på 2048 bitar eller en ECDSA-nyckel; B: HTTP i klartext på loopback bredvid den; C: ett annat TLS-program emellan, som stunnel",
        nb: "A: gi serveren et sertifikat med en RSA-nøkkel på 2048 biter eller en ECDSA-nøkkel; B: HTTP i klartekst på loopback ved siden av den; C: et annet TLS-program imellom, som stunnel",
        de: "A: dem Server ein Zertifikat mit einem RSA-Schlüssel von 2048 Bit oder einem ECDSA-Schlüssel geben; B: HTTP im Klartext auf Loopback daneben; C: ein anderes TLS-Programm dazwischen, etwa stunnel",
    },
};
const NAME: Advice = Advice {
    what: Say {
        en: TlsFailure::Name.cause(),
        sv: "dess certifikat är inte utfärdat för namnet som den tillfrågas under",
        nb: "sertifikatet er ikke utstedt for navnet som den blir spurt under",
        de: "sein Zertifikat ist nicht auf den Namen ausgestellt, unter dem er gefragt wird",
    },
    fix: Say {
        en: TlsFailure::Name.fix(),
        sv: "sätt `server_name` till ett namn som certifikatet har, eller fäst det med `fingerprint`",
        nb: "sett `server_name` til et navn som sertifikatet har, eller fest det med `fingerprint`",
        de: "`server_name` auf einen Namen des Zertifikats setzen oder es mit `fingerprint` festlegen",
    },
};
const EXPIRED: Advice = Advice {
    what: Say {
        en: TlsFailure::Expired.cause(),
        sv: "dess certifikat är inte giltigt nu",
        nb: "sertifikatet er ikke gyldig nå",
        de: "sein Zertifikat ist jetzt nicht gültig",
    },
    fix: Say {
        en: TlsFailure::Expired.fix(),
        sv: "förnya serverns certifikat, eller fäst det med `fingerprint` tills det är gjort",
        nb: "forny serverens sertifikat, eller fest det med `fingerprint` til det er gjort",
        de: "das Zertifikat des Servers erneuern oder es bis dahin mit `fingerprint` festlegen",
    },
};
const UNKNOWN_CA: Advice = Advice {
    what: Say {
        en: TlsFailure::UnknownCa.cause(),
        sv: "dess certifikat leder inte till en betrodd rot, eller är av ett slag som ingen kan kontrollera",
        nb: "sertifikatet leder ikke til en betrodd rot, eller er av et slag som ingen kan kontrollere",
        de: "sein Zertifikat führt zu keinem Stammzertifikat, dem vertraut wird, oder ist von einer Art, die niemand prüfen kann",
    },
    fix: Say {
        en: TlsFailure::UnknownCa.fix(),
        sv: "ange serverns rot i `trust_anchors`, eller fäst ett självsignerat certifikat med `fingerprint`, eller låt `trust = \"first-use\"` göra det",
        nb: "oppgi serverens rot i `trust_anchors`, eller fest et selvsignert sertifikat med `fingerprint`, eller la `trust = \"first-use\"` gjøre det",
        de: "das Stammzertifikat des Servers in `trust_anchors` nennen oder ein selbst signiertes mit `fingerprint` festlegen oder `trust = \"first-use\"` das tun lassen",
    },
};
const CLIENT_CERT_REJECTED: Advice = Advice {
    what: Say {
        en: TlsFailure::ClientCertRejected.cause(),
        sv: "den begär ett klientcertifikat och godtar inte det den får",
        nb: "den ber om et klientsertifikat og godtar ikke det den får",
        de: "er verlangt ein Client-Zertifikat und akzeptiert nicht, was er bekommt",
    },
    fix: Say {
        en: TlsFailure::ClientCertRejected.fix(),
        sv: "ge den en `identity` som den godtar, eller låt den sluta begära klientcertifikat",
        nb: "gi den en `identity` som den godtar, eller la den slutte å be om klientsertifikat",
        de: "ihm eine `identity` geben, die er akzeptiert, oder ihn kein Client-Zertifikat mehr verlangen lassen",
    },
};
const FIRST_USE: Advice = Advice {
    what: Say {
        en: TlsFailure::FirstUse.cause(),
        sv: "dess certifikat från första mötet kan inte läsas eller sparas",
        nb: "sertifikatet fra det første møtet kan ikke leses eller lagres",
        de: "sein Zertifikat der ersten Begegnung kann nicht gelesen oder aufbewahrt werden",
    },
    fix: Say {
        en: TlsFailure::FirstUse.fix(),
        sv: "låt `state_dir` vara en katalog som portvakt får läsa och skriva i",
        nb: "la `state_dir` være en katalog som portvakt kan lese og skrive i",
        de: "`state_dir` ein Verzeichnis sein lassen, in dem portvakt lesen und schreiben darf",
    },
};
const OTHER: Advice = Advice {
    what: Say {
        en: TlsFailure::Other.cause(),
        sv: "den avslutade handskakningen utan att säga varför, som gamla servrar gör när inget är gemensamt",
        nb: "den avsluttet håndtrykket uten å si hvorfor, som gamle servere gjør når ingenting er felles",
        de: "er beendete den Handshake ohne Grund, wie es alte Server tun, wenn es nichts Gemeinsames gibt",
    },
    fix: OLD_PROTOCOL.fix,
};
const UNREADABLE: Advice = Advice {
    what: Say {
        en: TlsFailure::Unreadable.cause(),
        sv: "dess certifikat är ingen X.509 som går att läsa, så att inget i det kan betros",
        nb: "sertifikatet er ingen X.509 som kan leses, slik at ingenting i det kan stoles på",
        de: "sein Zertifikat ist kein lesbares X.509, sodass nichts darin glaubhaft ist",
    },
    fix: Say {
        en: TlsFailure::Unreadable.fix(),
        sv: "ge servern ett certifikat som `openssl x509 -text` kan läsa; om ingen har bytt det står någon emellan",
        nb: "gi serveren et sertifikat som `openssl x509 -text` kan lese; hvis ingen har byttet det, står noen imellom",
        de: "dem Server ein Zertifikat geben, das `openssl x509 -text` lesen kann; hat es niemand geändert, steht jemand dazwischen",
    },
};
const SSL_REQUIRED: Advice = Advice {
    what: Say {
        en: Trouble::SslRequired.what(),
        sv: "IIS svarar 403.4: `Require SSL` är ikryssat för applikationen, och portvakt talar HTTP i klartext med den; inget huvud ändrar det, eftersom IIS ser på anslutningen",
        nb: "IIS svarer 403.4: `Require SSL` er krysset av for applikasjonen, og portvakt snakker HTTP i klartekst med den; ingen header endrer det, siden IIS ser på tilkoblingen",
        de: "IIS antwortet 403.4: bei der Anwendung ist `Require SSL` angekreuzt, und portvakt spricht HTTP im Klartext mit ihr; kein Header ändert das, denn IIS sieht auf die Verbindung",
    },
    fix: Say {
        en: Trouble::SslRequired.fix(),
        sv: "väg A, Server 2016 och senare: ge IIS en https-bindning på en annan port eller på loopback, och skriv `upstream = { url = \"https://127.0.0.1:8443\", fingerprint = \"..\" }`; väg B, äldre servrar: bind IIS enbart till 127.0.0.1 och kryssa ur `Require SSL`, så att portvakt kräver https i stället",
        nb: "vei A, Server 2016 og nyere: gi IIS en https-binding på en annen port eller på loopback, og skriv `upstream = { url = \"https://127.0.0.1:8443\", fingerprint = \"..\" }`; vei B, eldre servere: bind IIS bare til 127.0.0.1 og fjern krysset for `Require SSL`, slik at portvakt krever https i stedet",
        de: "Weg A, Server 2016 und neuer: IIS eine https-Bindung auf einem anderen Port oder auf Loopback geben und `upstream = { url = \"https://127.0.0.1:8443\", fingerprint = \"..\" }` schreiben; Weg B, ältere Server: IIS nur an 127.0.0.1 binden und `Require SSL` abwählen, sodass portvakt https verlangt",
    },
};
const CLIENT_CERTIFICATE_REQUIRED: Advice = Advice {
    what: Say {
        en: Trouble::ClientCertificateRequired.what(),
        sv: "IIS svarar 403.7: den vill ha ett certifikat av klienten, vars TLS-anslutning slutar vid portvakt, så att IIS aldrig ser något",
        nb: "IIS svarer 403.7: den vil ha et sertifikat fra klienten, og TLS-tilkoblingen dens ender ved portvakt, slik at IIS aldri ser noe",
        de: "IIS antwortet 403.7: es will ein Zertifikat des Clients, dessen TLS-Verbindung bei portvakt endet, sodass IIS nie eines sieht",
    },
    fix: Say {
        en: Trouble::ClientCertificateRequired.fix(),
        sv: "sätt `Client certificates` till `Ignore` i applikationens SSL-inställningar i IIS; ett certifikat som IIS ska känna igen portvakt på står i `identity` för servern",
        nb: "sett `Client certificates` til `Ignore` i applikasjonens SSL-innstillinger i IIS; et sertifikat som IIS skal kjenne igjen portvakt på, står i `identity` for serveren",
        de: "in IIS `Client certificates` in den SSL-Einstellungen der Anwendung auf `Ignore` stellen; ein Zertifikat, an dem IIS portvakt selbst erkennen soll, steht in `identity` des Servers",
    },
};
const REDIRECT_LOOP: Advice = Advice {
    what: Say {
        en: Trouble::RedirectLoop.what(),
        sv: "klienter skickas om och om igen dit där de redan är: applikationen kräver https och tror att den tillfrågas i klartext, eftersom den ser på sin egen anslutning",
        nb: "klienter sendes om og om igjen dit de allerede er: applikasjonen krever https og tror at den blir spurt i klartekst, siden den ser på sin egen tilkobling",
        de: "Clients werden wieder und wieder dorthin geschickt, wo sie schon sind: die Anwendung erzwingt https und meint, im Klartext gefragt zu werden, da sie auf ihre eigene Verbindung sieht",
    },
    fix: Say {
        en: Trouble::RedirectLoop.fix(),
        sv: "stäng av applikationens omdirigering, eftersom portvakt kräver https; eller låt den höra om TLS, genom `X-Forwarded-Proto`, som den alltid får, eller genom `preset = \"iis\"` eller `\"arr\"` för servern; eller ge den en https-bindning och skriv `https://` med dess `fingerprint`",
        nb: "slå av applikasjonens omdirigering, siden portvakt krever https; eller la den høre om TLS, gjennom `X-Forwarded-Proto`, som den alltid får, eller gjennom `preset = \"iis\"` eller `\"arr\"` for serveren; eller gi den en https-binding og skriv `https://` med dens `fingerprint`",
        de: "die Umleitung der Anwendung abschalten, da portvakt https erzwingt; oder sie von TLS wissen lassen, durch `X-Forwarded-Proto`, das sie immer bekommt, oder durch `preset = \"iis\"` oder `\"arr\"` des Servers; oder ihr eine https-Bindung geben und `https://` mit ihrem `fingerprint` schreiben",
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_every_number_of_a_server_when_asked_then_words_in_all_languages() {
        let failures = TlsFailure::EVERY.map(TlsFailure::code).into_iter();
        for code in failures.chain(Trouble::ALL.iter().map(ToString::to_string)) {
            let Advice { what, fix } = coded(&code).unwrap_or_else(|| panic!("{code}"));
            what.assert_whole();
            fix.assert_whole();
        }
        assert!(["PV0102", "PV", "0436", ""].into_iter().all(|code| coded(code).is_none()));
    }
}
