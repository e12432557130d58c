//! A client's stream whose frames are counted, and which falls silent when they flood.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use pingora::protocols::{Shutdown, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::frames::FrameMeter;

/// The stream.
#[derive(Debug)]
pub(super) struct Metered {
    inner: Stream,
    meter: FrameMeter,
    flood: Arc<Flood>,
}

/// Tells whoever serves the connection.
#[derive(Debug, Default)]
pub(super) struct Flood(Notify);

impl Flood {
    /// Returns when the client floods.
    pub(super) async fn begins(&self) {
        self.0.notified().await;
    }
}

impl Metered {
    pub(super) fn new(inner: Stream, flood: Arc<Flood>) -> Self {
        Self { inner, meter: FrameMeter::new(Instant::now()), flood }
    }

    fn inner(&self) -> &Stream {
        &self.inner
    }

    fn inner_mut(&mut self) -> &mut Stream {
        &mut self.inner
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.meter.is_flooded() {
            // Nothing is read any more; what is written, GOAWAY, still goes out.
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(context, buffer);
        if polled.is_ready() {
            this.meter.read(&buffer.filled()[before..], Instant::now());
            if this.meter.is_flooded() {
                this.flood.0.notify_one();
            }
        }
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.count(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.count(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl Metered {
    fn count(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(length)) = polled {
            self.meter.wrote(length);
        }
        polled
    }
}

#[async_trait]
impl Shutdown for Metered {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

super::passed_on::to_inner!(Metered);
