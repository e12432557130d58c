//! Clients that still speak plain HTTP, and what would become of them.

use super::{Lang, Say};

/// A family of clients, by its label; `None` for one that is called the same in every language.
pub(in crate::admin) fn client(label: &str, lang: Lang) -> Option<&'static str> {
    let say = match label {
        "android_app" => Say {
            en: "an Android app (okhttp)",
            sv: "en Android-app (okhttp)",
            nb: "en Android-app (okhttp)",
            de: "eine Android-App (okhttp)",
        },
        "apple_app" => Say {
            en: "an iPhone or Mac app (CFNetwork)",
            sv: "en app på iPhone eller Mac (CFNetwork)",
            nb: "en app på iPhone eller Mac (CFNetwork)",
            de: "eine App auf iPhone oder Mac (CFNetwork)",
        },
        "curl" => Say { en: "curl or wget", sv: "curl eller wget", nb: "curl eller wget", de: "curl oder wget" },
        "python" => {
            Say { en: "a Python program", sv: "ett Python-program", nb: "et Python-program", de: "ein Python-Programm" }
        }
        "dotnet" => {
            Say { en: "a .NET program", sv: "ett .NET-program", nb: "et .NET-program", de: "ein .NET-Programm" }
        }
        "java" => Say { en: "a Java program", sv: "ett Java-program", nb: "et Java-program", de: "ein Java-Programm" },
        "go" => Say { en: "a Go program", sv: "ett Go-program", nb: "et Go-program", de: "ein Go-Programm" },
        "bot" => Say {
            en: "a bot or monitor",
            sv: "en bot eller övervakning",
            nb: "en bot eller overvåking",
            de: "ein Bot oder eine Überwachung",
        },
        "none" => Say {
            en: "a client that does not say what it is",
            sv: "en klient som inte säger vad den är",
            nb: "en klient som ikke sier hva den er",
            de: "ein Client, der nicht sagt, was er ist",
        },
        "other" => Say { en: "another client", sv: "en annan klient", nb: "en annen klient", de: "ein anderer Client" },
        _ => return None,
    };
    Some(say.to(lang))
}

/// Why a request would be refused or redirected; `None` for a reason of another version.
pub(in crate::admin) fn would(reason: &str, lang: Lang) -> Option<&'static str> {
    let say = match reason {
        "credentials" => Say {
            en: "it shows credentials without encryption",
            sv: "det visar inloggningsuppgifter okrypterat",
            nb: "det viser innloggingsopplysninger ukryptert",
            de: "sie zeigt Anmeldedaten unverschlüsselt",
        },
        "path" => Say {
            en: "the path is closed to plain HTTP",
            sv: "sökvägen är stängd för klartext",
            nb: "stien er stengt for klartekst",
            de: "der Pfad ist für Klartext gesperrt",
        },
        "method" => Say {
            en: "only GET and HEAD are redirected, its body has crossed in clear",
            sv: "bara GET och HEAD omdirigeras, innehållet har redan gått i klartext",
            nb: "bare GET og HEAD omdirigeres, innholdet er alt sendt i klartekst",
            de: "nur GET und HEAD werden umgeleitet, ihr Inhalt ging schon im Klartext",
        },
        "redirect" => Say {
            en: "plain HTTP is redirected here",
            sv: "klartext omdirigeras här",
            nb: "klartekst omdirigeres her",
            de: "Klartext wird hier umgeleitet",
        },
        _ => return None,
    };
    Some(say.to(lang))
}
