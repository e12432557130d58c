//! Who a request comes from, and who may come.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// Networks whose clients are served; the empty list is everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(Vec<IpNet>);

impl AllowList {
    /// Admits the clients of `networks` only.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether everybody may come.
    pub fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a client may come; one that is not known may not, unless everybody may. An IPv4 address that is written
    /// in IPv6 (RFC 4291 §2.5.5.2) is that IPv4 address.
    pub fn admits(&self, client: Option<IpAddr>) -> bool {
        let is_listed = |client: IpAddr| self.0.iter().any(|network| network.contains(&client.to_canonical()));
        self.is_open() || client.is_some_and(is_listed)
    }
}

/// The client's address, as far as our proxies are believed.
///
/// It is `peer`, unless that is a trusted proxy which names somebody: then the last address of `X-Forwarded-For` that is no
/// trusted proxy itself. What stands before that one was written by the client. Where only trusted proxies are named, the
/// first of them counts. `forwarded_for` gives the header's lines in order.
///
/// `None` when a trusted proxy names somebody that is no address (`unknown`): nothing may be concluded from it.
pub fn believed_client<'a>(
    peer: IpAddr,
    is_trusted: impl Fn(IpAddr) -> bool,
    forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
) -> Option<IpAddr> {
    let mut client = peer.to_canonical();
    let named = forwarded_for.rev().flat_map(|line| line.rsplit(',')).map(str::trim).filter(|entry| !entry.is_empty());
    for entry in named {
        if !is_trusted(client) {
            break;
        }
        client = address(entry)?;
    }
    Some(client)
}

/// An address as proxies write it: bare, with a port, or IPv6 in brackets.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let address = bare.parse::<IpAddr>().or_else(|_| entry.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    fn is_trusted(address: IpAddr) -> bool {
        "10.0.0.0/8".parse::<IpNet>().unwrap().contains(&address)
    }

    fn believed(peer: &str, lines: &[&str]) -> Option<String> {
        believed_client(ip(peer), is_trusted, lines.iter().copied()).map(|client| client.to_string())
    }

    #[test]
    fn given_forwarded_addresses_when_believed_then_the_last_one_that_no_proxy_of_ours_bears() {
        #[rustfmt::skip]
        let table: [(&str, &[&str], Option<&str>); 17] = [
            ("192.0.2.7",        &[],                                        Some("192.0.2.7")),
            ("::ffff:192.0.2.7", &[],                                        Some("192.0.2.7")),
            ("192.0.2.7",        &["198.51.100.1"],                          Some("192.0.2.7")),
            ("192.0.2.7",        &["unknown"],                               Some("192.0.2.7")),
            ("10.0.0.1",         &[],                                        Some("10.0.0.1")),
            ("10.0.0.1",         &["198.51.100.1"],                          Some("198.51.100.1")),
            ("::ffff:10.0.0.1",  &["198.51.100.1"],                          Some("198.51.100.1")),
            ("10.0.0.1",         &["203.0.113.9, 198.51.100.1"],             Some("198.51.100.1")),
            ("10.0.0.1",         &["203.0.113.9", "198.51.100.1"],           Some("198.51.100.1")),
            ("10.0.0.1",         &["198.51.100.1, 10.0.0.2"],                Some("198.51.100.1")),
            ("10.0.0.1",         &["10.0.0.3, 10.0.0.2"],                    Some("10.0.0.3")),
            ("10.0.0.1",         &["unknown, 198.51.100.1,"],                Some("198.51.100.1")),
            ("10.0.0.1",         &["unknown"],                               None),
            ("10.0.0.1",         &["198.51.100.1, _hidden, 10.0.0.2"],       None),
            ("10.0.0.1",         &["198.51.100.1:5000"],                     Some("198.51.100.1")),
            ("10.0.0.1",         &["[2001:db8::1]:5000"],                    Some("2001:db8::1")),
            ("10.0.0.1",         &["::ffff:198.51.100.1, ::ffff:10.0.0.2"],  Some("198.51.100.1")),
        ];
        for (peer, lines, expected) in table {
            assert_eq!(believed(peer, lines).as_deref(), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn given_a_list_when_asked_then_its_networks_only_and_nobody_unknown() {
        let list = AllowList::new(vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
        #[rustfmt::skip]
        let table = [
            ("10.1.2.3", true), ("11.1.2.3", false), ("2001:db8::1", true), ("2001:db9::1", false),
            ("::ffff:10.1.2.3", true), ("::ffff:11.1.2.3", false),
        ];
        for (client, admitted) in table {
            assert_eq!(list.admits(Some(ip(client))), admitted, "{client}");
        }
        assert!(!list.admits(None));
        assert!(AllowList::default().admits(None) && AllowList::default().admits(Some(ip("11.1.2.3"))));
    }

    proptest! {
        #[test]
        fn given_any_words_before_the_proxys_own_when_believed_then_they_change_nothing(forged: Vec<String>) {
            let mut lines: Vec<_> = forged.iter().map(String::as_str).collect();
            lines.push("198.51.100.1, 10.0.0.2");
            prop_assert_eq!(believed("10.0.0.1", &lines), Some("198.51.100.1".to_owned()));
        }

        #[test]
        fn given_a_stranger_when_it_forwards_anything_then_it_is_the_client(forged: Vec<String>) {
            let lines: Vec<_> = forged.iter().map(String::as_str).collect();
            prop_assert_eq!(believed("192.0.2.7", &lines), Some("192.0.2.7".to_owned()));
        }
    }
}
