//! Bodies of unknown length, collected for servers that want to know it.

use http::header;
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use super::super::collected::{self, Collected};
use super::refusals::{refuse_body, refuse_without_room};
use super::{Context, Service};

impl Service {
    /// Collects a body of unknown length for a server that wants to know it; `true` when the answer is out already.
    pub(super) async fn collect_body(&self, session: &mut Session, ctx: &mut Context) -> Result<bool> {
        let Some(target) = ctx.target.as_ref().filter(|target| target.wants_length() && !ctx.is_upgrade) else {
            return Ok(false);
        };
        if has_known_length(session) {
            return Ok(false);
        }
        if session.req_header().headers.contains_key(header::EXPECT) {
            session.as_downstream_mut().write_continue_response().await?;
        }
        let (most, progress) = (target.body_limit.unwrap_or(collected::MOST), ctx.progress.clone());
        let place = self.room.place(ctx.snapshot.limits().collected);
        let heard = || progress.iter().for_each(|progress| progress.body(false));
        let body = match collected::collect(session.as_downstream_mut(), most, place, heard).await? {
            Collected::Whole(body) => body,
            Collected::TooLong => {
                let route = ctx.route.clone().ok_or_else(|| Error::new(ErrorType::InternalError))?;
                return refuse_body(session, &route).await.map(|()| true);
            }
            Collected::NoRoom(why) => return refuse_without_room(session, ctx, &why).await.map(|()| true),
        };
        progress.iter().for_each(|progress| progress.body(true));
        give_length(session.req_header_mut(), body.length())?;
        if body.length() > 0 {
            ctx.passing = Some(collected::pass_on(session, body));
            ctx.is_collected = true;
        }
        Ok(false)
    }
}

fn has_known_length(session: &mut Session) -> bool {
    session.req_header().headers.contains_key(header::CONTENT_LENGTH) || session.as_downstream_mut().is_body_empty()
}

fn give_length(request: &mut RequestHeader, length: u64) -> Result<()> {
    request.remove_header(&header::TRANSFER_ENCODING);
    request.remove_header(&header::EXPECT);
    request.insert_header(header::CONTENT_LENGTH, length)
}
