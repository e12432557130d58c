//! Whether a request is one that BankID could take.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use super::{Call, Method, OrderKey, Refusal, Settings};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What a request asks for, as far as it has to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A new order.
    Order,
    /// The state of an order.
    Collect(OrderKey),
    /// An order's end.
    Cancel(OrderKey),
    /// Something that is not judged.
    Other,
}

impl Settings {
    /// Whether the version may be called. Needs no body, and comes before the allow-list: that an application calls a
    /// version that is gone tells its maker more than that nobody allowed it.
    ///
    /// # Errors
    ///
    /// [`Refusal::ClosedVersion`].
    pub fn check_version(&self, call: &Call) -> Result<(), Refusal> {
        match self.closed.iter().find(|closed| closed.is(&call.version)) {
            Some(closed) => Err(Refusal::ClosedVersion(closed.clone())),
            None => Ok(()),
        }
    }
}

/// Judges a whole request; `body` is as sent, a UTF-8 byte order mark before it means nothing.
///
/// Unknown methods, unknown members and everything that is not clearly wrong pass: BankID's answer is the better one. Where
/// a member stands twice, the last one counts. A member that is `null` is not there.
///
/// # Errors
///
/// [`Refusal::ClosedVersion`] for a version that is gone; `NotJson`, `WrongType`, `EndUserIpMissing`, `EndUserIpWrong`,
/// `PersonalNumber` and `OrderRefMissing` for what BankID would answer with `invalidParameters`.
pub fn judge(call: &Call, settings: &Settings, body: &[u8]) -> Result<Asked, Refusal> {
    settings.check_version(call)?;
    match call.method {
        Method::Auth | Method::Sign | Method::Payment => order_on_device(&read(body)?).map(|()| Asked::Order),
        Method::PhoneAuth | Method::PhoneSign => {
            personal_number(&read(body)?.personal_number, "personalNumber").map(|()| Asked::Order)
        }
        Method::Collect => order_key(&read(body)?).map(Asked::Collect),
        Method::Cancel => order_key(&read(body)?).map(Asked::Cancel),
        Method::Verify | Method::Other => Ok(Asked::Other),
    }
}

fn order_on_device(members: &Members<'_>) -> Result<(), Refusal> {
    let address = members.end_user_ip.text("endUserIp")?.ok_or(Refusal::EndUserIpMissing)?;
    address.parse::<IpAddr>().map_err(|_| Refusal::EndUserIpWrong)?;
    match &members.requirement {
        Member::Object(required) => personal_number(&required.personal_number, "requirement.personalNumber"),
        Member::Absent => Ok(()),
        Member::Text(_) | Member::Other => Err(Refusal::WrongType { member: "requirement", expected: "an object" }),
    }
}

/// Digits alone: neither date nor check digit is looked at, since coordination numbers and those of tests have to pass. A
/// number that is missing is left to BankID.
fn personal_number(number: &Member<'_>, name: &'static str) -> Result<(), Refusal> {
    match number.text(name)? {
        Some(text) if text.len() != 12 || !text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(Refusal::PersonalNumber { member: name })
        }
        _ => Ok(()),
    }
}

fn order_key(members: &Members<'_>) -> Result<OrderKey, Refusal> {
    members.order_ref.text("orderRef")?.map(OrderKey::of).ok_or(Refusal::OrderRefMissing)
}

fn read(body: &[u8]) -> Result<Members<'_>, Refusal> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let whole = Member::deserialize(&mut deserializer).and_then(|whole| deserializer.end().map(|()| whole));
    match whole.map_err(|_| Refusal::NotJson)? {
        Member::Object(members) => Ok(*members),
        _ => Err(Refusal::WrongType { member: "the body", expected: "an object" }),
    }
}

/// A value, as far as it is looked at.
#[derive(Default)]
enum Member<'b> {
    /// Missing, or `null`.
    #[default]
    Absent,
    Text(Cow<'b, str>),
    Object(Box<Members<'b>>),
    Other,
}

impl Member<'_> {
    fn text(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        match self {
            Self::Text(text) => Ok(Some(text)),
            Self::Absent => Ok(None),
            Self::Object(_) | Self::Other => Err(Refusal::WrongType { member: name, expected: "a string" }),
        }
    }
}

/// The members that are looked at, whichever the object.
#[derive(Default)]
struct Members<'b> {
    end_user_ip: Member<'b>,
    order_ref: Member<'b>,
    personal_number: Member<'b>,
    requirement: Member<'b>,
}

#[derive(Deserialize)]
#[serde(field_identifier)]
enum Name {
    #[serde(rename = "endUserIp")]
    EndUserIp,
    #[serde(rename = "orderRef")]
    OrderRef,
    #[serde(rename = "personalNumber")]
    PersonalNumber,
    #[serde(rename = "requirement")]
    Requirement,
    #[serde(other)]
    Other,
}

impl<'b> Deserialize<'b> for Member<'b> {
    fn deserialize<D: Deserializer<'b>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Look)
    }
}

struct Look;

impl<'b> Visitor<'b> for Look {
    type Value = Member<'b>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Member::Absent)
    }

    fn visit_borrowed_str<E>(self, text: &'b str) -> Result<Self::Value, E> {
        Ok(Member::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Member::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Member::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Member::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Member::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Member::Other)
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }

    fn visit_map<A: MapAccess<'b>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::default();
        while let Some(name) = entries.next_key()? {
            match name {
                Name::EndUserIp => members.end_user_ip = entries.next_value()?,
                Name::OrderRef => members.order_ref = entries.next_value()?,
                Name::PersonalNumber => members.personal_number = entries.next_value()?,
                Name::Requirement => members.requirement = entries.next_value()?,
                Name::Other => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Member::Object(Box::new(members)))
    }
}

#[cfg(test)]
mod tests {
    use http::Method as HttpMethod;
    use proptest::prelude::*;

    use super::*;

    fn asked(target: &str, body: &str) -> Result<Asked, Refusal> {
        judge(&Call::read(&HttpMethod::POST, target), &Settings::default(), body.as_bytes())
    }

    const AUTH: &str = "/rp/v6.0/auth";
    const PHONE: &str = "/rp/v6.0/phone/auth";
    const COLLECT: &str = "/rp/v6.0/collect";

    #[test]
    fn given_a_sound_request_when_judged_then_it_passes() {
        let order = OrderKey::of("131daac9");
        #[rustfmt::skip]
        let table = [
            (AUTH,                  r#"{"endUserIp":"194.168.2.25"}"#,                                       Asked::Order),
            (AUTH,                  r#"{"endUserIp":"2001:db8::1","requirement":null}"#,                     Asked::Order),
            (AUTH,                  r#"{"endUserIp":"::1","requirement":{"personalNumber":null}}"#,          Asked::Order),
            (AUTH,                  r#"{"endUserIp":"::1","requirement":{"personalNumber":"190000000000"}}"#, Asked::Order),
            (AUTH,                  r#"{"endUserIp":"::1","requirement":{"personalNumber":"199913620000","pinCode":true}}"#, Asked::Order),
            (AUTH,                  r#"{"endUserIp":"::1","future":{"personalNumber":1},"personalNumber":[[]]}"#, Asked::Order),
            (AUTH,                  "\u{feff} {\"endUser\\u0049p\":\"::\\u0031\"}\r\n",           Asked::Order),
            (AUTH,                  r#"{"endUserIp":"x","endUserIp":"::1"}"#,                                Asked::Order),
            ("/rp/v6.0/sign",       r#"{"endUserIp":"::1"}"#,                                                Asked::Order),
            ("/rp/v6.0/payment",    r#"{"endUserIp":"::1"}"#,                                                Asked::Order),
            (PHONE,                 r#"{"personalNumber":"190000000000","callInitiator":"user"}"#,           Asked::Order),
            (PHONE,                 r#"{}"#,                                                                 Asked::Order),
            ("/rp/v6.0/phone/sign", r#"{"personalNumber":"190000000000"}"#,                                  Asked::Order),
            (COLLECT,               r#"{"orderRef":"131daac9"}"#,                                            Asked::Collect(order)),
            (COLLECT,               r#"{"order\u0052ef":"131d\u0061ac9","x":[{"orderRef":1}]}"#,           Asked::Collect(order)),
            ("/rp/v6.0/cancel",     r#"{"orderRef":"131daac9"}"#,                                            Asked::Cancel(order)),
            ("/rp/v7.0/auth",       r#"{"endUserIp":"::1"}"#,                                                Asked::Order),
            ("/rp/v6.0/other/new",  "not JSON",                                                              Asked::Other),
            ("/rp/v1/verify",       "",                                                                      Asked::Other),
            ("/elsewhere",          "",                                                                      Asked::Other),
        ];
        for (target, body, expected) in table {
            assert_eq!(asked(target, body), Ok(expected), "{target} {body}");
        }
    }

    #[test]
    fn given_one_flaw_when_judged_then_it_is_named() {
        let not_text = |member| Refusal::WrongType { member, expected: "a string" };
        let number = |member| Refusal::PersonalNumber { member };
        let required = "requirement.personalNumber";
        #[rustfmt::skip]
        let table = [
            (AUTH, r#"{}"#,                                     Refusal::EndUserIpMissing),
            (AUTH, r#"{"endUserIp":null}"#,                     Refusal::EndUserIpMissing),
            (AUTH, r#"{"enduserip":"::1"}"#,                    Refusal::EndUserIpMissing),
            (AUTH, r#"{"endUserIp":""}"#,                       Refusal::EndUserIpWrong),
            (AUTH, r#"{"endUserIp":"194.168.2.25:80"}"#,        Refusal::EndUserIpWrong),
            (AUTH, r#"{"endUserIp":"194.168.2.25, 10.0.0.1"}"#, Refusal::EndUserIpWrong),
            (AUTH, r#"{"endUserIp":"[::1]"}"#,                  Refusal::EndUserIpWrong),
            (AUTH, r#"{"endUserIp":"localhost"}"#,              Refusal::EndUserIpWrong),
            (AUTH, r#"{"endUserIp":1}"#,                        not_text("endUserIp")),
            (AUTH, r#"{"endUserIp":["::1"]}"#,                  not_text("endUserIp")),
            (AUTH, r#"{"endUserIp":{}}"#,                       not_text("endUserIp")),
            (AUTH, r#"{"endUserIp":-1.5}"#,                     not_text("endUserIp")),
            (AUTH, r#"{"endUserIp":true}"#,                     not_text("endUserIp")),
            (AUTH, r#"{"endUserIp":"::1","endUserIp":null}"#,   Refusal::EndUserIpMissing),
            (AUTH, r#"{"endUserIp":"::1","requirement":{"personalNumber":"9001011234"}}"#,    number(required)),
            (AUTH, r#"{"endUserIp":"::1","requirement":{"personalNumber":"19900101-1234"}}"#, number(required)),
            (AUTH, r#"{"endUserIp":"::1","requirement":{"personalNumber":"19900101123x"}}"#,  number(required)),
            (AUTH, r#"{"endUserIp":"::1","requirement":{"personalNumber":"١٩٩٠٠١"}}"#,        number(required)),
            (AUTH, r#"{"endUserIp":"::1","requirement":{"personalNumber":""}}"#,              number(required)),
            (AUTH, r#"{"endUserIp":"::1","requirement":{"personalNumber":190000000000}}"#,    not_text(required)),
            (AUTH, r#"{"endUserIp":"::1","requirement":"x"}"#,  Refusal::WrongType { member: "requirement", expected: "an object" }),
            (PHONE, r#"{"personalNumber":"1900000000000"}"#,    number("personalNumber")),
            (PHONE, r#"{"personalNumber":[]}"#,                 not_text("personalNumber")),
            (COLLECT, r#"{}"#,                                  Refusal::OrderRefMissing),
            (COLLECT, r#"{"orderRef":7}"#,                      not_text("orderRef")),
            (COLLECT, "",                                       Refusal::NotJson),
            (COLLECT, "orderRef=131daac9",                      Refusal::NotJson),
            (COLLECT, r#"{"orderRef":"131daac9""#,              Refusal::NotJson),
            (COLLECT, r#"{"orderRef":"131daac9"} x"#,           Refusal::NotJson),
            (COLLECT, r#"["orderRef"]"#,                        Refusal::WrongType { member: "the body", expected: "an object" }),
            ("/rp/v5.1/collect", "", Refusal::ClosedVersion("v5.1".parse().unwrap())),
            ("/rp/v5/anything",  "", Refusal::ClosedVersion("v5".parse().unwrap())),
        ];
        for (target, body, expected) in table {
            assert_eq!(asked(target, body), Err(expected), "{target} {body}");
        }
    }

    #[test]
    fn given_a_list_of_the_operator_when_judged_then_it_alone_decides() {
        let settings = Settings { closed: vec!["v6.0".parse().unwrap()], ..Settings::default() };
        let judged = |target| judge(&Call::read(&HttpMethod::POST, target), &settings, br#"{"endUserIp":"::1"}"#);
        assert_eq!(judged("/rp/v5.1/auth"), Ok(Asked::Order));
        assert!(matches!(judged("/rp/v6.0/auth"), Err(Refusal::ClosedVersion(closed)) if closed.name() == "v6.0"));
    }

    #[test]
    fn given_deep_nesting_when_judged_then_it_is_skipped_or_refused() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(asked(AUTH, &format!(r#"{{"x":{deep},"endUserIp":"::1"}}"#)), Ok(Asked::Order));
        let deep = format!("{}1{}", r#"{"requirement":"#.repeat(10_000), "}".repeat(10_000));
        assert_eq!(asked(AUTH, &deep), Err(Refusal::NotJson));
    }

    proptest! {
        #[test]
        fn given_any_body_when_judged_then_no_panic_and_nothing_of_it_is_told(secret in "[0-9]{5,11}|[0-9]{13,20}", body in any::<Vec<u8>>()) {
            let call = Call::read(&HttpMethod::POST, AUTH);
            let _ = judge(&call, &Settings::default(), &body);
            let named = format!(r#"{{"endUserIp":"::1","requirement":{{"personalNumber":"{secret}"}}}}"#);
            let refusal = judge(&call, &Settings::default(), named.as_bytes()).unwrap_err();
            let told = refusal.body() + &format!("{refusal:?}");
            prop_assert!(!told.contains(&secret), "{}", told);
        }

        #[test]
        fn given_any_address_and_any_twelve_digits_when_judged_then_they_pass(address: IpAddr, number in "[0-9]{12}") {
            let body = format!(r#"{{"endUserIp":"{address}","requirement":{{"personalNumber":"{number}"}}}}"#);
            prop_assert_eq!(asked(AUTH, &body), Ok(Asked::Order));
            prop_assert_eq!(asked(PHONE, &format!(r#"{{"personalNumber":"{number}"}}"#)), Ok(Asked::Order));
        }
    }
}
