//! An answer being read, and what it tells.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::egress::bankid::orders::Answer as Kept;
use crate::egress::bankid::{Findings, Watch};
use crate::proxy::connection::BODY_PAUSE;
use crate::upstream::{Answer, ExchangeError};

/// What has come of an answer, and the rest of it.
pub(super) struct Reading {
    answer: Answer,
    watch: Watch,
    begun: Vec<Bytes>,
}

impl Reading {
    pub(super) fn of(answer: Answer) -> Self {
        Self { answer, watch: Watch::new(), begun: Vec::new() }
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
        if let Some(piece) = &piece {
            self.watch.push(piece);
        }
        Ok(piece)
    }

    /// Gives up what was kept.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.begun)
    }

    /// What was kept of it, and what it tells.
    pub(super) fn finish(self) -> (Kept, Findings) {
        let mut kept = Kept::new(self.status(), self.headers().clone());
        self.begun.iter().for_each(|piece| kept.push(piece));
        (kept, self.watch.found())
    }
}
