//! Where a URL leads, without what in it can be a secret: user, password, path,
//! query.

/// Bytes of a DNS name.
const HOST_LIMIT: usize = 255;

/// The harmless parts of a URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UrlHost<'a> {
    /// As `https`.
    pub scheme: &'a str,
    /// Empty when the URL does not say it plainly.
    pub host: &'a str,
    pub port: Option<u32>,
}

impl<'a> UrlHost<'a> {
    /// Takes apart `scheme://user:password@host:port/path`. Anything else has no
    /// scheme and no host.
    #[must_use]
    pub fn of(url: &'a str) -> Self {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Self::default();
        };
        let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphabetic());
        if !is_scheme || scheme.len() > 10 {
            return Self::default();
        }
        let (host, port) = authority(rest).unwrap_or_default();
        Self { scheme, host, port }
    }
}

fn authority(rest: &str) -> Option<(&str, Option<u32>)> {
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    // A password with a slash in it looks like this, and the host like its start.
    if rest.strip_prefix(authority)?.contains('@') {
        return None;
    }
    let place = authority
        .rsplit_once('@')
        .map_or(authority, |(_, place)| place);
    let (host, port) = match place.strip_prefix('[') {
        Some(literal) => {
            let (host, port) = literal.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    Some((plain_host(host)?, port.and_then(|port| port.parse().ok())))
}

/// A name or address and nothing else: no user, no path, no template.
#[must_use]
pub fn plain_host(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    (!text.is_empty() && text.len() <= HOST_LIMIT && text.bytes().all(is_plain)).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_scheme_host_and_port_are_left() {
        let of = |url| {
            let parts = UrlHost::of(url);
            (parts.scheme, parts.host, parts.port)
        };
        assert_eq!(
            of("https://chat.example.test/hooks/canary?token=canary#canary"),
            ("https", "chat.example.test", None)
        );
        assert_eq!(
            of("http://canary:canary@10.0.0.1:8080/"),
            ("http", "10.0.0.1", Some(8080))
        );
        assert_eq!(
            of("https://[2001:db8::1]:443/x"),
            ("https", "2001:db8::1", Some(443))
        );
    }

    #[test]
    fn a_host_that_is_not_plain_is_left_out() {
        for url in [
            "https://canary/canary@host/",
            "https://{{ secrets.canary }}/x",
            "https://",
            "https://[canary",
        ] {
            assert_eq!(UrlHost::of(url).host, "", "{url}");
        }
        assert_eq!(UrlHost::of("canary"), UrlHost::default());
        assert_eq!(UrlHost::of("can ary://host"), UrlHost::default());
        assert_eq!(plain_host("user@host"), None);
        assert_eq!(plain_host("fe80::1%vmbr0"), Some("fe80::1%vmbr0"));
    }

    proptest! {
        #[test]
        fn nothing_before_the_at_or_behind_the_host_is_left(url in "(https?://)?[A-Z/:@?#\\[\\]]{0,20}@?[a-z.]{0,9}(:[0-9]{1,6})?([/?#]\\PC{0,9})?") {
            let parts = UrlHost::of(&url);
            prop_assert!(parts.host.len() <= url.len());
            prop_assert!(!parts.host.contains(['@', '/', '?', '#', ' ']));
        }
    }
}
