//! Families of clients, by `User-Agent`: enough to know whom to ask, and nothing that names a person.

/// What kind of program sends requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Agent {
    /// Chrome, Chromium and browsers made of it that are not named here.
    Chrome,
    /// Edge.
    Edge,
    /// Firefox.
    Firefox,
    /// Safari, and browsers on iOS.
    Safari,
    /// Internet Explorer, and its engine in Windows programs.
    InternetExplorer,
    /// Apps on Android: okhttp, or Android's own client.
    Android,
    /// Apps on iOS and macOS: CFNetwork.
    Apple,
    /// curl and wget.
    Curl,
    /// Python.
    Python,
    /// .NET and PowerShell.
    DotNet,
    /// Java.
    Java,
    /// Go.
    Go,
    /// Crawlers, scanners and monitors that say so.
    Bot,
    /// No `User-Agent` at all, as small devices do.
    Silent,
    /// Anything else.
    Other,
}

impl Agent {
    /// Finds the family of a `User-Agent`. The first mark that is there decides, since most clients claim to be several.
    pub fn of(user_agent: Option<&[u8]>) -> Self {
        let Some(text) = user_agent.map(<[u8]>::trim_ascii).filter(|text| !text.is_empty()) else {
            return Self::Silent;
        };
        // Nobody says what it is behind that.
        let text = text.get(..LONGEST).unwrap_or(text);
        let holds = |mark: &&str| text.windows(mark.len()).any(|part| part.eq_ignore_ascii_case(mark.as_bytes()));
        let found = MARKS.iter().find(|(_, marks)| marks.iter().any(holds));
        found.map_or(Self::Other, |(agent, _)| *agent)
    }

    /// A word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chrome => "chrome",
            Self::Edge => "edge",
            Self::Firefox => "firefox",
            Self::Safari => "safari",
            Self::InternetExplorer => "internet_explorer",
            Self::Android => "android_app",
            Self::Apple => "apple_app",
            Self::Curl => "curl",
            Self::Python => "python",
            Self::DotNet => "dotnet",
            Self::Java => "java",
            Self::Go => "go",
            Self::Bot => "bot",
            Self::Silent => "none",
            Self::Other => "other",
        }
    }

    /// A few words for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Chrome => "Chrome",
            Self::Edge => "Edge",
            Self::Firefox => "Firefox",
            Self::Safari => "Safari",
            Self::InternetExplorer => "Internet Explorer",
            Self::Android => "an Android app (okhttp)",
            Self::Apple => "an iPhone or Mac app (CFNetwork)",
            Self::Curl => "curl or wget",
            Self::Python => "a Python program",
            Self::DotNet => "a .NET program",
            Self::Java => "a Java program",
            Self::Go => "a Go program",
            Self::Bot => "a bot or monitor",
            Self::Silent => "a client that does not say what it is",
            Self::Other => "another client",
        }
    }

    /// Whether a person sits before it, and it follows every redirect.
    pub fn is_browser(self) -> bool {
        matches!(self, Self::Chrome | Self::Edge | Self::Firefox | Self::Safari | Self::InternetExplorer)
    }
}

/// Bytes of a `User-Agent` that are looked at.
const LONGEST: usize = 512;

/// What gives a family away, in the order in which it is looked for.
const MARKS: [(Agent, &[&str]); 13] = [
    (Agent::Bot, &["bot", "crawl", "spider", "monitor", "uptime", "zgrab", "nmap", "nagios", "prometheus"]),
    (Agent::Android, &["okhttp", "dalvik"]),
    (Agent::Apple, &["cfnetwork", "darwin/"]),
    (Agent::DotNet, &["powershell", ".net/", "dotnet", "restsharp", "ms web services client"]),
    (Agent::Curl, &["curl/", "wget/"]),
    (Agent::Python, &["python", "aiohttp", "httpx/"]),
    (Agent::Java, &["java/", "apache-httpclient", "jersey/"]),
    (Agent::Go, &["go-http-client"]),
    (Agent::InternetExplorer, &["trident/", "msie "]),
    (Agent::Edge, &["edg/", "edge/", "edga/", "edgios/"]),
    (Agent::Firefox, &["firefox/", "fxios/"]),
    (Agent::Chrome, &["chrome/", "chromium/", "crios/"]),
    (Agent::Safari, &["safari/"]),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn given_what_clients_say_of_themselves_when_sorted_then_their_family() {
        #[rustfmt::skip]
        let table = [
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36", Agent::Chrome),
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0", Agent::Edge),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", Agent::Firefox),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1", Agent::Safari),
            ("Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko", Agent::InternetExplorer),
            ("okhttp/4.12.0", Agent::Android),
            ("Dalvik/2.1.0 (Linux; U; Android 14; SM-S918B)", Agent::Android),
            ("RCOAccess/312 CFNetwork/1496.0.7 Darwin/23.5.0", Agent::Apple),
            ("curl/8.5.0", Agent::Curl),
            ("Wget/1.21.4", Agent::Curl),
            ("python-requests/2.32.3", Agent::Python),
            ("Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.4412", Agent::DotNet),
            ("Mozilla/4.0 (compatible; MSIE 6.0; MS Web Services Client Protocol 4.0.30319.42000)", Agent::DotNet),
            ("Java/17.0.11", Agent::Java),
            ("Apache-HttpClient/4.5.14 (Java/17.0.11)", Agent::Java),
            ("Go-http-client/1.1", Agent::Go),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Agent::Bot),
            ("Mozilla/5.0 (compatible; UptimeRobot/2.0)", Agent::Bot),
            ("  ", Agent::Silent),
            ("DoorController", Agent::Other),
        ];
        for (text, agent) in table {
            assert_eq!(Agent::of(Some(text.as_bytes())), agent, "{text}");
        }
        assert_eq!(Agent::of(None), Agent::Silent);
    }

    proptest! {
        #[test]
        fn given_any_bytes_when_sorted_then_no_panic(bytes: Vec<u8>) {
            let _ = Agent::of(Some(&bytes));
        }
    }
}
