//! BankID's orders: made, collected until they are final, given out once.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::RngExt;
use serde_json::{Value, json};

/// What becomes of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The hint code of each pending answer.
    pub(crate) pending: Vec<&'static str>,
    /// The hint code of a failed order; none when the user completes it.
    pub(crate) failed: Option<&'static str>,
}

/// Complete at the first collect.
pub(crate) const COMPLETE: Plan = Plan { pending: Vec::new(), failed: None };

/// An order that the service has made.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// What the relying party names it by.
    pub(crate) order_ref: String,
    /// The method that made it.
    pub(crate) method: String,
    /// Starts the app.
    pub(crate) auto_start_token: String,
    /// Stands in a QR code.
    pub(crate) qr_start_token: String,
    /// Signs QR codes, and stays with the relying party.
    pub(crate) qr_start_secret: String,
    /// Whom it is about.
    pub(crate) personal_number: String,
    /// When each collect arrived.
    pub(crate) collects: Vec<Instant>,
    /// How its final answer was given out.
    pub(crate) state: State,
    hints: Vec<&'static str>,
    failed: Option<&'static str>,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The user is at it.
    Pending,
    /// Its final answer was given out, and is not given again.
    Collected,
    /// The relying party has cancelled it.
    Cancelled,
}

#[derive(Debug)]
pub(super) struct Orders {
    pub(super) plan: Plan,
    made: Vec<Order>,
}

/// An answer before it is bytes.
pub(super) enum Said {
    Json { status: u16, body: Value },
    Raw(Vec<u8>),
}

impl Default for Orders {
    fn default() -> Self {
        Self { plan: COMPLETE.after(&["outstandingTransaction", "userSign"]), made: Vec::new() }
    }
}

impl Plan {
    /// The same end after these pending answers.
    pub(crate) fn after(&self, hints: &[&'static str]) -> Self {
        Self { pending: hints.to_vec(), failed: self.failed }
    }

    /// Failed with `hint` after these pending answers.
    pub(crate) fn failing(hint: &'static str, pending: &[&'static str]) -> Self {
        Self { pending: pending.to_vec(), failed: Some(hint) }
    }
}

impl Order {
    /// What the user signed, as the final answer gives it: base64 of about eight thousand bytes that name the order.
    pub(crate) fn signature(&self) -> String {
        let value = self.filler("SignatureValue", 5_500);
        STANDARD.encode(format!("<?xml version=\"1.0\"?><Signature><o>{}</o>{value}</Signature>", self.order_ref))
    }

    /// What the CA said of the user's certificate: base64 of about two thousand bytes.
    pub(crate) fn ocsp_response(&self) -> String {
        STANDARD.encode(self.filler("ocsp", 2_000))
    }

    /// The smallest time between two collects.
    pub(crate) fn smallest_gap(&self) -> Option<Duration> {
        self.collects.windows(2).map(|pair| pair[1] - pair[0]).min()
    }

    fn filler(&self, what: &str, length: usize) -> String {
        format!("{what}:{}:{};", self.order_ref, self.personal_number).chars().cycle().take(length).collect()
    }

    fn made_answer(&self) -> Value {
        if self.method.starts_with("phone/") {
            return json!({ "orderRef": self.order_ref });
        }
        json!({
            "orderRef": self.order_ref, "autoStartToken": self.auto_start_token,
            "qrStartToken": self.qr_start_token, "qrStartSecret": self.qr_start_secret,
        })
    }

    fn collect(&mut self) -> Value {
        if !self.hints.is_empty() {
            return json!({ "orderRef": self.order_ref, "status": "pending", "hintCode": self.hints.remove(0) });
        }
        self.state = State::Collected;
        match self.failed {
            Some(hint) => json!({ "orderRef": self.order_ref, "status": "failed", "hintCode": hint }),
            None => self.completion(),
        }
    }

    fn completion(&self) -> Value {
        let user = json!({
            "personalNumber": self.personal_number, "name": "Ängla Öberg", "givenName": "Ängla", "surname": "Öberg",
        });
        json!({
            "orderRef": self.order_ref, "status": "complete",
            "completionData": {
                "user": user, "device": { "ipAddress": "192.0.2.44", "uhi": "OZvYM9VvyiAmG7NA5jU5zqGcVpo=" },
                "bankIdIssueDate": "2026-02-01+01:00", "stepUp": { "mrtd": false },
                "signature": self.signature(), "ocspResponse": self.ocsp_response(), "risk": "low",
            },
        })
    }
}

impl Orders {
    pub(super) fn all(&self) -> Vec<Order> {
        self.made.clone()
    }

    pub(super) fn reply(&mut self, method: &str, body: &[u8], arrived: Instant) -> Said {
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return Said::error("invalidParameters") };
        match method {
            "collect" => self.with(&body, |order| {
                order.collects.push(arrived);
                order.collect()
            }),
            "cancel" => self.with(&body, |order| {
                order.state = State::Cancelled;
                json!({})
            }),
            _ => self.make(method, &body),
        }
    }

    fn with(&mut self, body: &Value, act: impl FnOnce(&mut Order) -> Value) -> Said {
        let named = body["orderRef"].as_str();
        let order = self.made.iter_mut().find(|order| Some(order.order_ref.as_str()) == named);
        match order.filter(|order| order.state == State::Pending) {
            Some(order) => Said::Json { status: 200, body: act(order) },
            None => Said::error("invalidParameters"),
        }
    }

    fn make(&mut self, method: &str, body: &Value) -> Said {
        if required(method).iter().any(|name| body[*name].is_null()) {
            return Said::error("invalidParameters");
        }
        let given = [&body["personalNumber"], &body["requirement"]["personalNumber"]];
        let given = given.into_iter().find(|number| !number.is_null());
        let number = given.map_or("190000000000", |number| number.as_str().unwrap_or_default());
        if number.len() != 12 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Said::error("invalidParameters");
        }
        let is_busy = |order: &Order| order.state == State::Pending && order.personal_number == number;
        if given.is_some() && self.made.iter().any(is_busy) {
            return Said::error("alreadyInProgress");
        }
        let order = Order {
            order_ref: token(),
            method: method.to_owned(),
            auto_start_token: token(),
            qr_start_token: token(),
            qr_start_secret: token(),
            personal_number: number.to_owned(),
            collects: Vec::new(),
            state: State::Pending,
            hints: self.plan.pending.clone(),
            failed: self.plan.failed,
        };
        let body = order.made_answer();
        self.made.push(order);
        Said::Json { status: 200, body }
    }
}

impl Said {
    /// BankID's answer with this error code and the status that belongs to it.
    pub(super) fn error(code: &str) -> Self {
        let status = ERRORS.iter().find(|(known, _)| *known == code).map(|(_, status)| *status);
        let status = status.unwrap_or_else(|| panic!("`{code}` is no error code of BankID's"));
        Self::Json { status, body: json!({ "errorCode": code, "details": format!("the stand-in says {code}") }) }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let (status, body) = match self {
            Self::Raw(bytes) => return bytes.clone(),
            Self::Json { status, body } => (status, body.to_string()),
        };
        let limit = "RateLimit-Limit: 50\r\nRateLimit-Remaining: 0\r\nRateLimit-Reset: 7\r\n";
        let limit = if *status == 429 { limit } else { "" };
        format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n{limit}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}

/// Every error code of BankID's, with its status; the last two are the digital ID card's.
pub(crate) const ERRORS: [(&str, u16); 12] = [
    ("alreadyInProgress", 400),
    ("invalidParameters", 400),
    ("unauthorized", 401),
    ("notFound", 404),
    ("methodNotAllowed", 405),
    ("requestTimeout", 408),
    ("unsupportedMediaType", 415),
    ("tooManyRequests", 429),
    ("internalError", 500),
    ("maintenance", 503),
    ("canceled", 400),
    ("verificationFailed", 400),
];

fn required(method: &str) -> &'static [&'static str] {
    match method {
        "sign" => &["endUserIp", "userVisibleData"],
        "payment" => &["endUserIp", "userVisibleTransaction"],
        "phone/auth" => &["personalNumber", "callInitiator"],
        "phone/sign" => &["personalNumber", "callInitiator", "userVisibleData"],
        _ => &["endUserIp"],
    }
}

/// 128 bits that nobody guesses, in the shape that BankID's have.
fn token() -> String {
    let hex = format!("{:032x}", rand::rng().random::<u128>());
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
