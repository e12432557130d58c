//! The small writes of one answer, sent as one.

use std::io::{self, Cursor};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use pingora::protocols::{Shutdown, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::contained::Lender;
use super::expulsion::Expelled;

/// A downstream connection that holds small writes back until they are flushed, fill a TLS record, or the proxy turns to
/// waiting.
///
/// # Why
///
/// pingora writes the header and the body of an answer one after the other and relies on a buffer below. Without one each
/// is a TLS record and a system call of its own. The buffer stands above TLS, so that both share a record too. pingora
/// reads from the client whenever it has nothing to send, and that is when held bytes go out: an answer that comes in
/// pieces is not kept waiting for its end.
#[derive(Debug)]
pub(super) struct Gathering {
    inner: Stream,
    lender: Lender,
    held: Vec<u8>,
    /// How much of `held` is sent.
    sent: usize,
    /// Ends it before its time.
    expelled: Option<Expelled>,
}

impl Gathering {
    /// Goes back to `lender` when it is dropped by a panic.
    pub(super) fn new(inner: Stream, lender: Lender) -> Self {
        Self { inner, lender, held: Vec::new(), sent: 0, expelled: None }
    }

    /// Nothing is read or written any more when `expelled` says so.
    pub(super) fn until(mut self, expelled: Expelled) -> Self {
        self.expelled = Some(expelled);
        self
    }

    fn inner(&self) -> &Stream {
        &self.inner
    }

    fn inner_mut(&mut self) -> &mut Stream {
        &mut self.inner
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.held.len() {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, &self.held[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.sent += written,
            }
        }
        // An idle connection is to hold no memory.
        self.held = Vec::new();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Gathering {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.expelled.as_mut().is_some_and(|expelled| expelled.poll(cx).is_ready()) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let read = Pin::new(self.inner_mut()).poll_read(cx, buf);
        if read.is_pending() && !self.held.is_empty() {
            // A connection that broke shows at the next read or write.
            let _ = self.poll_flush(cx);
        }
        read
    }
}

impl AsyncWrite for Gathering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.expelled.as_ref().is_some_and(Expelled::has_come) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        self.lender.written();
        if self.held.len() + buf.len() <= RECORD {
            self.held.extend_from_slice(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        ready!(self.poll_send(cx))?;
        Pin::new(self.inner_mut()).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(self.inner_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(self.inner_mut()).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Gathering {
    async fn shutdown(&mut self) {
        // The client may be gone; then there is nobody to tell.
        let _ = std::future::poll_fn(|cx| self.poll_send(cx)).await;
        self.inner_mut().shutdown().await;
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        let nothing = Box::new(Cursor::new(Vec::new()));
        self.lender.give_back(std::mem::replace(&mut self.inner, nothing));
    }
}

super::passed_on::to_inner!(Gathering);

/// The most that one TLS record carries (RFC 8446 §5.1).
const RECORD: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use pingora::protocols::l4::stream::Stream as L4Stream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn given_small_writes_when_flushed_then_sent_in_order_and_nothing_is_held() {
        let (mut gathering, mut client) = pair().await;

        gathering.write_all(b"header ").await.unwrap();
        gathering.write_all(b"body").await.unwrap();
        assert_eq!(gathering.held, b"header body");
        gathering.flush().await.unwrap();

        assert_eq!(gathering.held.capacity(), 0);
        let mut read = [0; 11];
        client.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"header body");
    }

    #[tokio::test]
    async fn given_a_small_write_when_a_large_one_follows_then_sent_in_order() {
        let (mut gathering, mut client) = pair().await;
        let body = vec![7; 1024 * 1024];

        gathering.write_all(b"header ").await.unwrap();
        let sent = body.clone();
        let writing = tokio::spawn(async move {
            gathering.write_all(&sent).await.unwrap();
            AsyncWriteExt::shutdown(&mut gathering).await.unwrap();
        });

        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        writing.await.unwrap();
        assert_eq!(read, [b"header ".as_slice(), &body].concat());
    }

    #[tokio::test]
    async fn given_a_write_that_nobody_flushes_when_the_proxy_waits_for_the_client_then_sent() {
        let (mut gathering, mut client) = pair().await;

        gathering.write_all(b"a piece").await.unwrap();
        let waiting = tokio::spawn(async move {
            let mut answer = [0; 2];
            gathering.read_exact(&mut answer).await.unwrap();
            answer
        });

        let mut read = [0; 7];
        client.read_exact(&mut read).await.unwrap();
        client.write_all(b"ok").await.unwrap();
        assert_eq!((&read, &waiting.await.unwrap()), (b"a piece", b"ok"));
    }

    async fn pair() -> (Gathering, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        (Gathering::new(Box::new(L4Stream::from(accepted)), Lender::default()), client)
    }
}
