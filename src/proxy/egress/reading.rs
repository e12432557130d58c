//! An answer being read, and what it tells.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::Egress;
use crate::egress::bankid::orders::Answer as Kept;
use crate::egress::bankid::{Findings, Watch};
use crate::proxy::connection::BODY_PAUSE;
use crate::upstream::{Answer, ExchangeError};

/// What has come of an answer, and the rest of it.
pub(super) struct Reading {
    answer: Answer,
    watch: Watch,
    begun: Vec<Bytes>,
    has_ended: bool,
}

impl Reading {
    pub(super) fn of(answer: Answer) -> Self {
        Self { answer, watch: Watch::new(), begun: Vec::new(), has_ended: false }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.answer.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.answer.response.headers()
    }

    /// Reads up to `most` bytes, and keeps them. Whether that is all of it.
    ///
    /// # Errors
    ///
    /// The destination's connection broke, or stood still.
    pub(super) async fn gather(&mut self, most: usize) -> Result<bool, ExchangeError> {
        let mut length = 0;
        while length <= most {
            let Some(piece) = self.next().await? else { return Ok(true) };
            length += piece.len();
            self.begun.push(piece);
        }
        Ok(false)
    }

    /// The next piece.
    ///
    /// # Errors
    ///
    /// As [`Reading::gather`].
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ExchangeError> {
        let piece = self.answer.next(BODY_PAUSE).await?;
        match &piece {
            Some(piece) => _ = self.watch.push(piece),
            None => self.has_ended = true,
        }
        Ok(piece)
    }

    /// Gives up what was kept.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.begun)
    }

    /// What was kept of it, and what it tells. Where all of it was read, its connection is used again.
    pub(super) fn finish(self, egress: &Egress) -> (Kept, Findings) {
        let mut kept = Kept::new(self.status(), self.headers().clone());
        self.begun.iter().for_each(|piece| kept.push(piece));
        let found = self.watch.found();
        if self.has_ended {
            self.answer.done(egress.client.settings().timeouts.idle);
        }
        (kept, found)
    }
}
