//! Which message the user should see.

mod texts;

use serde::Serialize;

use self::texts::*;
use super::{ErrorCode, Findings, Hint, Status, Watch};

/// What BankID recommends to show when an answer has come, or that it is the relying party's own fault.
///
/// # Why
///
/// For some answers BankID has two messages, one for an app that was started on the same device and one for a QR code, or
/// one for computers and one for telephones. An answer does not say how its order was started, and neither does the
/// request; so both are told, each with the case that it is for, and the application knows which it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    user_message: Vec<Recommended>,
    relying_party_fault: bool,
}

/// A message, and the case it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Recommended {
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<Case>,
    #[serde(flatten)]
    text: &'static Text,
}

/// How an order was started, or where the user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Case {
    Autostart,
    Qr,
    Computer,
    Mobile,
}

/// One message.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Text {
    /// Its name at BankID; none for a message of our own.
    rfa: Option<&'static str>,
    sv: &'static str,
    en: &'static str,
}

impl Message {
    /// The field of a response's header that tells it.
    pub const HEADER: &str = "portvakt-user-message";

    /// What a whole answer of BankID's is to be shown as; `None` for one that asks for no message: a new order, a completed
    /// or cancelled one. Hints and errors that are not known have the message that fits all of their kind.
    pub fn of(found: &Findings) -> Option<Self> {
        match (found.error, found.status) {
            _ if !found.whole => None,
            (Some(error), _) => Some(Self::of_error(error)),
            (None, Some(Status::Pending)) => Some(Self::shown(pending(found.hint))),
            (None, Some(Status::Failed)) => Some(Self::shown(failed(found.hint))),
            (None, Some(Status::Complete | Status::Other) | None) => None,
        }
    }

    /// What an error is to be shown as. The relying party's own faults are not told the user as errors of BankID.
    pub fn of_error(error: ErrorCode) -> Self {
        match error {
            ErrorCode::InvalidParameters
            | ErrorCode::Unauthorized
            | ErrorCode::NotFound
            | ErrorCode::UnsupportedMediaType => Self { user_message: Vec::new(), relying_party_fault: true },
            ErrorCode::AlreadyInProgress => Self::shown(vec![always(&RFA4)]),
            ErrorCode::Canceled => Self::shown(vec![always(&RFA3)]),
            ErrorCode::VerificationFailed
            | ErrorCode::MethodNotAllowed
            | ErrorCode::RequestTimeout
            | ErrorCode::TooManyRequests
            | ErrorCode::InternalError
            | ErrorCode::Maintenance
            | ErrorCode::Other => Self::shown(vec![always(&RFA5)]),
        }
    }

    /// The message as JSON in ASCII, fit for a field of a header:
    /// `{"user_message":[{"rfa":"RFA6","sv":"...","en":"..."}],"relying_party_fault":false}`.
    pub fn json(&self) -> String {
        let json = serde_json::to_string(self).expect("strings and a bool, without keys that are no strings");
        let mut ascii = String::with_capacity(json.len() + 64);
        for character in json.chars() {
            match character.is_ascii() {
                true => ascii.push(character),
                false => character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| ascii += &format!("\\u{unit:04x}")),
            }
        }
        ascii
    }

    /// The member that tells it in an answer's object. To be put before the brace that ends the object, whose place
    /// [`Watch::push`] gives; `has_members` is [`Watch::has_members`].
    pub fn member(&self, has_members: bool) -> String {
        let comma = if has_members { "," } else { "" };
        format!(r#"{comma}"portvakt":{}"#, self.json())
    }

    /// A whole answer with the member added, and no other byte changed; `None` for what is no whole JSON object.
    pub fn added_to(&self, answer: &[u8]) -> Option<Vec<u8>> {
        let mut watch = Watch::new();
        let (before, behind) = answer.split_at_checked(watch.push(answer)?)?;
        Some([before, self.member(watch.has_members()).as_bytes(), behind].concat())
    }

    fn shown(user_message: Vec<Recommended>) -> Self {
        Self { user_message, relying_party_fault: false }
    }
}

fn pending(hint: Option<Hint>) -> Vec<Recommended> {
    match hint {
        Some(Hint::OutstandingTransaction) => vec![on(Case::Autostart, &RFA13), on(Case::Qr, &RFA1)],
        Some(Hint::NoClient) => vec![always(&RFA1)],
        Some(Hint::Started) => vec![on(Case::Computer, &RFA15A), on(Case::Mobile, &RFA15B)],
        Some(Hint::UserMrtd) => vec![always(&RFA23)],
        Some(Hint::UserSign) => vec![always(&RFA9)],
        Some(Hint::UserFace) => vec![always(&RFA24)],
        Some(Hint::UserStepUp) => vec![always(&RFA25)],
        // `userCallConfirm`, `processing`, and whatever is new.
        _ => vec![always(&RFA21)],
    }
}

fn failed(hint: Option<Hint>) -> Vec<Recommended> {
    match hint {
        Some(Hint::ExpiredTransaction) => vec![always(&RFA8)],
        Some(Hint::CertificateErr) => vec![always(&RFA16)],
        Some(Hint::UserCancel) => vec![always(&RFA6)],
        Some(Hint::Cancelled) => vec![always(&RFA3)],
        Some(Hint::StartFailed) => vec![on(Case::Autostart, &RFA17A), on(Case::Qr, &RFA17B)],
        Some(Hint::NotSupportedByUserApp) => vec![always(&UPDATE)],
        Some(Hint::MrtdVerificationFailed) => vec![always(&RFA26)],
        Some(Hint::FacialRecognitionFailed) => vec![always(&RFA27)],
        Some(Hint::NfcNotSupportedByDevice) => vec![always(&RFA28)],
        Some(Hint::MultipleBankIdsOnDevice) => vec![always(&RFA29)],
        Some(Hint::StepUpFailed) => vec![always(&RFA30)],
        // `userDeclinedCall`, `transactionRiskBlocked`, and whatever is new.
        _ => vec![always(&RFA22)],
    }
}

const fn always(text: &'static Text) -> Recommended {
    Recommended { when: None, text }
}

const fn on(case: Case, text: &'static Text) -> Recommended {
    Recommended { when: Some(case), text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn told(status: Status, hint: Option<Hint>) -> Option<Message> {
        Message::of(&Findings { status: Some(status), hint, whole: true, ..Findings::default() })
    }

    /// `RFA13 autostart, RFA1 qr`, or `fault`.
    fn named(message: &Message) -> String {
        let name = |recommended: &Recommended| {
            let case = recommended.when.map(|case| format!(" {case:?}").to_lowercase());
            recommended.text.rfa.unwrap_or("own").to_owned() + &case.unwrap_or_default()
        };
        let names: Vec<_> = message.user_message.iter().map(name).collect();
        assert_eq!(names.is_empty(), message.relying_party_fault);
        if message.relying_party_fault { "fault".to_owned() } else { names.join(", ") }
    }

    #[test]
    fn given_every_answer_when_looked_up_then_the_messages_of_the_golden_file() {
        let mut lines = Vec::new();
        let mut texts = std::collections::BTreeMap::new();
        for (status, hint) in Hint::ALL.iter().flat_map(|hint| [(Status::Pending, hint), (Status::Failed, hint)]) {
            let message = told(status, Some(*hint)).unwrap();
            lines.push(format!("{} {}: {}", status.label(), hint.label(), named(&message)));
            texts.extend(
                message.user_message.iter().map(|one| (one.text.rfa.unwrap_or("own"), (one.text.sv, one.text.en))),
            );
        }
        for code in ErrorCode::ALL {
            let message = Message::of_error(*code);
            lines.push(format!("{}: {}", code.label(), named(&message)));
            texts.extend(
                message.user_message.iter().map(|one| (one.text.rfa.unwrap_or("own"), (one.text.sv, one.text.en))),
            );
        }
        lines.extend(texts.iter().map(|(rfa, (sv, en))| format!("{rfa}\n  sv: {sv}\n  en: {en}")));
        assert_eq!(lines.join("\n") + "\n", include_str!("golden.txt"));
    }

    #[test]
    fn given_an_answer_that_asks_for_no_message_when_looked_up_then_none() {
        assert_eq!(told(Status::Complete, None), None);
        assert_eq!(told(Status::Other, Some(Hint::UserSign)), None);
        assert_eq!(Message::of(&Findings { whole: true, ..Findings::default() }), None, "a new order");
        let cut = Findings { status: Some(Status::Pending), ..Findings::default() };
        assert_eq!(Message::of(&cut), None, "an answer that was cut off");
        assert_eq!(told(Status::Failed, None).map(|message| named(&message)), Some("RFA22".to_owned()));
    }

    #[test]
    fn given_a_message_when_written_for_a_header_then_ascii_that_means_the_same() {
        let json = told(Status::Failed, Some(Hint::UserCancel)).unwrap().json();
        assert_eq!(
            json,
            r#"{"user_message":[{"rfa":"RFA6","sv":"\u00c5tg\u00e4rden avbr\u00f6ts.","en":"The action was cancelled."}],"relying_party_fault":false}"#
        );
        let json = told(Status::Failed, Some(Hint::StartFailed)).unwrap().json();
        assert!(json.bytes().all(|byte| matches!(byte, b' '..=b'~')) && json.len() < 1024, "{json}");
        let read: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(read["user_message"][1]["when"], "qr");
        assert_eq!(read["user_message"][1]["sv"], RFA17B.sv);
        assert_eq!(Message::of_error(ErrorCode::NotFound).json(), r#"{"user_message":[],"relying_party_fault":true}"#);
    }

    #[test]
    fn given_an_answer_when_the_member_is_added_then_no_other_byte_changes() {
        let message = Message::of_error(ErrorCode::Unauthorized);
        let member = r#""portvakt":{"user_message":[],"relying_party_fault":true}"#;
        #[rustfmt::skip]
        let table = [
            ("{}", format!("{{{member}}}")),
            (" { } ", format!(" {{ {member}}} ")),
            ("\u{feff}{\"a\":{\"b\":\"}\"}\r\n}\n", format!("\u{feff}{{\"a\":{{\"b\":\"}}\"}}\r\n,{member}}}\n")),
        ];
        for (answer, expected) in table {
            assert_eq!(message.added_to(answer.as_bytes()), Some(expected.into_bytes()), "{answer}");
        }
        for answer in ["", "[]", "{", "{\"a\":1", "null", "<html>"] {
            assert_eq!(message.added_to(answer.as_bytes()), None, "{answer}");
        }
    }

    proptest! {
        #[test]
        fn given_any_object_when_the_member_is_added_then_it_is_the_same_with_one_member_more(
            object in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..6),
        ) {
            let answer = serde_json::to_vec(&object).unwrap();
            let added = told(Status::Pending, Some(Hint::Started)).unwrap().added_to(&answer).unwrap();
            let mut read: serde_json::Map<String, Value> = serde_json::from_slice(&added).unwrap();
            let message = read.remove("portvakt").unwrap();
            prop_assert_eq!(message["user_message"].as_array().unwrap().len(), 2);
            prop_assert_eq!(serde_json::to_value(&object).unwrap(), Value::Object(read));
        }
    }
}
