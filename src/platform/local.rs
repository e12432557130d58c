//! Sockets that are reached by a path and guarded by its permissions.

/// Bytes that a socket's path may have: `sun_path` of macOS, which is shorter than that of Linux, without its last zero.
pub const LONGEST_LOCAL_PATH: usize = 103;

#[cfg(unix)]
pub use unix::{LocalListener, LocalStream};
#[cfg(windows)]
pub use windows::{LocalListener, LocalStream};

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::io::{self, ErrorKind};
    use std::os::fd::AsFd;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
    use std::path::{Path, PathBuf};
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use nix::unistd::Group;

    use super::LONGEST_LOCAL_PATH;
    use rustix::fs::Mode;
    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
    use tokio::net::{UnixListener, UnixStream};

    /// A socket that others connect to. Its name goes when it is dropped, unless somebody else has taken the place.
    pub struct LocalListener {
        listener: UnixListener,
        path: PathBuf,
        /// Device and inode.
        identity: (u64, u64),
    }

    impl LocalListener {
        /// Opens a socket for our user alone (0600), in a folder that is made for our user alone where there is none.
        ///
        /// Bound under another name and moved into place, so that nobody meets it with other permissions, and that what a
        /// dead process left is replaced in one step. Must be called within a tokio runtime.
        ///
        /// # Errors
        ///
        /// The system's own, and [`ErrorKind::AlreadyExists`] when something that is no socket has the name.
        pub fn bind(path: &Path) -> io::Result<Self> {
            Self::bind_with(path, |_| Ok(()))
        }

        /// `prepare` makes the socket ready under its first name, so that what is there stays when that fails.
        fn bind_with(path: &Path, prepare: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<Self> {
            let folder =
                path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
            let new = folder.join(format!(".{}", std::process::id()));
            refuse_long(path)?;
            refuse_long(&new)?;
            if fs::symlink_metadata(path).is_ok_and(|facts| !facts.file_type().is_socket()) {
                return Err(io::Error::new(ErrorKind::AlreadyExists, "something that is no socket has this name"));
            }
            crate::platform::create_private_dir(folder)?;
            let _ = fs::remove_file(&new);
            let listener = bind_for_us_alone(&new)?;
            let facts = fs::symlink_metadata(&new)?;
            if let Err(error) = prepare(&new).and_then(|()| fs::rename(&new, path)) {
                // What cannot be removed is replaced by the next try.
                let _ = fs::remove_file(&new);
                return Err(error);
            }
            Ok(Self { listener, path: path.to_owned(), identity: (facts.dev(), facts.ino()) })
        }

        /// As [`LocalListener::bind`]; the users of `group` may connect too (0660).
        ///
        /// # Errors
        ///
        /// As there, and when there is no such group, or our user may not give files to it.
        pub fn bind_for(path: &Path, group: &str) -> io::Result<Self> {
            let group =
                Group::from_name(group)?.ok_or_else(|| io::Error::other(format!("there is no group `{group}`")))?;
            Self::bind_with(path, |new| {
                std::os::unix::fs::chown(new, None, Some(group.gid.as_raw()))?;
                fs::set_permissions(new, fs::Permissions::from_mode(0o660))
            })
        }

        /// Waits for the next one.
        ///
        /// # Errors
        ///
        /// The system's own.
        pub async fn accept(&self) -> io::Result<LocalStream> {
            self.listener.accept().await.map(|(stream, _)| LocalStream(stream))
        }

        /// Those that have connected and were not accepted yet, one with each call; [`ErrorKind::WouldBlock`] after the last.
        ///
        /// The name goes first, so that nobody else comes. What is not taken is reset when the function drops.
        pub fn waiting(self) -> impl FnMut() -> io::Result<LocalStream> + Send {
            let socket = self.listener.as_fd().try_clone_to_owned().map(std::os::unix::net::UnixListener::from);
            drop(self);
            move || {
                let (stream, _) = socket.as_ref().map_err(|_| ErrorKind::WouldBlock)?.accept()?;
                stream.set_nonblocking(true)?;
                UnixStream::from_std(stream).map(LocalStream)
            }
        }
    }

    impl Drop for LocalListener {
        fn drop(&mut self) {
            let is_ours = |facts: fs::Metadata| (facts.dev(), facts.ino()) == self.identity;
            if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
                // What cannot be removed is replaced at the next start.
                let _ = fs::remove_file(&self.path);
            }
        }
    }

    /// The mask holds for the whole process, so for a moment other files are made narrower too, which harms nobody.
    fn bind_for_us_alone(path: &Path) -> io::Result<UnixListener> {
        let mask = rustix::process::umask(Mode::from_raw_mode(0o077));
        let listener = UnixListener::bind(path);
        rustix::process::umask(mask);
        let listener = listener?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    fn refuse_long(path: &Path) -> io::Result<()> {
        let length = path.as_os_str().len();
        if length <= LONGEST_LOCAL_PATH {
            return Ok(());
        }
        let text = format!("a socket's path has at most {LONGEST_LOCAL_PATH} bytes, and this one has {length}");
        Err(io::Error::new(ErrorKind::InvalidFilename, text))
    }

    /// One conversation.
    pub struct LocalStream(UnixStream);

    impl LocalStream {
        /// Connects to a [`LocalListener`].
        ///
        /// # Errors
        ///
        /// The system's own.
        pub async fn connect(path: &Path) -> io::Result<Self> {
            UnixStream::connect(path).await.map(Self)
        }

        /// What it is made of.
        pub fn into_inner(self) -> UnixStream {
            self.0
        }
    }

    impl AsyncRead for LocalStream {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buf)
        }
    }

    impl AsyncWrite for LocalStream {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, buf)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }
}

/// # Why
///
/// A named pipe would do, but needs an access list, which std cannot make. So for now it is said that there is none.
#[cfg(windows)]
mod windows {
    use std::io;
    use std::path::Path;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

    /// There is none.
    pub enum LocalListener {}

    impl LocalListener {
        /// Fails.
        ///
        /// # Errors
        ///
        /// Always.
        pub fn bind(_path: &Path) -> io::Result<Self> {
            Err(unsupported())
        }

        /// Fails.
        ///
        /// # Errors
        ///
        /// Always.
        pub fn bind_for(_path: &Path, _group: &str) -> io::Result<Self> {
            Err(unsupported())
        }

        /// Cannot be reached.
        ///
        /// # Errors
        ///
        /// None.
        pub async fn accept(&self) -> io::Result<LocalStream> {
            match *self {}
        }

        /// Cannot be reached.
        pub fn waiting(self) -> impl FnMut() -> io::Result<LocalStream> + Send {
            move || match self {}
        }
    }

    /// There is none.
    pub enum LocalStream {}

    impl LocalStream {
        /// Fails.
        ///
        /// # Errors
        ///
        /// Always.
        pub async fn connect(_path: &Path) -> io::Result<Self> {
            Err(unsupported())
        }
    }

    impl AsyncRead for LocalStream {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            match *self {}
        }
    }

    impl AsyncWrite for LocalStream {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            match *self {}
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            match *self {}
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            match *self {}
        }
    }

    fn unsupported() -> io::Error {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "on Windows there is no control socket yet; the admin listener has the status",
        )
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[tokio::test]
    async fn given_a_group_that_cannot_be_had_when_bound_then_the_socket_that_serves_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.sock");
        let _serves = LocalListener::bind(&path).unwrap();
        let inode = || std::fs::symlink_metadata(&path).map(|facts| facts.ino()).unwrap();
        let before = inode();

        assert!(LocalListener::bind_for(&path, "no-such-group").is_err());

        assert_eq!(inode(), before);
        LocalStream::connect(&path).await.unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
