//! The verdict in one sentence, what to do first, and everything that somebody has to do.

use super::Page;
use crate::admin::problem::{Level, Problem, is_well};
use crate::admin::status::{Phase, Status};
use crate::admin::words::{FRAME, Lang, day, days_left, moment, tell};
use crate::lifecycle::State;
use crate::metrics::CertificateRole;

/// How all of it stands.
pub(super) fn sentence(status: &Status, problems: &[Problem], lang: Lang) -> String {
    let say = match (status.phase, needs(problems)) {
        (Phase::Starting, _) => FRAME.starting,
        (Phase::Draining, _) => FRAME.draining,
        (Phase::Ready, 0) => FRAME.all_well,
        (Phase::Ready, 1) => FRAME.one_need,
        (Phase::Ready, _) => FRAME.some_need,
    };
    say.fill(lang, &[("count", needs(problems).to_string())])
}

pub(super) fn write(page: &mut Page<'_>, problems: &[Problem]) {
    page.html.open("div", &format!("verdict {}", class(page.status, problems)));
    icon(page, problems);
    page.html.open("div", "");
    page.html.tag("h1", "", &sentence(page.status, problems, page.lang));
    first(page, problems);
    page.html.open("p", "when");
    page.html.text(&FRAME.as_of.fill(page.lang, &[("when", moment(page.status.now))]));
    page.html.text(" · ");
    page.html.start("a", &[("href", &format!("?lang={}", page.lang.tag()))]);
    page.html.text(page.say(FRAME.refresh));
    page.html.end("a");
    page.html.close("p");
    page.html.close("div");
    page.html.close("div");
    list(page, problems);
    tiles(page);
}

fn needs(problems: &[Problem]) -> usize {
    problems.iter().filter(|problem| problem.level != Level::Wait).count()
}

fn class(status: &Status, problems: &[Problem]) -> &'static str {
    match problems.first() {
        Some(Problem { level: Level::Broken, .. }) => "bad",
        _ if is_well(status, problems) => "good",
        _ => "poor",
    }
}

/// Its form says the same as its colour.
fn icon(page: &mut Page<'_>, problems: &[Problem]) {
    page.html.markup(match is_well(page.status, problems) {
        true => "<svg class=\"icon\" viewBox=\"0 0 24 24\" aria-hidden=\"true\"><circle cx=\"12\" cy=\"12\" r=\"11\"/><path d=\"M6.8 12.4l3.5 3.5 7-7.4\"/></svg>\n",
        false => "<svg class=\"icon\" viewBox=\"0 0 24 24\" aria-hidden=\"true\"><path class=\"shape\" d=\"M12 1.6l11 20.2H1z\"/><path d=\"M12 8.6v6.6M12 18v.6\"/></svg>\n",
    });
}

fn first(page: &mut Page<'_>, problems: &[Problem]) {
    let Some(problem) = problems.iter().find(|problem| problem.level != Level::Wait) else {
        let say = if problems.is_empty() { FRAME.nothing_to_do } else { FRAME.works_on_it };
        return page.html.tag("p", "first", page.say(say));
    };
    let told = tell(problem, page.lang);
    page.html.open("p", "first");
    page.html.inline("b", "", &format!("{}: ", page.say(FRAME.first)));
    page.html.start("a", &[("href", "#p1")]);
    page.html.text(about(page, problem));
    page.html.end("a");
    page.html.text(". ");
    page.html.prose(&told.fix);
    page.html.text(".");
    page.html.close("p");
}

fn about<'a>(page: &Page<'_>, problem: &'a Problem) -> &'a str {
    if problem.about.is_empty() { page.say(FRAME.last_load) } else { &problem.about }
}

fn list(page: &mut Page<'_>, problems: &[Problem]) {
    if problems.is_empty() {
        return;
    }
    let title = if needs(problems) == 0 { FRAME.under_way } else { FRAME.problems };
    page.section("problems", page.say(title));
    page.html.open("ol", "problems");
    for (index, problem) in problems.iter().enumerate() {
        card(page, index + 1, problem);
    }
    page.html.close("ol");
    page.end_section();
}

fn card(page: &mut Page<'_>, number: usize, problem: &Problem) {
    let (class, level) = match problem.level {
        Level::Broken => ("bad", FRAME.broken),
        Level::Mend => ("poor", FRAME.mend),
        Level::Wait => ("calm", FRAME.wait),
    };
    let told = tell(problem, page.lang);
    page.html.start("li", &[("id", &format!("p{number}")), ("class", class)]);
    page.html.open("h3", "");
    page.html.inline("span", "level", page.say(level));
    page.html.text(" ");
    page.html.inline("span", "name", about(page, problem));
    page.html.close("h3");
    page.html.open("p", "what");
    page.html.prose(&told.title);
    page.html.text(".");
    if let Some(why) = &told.why {
        page.html.text(" ");
        page.html.prose(why);
        page.html.text(".");
    }
    page.html.close("p");
    page.html.open("p", "fix");
    page.html.inline("b", "", page.say(FRAME.todo));
    page.html.text(": ");
    page.html.prose(&told.fix);
    page.html.text(".");
    page.html.close("p");
    in_own_words(page, problem);
    page.html.close("li");
}

/// What can be searched for, and the page of help.
fn in_own_words(page: &mut Page<'_>, problem: &Problem) {
    let words: Vec<_> = [&problem.detail, &problem.remedy].into_iter().flatten().collect();
    if words.is_empty() && problem.code.is_none() {
        return;
    }
    page.html.open("div", "own");
    if !words.is_empty() {
        page.html.tag("p", "", page.say(FRAME.own_words));
    }
    for text in words {
        match text.trim_end().contains('\n') {
            true => folded(page, text.trim_end()),
            false => page.own_words("p", "", text),
        }
    }
    if let Some(code) = &problem.code {
        page.html.open("p", "");
        page.html.text(&format!("{}: ", page.say(FRAME.more)));
        page.html.inline("code", "", &format!("portvakt help {code}"));
        page.html.close("p");
    }
    page.html.close("div");
}

/// What is long, as the answer to a configuration, behind its first line.
fn folded(page: &mut Page<'_>, text: &str) {
    page.html.open("details", "");
    page.html.start("summary", &[("lang", "en")]);
    page.html.prose(text.lines().next().unwrap_or_default());
    page.html.close("summary");
    page.html.start("pre", &[("class", "verbatim"), ("lang", "en")]);
    page.html.text(text);
    page.html.close("pre");
    page.html.close("details");
}

/// The numbers that an operator looks for first.
fn tiles(page: &mut Page<'_>) {
    let (status, lang) = (page.status, page.lang);
    page.html.start("dl", &[("class", "tiles"), ("aria-label", page.say(FRAME.overview))]);
    let own: Vec<_> = status.certificates.iter().filter(|it| it.role == CertificateRole::Listener).collect();
    let good = own.iter().filter(|it| matches!(it.state, State::Issued | State::Static)).count();
    let of =
        |count: usize, all: usize| FRAME.good_of.fill(lang, &[("count", count.to_string()), ("all", all.to_string())]);
    tile(page, "certificates", FRAME.certificates.to(lang), &of(good, own.len()), good == own.len());
    let ends = own.iter().filter_map(|it| Some((it.not_after?, &*it.name)));
    if let Some((end, name)) = ends.filter(|(end, _)| *end >= status.now).min() {
        let left = end.since(status.now).as_secs() / 86_400;
        let text = format!("{} · {name}", if left == 0 { day(end) } else { days_left(left, lang) });
        tile(page, "certificates", FRAME.first_end.to(lang), &text, true);
    }
    if !status.client_identities.is_empty() {
        let is_fit = |of: &&crate::admin::ClientIdentity| {
            of.identities.iter().any(|it| it.is_in_use && it.refused.is_none() && it.days_left >= Some(0))
        };
        let fit = status.client_identities.iter().filter(is_fit).count();
        let all = status.client_identities.len();
        tile(page, "identities", FRAME.identities.to(lang), &of(fit, all), fit == all);
    }
    let healthy = status.upstreams.iter().filter(|upstream| upstream.healthy).count();
    let all = status.upstreams.len();
    tile(page, "upstreams", FRAME.upstreams.to(lang), &of(healthy, all), healthy == all);
    let reload = &status.last_reload;
    let say = if reload.ok { FRAME.in_use_since } else { FRAME.refused_at };
    let text = say.fill(lang, &[("when", moment(reload.at))]);
    tile(page, "process", FRAME.last_load.to(lang), &text, reload.ok);
    page.html.close("dl");
}

fn tile(page: &mut Page<'_>, target: &str, name: &str, value: &str, is_good: bool) {
    page.html.open("div", if is_good { "tile" } else { "tile bad" });
    page.html.open("dt", "");
    page.html.start("a", &[("href", &format!("#{target}"))]);
    page.html.text(name);
    page.html.end("a");
    page.html.close("dt");
    page.html.tag("dd", "", value);
    page.html.close("div");
}
