use super::*;
use crate::admin::{
    Acme, Call, Certificate, ClientCrl, ClientIdentity, Egress, Notifier, NotifierFailure, Peer, PeerCertificate,
    Reload, Served, ShownIdentity, Upstream,
};
use crate::lifecycle::outlook::Todo;
use crate::lifecycle::{LastFailure, State};
use crate::metrics::CertificateStatus;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

fn at(days: i64) -> Option<Timestamp> {
    Some(Timestamp::from_unix(NOW.as_unix() + days * DAY))
}

/// Thirty of ninety days are over; renewal is due at sixty.
fn certificate() -> Certificate {
    let facts = CertificateStatus {
        name: "m5".to_owned(),
        role: CertificateRole::Listener,
        state: State::Issued,
        not_before: at(-30),
        not_after: at(60),
        chain_not_after: at(60),
        renewal_due: at(30),
        emergency: at(55),
        renewal_manual: false,
        issuer: String::new(),
        serial: String::new(),
        sha256: String::new(),
        key_type: String::new(),
        profile: String::new(),
        sans: Vec::new(),
        consecutive_failures: 0,
        last_attempt: None,
        last_success: None,
        next_attempt: None,
        next_action: "renew",
        next_reason: "renewal_planned",
        information: None,
        stored: Some(true),
    };
    Certificate::new(facts, None, None)
}

fn failed(certificate: &mut Certificate, reason: Reason, times: u32) {
    let detail = "refused (PV0431)".to_owned();
    certificate.last_failure = Some(LastFailure { at: NOW, reason, detail, fix: None }.into());
    certificate.consecutive_failures = times;
}

fn upstream() -> Upstream {
    let peer = Peer {
        address: "https://a".to_owned(),
        healthy: true,
        state: "up",
        requests: 0,
        last_error: None,
        code: None,
        trust: Some("trust_anchors"),
        certificate: Some(PeerCertificate {
            subject: String::new(),
            sha256: String::new(),
            not_before: NOW,
            not_after: Timestamp::from_unix(NOW.as_unix() + 60 * DAY),
        }),
    };
    let peers = vec![peer.clone(), peer];
    Upstream { name: "u".to_owned(), address: "a".to_owned(), healthy: true, last_error: None, peers }
}

fn identity() -> ClientIdentity {
    let shown = ShownIdentity {
        slot: "identity",
        is_in_use: true,
        file: None,
        subject: String::new(),
        display_name: String::new(),
        issuer: String::new(),
        sha256: String::new(),
        not_before: at(-100),
        not_after: at(300),
        days_left: Some(300),
        accepted: None,
        refused: None,
        trouble: None,
    };
    ClientIdentity {
        destination: "bankid".to_owned(),
        is_bankid: true,
        in_use: Some("identity"),
        why: None,
        identities: vec![shown],
        last_refusal: None,
        last_trial: None,
        last_answer: None,
        next: crate::admin::IdentityAction { todo: Todo::OrderBy, action: String::new(), at: at(240) },
    }
}

fn refusal() -> Option<crate::admin::IdentityRefusal> {
    Some(crate::admin::IdentityRefusal { at: NOW, reason: "expired", detail: String::new() })
}

fn not_taken() -> Option<NotifierFailure> {
    Some(NotifierFailure {
        at: NOW,
        error: "answered 404".to_owned(),
        fix: Say::new("mend it", "laga den", "reparer den", "ihn heilen"),
    })
}

/// Made a day ago, for ten days.
fn list() -> ClientCrl {
    ClientCrl {
        site: "m5".to_owned(),
        file: "staff.crl".to_owned(),
        issuer: "CN=Staff".to_owned(),
        this_update: at(-1).unwrap(),
        due: at(9).unwrap(),
        next_update: at(10).unwrap(),
        refuses_when_old: true,
    }
}

fn egress() -> Egress {
    let call = Call { at: NOW, answered: true, code: None, error: None };
    let (name, address, listener) = ("bankid".to_owned(), "https://b".to_owned(), "127.0.0.1:1".to_owned());
    Egress { name, address, listener, last_call: Some(call) }
}

fn unanswered(egress: &mut Egress, hours: i64, code: Option<&str>) {
    let at = Timestamp::from_unix(NOW.as_unix() - hours * 3600);
    egress.last_call = Some(Call { at, answered: false, code: code.map(str::to_owned), error: Some("x".to_owned()) });
}

fn ca(clock_ahead: Option<i64>) -> Acme {
    let directory = "https://ca/dir".to_owned();
    Acme { directory, name: None, account: None, clock_ahead, limits: Vec::new(), certificates: Vec::new() }
}

/// All is well.
fn status() -> Status {
    Status {
        version: String::new(),
        host: String::new(),
        phase: Phase::Ready,
        now: NOW,
        started: NOW,
        uptime: 0,
        config_file: None,
        last_reload: Reload { ok: true, at: NOW, error: None },
        descriptor_limit: None,
        confined: false,
        listeners: Vec::new(),
        http1_only: Vec::new(),
        enforcement: Vec::new(),
        observe: Vec::new(),
        certificates: vec![certificate()],
        served: vec![Served {
            certificate: "m5".to_owned(),
            listener: "https".to_owned(),
            name: "m5".to_owned(),
            at: Some(NOW),
            as_published: Some(true),
            found: String::new(),
        }],
        client_identities: vec![identity()],
        client_crls: vec![list()],
        egress: vec![egress()],
        upstreams: vec![upstream()],
        troubles: Vec::new(),
        acme: vec![ca(Some(2)), ca(None)],
        notifiers: vec![Notifier {
            name: "ops".to_owned(),
            kind: "webhook",
            to: "https://hooks.test".to_owned(),
            last_delivery: at(-1),
            last_error: None,
            waiting: 0,
            next_try: None,
        }],
        events: Vec::new(),
    }
}

#[test]
fn given_one_thing_that_is_not_well_when_judged_then_that_and_nothing_else() {
    type Change = fn(&mut Status);
    type Expected = &'static [(Level, &'static str)];
    use Level::{Broken, Mend, Wait};
    #[rustfmt::skip]
    let table: &[(&str, Change, Expected)] = &[
        ("nothing", |_| {}, &[]),
        ("refused configuration", |s| s.last_reload.ok = false, &[(Mend, "reload_failed")]),
        ("expired", |s| s.certificates[0].state = State::Expired, &[(Broken, "certificate_expired")]),
        ("missing", |s| s.certificates[0].state = State::Missing, &[(Broken, "certificate_missing")]),
        ("on its way", |s| s.certificates[0].state = State::Placeholder, &[(Wait, "placeholder_served")]),
        ("placeholder after a failure", |s| {
            s.certificates[0].state = State::Placeholder;
            failed(&mut s.certificates[0], Reason::Server, 1);
        }, &[(Broken, "placeholder_served")]),
        ("a hiccup", |s| failed(&mut s.certificates[0], Reason::Server, 1), &[(Wait, "renewal_failing")]),
        ("several in a row", |s| failed(&mut s.certificates[0], Reason::Server, 3), &[(Mend, "renewal_failing")]),
        ("what only somebody can mend", |s| failed(&mut s.certificates[0], Reason::Connection, 1), &[(Mend, "renewal_failing")]),
        ("due a while ago", |s| s.certificates[0].renewal_due = at(-30), &[(Mend, "renewal_overdue")]),
        ("due just now", |s| s.certificates[0].renewal_due = at(0), &[]),
        ("by hand, in time", |s| s.certificates[0].renewal_manual = true, &[]),
        ("by hand, soon", |s| {
            s.certificates[0].renewal_manual = true;
            s.certificates[0].not_before = at(-70);
            s.certificates[0].not_after = at(17);
            s.certificates[0].chain_not_after = at(17);
        }, &[(Mend, "certificate_ends")]),
        ("a root that is over", |s| {
            s.certificates[0].role = CertificateRole::TrustAnchor;
            s.certificates[0].state = State::Static;
            s.certificates[0].renewal_manual = true;
            s.certificates[0].not_after = at(-1);
        }, &[(Broken, "certificate_expired")]),
        ("intermediate", |s| s.certificates[0].chain_not_after = at(3), &[(Mend, "chain_ends")]),
        ("intermediate, later", |s| s.certificates[0].chain_not_after = at(20), &[]),
        ("full disk", |s| s.certificates[0].stored = Some(false), &[(Mend, "not_stored")]),
        ("certificate of a server", |s| {
            s.certificates[0].role = CertificateRole::UpstreamPeer;
            s.certificates[0].state = State::Expired;
        }, &[]),
        ("another one is shown", |s| s.served[0].as_published = Some(false), &[(Broken, "not_served")]),
        ("another one is shown twice", |s| {
            s.served[0].as_published = Some(false);
            s.served.push(s.served[0].clone());
        }, &[(Broken, "not_served")]),
        ("the expired one is shown", |s| {
            s.served[0].as_published = Some(false);
            s.certificates[0].state = State::Expired;
        }, &[(Broken, "certificate_expired")]),
        ("not looked at", |s| s.served[0].as_published = None, &[]),
        ("no identity", |s| s.client_identities[0].identities.clear(), &[(Broken, "no_identity")]),
        ("identity over", |s| s.client_identities[0].identities[0].not_after = at(-1), &[(Broken, "identity_expired")]),
        ("identity refused", |s| s.client_identities[0].identities[0].refused = refusal(), &[(Broken, "identity_refused")]),
        ("identity soon over", |s| s.client_identities[0].next.todo = Todo::OrderNow, &[(Mend, "identity_ends")]),
        ("next takes over", |s| s.client_identities[0].next.todo = Todo::TakeOver, &[]),
        ("files of an identity", |s| s.client_identities[0].identities[0].trouble = Some("x".to_owned()), &[(Mend, "identity_files")]),
        ("next refused", |s| {
            let next = ShownIdentity { slot: "next", is_in_use: false, refused: refusal(), ..s.client_identities[0].identities[0].clone() };
            s.client_identities[0].identities.push(next);
        }, &[(Mend, "next_identity_refused")]),
        ("our clock is slow", |s| s.acme[1].clock_ahead = Some(120), &[(Mend, "clock_wrong")]),
        ("our clock is fast, by both CAs", |s| {
            s.acme[0].clock_ahead = Some(-4000);
            s.acme[1].clock_ahead = Some(-4001);
        }, &[(Mend, "clock_wrong")]),
        ("our clock is a little off", |s| s.acme[0].clock_ahead = Some(119), &[]),
        ("list of revoked clients due", |s| s.client_crls[0].due = NOW, &[(Mend, "client_crl_ends")]),
        ("list of revoked clients old", |s| s.client_crls[0].next_update = NOW, &[(Broken, "client_crl_old")]),
        ("list of revoked clients old and counts on", |s| {
            s.client_crls[0].next_update = NOW;
            s.client_crls[0].refuses_when_old = false;
        }, &[(Mend, "client_crl_old")]),
        ("service never called", |s| s.egress[0].last_call = None, &[]),
        ("service not there", |s| unanswered(&mut s.egress[0], 0, None), &[(Broken, "egress_unreachable")]),
        ("service not there, long ago", |s| unanswered(&mut s.egress[0], 1, None), &[(Mend, "egress_unreachable")]),
        ("somebody else there", |s| unanswered(&mut s.egress[0], 0, Some("PV0436")), &[(Broken, "egress_not_believed")]),
        ("a message not taken", |s| s.notifiers[0].last_error = not_taken(), &[(Mend, "notifier_failing")]),
        ("root of clients ends", |s| {
            s.certificates[0].role = CertificateRole::ClientCa;
            s.certificates[0].state = State::Static;
            s.certificates[0].renewal_manual = true;
            s.certificates[0].not_after = at(20);
            s.certificates[0].chain_not_after = at(20);
        }, &[(Mend, "certificate_ends")]),
        ("all servers down", |s| {
            s.upstreams[0].healthy = false;
            s.upstreams[0].peers.iter_mut().for_each(|peer| peer.healthy = false);
        }, &[(Broken, "upstream_down")]),
        ("one server down", |s| s.upstreams[0].peers[1].healthy = false, &[(Mend, "peers_down")]),
        ("server's certificate", |s| s.upstreams[0].peers[1].certificate.as_mut().unwrap().not_after = NOW, &[(Mend, "upstream_certificate_ends")]),
        ("server's certificate, pinned", |s| s.upstreams[0].peers.iter_mut().for_each(|peer| {
            peer.certificate.as_mut().unwrap().not_after = NOW;
            peer.trust = Some("pinned");
        }), &[]),
    ];
    for (name, change, expected) in table {
        let mut status = status();
        change(&mut status);
        let found: Vec<_> = judge(&status).iter().map(|problem| (problem.level, problem.matter.as_str())).collect();
        assert_eq!(found, *expected, "{name}");
        let is_calm = expected.iter().all(|(level, _)| *level == Wait);
        assert_eq!(is_well(&status, &judge(&status)), is_calm, "{name}");
    }
}

#[test]
fn given_files_that_another_program_renews_in_its_time_when_judged_then_well_until_the_last_fifth_of_their_life() {
    // Hours: of a life, left when such programs renew, left in its last fifth.
    let table = [
        (24, 8, 4),
        (6 * 24, 3 * 24, 24),
        (45 * 24, 14 * 24, 8 * 24),
        (90 * 24, 29 * 24, 17 * 24),
        (365 * 24, 31 * 24, 29 * 24),
    ];
    let after = |hours: i64| Timestamp::from_unix(NOW.as_unix() + hours * 3600);
    let judged = |life: i64, left: i64| {
        let (mut files, mut seen) = (status(), status());
        let certificate = &mut files.certificates[0];
        certificate.renewal_manual = true;
        (certificate.not_before, certificate.not_after) = (Some(after(left - life)), Some(after(left)));
        certificate.chain_not_after = certificate.not_after;
        let shown = seen.upstreams[0].peers[1].certificate.as_mut().unwrap();
        (shown.not_before, shown.not_after) = (after(left - life), after(left));
        [files, seen].map(|status| judge(&status).first().map(|problem| problem.matter.as_str()))
    };
    for (life, renewed, late) in table {
        assert_eq!(judged(life, renewed), [None, None], "{renewed} of {life} hours");
        assert_eq!(
            judged(life, late),
            [Some("certificate_ends"), Some("upstream_certificate_ends")],
            "{late} of {life} hours"
        );
    }
}

#[test]
fn given_a_process_that_ends_when_judged_then_not_well() {
    let draining = Status { phase: Phase::Draining, ..status() };
    assert!(judge(&draining).is_empty() && !is_well(&draining, &[]));
}

#[test]
fn given_several_problems_when_judged_then_what_turns_people_away_first_and_then_the_soonest() {
    let mut status = status();
    let named = |name: &str, days| Certificate {
        name: name.to_owned(),
        renewal_manual: true,
        not_before: at(-100),
        not_after: at(days),
        chain_not_after: at(days),
        ..certificate()
    };
    status.certificates = vec![named("later", 20), named("sooner", 2), named("over", -1)];
    let order: Vec<_> = judge(&status).into_iter().map(|problem| problem.about).collect();
    assert_eq!(order, ["over", "sooner", "later"]);
}

#[test]
fn given_a_refused_configuration_when_judged_then_its_first_error_is_told_and_not_the_warnings_before() {
    let mut status = status();
    let error = Some("warning[PV0521]: x\n\nerror[PV0204]: y\n".to_owned());
    status.last_reload = Reload { ok: false, at: NOW, error };
    let problem = judge(&status).remove(0);
    assert_eq!((problem.code.as_deref(), problem.detail.as_deref()), (Some("PV0204"), Some("error[PV0204]: y\n")));
}

#[test]
fn given_words_with_a_code_when_judged_then_it_is_found() {
    for (text, code) in [
        ("x: PV0431: y", Some("PV0431")),
        ("error[PV0204]: y", Some("PV0204")),
        ("PV and PV12 PV00x1", None),
        ("PV\u{e5}\u{e4}\u{f6}", None),
    ] {
        assert_eq!(code_in(text).as_deref(), code, "{text}");
    }
}
