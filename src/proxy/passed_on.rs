//! What pingora asks of a stream beside its bytes, answered by the stream within.

/// Implements it for a type that has a [`Stream`](pingora::protocols::Stream) as `inner` and `inner_mut`.
macro_rules! to_inner {
    ($type:ty) => {
        use pingora::protocols::raw_connect::ProxyDigest;
        use pingora::protocols::tls::{SslDigest, TlsRef};
        use pingora::protocols::{
            ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, SocketDigest, Ssl, TimingDigest, UniqueID,
            UniqueIDType,
        };

        impl Ssl for $type {
            fn get_ssl(&self) -> Option<&TlsRef> {
                self.inner().get_ssl()
            }

            fn get_ssl_digest(&self) -> Option<std::sync::Arc<SslDigest>> {
                self.inner().get_ssl_digest()
            }

            fn selected_alpn_proto(&self) -> Option<ALPN> {
                self.inner().selected_alpn_proto()
            }
        }

        impl UniqueID for $type {
            fn id(&self) -> UniqueIDType {
                self.inner().id()
            }
        }

        impl GetTimingDigest for $type {
            fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
                self.inner().get_timing_digest()
            }

            fn get_read_pending_time(&self) -> std::time::Duration {
                self.inner().get_read_pending_time()
            }

            fn get_write_pending_time(&self) -> std::time::Duration {
                self.inner().get_write_pending_time()
            }
        }

        impl GetProxyDigest for $type {
            fn get_proxy_digest(&self) -> Option<std::sync::Arc<ProxyDigest>> {
                self.inner().get_proxy_digest()
            }

            fn set_proxy_digest(&mut self, digest: ProxyDigest) {
                self.inner_mut().set_proxy_digest(digest);
            }
        }

        impl GetSocketDigest for $type {
            fn get_socket_digest(&self) -> Option<std::sync::Arc<SocketDigest>> {
                self.inner().get_socket_digest()
            }

            fn set_socket_digest(&mut self, digest: SocketDigest) {
                self.inner_mut().set_socket_digest(digest);
            }
        }

        impl Peek for $type {}
    };
}

pub(super) use to_inner;
