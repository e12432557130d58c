//! Which message BankID wants shown is told to the application where that is asked for, and nothing else of an answer changes.

use serde_json::{Value, json};

use crate::egress_stage::{AUTH, WayOut, json_of};
use crate::support::bankid::{Act, Plan};

#[test]
fn given_nothing_asked_when_answered_then_every_byte_is_bankids() {
    let (way, _portvakt) = WayOut::running_with("", "rules = \"bankid\"\n");
    way.bankid.script("auth", [Act::Error("alreadyInProgress")]);

    let reply = way.post("auth", AUTH);

    assert_eq!((reply.status, reply.header("portvakt-user-message")), (400, None));
    assert_eq!(json_of(&reply).get("portvakt"), None);
}

#[test]
fn given_a_field_of_the_header_asked_when_answered_then_it_holds_the_message_in_two_languages() {
    let (way, _portvakt) = WayOut::running_with("", "rules = \"bankid\"\nuser_message = \"header\"\n");
    way.bankid.plan(Plan::failing("userCancel", &[]));
    let message = |reply: &crate::support::raw::Reply| -> Value {
        serde_json::from_str(reply.header("portvakt-user-message").expect("a message")).unwrap()
    };

    let order = way.auth();
    let cancelled = way.post("collect", &format!("{{\"orderRef\":\"{order}\"}}"));
    way.bankid.script("auth", [Act::Error("unauthorized")]);
    let fault = way.post("auth", AUTH);

    let expected = json!([{ "rfa": "RFA6", "sv": "Åtgärden avbröts.", "en": "The action was cancelled." }]);
    assert_eq!(message(&cancelled), json!({ "user_message": expected, "relying_party_fault": false }));
    assert_eq!(message(&fault), json!({ "user_message": [], "relying_party_fault": true }));
    assert_eq!(json_of(&cancelled).get("portvakt"), None);
}

#[test]
fn given_a_member_asked_when_answered_then_it_is_added_and_the_length_is_right() {
    let (way, _portvakt) = WayOut::running_with("", "rules = \"bankid\"\nuser_message = \"field\"\n");
    way.bankid.plan(Plan::failing("expiredTransaction", &["userSign"]));
    let order = way.auth();
    let body = format!("{{\"orderRef\":\"{order}\"}}");

    let pending = json_of(&way.post("collect", &body));
    let failed = json_of(&way.post("collect", &body));

    assert_eq!(
        (&pending["hintCode"], &pending["portvakt"]["user_message"][0]["rfa"]),
        (&json!("userSign"), &json!("RFA9"))
    );
    assert_eq!((&failed["status"], &failed["portvakt"]["user_message"][0]["rfa"]), (&json!("failed"), &json!("RFA8")));
}
