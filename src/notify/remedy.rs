//! What mends it when a message is not taken, in all languages.

use serde::{Deserialize, Serialize};

use crate::language::Say;

/// What mends it when a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// The host's name leads nowhere.
    Name,
    /// Nothing listens there.
    Listener,
    /// No way leads there, or nobody answers.
    Silence,
    /// It has answered nothing for long.
    Slowness,
    /// The connection broke.
    Break,
    /// The proxy on the way wants to know who we are.
    ProxyUser,
    /// The proxy on the way does not let us through.
    Proxy,
    /// What listens there speaks no TLS.
    NoTls,
    /// No CA that browsers trust has issued the certificate.
    Issuer,
    /// None of `trust_anchors` has issued the certificate.
    Anchors,
    /// The certificate is for another name.
    OtherName,
    /// The certificate has run out, or is not valid yet.
    Validity,
    /// The certificate cannot be used for another reason.
    Certificate,
    /// Nobody can tell what is in the way.
    Way,
    /// It does not take our token.
    Token,
    /// It wants a token.
    NoToken,
    /// It does not know the path.
    Path,
    /// It wants another form.
    Form,
    /// It has had enough for now.
    Patience,
    /// It has failed itself.
    Receiver,
    /// It has answered what nobody expects.
    UrlAndToken,
    /// It names another place.
    Redirect,
    /// The addresses are none that mail allows.
    Addresses,
    /// The password or token cannot be read.
    Secret,
    /// The trust anchors cannot be used.
    UnusableAnchors,
    /// The program is not there, or no program.
    Program,
    /// The program failed.
    ByHand,
    /// The mail server wants a login.
    Login,
    /// The mail server does not take our login.
    WrongLogin,
    /// The mail server knows no login that we know.
    NoLogin,
    /// The mail server refuses sender or recipient.
    Parties,
    /// The mail server cannot take it now.
    Later,
    /// The mail server refuses for another reason.
    MailSettings,
    /// The mail server offers no STARTTLS.
    NoStartTls,
    /// The mail server does not begin with TLS.
    NoImplicitTls,
    /// What answers is no mail server.
    NoMailServer,
    /// No way leads to the mail server, or it does not answer.
    MailWay,
}

impl Remedy {
    /// Every one, in the order of declaration.
    #[cfg(test)]
    const ALL: [Self; 37] = [
        Self::Name,
        Self::Listener,
        Self::Silence,
        Self::Slowness,
        Self::Break,
        Self::ProxyUser,
        Self::Proxy,
        Self::NoTls,
        Self::Issuer,
        Self::Anchors,
        Self::OtherName,
        Self::Validity,
        Self::Certificate,
        Self::Way,
        Self::Token,
        Self::NoToken,
        Self::Path,
        Self::Form,
        Self::Patience,
        Self::Receiver,
        Self::UrlAndToken,
        Self::Redirect,
        Self::Addresses,
        Self::Secret,
        Self::UnusableAnchors,
        Self::Program,
        Self::ByHand,
        Self::Login,
        Self::WrongLogin,
        Self::NoLogin,
        Self::Parties,
        Self::Later,
        Self::MailSettings,
        Self::NoStartTls,
        Self::NoImplicitTls,
        Self::NoMailServer,
        Self::MailWay,
    ];

    /// In words that begin small and have no full stop.
    pub(crate) const fn words(self) -> Say {
        match self {
            Self::Name => Say::new(
                "correct the host's name, or mend this machine's name resolution",
                "rätta värdnamnet, eller laga namnuppslagningen på den här datorn",
                "rett vertsnavnet, eller reparer navneoppslaget på denne maskinen",
                "den Hostnamen berichtigen oder die Namensauflösung dieses Rechners in Ordnung bringen",
            ),
            Self::Listener => Say::new(
                "nothing listens at that port: correct it, or start the receiver",
                "ingenting lyssnar på den porten: rätta den, eller starta mottagaren",
                "ingenting lytter på den porten: rett den, eller start mottakeren",
                "an diesem Port lauscht niemand: ihn berichtigen oder den Empfänger starten",
            ),
            Self::Silence => Say::new(
                "see whether this machine gets there: address, firewall; a webhook also goes through the proxy that `proxy` or \
                 HTTPS_PROXY names",
                "se om den här datorn kommer dit: adress, brandvägg; en webhook går också genom proxyn som `proxy` eller \
                 HTTPS_PROXY anger",
                "se om denne maskinen kommer dit: adresse, brannmur; en webhook går også gjennom proxyen som `proxy` eller \
                 HTTPS_PROXY oppgir",
                "prüfen, ob dieser Rechner dorthin kommt: Adresse, Firewall; ein Webhook geht auch durch den Proxy, den `proxy` \
                 oder HTTPS_PROXY nennt",
            ),
            Self::Slowness => Say::new(
                "see whether it hangs, or whether a firewall swallows what is sent; a mail server that expects TLS from the first \
                 byte (port 465) needs `tls = \"implicit\"`",
                "se om den hänger sig, eller om en brandvägg sväljer det som sänds; en e-postserver som väntar sig TLS från första \
                 byten (port 465) behöver `tls = \"implicit\"`",
                "se om den henger, eller om en brannmur svelger det som sendes; en e-posttjener som venter TLS fra første byte \
                 (port 465) trenger `tls = \"implicit\"`",
                "prüfen, ob er hängt oder eine Firewall verschluckt, was gesendet wird; ein Mailserver, der TLS vom ersten Byte an \
                 erwartet (Port 465), braucht `tls = \"implicit\"`",
            ),
            Self::Break => Say::new(
                "look into the receiver's log, and at what stands between: it is tried again",
                "se i mottagarens logg, och på det som står emellan: det görs nya försök",
                "se i loggen til mottakeren, og på det som står imellom: det prøves igjen",
                "ins Log des Empfängers sehen und auf das, was dazwischen steht: es wird erneut versucht",
            ),
            Self::ProxyUser => Say::new(
                "the proxy wants a user: name it as `http://user:password@host:port` in the environment, as HTTPS_PROXY or by \
                 `proxy = \"${PROXY_URL}\"`",
                "proxyn vill ha en användare: ange den som `http://user:password@host:port` i miljön, som HTTPS_PROXY eller genom \
                 `proxy = \"${PROXY_URL}\"`",
                "proxyen vil ha en bruker: oppgi den som `http://user:password@host:port` i miljøet, som HTTPS_PROXY eller med \
                 `proxy = \"${PROXY_URL}\"`",
                "der Proxy will einen Benutzer: ihn als `http://user:password@host:port` in der Umgebung nennen, als HTTPS_PROXY \
                 oder durch `proxy = \"${PROXY_URL}\"`",
            ),
            Self::Proxy => Say::new(
                "the proxy does not let this through: allow host and port there, or spare the host by NO_PROXY",
                "proxyn släpper inte igenom det: tillåt värd och port där, eller undanta värden med NO_PROXY",
                "proxyen slipper det ikke gjennom: tillat vert og port der, eller unnta verten med NO_PROXY",
                "der Proxy lässt das nicht durch: Host und Port dort erlauben oder den Host durch NO_PROXY ausnehmen",
            ),
            Self::NoTls => Say::new(
                "what listens at that port does not begin with TLS: correct the port",
                "det som lyssnar på den porten börjar inte med TLS: rätta porten",
                "det som lytter på den porten, begynner ikke med TLS: rett porten",
                "was an diesem Port lauscht, beginnt nicht mit TLS: den Port berichtigen",
            ),
            Self::Issuer => Say::new(
                "no CA that browsers trust has issued its certificate: set `trust_anchors` to the root of the CA that has, a PEM \
                 file; your company's may be in the system's own file already, on Debian `trust_anchors = \
                 \"/etc/ssl/certs/ca-certificates.crt\"`",
                "ingen CA som webbläsare litar på har utfärdat dess certifikat: låt `trust_anchors` ange roten för den CA som har \
                 gjort det, en PEM-fil; företagets egen kan redan stå i systemets fil, på Debian `trust_anchors = \
                 \"/etc/ssl/certs/ca-certificates.crt\"`",
                "ingen CA som nettlesere stoler på, har utstedt sertifikatet: la `trust_anchors` oppgi roten til den CA-en som har \
                 gjort det, en PEM-fil; firmaets egen kan allerede stå i systemets fil, på Debian `trust_anchors = \
                 \"/etc/ssl/certs/ca-certificates.crt\"`",
                "keine CA, der Browser vertrauen, hat sein Zertifikat ausgestellt: in `trust_anchors` das Stammzertifikat der CA \
                 nennen, die es hat, eine PEM-Datei; das der Firma steht vielleicht schon in der Datei des Systems, bei Debian \
                 `trust_anchors = \"/etc/ssl/certs/ca-certificates.crt\"`",
            ),
            Self::Anchors => Say::new(
                "none of `trust_anchors` has issued its certificate: name the root of the CA that has, or leave the key out where \
                 browsers trust it",
                "ingen av `trust_anchors` har utfärdat dess certifikat: ange roten för den CA som har gjort det, eller utelämna \
                 nyckeln om webbläsare litar på den",
                "ingen av `trust_anchors` har utstedt sertifikatet: oppgi roten til den CA-en som har gjort det, eller utelat \
                 nøkkelen der nettlesere stoler på den",
                "keines von `trust_anchors` hat sein Zertifikat ausgestellt: das Stammzertifikat der CA nennen, die es hat, oder \
                 den Schlüssel weglassen, wo Browser ihr vertrauen",
            ),
            Self::OtherName => Say::new(
                "its certificate is for other names: write one of those as the host, or have it issued for this one",
                "dess certifikat gäller andra namn: skriv ett av dem som värd, eller låt utfärda det för det här",
                "sertifikatet gjelder andre navn: skriv et av dem som vert, eller få det utstedt for dette",
                "sein Zertifikat gilt für andere Namen: einen davon als Host schreiben oder es für diesen ausstellen lassen",
            ),
            Self::Validity => Say::new(
                "have its certificate renewed; where it is in date, set the clock of this machine",
                "låt förnya dess certifikat; om det är giltigt, ställ den här datorns klocka",
                "få sertifikatet fornyet; hvis det er gyldig, still klokken på denne maskinen",
                "sein Zertifikat erneuern lassen; ist es gültig, die Uhr dieses Rechners stellen",
            ),
            Self::Certificate => Say::new(
                "have it show a certificate that can be used as a server's: `openssl s_client -connect HOST:PORT` shows the one \
                 it has",
                "låt den visa ett certifikat som duger för en server: `openssl s_client -connect HOST:PORT` visar det den har",
                "la den vise et sertifikat som duger for en tjener: `openssl s_client -connect HOST:PORT` viser det den har",
                "ihn ein Zertifikat zeigen lassen, das für einen Server taugt: `openssl s_client -connect HOST:PORT` zeigt, welches \
                 er hat",
            ),
            Self::Way => Say::new(
                "see whether this machine reaches it: name, port, firewall",
                "se om den här datorn når den: namn, port, brandvägg",
                "se om denne maskinen når den: navn, port, brannmur",
                "prüfen, ob dieser Rechner ihn erreicht: Name, Port, Firewall",
            ),
            Self::Token => Say::new(
                "compare the token, and the URL with its path, with what the receiver has given out",
                "jämför token, och URL:en med dess sökväg, med det mottagaren har lämnat ut",
                "sammenlign tokenet, og URL-en med stien, med det mottakeren har gitt ut",
                "das Token und die URL mit ihrem Pfad mit dem vergleichen, was der Empfänger ausgegeben hat",
            ),
            Self::NoToken => Say::new(
                "it wants to know who asks: `token_file` with the token that it has given out, or the right path",
                "den vill veta vem som frågar: `token_file` med den token den har lämnat ut, eller rätt sökväg",
                "den vil vite hvem som spør: `token_file` med tokenet den har gitt ut, eller riktig sti",
                "er will wissen, wer fragt: `token_file` mit dem Token, das er ausgegeben hat, oder der richtige Pfad",
            ),
            Self::Path => Say::new(
                "compare the URL with the one that the receiver has given out, to the end of its path",
                "jämför URL:en med den som mottagaren har lämnat ut, till slutet av sökvägen",
                "sammenlign URL-en med den som mottakeren har gitt ut, til slutten av stien",
                "die URL bis zum Ende ihres Pfades mit der vergleichen, die der Empfänger ausgegeben hat",
            ),
            Self::Form => Say::new(
                "it wants another form than deploy/notify/message.schema.json: let a program translate, by `exec`",
                "den vill ha en annan form än deploy/notify/message.schema.json: låt ett program översätta, med `exec`",
                "den vil ha en annen form enn deploy/notify/message.schema.json: la et program oversette, med `exec`",
                "er will eine andere Form als deploy/notify/message.schema.json: ein Programm übersetzen lassen, durch `exec`",
            ),
            Self::Patience => Say::new(
                "it has had enough for now; it is tried again",
                "den har fått nog för tillfället; det görs nya försök",
                "den har fått nok for øyeblikket; det prøves igjen",
                "er hat vorerst genug; es wird erneut versucht",
            ),
            Self::Receiver => Say::new(
                "the receiver has failed itself: look into its log; it is tried again",
                "mottagaren har själv misslyckats: se i dess logg; det görs nya försök",
                "mottakeren har selv feilet: se i loggen dens; det prøves igjen",
                "der Empfänger hat selbst versagt: in sein Log sehen; es wird erneut versucht",
            ),
            Self::UrlAndToken => Say::new(
                "compare the URL and the token with those that the receiver has given out",
                "jämför URL och token med dem som mottagaren har lämnat ut",
                "sammenlign URL og token med dem som mottakeren har gitt ut",
                "URL und Token mit denen vergleichen, die der Empfänger ausgegeben hat",
            ),
            Self::Redirect => Say::new(
                "write the URL that it leads to, if that is the receiver: redirects are not followed, so that no token wanders",
                "skriv URL:en som den leder till, om det är mottagaren: omdirigeringar följs inte, så att ingen token kommer på \
                 avvägar",
                "skriv URL-en som den leder til, hvis det er mottakeren: omdirigeringer følges ikke, slik at ingen token kommer \
                 på avveie",
                "die URL schreiben, zu der er führt, wenn das der Empfänger ist: Umleitungen wird nicht gefolgt, damit kein Token \
                 auf Abwege gerät",
            ),
            Self::Addresses => Say::new(
                "compare `from` and `to` with what mail allows",
                "jämför `from` och `to` med vad e-post tillåter",
                "sammenlign `from` og `to` med hva e-post tillater",
                "`from` und `to` mit dem vergleichen, was E-Mail erlaubt",
            ),
            Self::Secret => Say::new(
                "put it into the file, alone on its line, and let the user that portvakt runs as read it",
                "skriv det i filen, ensamt på sin rad, och låt användaren som portvakt körs som läsa den",
                "skriv det i filen, alene på linjen, og la brukeren som portvakt kjører som, lese den",
                "es allein auf seiner Zeile in die Datei schreiben und den Benutzer, unter dem portvakt läuft, sie lesen lassen",
            ),
            Self::UnusableAnchors => Say::new(
                "compare `trust_anchors` with the root of the receiver's certificate",
                "jämför `trust_anchors` med roten för mottagarens certifikat",
                "sammenlign `trust_anchors` med roten til mottakerens sertifikat",
                "`trust_anchors` mit dem Stammzertifikat des Empfängers vergleichen",
            ),
            Self::Program => Say::new(
                "put the program there and make it executable for the user that portvakt runs as",
                "lägg programmet där och gör det körbart för användaren som portvakt körs som",
                "legg programmet der og gjør det kjørbart for brukeren som portvakt kjører som",
                "das Programm dorthin legen und es für den Benutzer ausführbar machen, unter dem portvakt läuft",
            ),
            Self::ByHand => Say::new(
                "run it by hand with the message as its standard input",
                "kör det för hand med meddelandet som standardindata",
                "kjør det for hånd med meldingen som standard inndata",
                "es von Hand mit der Nachricht als Standardeingabe ausführen",
            ),
            Self::Login => Say::new(
                "it takes mail from users only: set `user` and `password_file`",
                "den tar bara emot e-post från användare: ange `user` och `password_file`",
                "den tar bare imot e-post fra brukere: oppgi `user` og `password_file`",
                "er nimmt Mail nur von Benutzern: `user` und `password_file` setzen",
            ),
            Self::WrongLogin => Say::new(
                "compare `user` and the password with what the mail server knows",
                "jämför `user` och lösenordet med det e-postservern känner till",
                "sammenlign `user` og passordet med det e-posttjeneren kjenner",
                "`user` und das Passwort mit dem vergleichen, was der Mailserver kennt",
            ),
            Self::NoLogin => Say::new(
                "it offers no login that is known here (PLAIN, LOGIN): leave `user` out if it wants none",
                "den erbjuder ingen inloggning som är känd här (PLAIN, LOGIN): utelämna `user` om den inte vill ha någon",
                "den tilbyr ingen innlogging som er kjent her (PLAIN, LOGIN): utelat `user` hvis den ikke vil ha noen",
                "er bietet keine Anmeldung an, die hier bekannt ist (PLAIN, LOGIN): `user` weglassen, wenn er keine will",
            ),
            Self::Parties => Say::new(
                "it does not take mail from `from`, or for one of `to`, from this machine or this `user`: see what it says",
                "den tar inte emot e-post från `from`, eller till någon av `to`, från den här datorn eller denna `user`: se vad \
                 den säger",
                "den tar ikke imot e-post fra `from`, eller til en av `to`, fra denne maskinen eller denne `user`: se hva den sier",
                "er nimmt keine Mail von `from` oder für einen von `to` von diesem Rechner oder diesem `user`: sehen, was er sagt",
            ),
            Self::Later => Say::new(
                "it cannot take it now; it is tried again",
                "den kan inte ta emot det nu; det görs nya försök",
                "den kan ikke ta imot det nå; det prøves igjen",
                "er kann sie jetzt nicht annehmen; es wird erneut versucht",
            ),
            Self::MailSettings => Say::new(
                "see what the server says: `tls`, `user`, `from` and `to` must suit it",
                "se vad servern säger: `tls`, `user`, `from` och `to` måste passa den",
                "se hva tjeneren sier: `tls`, `user`, `from` og `to` må passe den",
                "sehen, was der Server sagt: `tls`, `user`, `from` und `to` müssen zu ihm passen",
            ),
            Self::NoStartTls => Say::new(
                "it offers no STARTTLS at this port: 587 mostly does, or `tls = \"implicit\"` at port 465",
                "den erbjuder ingen STARTTLS på den här porten: 587 gör det för det mesta, eller `tls = \"implicit\"` på port 465",
                "den tilbyr ingen STARTTLS på denne porten: 587 gjør det som regel, eller `tls = \"implicit\"` på port 465",
                "er bietet an diesem Port kein STARTTLS: 587 tut es meist, oder `tls = \"implicit\"` an Port 465",
            ),
            Self::NoImplicitTls => Say::new(
                "it does not begin with TLS at this port: `tls = \"starttls\"` (587), or correct the port",
                "den börjar inte med TLS på den här porten: `tls = \"starttls\"` (587), eller rätta porten",
                "den begynner ikke med TLS på denne porten: `tls = \"starttls\"` (587), eller rett porten",
                "er beginnt an diesem Port nicht mit TLS: `tls = \"starttls\"` (587) oder den Port berichtigen",
            ),
            Self::NoMailServer => Say::new(
                "what answers there speaks no SMTP: correct the port",
                "det som svarar där talar inte SMTP: rätta porten",
                "det som svarer der, snakker ikke SMTP: rett porten",
                "was dort antwortet, spricht kein SMTP: den Port berichtigen",
            ),
            Self::MailWay => Say::new(
                "see whether this machine gets there: name, port, firewall; mail goes straight, never through a proxy, and a \
                 server that expects TLS from the first byte (port 465) needs `tls = \"implicit\"`",
                "se om den här datorn kommer dit: namn, port, brandvägg; e-post går raka vägen, aldrig genom en proxy, och en \
                 server som väntar sig TLS från första byten (port 465) behöver `tls = \"implicit\"`",
                "se om denne maskinen kommer dit: navn, port, brannmur; e-post går rett fram, aldri gjennom en proxy, og en \
                 tjener som venter TLS fra første byte (port 465) trenger `tls = \"implicit\"`",
                "prüfen, ob dieser Rechner dorthin kommt: Name, Port, Firewall; Mail geht geradeaus, nie durch einen Proxy, und \
                 ein Server, der TLS vom ersten Byte an erwartet (Port 465), braucht `tls = \"implicit\"`",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn given_every_remedy_when_told_then_in_words_of_its_own_in_all_languages() {
        let told: BTreeSet<_> = Remedy::ALL.map(|remedy| remedy.words().en).into();
        assert_eq!(told.len(), Remedy::ALL.len());
        for remedy in Remedy::ALL {
            remedy.words().assert_whole();
            assert!(!remedy.words().en.ends_with('.'), "{remedy:?}");
        }
    }
}
