//! Who we are to others: which identity is in use, how long, which comes next, and what somebody has to do.

use super::Page;
use super::bar::{self, Life};
use super::certificates::fact;
use crate::admin::status::{ClientIdentity, ShownIdentity};
use crate::admin::words::{self, FRAME, Say, chosen, day, days_left, moment, todo};

pub(super) fn write(page: &mut Page<'_>) {
    let status = page.status;
    if status.client_identities.is_empty() {
        return;
    }
    page.section("identities", page.say(FRAME.identities));
    for identity in &status.client_identities {
        page.html.open("h3", "sub");
        page.html.inline("span", "name", &identity.destination);
        page.html.close("h3");
        page.html.open("p", "step");
        page.html.inline("b", "", &format!("{}: ", page.say(FRAME.next)));
        page.html.prose(todo(identity.next.todo, identity.is_bankid, page.lang));
        if let Some(at) = identity.next.at {
            page.html.text(" ");
            page.when(at);
        }
        page.html.close("p");
        page.html.open("ul", "rows");
        for shown in &identity.identities {
            row(page, identity, shown);
        }
        page.html.close("ul");
    }
    page.end_section();
}

fn row(page: &mut Page<'_>, of: &ClientIdentity, shown: &ShownIdentity) {
    let (class, word) = standing(shown);
    page.html.open("li", class);
    page.html.open("div", "who");
    page.html.open("h4", "name");
    page.html.inline("code", "", shown.slot);
    page.html.close("h4");
    page.html.tag("p", "names", &shown.display_name);
    page.html.close("div");
    page.html.open("div", "span");
    if let Some((issued, end)) = shown.not_before.zip(shown.not_after) {
        bar::write(page, &Life { issued, due: None, emergency: None, end, is_late: class == "poor" });
        page.html.start("p", &[("class", "ends"), ("aria-hidden", "true")]);
        page.html.inline("span", "", &day(issued));
        page.html.inline("span", "", &day(end));
        page.html.close("p");
    }
    page.html.close("div");
    page.html.open("div", "next");
    page.html.open("p", "state");
    page.html.inline("b", "", page.say(word));
    if let Some(left @ 0..) = shown.days_left {
        page.html.text(&format!(" · {}", days_left(left.unsigned_abs(), page.lang)));
    }
    page.html.close("p");
    page.html.close("div");
    page.html.open("details", "");
    page.html.open("summary", "");
    page.html.text(page.say(FRAME.details));
    page.html.inline("span", "hidden", &format!(" {} {}", of.destination, shown.slot));
    page.html.close("summary");
    details(page, of, shown);
    page.html.close("details");
    page.html.close("li");
}

fn standing(shown: &ShownIdentity) -> (&'static str, Say) {
    match shown {
        ShownIdentity { trouble: Some(_), .. } => ("bad", FRAME.unusable),
        ShownIdentity { refused: Some(_), .. } => ("bad", FRAME.refused),
        ShownIdentity { days_left: Some(..0), .. } => ("bad", FRAME.expired),
        ShownIdentity { is_in_use: true, days_left: Some(..60), .. } => ("poor", FRAME.in_use),
        ShownIdentity { is_in_use: true, .. } => ("good", FRAME.in_use),
        ShownIdentity { is_in_use: false, .. } => ("calm", FRAME.waiting),
    }
}

fn details(page: &mut Page<'_>, of: &ClientIdentity, shown: &ShownIdentity) {
    page.html.open("dl", "facts");
    if let Some(trouble) = &shown.trouble {
        fact(page, FRAME.last_error, |page| page.own_words("span", "quote", trouble));
    }
    if let Some(refused) = &shown.refused {
        fact(page, FRAME.last_refusal, |page| {
            page.told(words::refused(refused.reason), &refused.detail);
            page.html.text(" ");
            page.when(refused.at);
        });
    }
    if let Some(why) = of.why.filter(|_| shown.is_in_use) {
        fact(page, FRAME.because, |page| page.html.prose(page.say(chosen(why))));
    }
    for (say, text) in [
        (FRAME.users_see, shown.display_name.clone()),
        (FRAME.names, shown.subject.clone()),
        (FRAME.issuer, shown.issuer.clone()),
        (FRAME.fingerprint, shown.sha256.clone()),
        (FRAME.file, shown.file.clone().unwrap_or_default()),
    ] {
        if !text.is_empty() {
            fact(page, say, |page| page.html.text(&text));
        }
    }
    if let Some(end) = shown.not_after {
        fact(page, FRAME.end, |page| page.when(end));
    }
    if shown.is_in_use {
        history(page, of);
    }
    page.html.close("dl");
}

/// What the destination has said.
fn history(page: &mut Page<'_>, of: &ClientIdentity) {
    fact(page, FRAME.last_answer, |page| match of.last_answer {
        Some(at) => page.when(at),
        None => page.html.text(page.say(FRAME.none_yet)),
    });
    if let Some(refusal) = &of.last_refusal {
        fact(page, FRAME.last_refusal, |page| {
            page.html.text(&format!("{}: ", moment(refusal.at)));
            page.told(words::refused(refusal.reason), &refusal.detail);
        });
    }
    if let Some(trial) = &of.last_trial {
        let outcome = match trial.outcome {
            "accepted" => FRAME.accepted,
            "refused" => FRAME.refused,
            _ => FRAME.unreachable,
        };
        fact(page, FRAME.last_trial, |page| {
            page.html.text(&format!("{}: ", moment(trial.at)));
            page.told(Some(outcome), &trial.detail);
        });
    }
}
