//! Conditional requests: the version of a room is its seq, as the strong entity tag `"<seq>"` (RFC 9110 §8.8.3, §13).

use crate::http::problem::{FieldError, Problem};
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};
use tripsync_domain::Seq;

/// A seq that no room is at.
const NEVER: Seq = Seq(u64::MAX);

/// The entity tag of a room at a seq.
pub(in crate::http::v1) fn etag(seq: Seq) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{seq}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The version that `If-Match` demands. A tag that is weak or was never ours demands one that there is not; `*` demands nothing,
/// because what does not exist is 404 anyway.
///
/// # Errors
/// `invalid` for several tags: a room compares with one.
pub(in crate::http::v1) fn if_match(headers: &HeaderMap) -> Result<Option<Seq>, Problem> {
    let tags = tags(headers, &IF_MATCH);
    match tags.as_slice() {
        [] => Ok(None),
        [one] if one == "*" => Ok(None),
        [one] => {
            let number = one.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|text| text.parse().ok());
            Ok(Some(number.map(Seq).filter(|seq| etag(*seq).as_bytes() == one.as_bytes()).unwrap_or(NEVER)))
        }
        _ => Err(Problem::invalid(vec![FieldError::invalid("If-Match", "must be one entity tag")])),
    }
}

/// Whether `If-None-Match` names this version (weak comparison).
pub(in crate::http::v1) fn is_known(headers: &HeaderMap, seq: Seq) -> bool {
    let tag = etag(seq);
    tags(headers, &IF_NONE_MATCH).iter().any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one).as_bytes() == tag.as_bytes())
}

/// Our tags hold no commas, so what a comma in a foreign tag is torn into does not match either.
fn tags(headers: &HeaderMap, name: &http::HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: http::HeaderName, value: &str) -> HeaderMap {
        [(name, value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_write_names_one_strong_version() {
        let demanded = |value: &str| if_match(&headers(IF_MATCH, value));
        assert_eq!(demanded("\"42\"").unwrap(), Some(Seq(42)));
        assert_eq!(demanded("*").unwrap(), None);
        assert_eq!(if_match(&HeaderMap::new()).unwrap(), None);
        for foreign in ["W/\"42\"", "42", "\"042\"", "\"+42\"", "\"abc\"", "\"\"", "\"99999999999999999999\""] {
            assert_eq!(demanded(foreign).unwrap(), Some(NEVER), "{foreign}");
        }
        assert!(demanded("\"42\", \"43\"").is_err());
    }

    #[test]
    fn a_read_may_name_many_versions() {
        let known = |value: &str| is_known(&headers(IF_NONE_MATCH, value), Seq(42));
        assert!(known("\"42\"") && known("W/\"42\"") && known("\"7\", \"42\"") && known("*"));
        assert!(!known("\"4\"") && !known("42") && !known("\"7\"") && !is_known(&HeaderMap::new(), Seq(42)));
    }
}
