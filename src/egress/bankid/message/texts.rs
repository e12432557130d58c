//! The messages that BankID recommends (RFA), in Swedish and English.

use super::Text;

pub(super) const RFA1: Text = Text { rfa: Some("RFA1"), sv: "Starta BankID-appen.", en: "Start your BankID app." };

pub(super) const RFA3: Text =
    Text {
        rfa: Some("RFA3"), sv: "Åtgärden avbröts. Försök igen.", en: "The action was cancelled. Please try again."
    };

pub(super) const RFA4: Text = Text {
    rfa: Some("RFA4"),
    sv: "En identifiering eller underskrift pågår redan för ditt personnummer. Försök igen.",
    en: "An identification or signature is already in progress for your personal identity number. Please try again.",
};

pub(super) const RFA5: Text =
    Text { rfa: Some("RFA5"), sv: "Något gick fel. Försök igen.", en: "Something went wrong. Please try again." };

pub(super) const RFA6: Text = Text { rfa: Some("RFA6"), sv: "Åtgärden avbröts.", en: "The action was cancelled." };

pub(super) const RFA8: Text = Text {
    rfa: Some("RFA8"),
    sv: "BankID-appen svarar inte. Kontrollera att den är startad och att du har internetanslutning. Försök sedan igen.",
    en: "The BankID app is not responding. Please check that it's started and that you have internet access. Try again.",
};

pub(super) const RFA9: Text = Text {
    rfa: Some("RFA9"),
    sv: "Skriv in din säkerhetskod i BankID-appen och välj Identifiera eller Skriv under.",
    en: "Enter your security code in the BankID app and select Identify or Sign.",
};

pub(super) const RFA13: Text =
    Text { rfa: Some("RFA13"), sv: "Försöker starta BankID-appen.", en: "Trying to start your BankID app." };

pub(super) const RFA15A: Text = Text {
    rfa: Some("RFA15A"),
    sv: "Söker efter BankID. Säkerställ att du har ett giltigt BankID på den här datorn. Om du har ett BankID på kort, sätt in kortet i kortläsaren.",
    en: "Searching for BankID. Make sure you have a valid BankID on this computer. If you have a BankID on card, please insert the card into your card reader.",
};

pub(super) const RFA15B: Text = Text {
    rfa: Some("RFA15B"),
    sv: "Söker efter BankID. Säkerställ att du har ett giltigt BankID på den här enheten.",
    en: "Searching for BankID. Make sure you have a valid BankID on this device.",
};

pub(super) const RFA16: Text = Text {
    rfa: Some("RFA16"),
    sv: "Ditt BankID är för gammalt eller spärrat. Använd ett annat BankID eller skaffa ett nytt hos din bank.",
    en: "Your BankID is blocked or too old. Please use another BankID or get a new one from your bank.",
};

pub(super) const RFA17A: Text = Text {
    rfa: Some("RFA17A"),
    sv: "Du verkar inte ha BankID-appen/programmet. Installera den och skaffa ett BankID hos din bank.",
    en: "You don't seem to have the BankID app/program. Please install it and get a BankID from your bank.",
};

pub(super) const RFA17B: Text = Text {
    rfa: Some("RFA17B"),
    sv: "Misslyckades att läsa av QR-koden. Starta BankID-appen och läs av QR-koden.",
    en: "Failed to scan the QR code. Start the BankID app and scan the QR code.",
};

pub(super) const RFA21: Text = Text {
    rfa: Some("RFA21"),
    sv: "En identifiering eller underskrift pågår.",
    en: "An identification or signing is in progress.",
};

pub(super) const RFA22: Text =
    Text { rfa: Some("RFA22"), sv: "Något gick fel. Försök igen.", en: "Something went wrong. Please try again." };

pub(super) const RFA23: Text = Text {
    rfa: Some("RFA23"),
    sv: "Fotografera och läs av din ID-handling med BankID-appen.",
    en: "Take a photo of, and scan, your ID document with the BankID app.",
};

pub(super) const RFA24: Text = Text {
    rfa: Some("RFA24"),
    sv: "Gör en ansiktsigenkänning i BankID-appen.",
    en: "Do a face recognition in the BankID app.",
};

pub(super) const RFA25: Text = Text {
    rfa: Some("RFA25"),
    sv: "Välj hur du vill bekräfta din identitet i BankID-appen.",
    en: "Choose in the BankID app how to confirm your identity.",
};

pub(super) const RFA26: Text = Text {
    rfa: Some("RFA26"),
    sv: "Kontrollen av din ID-handling misslyckades. Försök igen.",
    en: "The check of your ID document failed. Try again.",
};

pub(super) const RFA27: Text = Text {
    rfa: Some("RFA27"),
    sv: "Ansiktsigenkänningen misslyckades. Försök igen.",
    en: "Face recognition failed. Try again.",
};

pub(super) const RFA28: Text = Text {
    rfa: Some("RFA28"),
    sv: "Din enhet saknar den läsare som behövs för att kontrollera ID-handlingar.",
    en: "Your device lacks the reader needed to check ID documents.",
};

pub(super) const RFA29: Text = Text {
    rfa: Some("RFA29"),
    sv: "Du har flera BankID på din enhet. Du behöver radera alla utom ett BankID för att kunna slutföra identifieringen. Det gör du under Meny - Inställningar i din BankID-app.",
    en: "You have several BankIDs on your device. Delete all but one to finish; under Menu - Settings in the app.",
};

pub(super) const RFA30: Text = Text {
    rfa: Some("RFA30"),
    sv: "Bekräftelsen av din identitet misslyckades. Försök igen.",
    en: "Confirming your identity failed. Try again.",
};

/// BankID has no message for this, only the advice to ask for a newer app.
pub(super) const UPDATE: Text = Text {
    rfa: None,
    sv: "Din BankID-app behöver uppdateras. Uppdatera appen och försök igen.",
    en: "Your BankID app has to be updated. Please update the app and try again.",
};
