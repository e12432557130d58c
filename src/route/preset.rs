//! What applications that once stood behind a proxy of Microsoft's look for.

/// Which headers an upstream gets beside `X-Forwarded-*`. Clients cannot send any of them: [`super::headers::is_stripped`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Applications on IIS: `Front-End-Https`, `X-Original-Host` and `X-Original-URL`.
    Iis,
    /// Applications that stood behind Application Request Routing: those of [`Preset::Iis`], `X-ARR-LOG-ID` and `X-ARR-SSL`.
    Arr,
}

impl Preset {
    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Iis => "iis",
            Self::Arr => "arr",
        }
    }

    /// The headers to set, with values as bytes of a header; each replaces what is there.
    ///
    /// `Front-End-Https` and `X-ARR-SSL` say that the client speaks TLS, so that they are missing where it does not.
    pub fn headers(self, request: &Original<'_>) -> Vec<(&'static str, Vec<u8>)> {
        let mut headers = Vec::with_capacity(5);
        if request.is_https {
            headers.push((FRONT_END_HTTPS, b"on".to_vec()));
        }
        headers.extend(request.host.map(|host| (ORIGINAL_HOST, host.as_bytes().to_vec())));
        headers.push((ORIGINAL_URL, request.target.to_vec()));
        if self == Self::Arr {
            headers.push((ARR_LOG_ID, request.log_id.to_owned().into_bytes()));
            let told = request.certificate.filter(|_| request.is_https);
            headers.extend(told.map(|told| (ARR_SSL, told.as_bytes().to_vec())));
        }
        headers
    }
}

/// A request as its client sent it.
#[derive(Clone, Copy, Debug)]
pub struct Original<'a> {
    /// The client speaks TLS, to us or to a proxy that we believe.
    pub is_https: bool,
    /// `Host` or `:authority`.
    pub host: Option<&'a str>,
    /// Path and query.
    pub target: &'a [u8],
    /// The request's GUID.
    pub log_id: &'a str,
    /// `bits of the key|bits of the cipher|issuer|subject` of the certificate that the client was shown.
    pub certificate: Option<&'a str>,
}

const FRONT_END_HTTPS: &str = "front-end-https";
const ORIGINAL_HOST: &str = "x-original-host";
const ORIGINAL_URL: &str = "x-original-url";
const ARR_LOG_ID: &str = "x-arr-log-id";
const ARR_SSL: &str = "x-arr-ssl";

#[cfg(test)]
mod tests {
    use super::super::headers::is_stripped;
    use super::*;

    fn original() -> Original<'static> {
        Original {
            is_https: true,
            host: Some("m5.test"),
            target: b"/a?b",
            log_id: "guid",
            certificate: Some("2048|256|CN=ca|CN=m5.test"),
        }
    }

    fn names(preset: Preset, request: &Original<'_>) -> Vec<&'static str> {
        preset.headers(request).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn given_one_fact_changed_when_told_then_what_each_preset_sets() {
        let plain = Original { is_https: false, ..original() };
        let nameless = Original { host: None, certificate: None, ..original() };
        #[rustfmt::skip]
        let table = [
            (Preset::Iis, original(), vec![FRONT_END_HTTPS, ORIGINAL_HOST, ORIGINAL_URL]),
            (Preset::Arr, original(), vec![FRONT_END_HTTPS, ORIGINAL_HOST, ORIGINAL_URL, ARR_LOG_ID, ARR_SSL]),
            (Preset::Iis, plain,      vec![ORIGINAL_HOST, ORIGINAL_URL]),
            (Preset::Arr, plain,      vec![ORIGINAL_HOST, ORIGINAL_URL, ARR_LOG_ID]),
            (Preset::Arr, nameless,   vec![FRONT_END_HTTPS, ORIGINAL_URL, ARR_LOG_ID]),
        ];
        for (preset, request, expected) in table {
            assert_eq!(names(preset, &request), expected, "{preset:?} {request:?}");
        }
        assert_eq!(Preset::Iis.headers(&original())[0].1, b"on");
    }

    #[test]
    fn given_every_header_of_a_preset_when_a_client_sends_it_then_stripped_however_it_is_spelt() {
        for name in names(Preset::Arr, &original()) {
            for spelt in [name.to_owned(), name.replace('-', "_"), name.to_ascii_uppercase().replacen('-', "_", 1)] {
                assert!(is_stripped(&spelt, false) && is_stripped(&spelt, true), "{spelt}");
            }
        }
    }
}
