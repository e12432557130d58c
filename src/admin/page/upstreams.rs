//! The servers behind: whether they answer, why they are believed, and how long their certificates last.

use super::Page;
use super::table::table;
use crate::admin::status::Peer;
use crate::admin::words::{FRAME, coded};

pub(super) fn write(page: &mut Page<'_>) {
    let upstreams = &page.status.upstreams;
    let peers: Vec<_> = upstreams.iter().flat_map(|up| up.peers.iter().map(move |peer| (&*up.name, peer))).collect();
    page.section("upstreams", page.say(FRAME.upstreams));
    if peers.is_empty() {
        page.html.tag("p", "none", page.say(FRAME.none));
        return page.end_section();
    }
    let columns =
        [FRAME.server, FRAME.state, FRAME.trust, FRAME.its_end, FRAME.requests_now].map(|column| page.say(column));
    table(page, page.say(FRAME.upstreams), &columns, &peers, |page, cells, (name, peer)| {
        cells.cell(page, "wide place", |page| {
            page.html.inline("b", "name", name);
            page.html.text(" ");
            page.html.inline("code", "", &peer.address);
        });
        cells.cell(page, "", |page| state(page, peer));
        let trust = match peer.trust {
            Some("trust_anchors") => FRAME.trust_anchors,
            Some("first_use") => FRAME.first_use,
            Some(_) => FRAME.pinned,
            None => FRAME.plain,
        };
        cells.text(page, "", page.say(trust));
        cells.cell(page, "", |page| match &peer.certificate {
            Some(shown) => page.away(shown.not_after),
            None => page.html.text("–"),
        });
        cells.text(page, "number", &peer.requests.to_string());
    });
    page.end_section();
}

fn state(page: &mut Page<'_>, peer: &Peer) {
    let (class, say) = match (peer.healthy, peer.state) {
        (true, _) => ("good", FRAME.up),
        (false, "ejected") => ("bad", FRAME.ejected),
        (false, _) => ("bad", FRAME.down),
    };
    page.html.inline("b", &format!("mark {class}"), page.say(say));
    if let Some(error) = peer.last_error.as_deref().filter(|_| !peer.healthy) {
        page.html.text(" ");
        page.told(peer.code.as_deref().and_then(coded).map(|it| it.what), error);
    }
}
