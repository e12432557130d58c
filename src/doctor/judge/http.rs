//! Where requests are led: loops, ways back to plain HTTP, and what plain HTTP does.

use super::super::finding::Finding;
use super::super::sight::{End, Sight, Walk};
use super::super::topic::Topic;

pub(super) fn findings(sight: &Sight) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(walk) = &sight.secure {
        findings.extend(secure(sight, walk));
    }
    if let Some(walk) = &sight.plain {
        findings.extend(plain(sight, walk));
    }
    let walks = [&sight.secure, &sight.plain];
    findings.extend(bound_login(walks.into_iter().flatten()));
    findings
}

/// A login that belongs to its connection: told where it is asked for, and to be mended where that is in clear.
fn bound_login<'a>(walks: impl Iterator<Item = &'a Walk>) -> Option<Finding> {
    let is_bound = |scheme: &&String| ["ntlm", "negotiate"].contains(&scheme.to_ascii_lowercase().as_str());
    let mut asked = walks.flat_map(|walk| &walk.hops).filter(|hop| hop.asks.iter().any(|scheme| is_bound(&scheme)));
    let first = asked.next()?;
    let clear = std::iter::once(first).chain(asked).find(|hop| hop.url.starts_with("http://"));
    let hop = clear.unwrap_or(first);
    let schemes: Vec<_> = hop.asks.iter().filter(is_bound).map(String::as_str).collect();
    let facts = vec![("url", hop.url.clone()), ("schemes", schemes.join(", "))];
    Some(match clear {
        Some(_) => Finding::mend(Topic::BoundLogin, facts),
        None => Finding::note(Topic::BoundLogin, facts),
    })
}

/// Cookies that are set over https, and sent in clear by whoever follows a plain link.
fn open_cookies(walk: &Walk) -> Option<Finding> {
    let hop = walk.hops.iter().find(|hop| hop.url.starts_with("https://") && !hop.open_cookies.is_empty())?;
    let facts = vec![("url", hop.url.clone()), ("cookies", hop.open_cookies.join(", "))];
    Some(Finding::mend(Topic::CookieInClear, facts))
}

fn secure(sight: &Sight, walk: &Walk) -> Vec<Finding> {
    let mut findings = Vec::new();
    let down = walk.hops.iter().find(|hop| hop.url.starts_with("https://") && hop.location.starts_with("http://"));
    if let Some(hop) = down {
        let facts = vec![("from", hop.url.clone()), ("to", hop.location.clone())];
        findings.push(Finding::mend(Topic::Downgrade, facts));
    }
    findings.extend(open_cookies(walk));
    match &walk.end {
        End::Loop => findings.push(Finding::broken(Topic::RedirectLoop, vec![("urls", round(walk))])),
        End::Failed(detail) if !answers_others_only(sight) => {
            let facts = vec![("url", sight.target.to_string()), ("detail", detail.clone())];
            findings.push(Finding::broken(Topic::NoAnswer, facts));
        }
        End::Answered | End::Elsewhere | End::Refused | End::Failed(_) => {}
    }
    if let (End::Answered, Some(hop)) = (&walk.end, walk.hops.last().filter(|hop| hop.status >= 500)) {
        let facts = vec![("url", hop.url.clone()), ("detail", format!("status {}", hop.status))];
        findings.push(Finding::mend(Topic::NoAnswer, facts));
    }
    findings
}

/// A server that wants a client's certificate answers nobody else, and one of old cannot be asked from here.
fn answers_others_only(sight: &Sight) -> bool {
    sight.first_shown().is_some_and(|(_, shown)| shown.asks_client || shown.is_old)
}

fn plain(sight: &Sight, walk: &Walk) -> Option<Finding> {
    let first = walk.hops.first()?;
    let serves = first.location.is_empty() && (200..300).contains(&first.status);
    if serves {
        return Some(Finding::note(
            Topic::PlainHttp,
            vec![("url", first.url.clone()), ("status", first.status.to_string())],
        ));
    }
    // Over https the same loop was told already.
    let is_told = sight.secure.as_ref().is_some_and(|walk| walk.end == End::Loop);
    (walk.end == End::Loop && !is_told).then(|| Finding::broken(Topic::RedirectLoop, vec![("urls", round(walk))]))
}

fn round(walk: &Walk) -> String {
    let mut urls: Vec<_> = walk.hops.iter().map(|hop| hop.url.clone()).take(MOST_SHOWN).collect();
    urls.extend(walk.hops.last().map(|hop| hop.location.clone()));
    urls.join(" -> ")
}

const MOST_SHOWN: usize = 4;
