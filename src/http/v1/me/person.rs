//! What a profile tells of a person beyond names: where else to be found, and whom to call.

use crate::http::problem::{FieldError, Problem};
use crate::http::v1::check::{self, Checks};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Links that a profile holds.
const LINKS_MAX: usize = 10;
/// Characters of a site's name.
const SITE_CHARS_MAX: usize = 32;

/// Addresses by the name of the site.
pub(super) type Links = BTreeMap<String, String>;

/// A change of them: null removes one.
pub(super) type LinksPatch = BTreeMap<String, Option<String>>;

/// Somebody to call.
#[derive(Clone, Deserialize, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EmergencyContact {
    #[schema(min_length = 1, max_length = 80, example = "Ben B.")]
    name: String,
    /// International form.
    #[schema(pattern = "^\\+[0-9]{7,15}$", example = "+351210000000")]
    phone: String,
    /// Who that is to the user.
    #[schema(min_length = 1, max_length = 80, example = "brother")]
    relation: Option<String>,
}

impl EmergencyContact {
    /// Checks and trims.
    pub(super) fn check(&mut self, checks: &mut Checks) {
        self.name = self.name.trim().to_owned();
        checks.text("/emergency_contact/name", &self.name, 1, 80);
        checks.must(check::is_phone(&self.phone), "/emergency_contact/phone", "must be + and 7 to 15 digits");
        if let Some(relation) = &mut self.relation {
            *relation = relation.trim().to_owned();
            checks.text("/emergency_contact/relation", relation, 1, 80);
        }
    }
}

/// Checks what can be judged without the present links.
pub(super) fn check_links(patch: &LinksPatch, checks: &mut Checks) {
    for (site, link) in patch {
        let named = (1..=SITE_CHARS_MAX).contains(&site.len())
            && site.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.'));
        checks.must(named, "/social_links", "sites are named with 1 to 32 of a-z, 0-9, dot, underscore and hyphen");
        let good = link.as_deref().is_none_or(check::is_link);
        // A name that is none is not repeated.
        checks.must(good || !named, &format!("/social_links/{site}"), "must be an https address of at most 500 characters");
    }
}

/// Changes the links.
///
/// # Errors
/// `invalid` when there would be too many.
pub(super) fn merge_links(links: &mut Links, patch: LinksPatch) -> Result<(), Problem> {
    for (site, link) in patch {
        match link {
            Some(link) => links.insert(site, link),
            None => links.remove(&site),
        };
    }
    if links.len() > LINKS_MAX {
        let text = format!("must be at most {LINKS_MAX} after merging");
        return Err(Problem::invalid(vec![FieldError::invalid("/social_links", text)]));
    }
    Ok(())
}
