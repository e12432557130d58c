//! Lookups give what a real name server answers, and tell its ways to fail apart.

use portvakt::dns::{CaaRefusal, CaaRequest, Resolver, Why, Zone as Found};

use crate::support::Bind;
use crate::support::bind::Zone;

const RECORDS: &str = "\
m5 IN A 192.0.2.1
m5 IN A 192.0.2.2
m5 IN AAAA 2001:db8::1
text IN TXT \"one\" \" and \" \"more\"
text IN TXT \"two\"
alias IN CNAME second
second IN CNAME m5
astray IN CNAME nowhere
ring IN CNAME gnir
gnir IN CNAME ring
_acme-challenge.m5 IN CNAME m5.validation.test.
ruled IN CAA 0 issue \"ca.test; validationmethods=dns-01\"
ruled IN CAA 0 issuewild \";\"
";

fn bind() -> (Bind, Resolver) {
    // More than fits into a datagram.
    let long: String = (0..100).map(|n| format!("long IN TXT \"{n:0>64}\"\n")).collect();
    let zones = [
        Zone::new("example.test", &format!("{RECORDS}{long}")),
        Zone::new("validation.test", ""),
        Zone::new("bare.test", "@ IN CAA 0 issue \"other.test\"\n"),
    ];
    let bind = Bind::start(&[], &zones);
    let resolver = Resolver::with_servers(&[bind.address()]);
    (bind, resolver)
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

#[tokio::test]
async fn given_records_when_asked_then_each_kind_is_given_apart() {
    let (_bind, resolver) = bind();

    let v4 = sorted(resolver.ipv4("M5.example.test.").await.unwrap());
    assert_eq!(v4, ["192.0.2.1", "192.0.2.2"].map(|a| a.parse::<std::net::Ipv4Addr>().unwrap()));
    assert_eq!(resolver.ipv6("m5.example.test").await.unwrap(), ["2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap()]);
    assert_eq!(resolver.ipv6("text.example.test").await.unwrap(), [] as [std::net::Ipv6Addr; 0]);
    assert_eq!(sorted(resolver.texts("text.example.test").await.unwrap()), ["one and more", "two"]);
    assert_eq!(resolver.texts("long.example.test").await.unwrap().len(), 100, "over TCP");
    assert_eq!(resolver.name_servers("example.test").await.unwrap(), ["ns1.example.test"]);
}

#[tokio::test]
async fn given_aliases_when_asked_then_followed_to_their_end() {
    let (_bind, resolver) = bind();

    assert_eq!(resolver.ipv4("alias.example.test").await.unwrap().len(), 2);
    let steps = |name: &'static str| {
        let resolver = resolver.clone();
        async move { resolver.aliases(name).await }
    };
    assert_eq!(steps("alias.example.test").await.unwrap(), ["second.example.test", "m5.example.test"]);
    assert_eq!(steps("m5.example.test").await.unwrap(), [] as [String; 0]);
    assert_eq!(steps("astray.example.test").await.unwrap(), ["nowhere.example.test"]);
    assert_eq!(steps("_acme-challenge.m5.example.test").await.unwrap(), ["m5.validation.test"]);
    assert_eq!(steps("nowhere.example.test").await.unwrap(), [] as [String; 0]);
    assert!(matches!(steps("ring.example.test").await.unwrap_err().why, Why::Loop));
}

#[tokio::test]
async fn given_names_when_asked_for_their_zone_then_the_apex_whether_they_exist_or_not() {
    let (_bind, resolver) = bind();

    for name in ["example.test", "m5.example.test", "a.b.nowhere.example.test", "_acme-challenge.m5.example.test"] {
        let expected = Found { name: "example.test".to_owned(), primary: "ns1.example.test".to_owned() };
        assert_eq!(resolver.zone(name).await.unwrap(), expected, "{name}");
    }
    assert_eq!(resolver.zone("m5.validation.test").await.unwrap().name, "validation.test");
}

#[tokio::test]
async fn given_caa_records_when_asked_then_the_nearest_above_the_name_rule() {
    let (_bind, resolver) = bind();
    let issuers = ["ca.test".to_owned()];
    let request = CaaRequest { issuers: &issuers, is_wildcard: false, account: None, method: Some("dns-01") };

    let ruled = resolver.caa("deep.below.ruled.example.test").await.unwrap();
    assert_eq!(ruled.at.as_deref(), Some("ruled.example.test"));
    assert_eq!(ruled.permits(request), Ok(()));
    assert_eq!(ruled.permits(CaaRequest { is_wildcard: true, ..request }), Err(CaaRefusal::Nobody));
    let by_http = CaaRequest { method: Some("http-01"), ..request };
    assert_eq!(ruled.permits(by_http), Err(CaaRefusal::OtherMethod { allowed: "`dns-01`".to_owned() }));

    let bare = resolver.caa("*.bare.test").await.unwrap();
    assert_eq!(bare.permits(request), Err(CaaRefusal::OtherIssuer { allowed: "`other.test`".to_owned() }));
}

#[tokio::test]
async fn given_no_answer_when_asked_then_the_error_says_who_and_why() {
    let (mut bind, resolver) = bind();
    let server = bind.address();

    let error = resolver.ipv4("nowhere.example.test").await.unwrap_err();
    assert_eq!(error.to_string(), "cannot look up A of `nowhere.example.test`: the name does not exist");
    let error = resolver.ipv4("astray.example.test").await.unwrap_err();
    assert!(error.is_no_such_name() && error.name == "nowhere.example.test", "{error}");
    let error = resolver.texts("elsewhere.example").await.unwrap_err();
    assert!(
        error.to_string().starts_with(&format!(
            "cannot look up TXT of `elsewhere.example`: the name server {server} refuses to answer"
        )),
        "{error}"
    );
    assert!(matches!(resolver.ipv4("a..b").await.unwrap_err().why, Why::NotAName));

    bind.stop();
    assert!(matches!(resolver.ipv4("m5.example.test").await.unwrap_err().why, Why::Unreachable { .. }));
}

#[tokio::test]
async fn given_a_first_server_that_fails_when_asked_then_the_next_answers() {
    let (bind, _) = bind();
    let mut gone = Bind::start(&[], &[]);
    let address = gone.address();
    gone.stop();
    let refusing = Bind::start(&[], &[]);

    let resolver = Resolver::with_servers(&[address, refusing.address(), bind.address()]);

    assert_eq!(resolver.ipv4("m5.example.test").await.unwrap().len(), 2);
}
