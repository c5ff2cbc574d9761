//! What a request to open a socket says, judged before anything is upgraded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, HOST, HeaderName, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tripsync_domain::protocol::Codec;
use tripsync_domain::{ClientId, ErrorCode, Rejection};

/// Name in the subprotocol list that is followed by an access token.
const TOKEN_SUBPROTOCOL: &str = "token";

/// A request that may be upgraded, once its credentials hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    /// `Sec-WebSocket-Accept` of the answer.
    pub(crate) accept: String,
    /// How frames are written.
    pub(crate) codec: Codec,
    /// Whether the client offered subprotocols, so that the answer must name the one that was chosen.
    pub(crate) offered: bool,
    pub(crate) credentials: Credentials,
    /// The client id that commands count under.
    pub(crate) client: Option<ClientId>,
}

/// What the client shows, the preferred one of several.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    Token(String),
    Ticket(String),
    None,
}

/// Judges a request.
///
/// # Errors
/// `upgrade_required` when it asks for no WebSocket of version 13, `malformed` for a key that is none, `unknown_field` or `invalid`
/// for the query, `origin_refused`, `unsupported_version` when none of the offered subprotocols is known.
pub(crate) fn judge(parts: &Parts, origins: &[String]) -> Result<Opening, Rejection> {
    let headers = &parts.headers;
    let upgrades = parts.method == Method::GET
        && parts.version == Version::HTTP_11
        && tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
        && tokens(headers, &UPGRADE).any(|token| token.eq_ignore_ascii_case("websocket"));
    if !upgrades {
        return Err(Rejection::new(ErrorCode::UpgradeRequired, "open a WebSocket here (RFC 6455, over HTTP/1.1)"));
    }
    if only(headers, &SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(Rejection::new(ErrorCode::UpgradeRequired, "Sec-WebSocket-Version must be 13"));
    }
    let key = only(headers, &SEC_WEBSOCKET_KEY).filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16));
    let key = key.ok_or_else(|| Rejection::new(ErrorCode::Malformed, "Sec-WebSocket-Key must be 16 bytes in base64"))?;
    let query = Query::read(&parts.uri)?;
    check_origin(headers, origins)?;
    let offer = Offer::read(headers)?;
    let bearer = crate::auth::extract::bearer(headers).map(str::to_owned).map(Credentials::Token);
    let credentials = bearer.or(query.ticket.map(Credentials::Ticket)).or(offer.token.map(Credentials::Token)).unwrap_or(Credentials::None);
    Ok(Opening { accept: derive_accept_key(key.as_bytes()), codec: offer.codec, offered: offer.any, credentials, client: query.client })
}

/// The items of a comma-separated header, over all its lines.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

/// A header that comes exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok().map(str::trim) }
}

#[derive(Default)]
struct Query {
    ticket: Option<String>,
    client: Option<ClientId>,
}

impl Query {
    fn read(uri: &Uri) -> Result<Self, Rejection> {
        let mut query = Self::default();
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Rejection::new(ErrorCode::Malformed, "the query could not be read"))?;
        for (name, value) in pairs.0 {
            let again = match name.as_str() {
                "ticket" => query.ticket.replace(value).is_some(),
                "client" => {
                    let client = value.parse().map_err(|_| Rejection::invalid("?client", "`client` is a UUID"))?;
                    query.client.replace(client).is_some()
                }
                _ => {
                    // The name comes from a stranger and may be a secret in the wrong place: it is not repeated.
                    return Err(Rejection::new(ErrorCode::UnknownField, "the query may have `ticket` and `client`, nothing else"));
                }
            };
            if again {
                return Err(Rejection::invalid(format!("?{name}"), "it may appear once"));
            }
        }
        Ok(query)
    }
}

/// Refuses pages of other sites: browsers send cookies and let any page open a socket, but say where it came from. Programs send
/// no `Origin`.
fn check_origin(headers: &HeaderMap, origins: &[String]) -> Result<(), Rejection> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let text = only(headers, &ORIGIN);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let same_host = text.and_then(|origin| origin.split_once("://")).is_some_and(|(scheme, authority)| {
        (scheme == "http" || scheme == "https") && host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
    });
    let listed = text.is_some_and(|text| origins.iter().any(|known| known == "*" || known.eq_ignore_ascii_case(text)));
    if same_host || listed {
        return Ok(());
    }
    tracing::debug!(?origin, "a foreign origin was refused");
    Err(Rejection::new(ErrorCode::OriginRefused, "pages of this origin may not open sockets here; see the server's list of origins"))
}

struct Offer {
    any: bool,
    codec: Codec,
    token: Option<String>,
}

impl Offer {
    /// The first known codec of the list, and what follows the word `token`.
    fn read(headers: &HeaderMap) -> Result<Self, Rejection> {
        let mut offer = Self { any: false, codec: Codec::MessagePack, token: None };
        let mut codec = None;
        let mut items = tokens(headers, &SEC_WEBSOCKET_PROTOCOL);
        while let Some(item) = items.next() {
            offer.any = true;
            if item == TOKEN_SUBPROTOCOL {
                offer.token = items.next().map(str::to_owned);
            } else {
                codec = codec.or_else(|| Codec::from_subprotocol(item));
            }
        }
        match codec {
            Some(codec) => offer.codec = codec,
            None if offer.any => {
                let text = "offer the subprotocol tripsync.v1.msgpack or tripsync.v1.json";
                return Err(Rejection::new(ErrorCode::UnsupportedVersion, text));
            }
            None => {}
        }
        Ok(offer)
    }
}

/// `Sec-WebSocket-Protocol` of the answer: the codec only, never the token.
pub(crate) fn echo(opening: &Opening) -> Option<HeaderValue> {
    opening.offered.then(|| HeaderValue::from_static(opening.codec.subprotocol()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    /// A good request with some headers changed (an empty value removes one), and a query.
    fn request(query: &str, changes: &[(&'static str, &str)]) -> Parts {
        let (mut parts, ()) = Request::get(format!("/api/v1/live{query}")).body(()).unwrap().into_parts();
        let good = [
            ("host", "trips.example"),
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
        ];
        for (name, value) in good.into_iter().chain(changes.iter().copied()) {
            if value.is_empty() {
                parts.headers.remove(name);
            } else {
                parts.headers.insert(name, value.parse().unwrap());
            }
        }
        parts
    }

    fn refused(query: &str, changes: &[(&'static str, &str)]) -> ErrorCode {
        judge(&request(query, changes), &["https://app.example".into()]).unwrap_err().code
    }

    fn opening(query: &str, changes: &[(&'static str, &str)]) -> Opening {
        judge(&request(query, changes), &["https://app.example".into()]).unwrap()
    }

    #[test]
    fn the_answer_is_that_of_the_rfc() {
        let opening = opening("", &[]);
        assert_eq!(opening.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!((opening.codec, echo(&opening), opening.credentials), (Codec::MessagePack, None, Credentials::None));
    }

    #[test]
    fn what_is_no_handshake_is_refused() {
        use ErrorCode::{Invalid, Malformed, OriginRefused, UnknownField, UnsupportedVersion, UpgradeRequired};
        for (query, name, value, code) in [
            ("", "upgrade", "", UpgradeRequired),
            ("", "upgrade", "h2c", UpgradeRequired),
            ("", "connection", "keep-alive", UpgradeRequired),
            ("", "sec-websocket-version", "8", UpgradeRequired),
            ("", "sec-websocket-version", "", UpgradeRequired),
            ("", "sec-websocket-key", "", Malformed),
            ("", "sec-websocket-key", "YWJj", Malformed),
            ("", "sec-websocket-key", "not base64 of 16 bytes!!", Malformed),
            ("?client=me", "x-a", "", Invalid),
            ("?ticket=a&ticket=b", "x-a", "", Invalid),
            ("?token=secret", "x-a", "", UnknownField),
            ("", "origin", "https://evil.example", OriginRefused),
            ("", "origin", "null", OriginRefused),
            ("", "origin", "ftp://trips.example", OriginRefused),
            ("", "origin", "https://trips.example.evil.example", OriginRefused),
            ("", "sec-websocket-protocol", "tripsync.v9.json", UnsupportedVersion),
            ("", "sec-websocket-protocol", "token, abc", UnsupportedVersion),
        ] {
            assert_eq!(refused(query, &[(name, value)]), code, "{query} {name}: {value}");
        }
    }

    #[test]
    fn own_and_listed_origins_are_welcome() {
        for origin in ["https://trips.example", "http://TRIPS.example", "https://app.example"] {
            opening("", &[("origin", origin)]);
        }
    }

    #[test]
    fn credentials_have_an_order() {
        let list = ("sec-websocket-protocol", "other, tripsync.v1.json, token, from-list");
        let all = opening("?ticket=from-query", &[("authorization", "Bearer from-header"), list]);
        assert_eq!(all.credentials, Credentials::Token("from-header".into()));
        assert_eq!(opening("?ticket=from-query", &[list]).credentials, Credentials::Ticket("from-query".into()));
        let browser = opening("", &[list]);
        assert_eq!(browser.credentials, Credentials::Token("from-list".into()));
        assert_eq!(echo(&browser).unwrap(), "tripsync.v1.json", "the token is not echoed");
    }

    #[test]
    fn the_client_names_itself() {
        let id = "01920000-0000-7000-8000-0000000000ff";
        assert_eq!(opening(&format!("?client={id}"), &[]).client, Some(id.parse().unwrap()));
    }
}
