//! Bodies of requests for servers that want to know the length first.
//!
//! # Why
//!
//! Classic ASP, many ISAPI filters and old WCF bindings read no body without `Content-Length`, which HTTP/2 clients need not
//! send and chunked requests cannot. So the body is collected before the server is asked, the beginning in memory and the rest
//! in a file without a name, and goes on with its length.
//!
//! pingora takes a body from the client's session alone. While the collected one goes on, the session is therefore wrapped in
//! one that gives its pieces, and leaves all else to the client's.

use std::io::{self, ErrorKind, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::Digest;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session as CustomSession;
use pingora::protocols::http::{HttpTask, ServerSession};
use pingora::protocols::l4::socket::SocketAddr;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, OrErr, Result};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use super::room::Place;

/// A collected body.
#[derive(Debug)]
pub(super) struct Body {
    begin: BytesMut,
    /// What comes behind `begin`; nobody else can open it, and it is gone with its last handle.
    rest: Option<File>,
    /// Bytes that are not passed on yet.
    left: u64,
    /// What it takes of what all may take.
    place: Place,
}

/// How collecting a body ended.
#[derive(Debug)]
pub(super) enum Collected {
    /// All of it is here.
    Whole(Body),
    /// It is longer than it may be.
    TooLong,
    /// There is no room for it beside all others, or none on the disk.
    NoRoom(io::Error),
}

/// Where the client's session comes back to.
pub(super) type Slot = Arc<Mutex<Option<ServerSession>>>;

/// Reads the whole body into `place`, at most `most` bytes. `heard` is told of each piece.
///
/// # Errors
///
/// The downstream's, or that of the folder for temporary files.
pub(super) async fn collect(
    client: &mut ServerSession,
    most: u64,
    place: Place,
    mut heard: impl FnMut(),
) -> Result<Collected> {
    let mut body = Body::new(place);
    while let Some(part) = client.read_request_body().await.map_err(|error| error.into_down())? {
        heard();
        if body.left + part.len() as u64 > most {
            return Ok(Collected::TooLong);
        }
        if let Err(error) = body.push(&part).await {
            return not_kept(error);
        }
    }
    match body.rewind().await {
        Ok(()) => Ok(Collected::Whole(body)),
        Err(error) => not_kept(error),
    }
}

/// A disk that is full is as little to be blamed on the request as a room that is.
fn not_kept(error: io::Error) -> Result<Collected> {
    match error.kind() {
        ErrorKind::QuotaExceeded | ErrorKind::StorageFull | ErrorKind::FileTooLarge => Ok(Collected::NoRoom(error)),
        _ => Err(error).or_err(ErrorType::InternalError, "cannot keep a request's body"),
    }
}

impl Body {
    fn new(place: Place) -> Self {
        Self { begin: BytesMut::new(), rest: None, left: 0, place }
    }

    /// In bytes, until some were passed on.
    pub(super) fn length(&self) -> u64 {
        self.left
    }

    async fn push(&mut self, part: &Bytes) -> io::Result<()> {
        let length = part.len() as u64;
        self.left += length;
        let is_short = self.rest.is_none() && self.begin.len() + part.len() <= IN_MEMORY;
        if is_short && self.place.take_memory(length) {
            self.begin.extend_from_slice(part);
            return Ok(());
        }
        if !self.place.take_file(length) {
            return Err(io::Error::new(ErrorKind::QuotaExceeded, "collected bodies fill `limits.collected`"));
        }
        let file = match &mut self.rest {
            Some(file) => file,
            None => self.rest.insert(unnamed_file().await?),
        };
        file.write_all(part).await
    }

    async fn rewind(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.rest else { return Ok(()) };
        file.flush().await?;
        file.seek(SeekFrom::Start(0)).await.map(drop)
    }

    /// `None` at the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let piece = if !self.begin.is_empty() {
            self.begin.split_to(self.begin.len().min(PIECE)).freeze()
        } else if let Some(file) = &mut self.rest {
            let mut piece = BytesMut::with_capacity(PIECE);
            file.read_buf(&mut piece).await?;
            piece.freeze()
        } else {
            Bytes::new()
        };
        self.left = self.left.saturating_sub(piece.len() as u64);
        if piece.is_empty() && self.left > 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok((!piece.is_empty()).then_some(piece))
    }
}

async fn unnamed_file() -> io::Result<File> {
    let made = tokio::task::spawn_blocking(tempfile::tempfile).await;
    made.map_err(io::Error::other)?.map(File::from_std)
}

/// Lets pingora find `body` where it looks for the client's.
pub(super) fn pass_on(session: &mut Session, body: Body) -> Slot {
    let slot = Slot::default();
    let client = std::mem::replace(&mut *session.downstream_session, placeholder());
    let passing = Passing { client, body, has_begun: false, slot: slot.clone() };
    *session.downstream_session = ServerSession::new_custom(Box::new(passing));
    slot
}

/// Puts the client's own session back; the body is passed on, or will not be.
pub(super) fn give_back(session: &mut Session, slot: &Slot) {
    if !session.downstream_session.is_custom() {
        return;
    }
    // The one that is dropped leaves the client's session in the slot.
    drop(std::mem::replace(&mut *session.downstream_session, placeholder()));
    if let Some(client) = slot.lock().unwrap_or_else(PoisonError::into_inner).take() {
        *session.downstream_session = client;
    }
}

/// Stands for a session for no longer than a line.
fn placeholder() -> ServerSession {
    ServerSession::new_custom(Box::new(()))
}

/// The client's session with another body.
struct Passing {
    client: ServerSession,
    body: Body,
    has_begun: bool,
    slot: Slot,
}

impl Drop for Passing {
    fn drop(&mut self) {
        let client = std::mem::replace(&mut self.client, placeholder());
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
    }
}

impl Passing {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        self.has_begun = true;
        self.body.next().await.or_err(ErrorType::InternalError, "cannot read a request's body back")
    }
}

#[async_trait]
impl CustomSession for Passing {
    fn req_header(&self) -> &RequestHeader {
        self.client.req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.client.req_header_mut()
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        self.next().await
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        Ok(())
    }

    async fn write_response_header(&mut self, response: Box<ResponseHeader>, _end: bool) -> Result<()> {
        self.client.write_response_header(response).await
    }

    async fn write_response_header_ref(&mut self, response: &ResponseHeader, _end: bool) -> Result<()> {
        self.client.write_response_header_ref(response).await
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.client.write_response_body(data, end).await
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.client.write_response_trailers(trailers).await
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        self.client.response_duplex_vec(tasks).await
    }

    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.client.set_read_timeout(timeout);
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        self.client.get_read_timeout()
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.client.set_write_timeout(timeout);
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.client.get_write_timeout()
    }

    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        self.client.set_total_drain_timeout(timeout);
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.client.get_total_drain_timeout()
    }

    fn request_summary(&self) -> String {
        self.client.request_summary()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.client.response_written()
    }

    async fn shutdown(&mut self, _code: u32, _context: &str) {
        self.client.shutdown().await;
    }

    fn is_body_done(&mut self) -> bool {
        self.body.left == 0
    }

    async fn finish(&mut self) -> Result<()> {
        Ok(())
    }

    fn is_body_empty(&mut self) -> bool {
        false
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        if no_body_expected { self.client.read_body_or_idle(true).await } else { self.next().await }
    }

    fn body_bytes_sent(&self) -> usize {
        self.client.body_bytes_sent()
    }

    fn body_bytes_read(&self) -> usize {
        self.client.body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        self.client.digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.client.digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.client.client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.client.server_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.client.to_h1_raw()
    }

    fn enable_retry_buffering(&mut self) {}

    /// A body that has begun to go on is not there a second time.
    fn retry_buffer_truncated(&self) -> bool {
        self.has_begun
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        None
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(
        &mut self,
    ) -> Option<Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>> {
        None
    }

    fn restore_custom_message_reader(
        &mut self,
        _reader: Box<dyn Stream<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>,
    ) -> Result<()> {
        Error::e_explain(ErrorType::InternalError, "there are no messages beside the body")
    }

    fn take_custom_message_writer(&mut self) -> Option<Box<dyn CustomMessageWrite>> {
        None
    }

    fn restore_custom_message_writer(&mut self, _writer: Box<dyn CustomMessageWrite>) -> Result<()> {
        Error::e_explain(ErrorType::InternalError, "there are no messages beside the body")
    }
}

/// Of one body; what is longer goes into a file.
const IN_MEMORY: usize = 1 << 20;
/// Passed on at a time.
const PIECE: usize = 64 * 1024;
/// Of a body, where neither route nor site says how much: one client is not to have all of the room.
pub(super) const MOST: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use pingora::protocols::l4::stream::Stream as L4Stream;
    use tokio::net::{TcpListener, TcpStream};

    use super::super::room::Room;
    use super::*;

    #[tokio::test]
    async fn given_pieces_when_pushed_then_they_come_back_whole_from_memory_and_from_a_file() {
        for (length, is_in_file) in [(1, false), (IN_MEMORY, false), (IN_MEMORY + 1, true), (5 * IN_MEMORY, true)] {
            let sent: Vec<u8> = (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect();
            let mut body = Body::new(Arc::<Room>::default().place(u64::MAX));
            for part in sent.chunks(50_000) {
                body.push(&Bytes::copy_from_slice(part)).await.unwrap();
            }
            assert_eq!((body.length(), body.rest.is_some()), (length as u64, is_in_file));
            body.rewind().await.unwrap();

            let mut got = Vec::new();
            while let Some(piece) = body.next().await.unwrap() {
                got.extend_from_slice(&piece);
            }

            assert!(got == sent, "{length}");
            assert_eq!(body.left, 0);
        }
    }

    #[tokio::test]
    async fn given_a_file_that_lost_its_end_when_read_then_an_error_and_no_shorter_body() {
        let body = Body::new(Arc::<Room>::default().place(0));
        let mut body = Body { left: 10, rest: Some(unnamed_file().await.unwrap()), ..body };
        assert!(body.next().await.is_err());
    }

    #[tokio::test]
    async fn given_a_client_that_leaves_amid_its_body_when_collected_then_its_room_is_free_again() {
        let room = Arc::<Room>::default();
        for (body, is_whole) in [("5\r\nhello\r\n0\r\n\r\n", true), ("5\r\nhello\r\n5\r\nwo", false)] {
            let mut session = session(body).await;
            let collected = collect(&mut session, 100, room.place(0), || {}).await;
            assert_eq!(matches!(collected, Ok(Collected::Whole(_))), is_whole, "{body}");
            drop(collected);
            assert_eq!(format!("{room:?}"), format!("{:?}", Room::default()), "{body}");
        }
    }

    #[tokio::test]
    async fn given_no_room_in_memory_or_files_when_collected_then_told_and_nothing_is_held() {
        let room = Arc::<Room>::default();
        let mut everything = room.place(4);
        assert!(everything.take_memory(128 << 20));

        let mut session = session("5\r\nhello\r\n0\r\n\r\n").await;
        let collected = collect(&mut session, 100, room.place(4), || {}).await.unwrap();

        assert!(matches!(&collected, Collected::NoRoom(why) if why.to_string().contains("limits.collected")));
        drop(collected);
        assert!(everything.take_file(4));
    }

    /// Of a client that has sent a request with `body`, and no more follows.
    async fn session(body: &str) -> ServerSession {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        drop(client);
        let accepted = L4Stream::from(listener.accept().await.unwrap().0);
        let mut session = ServerSession::new_http1(Box::new(accepted));
        session.read_request().await.unwrap();
        session
    }
}
