//! What a person in a room does right now. Ephemeral: never journaled, the last value counts, intermediate ones may be skipped.

use crate::{ItemId, Rejection, Timestamp};
use serde::{Deserialize, Serialize};

/// What one session says of itself; replaces what it said before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PresenceState {
    /// The item that the person has open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looking_at: Option<ItemId>,
    /// The item and field that the person is changing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub editing: Option<Editing>,
    /// Whether the person is writing a chat message.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub typing: bool,
    /// The part of the map that the person looks at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<MapView>,
    /// Whether the person has not touched the device for a while, by the client's own judgement.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub idle: bool,
    /// Where the person is, told on purpose. Only some rooms show it: a pool shows its driver's while under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
}

/// A position of a device, WGS 84.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fix {
    /// Latitude in degrees, −90 to 90.
    pub lat: f64,
    /// Longitude in degrees, −180 to 180.
    pub lon: f64,
    /// Metres per second over ground, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    /// Degrees clockwise from north, 0 to 360.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heading: Option<f64>,
    /// When the destination is reached at this speed along the great circle. Worked out by the room, never taken from a client.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub arrives_at: Option<Timestamp>,
}

/// What is being changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Editing {
    /// The item; absent for the room's own details.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemId>,
    /// The field, 1 to 40 characters.
    pub field: String,
}

/// A position on the map, WGS 84.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapView {
    /// Latitude in degrees, −90 to 90.
    pub lat: f64,
    /// Longitude in degrees, −180 to 180.
    pub lon: f64,
    /// Zoom level as web maps count it, 0 to 24.
    pub zoom: f64,
}

impl PresenceState {
    /// Checks the bounds of what a client sent.
    ///
    /// # Errors
    /// `invalid`, with a pointer into the presence frame.
    pub fn check(&self) -> Result<(), Rejection> {
        if let Some(editing) = &self.editing
            && !(1..=40).contains(&editing.field.chars().count())
        {
            return Err(Rejection::invalid("/state/editing/field", "a field name has 1 to 40 characters"));
        }
        if let Some(map) = &self.map {
            if !(-90.0..=90.0).contains(&map.lat) {
                return Err(Rejection::invalid("/state/map/lat", "latitude is between -90 and 90"));
            }
            if !(-180.0..=180.0).contains(&map.lon) {
                return Err(Rejection::invalid("/state/map/lon", "longitude is between -180 and 180"));
            }
            if !(0.0..=24.0).contains(&map.zoom) {
                return Err(Rejection::invalid("/state/map/zoom", "zoom is between 0 and 24"));
            }
        }
        if let Some(fix) = &self.fix {
            if !(-90.0..=90.0).contains(&fix.lat) {
                return Err(Rejection::invalid("/state/fix/lat", "latitude is between -90 and 90"));
            }
            if !(-180.0..=180.0).contains(&fix.lon) {
                return Err(Rejection::invalid("/state/fix/lon", "longitude is between -180 and 180"));
            }
            if fix.speed.is_some_and(|speed| !(0.0..=100.0).contains(&speed)) {
                return Err(Rejection::invalid("/state/fix/speed", "speed is between 0 and 100 metres per second"));
            }
            if fix.heading.is_some_and(|heading| !(0.0..=360.0).contains(&heading)) {
                return Err(Rejection::invalid("/state/fix/heading", "heading is between 0 and 360 degrees"));
            }
        }
        Ok(())
    }
}
