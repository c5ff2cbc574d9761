//! The caller's own account.

mod person;

use super::check::{self, Checks, Patch};
use crate::app::App;
use crate::auth::AuthUser;
use crate::http::json::ApiJson;
use crate::http::problem::{FieldError, Problem, ProblemBody};
use crate::store::StoreError;
use crate::store::accounts::{self, ProfileRow};
use axum::Json;
use axum::extract::State;
use person::{EmergencyContact, Links, LinksPatch};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tripsync_domain::{ErrorCode, Group, Timestamp, UserId};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

/// Bytes of preferences, as compact JSON.
const PREFERENCES_BYTES_MAX: usize = 8 * 1024;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get, patch))
}

/// The caller's own account.
#[derive(Serialize, ToSchema)]
pub(super) struct Profile {
    id: Uuid,
    #[schema(format = "email", example = "ann@example.org")]
    email: String,
    #[schema(example = "ann")]
    username: Option<String>,
    /// The name that others see.
    #[schema(example = "Ann")]
    display_name: String,
    first_name: Option<String>,
    last_name: Option<String>,
    #[schema(example = "+351210000000")]
    phone: Option<String>,
    bio: Option<String>,
    /// IANA name.
    #[schema(example = "Europe/Lisbon")]
    time_zone: Option<String>,
    /// BCP 47 tag.
    #[schema(example = "pt-PT")]
    locale: Option<String>,
    /// ISO 4217 code.
    #[schema(example = "EUR")]
    currency: Option<String>,
    /// Address of a picture.
    #[schema(format = "uri", example = "https://img.example.org/ann.jpg")]
    avatar_url: Option<String>,
    /// The group, college or company that the user belongs to and whose pools are open to them; case does not count.
    #[schema(example = "Rowing club")]
    group: Option<String>,
    /// Addresses elsewhere, by the name of the site.
    #[schema(value_type = Object, example = json!({"mastodon": "https://social.example.org/@ann"}))]
    social_links: Links,
    /// Whom to call; only the user sees it.
    emergency_contact: Option<EmergencyContact>,
    /// Whatever clients keep for their user.
    #[schema(value_type = Object)]
    preferences: Map<String, Value>,
    #[schema(value_type = String, format = "date-time", example = "2027-05-02T09:30:00.123Z")]
    created_at: Timestamp,
    #[schema(value_type = String, format = "date-time", example = "2027-05-02T09:30:00.123Z")]
    updated_at: Timestamp,
}

impl TryFrom<ProfileRow> for Profile {
    type Error = Problem;

    fn try_from(row: ProfileRow) -> Result<Self, Problem> {
        let preferences = read(&row.preferences)?;
        Ok(Self {
            social_links: read(&row.social_links)?,
            emergency_contact: row.emergency_contact.as_deref().map(read).transpose()?,
            avatar_url: row.avatar_url,
            group: row.group_name,
            id: row.id,
            email: row.email,
            username: row.username,
            display_name: row.display_name,
            first_name: row.first_name,
            last_name: row.last_name,
            phone: row.phone,
            bio: row.bio,
            time_zone: row.time_zone,
            locale: row.locale,
            currency: row.currency,
            preferences,
            created_at: Timestamp::from_ms(row.created_at),
            updated_at: Timestamp::from_ms(row.updated_at),
        })
    }
}

/// A stored JSON value.
fn read<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| Problem::internal(&StoreError::decode(error)))
}

/// A change of the profile: absent fields stay, null empties.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProfilePatch {
    /// For logging in and being found; case does not count.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 3, max_length = 32, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    username: Patch<String>,
    /// The name that others see; cannot be emptied.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 80)]
    display_name: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 80)]
    first_name: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 80)]
    last_name: Patch<String>,
    /// International form.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^\\+[0-9]{7,15}$", example = "+351210000000")]
    phone: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 2000)]
    bio: Patch<String>,
    /// IANA name.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 64, example = "Europe/Lisbon")]
    time_zone: Patch<String>,
    /// BCP 47 tag.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 35, example = "pt-PT")]
    locale: Patch<String>,
    /// ISO 4217 code.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^[A-Z]{3}$", example = "EUR")]
    currency: Patch<String>,
    /// Address of a picture (https).
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "uri", max_length = 500, example = "https://img.example.org/ann.jpg")]
    avatar_url: Patch<String>,
    /// The group, college or company that the user belongs to and whose pools are open to them; case does not count.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100, example = "Rowing club")]
    group: Patch<String>,
    /// Merged into what is there: addresses (https, at most 500 characters) by the name of the site; null removes one. At most 10
    /// afterwards.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"mastodon": "https://social.example.org/@ann"}))]
    social_links: Patch<LinksPatch>,
    /// Replaced as a whole.
    #[serde(default)]
    #[schema(value_type = Option<EmergencyContact>)]
    emergency_contact: Patch<EmergencyContact>,
    /// Merged into what is there (RFC 7396); at most 8 KiB afterwards.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    preferences: Patch<Map<String, Value>>,
}

impl ProfilePatch {
    /// Checks everything that can be judged without the present profile, and normalises.
    fn checked(mut self) -> Result<Self, Problem> {
        let mut checks = Checks::default();
        if let Patch::Set(name) = &mut self.username {
            match check::username(name) {
                Some(normal) => *name = normal,
                None => checks.must(
                    false,
                    "/username",
                    "must have 3 to 32 of a-z, 0-9, dot, underscore and hyphen, and begin with a letter or digit",
                ),
            }
        }
        checks.must(self.display_name != Patch::Clear, "/display_name", "cannot be emptied");
        for (pointer, field) in
            [("/display_name", &mut self.display_name), ("/first_name", &mut self.first_name), ("/last_name", &mut self.last_name)]
        {
            if let Patch::Set(name) = field {
                *name = name.trim().to_owned();
                checks.text(pointer, name, 1, 80);
            }
        }
        if let Some(bio) = self.bio.set() {
            checks.text("/bio", bio, 0, 2000);
        }
        if let Some(phone) = self.phone.set() {
            checks.must(check::is_phone(phone), "/phone", "must be + and 7 to 15 digits");
        }
        if let Some(zone) = self.time_zone.set() {
            checks.must(check::is_time_zone(zone), "/time_zone", "must be an IANA time zone such as Europe/Lisbon");
        }
        if let Some(tag) = self.locale.set() {
            checks.must(check::is_locale(tag), "/locale", "must be a language tag such as pt-PT");
        }
        if let Some(code) = self.currency.set() {
            checks.must(check::is_currency(code), "/currency", "must be a currency code such as EUR");
        }
        if let Some(url) = self.avatar_url.set() {
            checks.must(check::is_link(url), "/avatar_url", "must be an https address of at most 500 characters");
        }
        if let Patch::Set(group) = &mut self.group {
            *group = group.trim().to_owned();
            if let Err(error) = Group::new(group) {
                checks.must(false, "/group", &error.to_string());
            }
        }
        if let Patch::Set(contact) = &mut self.emergency_contact {
            contact.check(&mut checks);
        }
        if let Some(links) = self.social_links.set() {
            person::check_links(links, &mut checks);
        }
        checks.finish()?;
        Ok(self)
    }

    fn apply(self, row: &mut ProfileRow) -> Result<(), Problem> {
        let mut preferences: Map<String, Value> = read(&row.preferences)?;
        match self.preferences {
            Patch::Keep => {}
            Patch::Clear => preferences.clear(),
            Patch::Set(patch) => merge(&mut preferences, patch),
        }
        row.preferences = Value::Object(preferences).to_string();
        if row.preferences.len() > PREFERENCES_BYTES_MAX {
            let error = FieldError::invalid("/preferences", "must have at most 8192 bytes after merging");
            return Err(Problem::invalid(vec![error]));
        }
        let mut links: Links = read(&row.social_links)?;
        match self.social_links {
            Patch::Keep => {}
            Patch::Clear => links.clear(),
            Patch::Set(patch) => person::merge_links(&mut links, patch)?,
        }
        row.social_links = serde_json::json!(links).to_string();
        match self.emergency_contact {
            Patch::Keep => {}
            Patch::Clear => row.emergency_contact = None,
            Patch::Set(contact) => row.emergency_contact = Some(serde_json::json!(contact).to_string()),
        }
        if let Patch::Set(name) = self.display_name {
            row.display_name = name;
        }
        self.username.apply(&mut row.username);
        self.first_name.apply(&mut row.first_name);
        self.last_name.apply(&mut row.last_name);
        self.phone.apply(&mut row.phone);
        self.bio.apply(&mut row.bio);
        self.time_zone.apply(&mut row.time_zone);
        self.locale.apply(&mut row.locale);
        self.currency.apply(&mut row.currency);
        self.avatar_url.apply(&mut row.avatar_url);
        self.group.apply(&mut row.group_name);
        Ok(())
    }
}

/// RFC 7396. The depth is bounded by the parser's.
fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.remove(&key);
            }
            Value::Object(inner) => {
                let slot = target.entry(key).or_insert(Value::Null);
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                if let Value::Object(below) = slot {
                    merge(below, inner);
                }
            }
            value @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                target.insert(key, value);
            }
        }
    }
}

pub(super) async fn load(app: &App, user: UserId) -> Result<Profile, Problem> {
    accounts::profile(&app.db, user).await?.ok_or_else(gone)?.try_into()
}

/// A token of an account that was deleted meanwhile.
fn gone() -> Problem {
    Problem::new(ErrorCode::Unauthorized, "the account does not exist any more")
}

/// The caller's own account.
#[utoipa::path(get, path = "/me", operation_id = "me.get", tag = "me", security(("bearer" = [])),
    responses((status = 200, description = "The account.", body = Profile)))]
async fn get(State(app): State<App>, caller: AuthUser) -> Result<Json<Profile>, Problem> {
    Ok(Json(load(&app, caller.user).await?))
}

/// Changes the caller's profile: absent fields stay, null empties.
#[utoipa::path(patch, path = "/me", operation_id = "me.update", tag = "me", security(("bearer" = [])),
    request_body = ProfilePatch,
    responses(
        (status = 200, description = "The account as it is now.", body = Profile),
        (status = 409, description = "The user name is taken.", body = ProblemBody, content_type = "application/problem+json")))]
async fn patch(State(app): State<App>, caller: AuthUser, ApiJson(patch): ApiJson<ProfilePatch>) -> Result<Json<Profile>, Problem> {
    let mut patch = Some(patch.checked()?);
    let row = accounts::update_profile(&app.db, caller.user, app.clock.now(), |row| {
        patch.take().map_or(Ok(()), |patch| patch.apply(row)).map_err(ChangeError::Refused)
    })
    .await
    .map_err(|error| match error {
        ChangeError::Refused(problem) => problem,
        ChangeError::Store(error) if error.is_unique() => Problem::new(ErrorCode::AlreadyExists, "the user name is taken")
            .with_error(FieldError { pointer: "/username".to_owned(), code: ErrorCode::AlreadyExists, detail: "is taken".to_owned() }),
        ChangeError::Store(error) => error.into(),
    })?;
    Ok(Json(row.ok_or_else(gone)?.try_into()?))
}

enum ChangeError {
    Refused(Problem),
    Store(StoreError),
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<sqlx::Error> for ChangeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn preferences_merge_as_the_standard_says() {
        // From RFC 7396, appendix A.
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"a": "foo"}), json!({"a": {"bar": {"x": null}}}), json!({"a": {"bar": {}}})),
        ] {
            let mut merged = target.as_object().unwrap().clone();
            merge(&mut merged, patch.as_object().unwrap().clone());
            assert_eq!(Value::Object(merged), result);
        }
    }
}
