//! BankID gives a final answer once. portvakt keeps it until the application has it whole, and gives it again.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use socket2::SockRef;

use crate::egress_stage::{WayOut, collect_body, error_code, json_of, request};
use crate::support::bankid::{Act, COMPLETE, Plan, State};
use crate::support::clock::PATIENCE;
use crate::support::{eventually, raw};

#[test]
fn given_a_client_that_leaves_before_the_answer_when_collected_again_then_it_gets_the_answer() {
    for plan in [COMPLETE, Plan::failing("userCancel", &[])] {
        let (way, _portvakt) = WayOut::running();
        way.bankid.plan(plan.clone());
        let order_ref = way.auth();

        leave_before_the_answer(&way, &order_ref, drop);
        let again = way.collect(&order_ref);

        assert_final(&way, &again, &plan);
        assert_eq!(way.bankid.count("collect"), 1, "the service is not asked again");
    }
}

/// The first answer never comes out of the client's and our buffers, and then the connection breaks.
#[test]
fn given_a_client_that_leaves_in_the_middle_of_the_answer_when_collected_again_then_it_gets_all_of_it() {
    let (way, _portvakt) = WayOut::running();
    way.bankid.plan(COMPLETE);
    let order_ref = way.auth();

    let mut stream = way.begin_collect(&order_ref);
    let mut some = [0; 200];
    stream.read_exact(&mut some).unwrap();
    assert!(some.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&some));
    break_off(stream);
    await_undelivered(&way, 1.0);

    assert_final(&way, &way.collect(&order_ref), &COMPLETE);
    assert_eq!(way.bankid.count("collect"), 1);
}

/// An application may stand still for seconds, and give up then with the answer unread in its system.
#[test]
fn given_a_client_that_stands_still_and_gives_up_when_collected_again_then_it_gets_the_answer() {
    for connection in ["close", "keep-alive"] {
        let (way, _portvakt) = WayOut::running();
        way.bankid.plan(COMPLETE);
        let order_ref = way.auth();

        let mut stream = raw::connect(way.port);
        let text = request("collect", &collect_body(&order_ref)).replace("close", connection);
        stream.write_all(text.as_bytes()).unwrap();
        // Counted when nothing was heard against its arrival for a while.
        way.expect_metric("orders_total", &[("end", "complete")], 1.0);
        break_off(stream);
        await_undelivered(&way, 1.0);

        assert_final(&way, &way.collect(&order_ref), &COMPLETE);
        assert_eq!(way.bankid.count("collect"), 1, "{connection}");
    }
}

#[test]
fn given_an_answer_kept_when_the_process_or_its_rules_end_then_the_loss_is_told() {
    for is_reload in [true, false] {
        let (way, mut portvakt) = WayOut::running();
        way.bankid.plan(COMPLETE);
        let order_ref = way.auth();
        leave_before_the_answer(&way, &order_ref, break_off);

        if is_reload {
            way.configure("", "");
            assert!(portvakt.reload(&way.home));
            way.expect_metric("answers_lost_total", &[], 1.0);
        } else {
            portvakt.terminate();
        }

        portvakt.child.wait_line("the loss", |line| line.contains("they are lost") && line.contains("answers=1"));
    }
}

/// What is under way when the process is told to stop is answered.
#[test]
fn given_a_collect_under_way_when_told_to_stop_then_its_answer_is_delivered() {
    let (way, mut portvakt) = WayOut::running();
    way.bankid.plan(COMPLETE);
    let order_ref = way.auth();
    way.bankid.script("collect", [Act::Hold]);
    let mut stream = way.begin_collect(&order_ref);
    way.bankid.await_held(1);

    portvakt.child.signal("TERM");
    portvakt.child.wait_line("the drain", |line| line.contains("draining"));
    way.bankid.release();

    assert_final(&way, &raw::read_reply(&mut stream).unwrap(), &COMPLETE);
    drop(stream);
    assert!(portvakt.child.wait(PATIENCE).success());
}

#[test]
fn given_an_answer_that_was_delivered_when_collected_again_then_already_final_without_asking() {
    let failed = Plan::failing("startFailed", &[]);
    for (plan, connection) in [(&COMPLETE, "close"), (&COMPLETE, "keep-alive"), (&failed, "keep-alive")] {
        let (way, _portvakt) = WayOut::running();
        way.bankid.plan(plan.clone());
        let order_ref = way.auth();

        assert_final(&way, &taken(&way, &order_ref, connection), plan);
        for _ in 0..2 {
            let again = way.collect(&order_ref);
            assert_eq!((again.status, error_code(&again).as_str()), (400, "invalidParameters"), "{}", again.text());
            assert!(again.header("portvakt-error").is_some(), "{again:?}");
            assert!(json_of(&again)["details"].to_string().contains("portvakt PV"), "{}", again.text());
        }

        assert_eq!((way.bankid.count("collect"), way.bankid.order().state), (1, State::Collected));
        assert_eq!(way.metric("answers_undelivered_total", &[]), 0.0);
    }
}

#[test]
fn given_an_answer_kept_when_delivered_then_final_from_then_on() {
    let (way, _portvakt) = WayOut::running();
    way.bankid.plan(COMPLETE);
    let order_ref = way.auth();
    leave_before_the_answer(&way, &order_ref, break_off);

    let kept = way.collect(&order_ref);
    let after = way.collect(&order_ref);

    assert_final(&way, &kept, &COMPLETE);
    assert_eq!((after.status, error_code(&after).as_str()), (400, "invalidParameters"));
    assert_eq!(way.bankid.count("collect"), 1);
}

/// What the service sent in part is lost; nobody is told that it was complete.
#[test]
fn given_an_answer_that_breaks_off_at_the_service_when_collected_then_no_whole_answer_is_made_of_it() {
    let (way, _portvakt) = WayOut::running();
    way.bankid.plan(COMPLETE);
    let order_ref = way.auth();
    way.bankid.script("collect", [Act::Cut(2_000)]);

    let broken = raw::exchange(way.port, request("collect", &collect_body(&order_ref)).as_bytes());
    let again = way.collect(&order_ref);

    assert_ne!(broken.status(), Some(200), "an answer that broke off must not look whole");
    assert_eq!((again.status, error_code(&again).as_str()), (400, "invalidParameters"), "{}", again.text());
    assert_eq!((way.bankid.count("collect"), again.header("portvakt-error")), (2, None), "the service itself said so");
}

/// A kept answer belongs to its order: another order's collect goes to the service.
#[test]
fn given_an_answer_kept_when_another_order_is_collected_then_each_gets_its_own() {
    let (way, _portvakt) = WayOut::running();
    way.bankid.plan(COMPLETE);
    let (first, second) = (way.auth(), way.auth());
    leave_before_the_answer(&way, &first, drop);

    let others = way.collect(&second);
    let own = way.collect(&first);

    assert_eq!((&json_of(&others)["orderRef"], &json_of(&own)["orderRef"]), (&second.into(), &first.into()));
    assert_eq!(way.bankid.count("collect"), 2);
}

#[test]
fn given_a_client_that_leaves_while_its_collect_is_held_back_when_another_comes_then_it_is_answered() {
    let (way, _portvakt) = WayOut::running();
    way.bankid.plan(COMPLETE.after(&["userSign"]));
    let order_ref = way.auth();
    way.collect(&order_ref);

    // Too early: held back for a second, in which its client leaves.
    drop(way.begin_collect(&order_ref));
    let next = way.collect(&order_ref);

    assert_final(&way, &next, &COMPLETE);
    assert!(
        way.bankid.smallest_gap().is_none_or(|gap| gap >= Duration::from_secs(1)),
        "{:?}",
        way.bankid.smallest_gap()
    );
}

/// The application asks for an order's end and leaves; then the answer comes, and is kept.
fn leave_before_the_answer(way: &WayOut, order_ref: &str, leave: fn(TcpStream)) {
    way.bankid.script("collect", [Act::Hold]);
    let going = way.begin_collect(order_ref);
    way.bankid.await_held(1);
    leave(going);
    way.bankid.release();
    await_undelivered(way, 1.0);
}

fn assert_final(way: &WayOut, reply: &raw::Reply, plan: &Plan) {
    let told = json_of(reply);
    let order = way.bankid.orders().into_iter().find(|order| told["orderRef"] == order.order_ref.as_str());
    let order = order.unwrap_or_else(|| panic!("an order of the service's: {told}"));
    match plan.failed {
        Some(hint) => assert_eq!((&told["status"], &told["hintCode"]), (&"failed".into(), &hint.into()), "{told}"),
        None => {
            let data = &told["completionData"];
            assert_eq!(
                (&told["status"], &data["signature"]),
                (&"complete".into(), &order.signature().into()),
                "{told}"
            );
            assert_eq!((reply.status, &data["ocspResponse"]), (200, &order.ocsp_response().into()));
        }
    }
}

/// The answer to a collect, read whole; then the client leaves.
fn taken(way: &WayOut, order_ref: &str, connection: &str) -> raw::Reply {
    let text = request("collect", &collect_body(order_ref)).replace("close", connection);
    let mut stream = raw::connect(way.port);
    stream.write_all(text.as_bytes()).unwrap();
    raw::read_reply(&mut stream).unwrap()
}

/// Ends a connection with a reset, as a process does that dies with bytes unread.
fn break_off(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("an option of every socket");
    drop(stream);
}

fn await_undelivered(way: &WayOut, count: f64) {
    eventually("the broken delivery is counted", PATIENCE, || {
        (way.metric("answers_undelivered_total", &[]) == count).then_some(())
    });
}
