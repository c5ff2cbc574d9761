//! Lists page by page: bounds, and cursors that only this server makes.
//!
//! A cursor holds the filter and the place after which the next page begins, with a keyed hash over them, the list, the user
//! and the room: it is good for nobody and nothing else, and only as long as the signing key stays.

use crate::auth::Sealer;
use crate::http::problem::{FieldError, Problem};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tripsync_domain::{ErrorCode, RoomId, UserId};
use utoipa::IntoParams;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

/// Items of a page at most.
pub(crate) const LIMIT_MAX: u32 = 100;
/// Items of a page when the request does not say.
pub(crate) const LIMIT_DEFAULT: u32 = 50;
/// Items that a request may skip.
pub(crate) const SKIP_MAX: u32 = 10_000;
/// Characters of a cursor; none of ours comes near.
pub(crate) const CURSOR_CHARS_MAX: usize = 512;
const MAC_BYTES: usize = 16;

/// The answer: some items, and the way to the next ones.
#[derive(Debug, Serialize)]
pub(crate) struct Page<T> {
    /// In the list's order.
    pub(crate) items: Vec<T>,
    /// Absent on the last page.
    pub(crate) next: Option<String>,
}

/// What a request says of the page that it wants.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) limit: Option<u32>,
    pub(crate) cursor: Option<String>,
    pub(crate) skip: Option<u32>,
}

/// A request for a page of a list without filters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Items of the page.
    #[param(schema_with = limit_schema, required = false)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(schema_with = cursor_schema, required = false)]
    cursor: Option<String>,
}

impl From<PageQuery> for Wanted {
    fn from(PageQuery { limit, cursor }: PageQuery) -> Self {
        Self { limit, cursor, skip: None }
    }
}

/// The same for a list in which items may be skipped.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SkipQuery {
    /// Items of the page.
    #[param(schema_with = limit_schema, required = false)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(schema_with = cursor_schema, required = false)]
    cursor: Option<String>,
    /// Items to leave out; not beside a cursor.
    #[param(schema_with = skip_schema, required = false)]
    skip: Option<u32>,
}

impl From<SkipQuery> for Wanted {
    fn from(SkipQuery { limit, cursor, skip }: SkipQuery) -> Self {
        Self { limit, cursor, skip }
    }
}

/// A list, as one user sees it.
pub(crate) struct List<'a> {
    /// Signs cursors.
    pub(crate) sealer: &'a Sealer,
    /// Which list, in which order.
    pub(crate) name: &'static str,
    /// Whose.
    pub(crate) user: UserId,
    /// Of which room.
    pub(crate) room: Option<RoomId>,
}

/// The page to find.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Window<F, P> {
    /// Only items that pass.
    pub(crate) filter: F,
    /// The last item of the page before.
    pub(crate) after: Option<P>,
    /// Items to leave out after that.
    pub(crate) skip: u32,
    /// Items at most.
    pub(crate) limit: u32,
}

impl<F, P> Window<F, P> {
    /// The limit as a length.
    pub(crate) fn len(&self) -> usize {
        self.limit.try_into().unwrap_or(usize::MAX)
    }
}

impl List<'_> {
    /// Reads a request. A cursor brings its filter with it; one that is given beside it must be the same.
    ///
    /// # Errors
    /// `invalid`, pointing at the parameter.
    pub(crate) fn window<F, P>(&self, wanted: Wanted, filter: F) -> Result<Window<F, P>, Problem>
    where
        F: DeserializeOwned + Default + PartialEq,
        P: DeserializeOwned,
    {
        let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(refused("?limit", format!("must be 1 to {LIMIT_MAX}")));
        }
        let skip = wanted.skip.unwrap_or(0);
        if skip > SKIP_MAX {
            return Err(refused("?skip", format!("must be at most {SKIP_MAX}; use the cursor")));
        }
        let Some(cursor) = wanted.cursor else { return Ok(Window { filter, after: None, skip, limit }) };
        if skip > 0 {
            return Err(refused("?skip", "cannot be used beside a cursor"));
        }
        let (kept, after): (F, P) = self.open(&cursor).ok_or_else(|| refused("?cursor", "is not a `next` of this list"))?;
        if filter != F::default() && filter != kept {
            return Err(refused("?cursor", "belongs to another filter"));
        }
        Ok(Window { filter: kept, after: Some(after), skip: 0, limit })
    }

    /// The cursor behind an item.
    ///
    /// # Errors
    /// `internal` when it cannot be encoded, which only a defect causes.
    pub(crate) fn cursor<F: Serialize, P: Serialize>(&self, filter: &F, after: &P) -> Result<String, Problem> {
        let clear = rmp_serde::to_vec(&(filter, after)).map_err(|error| Problem::internal(&error))?;
        let mut bytes = self.mac(&clear).to_vec();
        bytes.extend_from_slice(&clear);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    fn open<T: DeserializeOwned>(&self, cursor: &str) -> Option<T> {
        if cursor.len() > CURSOR_CHARS_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (mac, clear) = bytes.split_at_checked(MAC_BYTES)?;
        bool::from(self.mac(clear).ct_eq(mac)).then(|| rmp_serde::from_slice(clear).ok())?
    }

    fn mac(&self, clear: &[u8]) -> [u8; MAC_BYTES] {
        let room = self.room.map(|room| *room.as_bytes()).unwrap_or_default();
        let whole = self.sealer.fingerprint(&[b"cursor", self.name.as_bytes(), self.user.as_bytes(), &room, clear]);
        let mut mac = [0; MAC_BYTES];
        mac.copy_from_slice(&whole[..MAC_BYTES]);
        mac
    }
}

/// A page of items that are all at hand. `place` tells an item's place for the cursor, `start` where the window begins among them.
///
/// # Errors
/// As [`List::cursor`].
pub(crate) fn cut<T, F: Serialize, P: Serialize>(
    list: &List<'_>,
    window: &Window<F, P>,
    items: Vec<T>,
    start: usize,
    place: impl Fn(usize, &T) -> P,
) -> Result<Page<T>, Problem> {
    let from = start.saturating_add(window.skip.try_into().unwrap_or(usize::MAX));
    let more = items.len() > from.saturating_add(window.len());
    let items: Vec<T> = items.into_iter().skip(from).take(window.len()).collect();
    let last = items.last().filter(|_| more).map(|item| place(from + items.len() - 1, item));
    let next = last.map(|last| list.cursor(&window.filter, &last)).transpose()?;
    Ok(Page { items, next })
}

fn refused(parameter: &str, detail: impl Into<String>) -> Problem {
    let detail = detail.into();
    Problem::new(ErrorCode::Invalid, format!("{parameter} {detail}")).with_error(FieldError::invalid(parameter, detail))
}

/// The schema of `limit`.
pub(crate) fn limit_schema() -> Object {
    let (min, max) = (Some(1), Some(LIMIT_MAX));
    ObjectBuilder::new().schema_type(Type::Integer).minimum(min).maximum(max).default(Some(LIMIT_DEFAULT.into())).build()
}

/// The schema of `cursor`.
pub(crate) fn cursor_schema() -> Object {
    ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(CURSOR_CHARS_MAX)).build()
}

/// The schema of `skip`.
pub(crate) fn skip_schema() -> Object {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(SKIP_MAX)).build()
}
