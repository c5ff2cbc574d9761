//! Areas as H3 cells (<https://h3geo.org>), so that both databases find what is near by an index on whole numbers.
//!
//! Cells are only candidates' addresses: what is within a radius is judged by distance afterwards. All cells have one
//! resolution, 6: about 36 km² each, so that a radius of 5 km is some 7 cells and one of 50 km some 270.

use h3o::{CellIndex, LatLng, Resolution};
use std::collections::HashSet;
use tripsync_domain::geo::Position;

const RESOLUTION: Resolution = Resolution::Six;

/// Added to what a cell reaches, against rounding: positions are kept to a centimetre.
const SLACK_M: f64 = 10.0;

/// The cell that a position is in, as the database keeps it. Stored: another resolution needs a migration.
#[must_use]
pub fn cell_of(position: Position) -> i64 {
    number(cell(position))
}

/// The cells that have points within `radius_m` of a position, at least; nearest first, but for ties. Right over the antimeridian,
/// at the poles and around the twelve pentagons, because it goes from neighbour to neighbour and asks for distances on the sphere.
pub(in crate::store) fn cover(position: Position, radius_m: f64) -> Vec<i64> {
    let origin = cell(position);
    let mut seen = HashSet::from([origin]);
    let mut cover = vec![origin];
    // The cells that touch the circle are connected, so every one of them is a neighbour of another one.
    let mut next = 0;
    while let Some(from) = cover.get(next).copied() {
        next += 1;
        for neighbour in from.grid_disk::<Vec<_>>(1) {
            if seen.insert(neighbour) && reaches(neighbour, position, radius_m) {
                cover.push(neighbour);
            }
        }
    }
    cover.into_iter().map(number).collect()
}

/// Whether the smallest circle around the cell's centre that has all of the cell comes within the radius.
fn reaches(cell: CellIndex, position: Position, radius_m: f64) -> bool {
    let Some(centre) = at(LatLng::from(cell)) else { return true };
    let extent = cell.boundary().iter().filter_map(|corner| at(*corner)).map(|corner| corner.distance_m(centre)).fold(0.0, f64::max);
    centre.distance_m(position) <= radius_m + extent + SLACK_M
}

fn cell(position: Position) -> CellIndex {
    // Fails for what is not finite only, which a position is not.
    LatLng::new(position.lat(), position.lon()).unwrap_or_default().to_cell(RESOLUTION)
}

/// H3 gives longitudes beyond 180° for cells that cross the antimeridian.
fn at(point: LatLng) -> Option<Position> {
    let lon = point.lng();
    Position::new(
        point.lat().clamp(-90.0, 90.0),
        if lon > 180.0 {
            lon - 360.0
        } else if lon < -180.0 {
            lon + 360.0
        } else {
            lon
        },
    )
}

/// An index has 64 bits of which the first is never set.
fn number(cell: CellIndex) -> i64 {
    u64::from(cell).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(lat: f64, lon: f64) -> Position {
        Position::new(lat, lon).unwrap()
    }

    /// The point that one reaches by going `metres` towards `bearing` (degrees).
    fn go(from: Position, bearing: f64, metres: f64) -> Position {
        let (lat, angle, bearing) = (from.lat().to_radians(), metres / 6_371_008.8, bearing.to_radians());
        let to_lat = (lat.sin() * angle.cos() + lat.cos() * angle.sin() * bearing.cos()).clamp(-1.0, 1.0).asin();
        let turn = (bearing.sin() * angle.sin() * lat.cos()).atan2(angle.cos() - lat.sin() * to_lat.sin());
        let lon = from.lon() + turn.to_degrees();
        position(
            to_lat.to_degrees(),
            if lon > 180.0 {
                lon - 360.0
            } else if lon < -180.0 {
                lon + 360.0
            } else {
                lon
            },
        )
    }

    /// Everywhere: cities, the antimeridian, both poles, the middle of pentagons, a grid over the rest.
    fn places() -> Vec<Position> {
        let mut places = vec![
            position(38.7223, -9.1393),
            position(0.0, 180.0),
            position(-17.0, -179.999),
            position(90.0, 0.0),
            position(-90.0, 77.0),
            position(89.98, -120.0),
            position(-89.99, 180.0),
        ];
        places.extend(RESOLUTION.pentagons().filter_map(|pentagon| at(LatLng::from(pentagon))));
        places.extend((-8..=8).flat_map(|lat| (-9..9).map(move |lon| position(f64::from(lat) * 10.3, f64::from(lon) * 19.7))));
        places
    }

    #[test]
    fn whatever_is_within_the_radius_is_covered() {
        for (index, place) in (0_u32..).zip(places()) {
            for radius in [0.0, 5_000.0, 50_000.0] {
                let cover: HashSet<i64> = cover(place, radius).into_iter().collect();
                for turn in 0..24 {
                    let bearing = f64::from(turn) * 15.0 + f64::from(index);
                    for share in [0.0, 0.31, 0.77, 0.999, 1.0] {
                        let near = go(place, bearing, radius * share);
                        assert!((near.distance_m(place) - radius * share).abs() < 0.1, "{place:?} {near:?}");
                        assert!(cover.contains(&cell_of(near)), "{near:?} is {share} of {radius} m from {place:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_cover_is_small() {
        for place in places() {
            assert!(cover(place, 5_000.0).len() <= 14, "{place:?}: {}", cover(place, 5_000.0).len());
            assert!(cover(place, 50_000.0).len() <= 450, "{place:?}: {}", cover(place, 50_000.0).len());
        }
    }

    #[test]
    fn a_stored_cell_stays_the_same() {
        assert_eq!(cell_of(position(38.7223, -9.1393)), 0x0863_9336_2fff_ffff_i64);
    }
}
