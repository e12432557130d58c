//! Connections for requests that ask for an upgrade (RFC 9110 §7.8).
//!
//! # Why
//!
//! A request for an upgrade has an empty body, whose end pingora passes on inside while it waits for the answer. Where the
//! answer 101 is read first, that end is taken for the end of the tunnel: the client gets its 101 and then nothing
//! (cloudflare/pingora#946; one WebSocket in some thousands on a busy machine). So these connections say once after each
//! write that nothing is there to be read yet, which lets the end of the body pass first. They are opened for one request
//! and never pooled, which a tunnel would not be either.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::L4Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::{Error, ErrorType, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Opens them, each within `limit`.
pub(super) fn connector(limit: Duration) -> Arc<dyn L4Connect + Send + Sync> {
    Arc::new(Connector { limit })
}

#[derive(Debug)]
struct Connector {
    limit: Duration,
}

#[async_trait]
impl L4Connect for Connector {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        match tokio::time::timeout(self.limit, open(address)).await {
            Ok(opened) => opened.or_else(|error| {
                Error::e_because(kind(&error), format!("cannot connect to {address} for an upgrade"), error)
            }),
            Err(_elapsed) => {
                Error::e_explain(ErrorType::ConnectTimedout, format!("no connection to {address} in {:?}", self.limit))
            }
        }
    }
}

async fn open(address: &SocketAddr) -> io::Result<Stream> {
    let socket: Box<dyn VirtualSocket> = match address {
        SocketAddr::Inet(address) => Box::new(Hesitant::new(TcpStream::connect(address).await?)),
        #[cfg(unix)]
        SocketAddr::Unix(address) => {
            let path = address.as_pathname().ok_or(io::ErrorKind::InvalidInput)?;
            Box::new(Hesitant::new(tokio::net::UnixStream::connect(path).await?))
        }
    };
    Ok(VirtualSocketStream::new(socket).into())
}

/// In pingora's words, which decide whether it is tried again.
fn kind(error: &io::Error) -> ErrorType {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => ErrorType::ConnectNoRoute,
        io::ErrorKind::TimedOut => ErrorType::ConnectTimedout,
        _ => ErrorType::ConnectError,
    }
}

/// A stream that has nothing to be read the first time it is asked after a write.
#[derive(Debug)]
struct Hesitant<S> {
    inner: S,
    has_written: bool,
}

impl<S> Hesitant<S> {
    fn new(inner: S) -> Self {
        Self { inner, has_written: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Hesitant<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.has_written) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Hesitant<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.has_written = true;
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl VirtualSocket for Hesitant<TcpStream> {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.inner.set_nodelay(true),
            // Peers are given none.
            _ => Ok(()),
        }
    }
}

#[cfg(unix)]
impl VirtualSocket for Hesitant<tokio::net::UnixStream> {
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn given_an_answer_that_is_there_when_read_after_a_write_then_something_else_goes_first() {
        let (inner, mut far) = tokio::io::duplex(64);
        let mut stream = Hesitant::new(inner);
        stream.write_all(b"request").await.unwrap();
        far.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];

        let first = tokio::select! {
            biased;
            read = stream.read_exact(&mut answer) => { read.unwrap(); "the answer" }
            () = std::future::ready(()) => "the other",
        };
        assert_eq!(first, "the other");
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
    }
}
