//! Who may read the page: a browser that has come to it by one of its names, and no other site in that browser.
//!
//! Who can connect is the operator's business. This keeps out what a browser brings along without its user's knowledge: a site whose
//! name comes to the agent's address (DNS rebinding), one that reads or frames the page, and text of logs that would be a script.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::{Page, Served};
use crate::api::problem::Problem;
use crate::config::PageHost;

/// Scripts, styles and data from here alone; no text ever becomes markup or a script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// How a browser says from where a request comes (Fetch Metadata).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Puts on every answer what browsers are to heed.
pub(super) async fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Lets a request for the page on, where it is served and called by one of its names.
pub(super) async fn by_its_name(State(page): State<Arc<Page>>, request: Request, next: Next) -> Response {
    let served = page.served();
    if !served.is_on() {
        let detail = "the page is not served here; `page = true` under [metrics] in blocker.toml has it served";
        return Problem::new(StatusCode::NOT_FOUND, detail).into_response();
    }
    let by_uri = request.uri().host().is_none_or(|host| is_name(host, &served));
    if !by_uri || !is_called_by_name(request.headers(), &served) {
        let detail = "the page does not go by this name; `hosts` under [metrics] in blocker.toml lists more names";
        return Problem::new(StatusCode::FORBIDDEN, detail).into_response();
    }
    next.run(request).await
}

/// Lets a request for data on, unless a browser says that another site has made it.
pub(super) async fn from_itself(request: Request, next: Next) -> Response {
    let sites = request.headers().get_all(FETCH_SITE);
    // Whoever says nothing is no browser, or an old one, which does not let another site read the answer.
    if sites.iter().any(|site| site != "same-origin" && site != "none") {
        let detail = "only the page itself may ask for this";
        return Problem::new(StatusCode::FORBIDDEN, detail).into_response();
    }
    next.run(request).await
}

/// Whether the one `Host` is a name of the page; its port is that of whoever stands between.
fn is_called_by_name(headers: &HeaderMap, served: &Served) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    authority.is_some_and(|authority| !authority.as_str().contains('@') && is_name(authority.host(), served))
}

fn is_name(host: &str, served: &Served) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(host).parse::<IpAddr>() {
        let address = address.to_canonical();
        let listens = served.address.map(|address| address.ip().to_canonical());
        // An address that is written out is no name that somebody could point elsewhere.
        return address.is_loopback()
            || listens.is_some_and(|listens| listens == address || listens.is_unspecified())
            || served.settings.hosts.contains(&PageHost::Address(address));
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_one = |host: &PageHost| matches!(host, PageHost::Name(known) if known.as_str() == name);
    name == "localhost" || name.ends_with(".localhost") || served.settings.hosts.iter().any(is_one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PageSettings;

    fn is_called(hosts: &[&str], listen: &str, names: &[&str]) -> bool {
        let served = Served {
            address: Some(listen.parse().unwrap()),
            settings: PageSettings {
                hosts: names.iter().map(|name| name.parse().unwrap()).collect(),
                ..PageSettings::default()
            },
        };
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_str(host).unwrap());
        }
        is_called_by_name(&headers, &served)
    }

    #[test]
    fn the_page_goes_by_this_machines_names_for_itself() {
        for host in [
            "localhost",
            "LOCALHOST:9919",
            "localhost.",
            "relay.localhost:8080",
            "127.0.0.1:9919",
            "127.0.0.53",
            "[::1]:9919",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_called(&[host], "127.0.0.1:9919", &[]), "{host}");
        }
    }

    #[test]
    fn a_name_that_somebody_else_can_point_here_is_refused() {
        for host in [
            "evil.example",
            "evil.example:9919",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "user@localhost",
            "localhost@evil.example",
            "192.0.2.1",
            "0.0.0.0",
            "[::]",
            "[2001:db8::1]",
            "2130706433",
            "0x7f.1",
            "",
            " ",
            "localhost,evil.example",
            "localhost/",
        ] {
            assert!(!is_called(&[host], "127.0.0.1:9919", &["relay.example"]), "{host}");
        }
        assert!(!is_called(&[], "127.0.0.1:9919", &[]));
        assert!(!is_called(&["localhost", "localhost"], "127.0.0.1:9919", &[]));
    }

    #[test]
    fn it_goes_by_the_names_in_the_configuration_and_by_its_address() {
        let names = ["relay.example", "192.0.2.9", "2001:db8::9"];
        for host in ["relay.example", "Relay.Example.:443", "192.0.2.9:80", "[2001:db8::9]"] {
            assert!(is_called(&[host], "127.0.0.1:9919", &names), "{host}");
        }
        assert!(is_called(&["192.0.2.1:9919"], "192.0.2.1:9919", &[]));
        assert!(!is_called(&["192.0.2.2:9919"], "192.0.2.1:9919", &[]));
        assert!(is_called(&["192.0.2.1:9919"], "0.0.0.0:9919", &[]));
        assert!(!is_called(&["evil.example"], "0.0.0.0:9919", &[]));
    }
}
