//! What the demo's trip holds: pure data, no code that does anything.
//!
//! Places are real and their positions true (WGS 84, to about 20 m at the entrance or centre). Times and costs are a plan of three
//! fictitious friends; opening days were respected where they matter (Bolhão market is closed on Sundays, Belém's cloister on Mondays).

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Person {
    /// The newcomer's account.
    Robin,
    /// Plans, moves and asks.
    Ines,
    /// Eats, photographs and has ideas.
    Tomas,
}

impl Person {
    /// All of them; the newcomer first, who makes the trip.
    pub(super) const ALL: [Self; 3] = [Self::Robin, Self::Ines, Self::Tomas];

    /// The name that others see.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Robin => "Robin",
            Self::Ines => "Inês",
            Self::Tomas => "Tomás",
        }
    }

    /// The account's address. The domain is reserved (RFC 2606): nobody gets mail there.
    pub(super) const fn email(self) -> &'static str {
        match self {
            Self::Robin => "robin@demo.example",
            Self::Ines => "ines@demo.example",
            Self::Tomas => "tomas@demo.example",
        }
    }
}

/// The trip itself.
pub(super) const TITLE: &str = "Lisbon and Porto by train";
/// Its description.
pub(super) const DESCRIPTION: &str = "A week in May: four days in and around Lisbon, then the train up to Porto. \
    Costs are our estimates for the three of us together.";
/// Where it goes.
pub(super) const DESTINATION: &str = "Lisbon and Porto, Portugal";
/// The days, from the first to the last: a Friday to a Thursday.
pub(super) const DAYS: [&str; 7] = ["2027-05-07", "2027-05-08", "2027-05-09", "2027-05-10", "2027-05-11", "2027-05-12", "2027-05-13"];
/// The zone of all times.
pub(super) const ZONE: &str = "Europe/Lisbon";
/// The currency of all costs.
pub(super) const CURRENCY: &str = "EUR";
/// The whole budget in cents.
pub(super) const BUDGET_CENTS: i64 = 240_000;

/// Somewhere to go.
#[derive(Debug)]
pub(super) struct PlaceSeed {
    /// What the rest of the content calls it.
    pub(super) key: &'static str,
    /// As signposts write it.
    pub(super) name: &'static str,
    /// A place kind of the trip.
    pub(super) kind: &'static str,
    /// Degrees north.
    pub(super) lat: f64,
    /// Degrees east.
    pub(super) lon: f64,
    /// What one should know.
    pub(super) notes: &'static str,
}

const fn place(key: &'static str, name: &'static str, kind: &'static str, lat: f64, lon: f64, notes: &'static str) -> PlaceSeed {
    PlaceSeed { key, name, kind, lat, lon, notes }
}

/// The places.
#[rustfmt::skip]
pub(super) const PLACES: &[PlaceSeed] = &[
    place("lis", "Aeroporto Humberto Delgado", "airport", 38.7742, -9.1342, "The metro's red line starts at the terminal."),
    place("comercio", "Praça do Comércio", "poi", 38.7075, -9.1364, "The square on the Tejo, rebuilt after the earthquake of 1755."),
    place("castelo", "Castelo de São Jorge", "poi", 38.7139, -9.1335, "Peacocks live in the gardens."),
    place("se-lisboa", "Sé de Lisboa", "poi", 38.7098, -9.1330, "The cathedral; tram 28 passes its door."),
    place("monte", "Miradouro da Senhora do Monte", "poi", 38.7191, -9.1327, "High above the castle, with the river behind it."),
    place("ribeira-market", "Mercado da Ribeira", "restaurant", 38.7070, -9.1459, "Market hall opposite Cais do Sodré station."),
    place("torre", "Torre de Belém", "poi", 38.6916, -9.2160, "UNESCO World Heritage together with the monastery."),
    place("jeronimos", "Mosteiro dos Jerónimos", "poi", 38.6979, -9.2061, "Vasco da Gama and Camões are buried in the church. The cloister is closed on Mondays."),
    place("pasteis", "Pastéis de Belém", "restaurant", 38.6975, -9.2032, "Custard tarts since 1837."),
    place("padrao", "Padrão dos Descobrimentos", "poi", 38.6936, -9.2057, "A wind rose of marble lies in the pavement in front."),
    place("lx", "LX Factory", "shop", 38.7034, -9.1787, "A former textile factory under the bridge: shops, books, food."),
    place("oceanario", "Oceanário de Lisboa", "poi", 38.7635, -9.0937, "In the Parque das Nações, built for Expo '98."),
    place("rossio", "Estação do Rossio", "station", 38.7144, -9.1408, "Trains to Sintra leave here."),
    place("pena", "Palácio Nacional da Pena", "poi", 38.7876, -9.3905, "Tickets are for a fixed time; the walk up through the park takes half an hour."),
    place("regaleira", "Quinta da Regaleira", "poi", 38.7963, -9.3961, "The Initiation Well goes down like a tower upside down."),
    place("roca", "Cabo da Roca", "poi", 38.7804, -9.4989, "The westernmost point of mainland Europe."),
    place("apolonia", "Estação de Santa Apolónia", "station", 38.7137, -9.1228, "Trains to Porto start here and stop at Oriente."),
    place("campanha", "Estação de Campanhã", "station", 41.1489, -8.5854, "Change here for São Bento, one stop."),
    place("sao-bento", "Estação de São Bento", "station", 41.1456, -8.6103, "About 20,000 azulejo tiles in the hall."),
    place("lello", "Livraria Lello", "shop", 41.1469, -8.6148, "The bookshop of 1906; tickets are for a fixed time."),
    place("clerigos", "Torre dos Clérigos", "poi", 41.1457, -8.6146, "By Nicolau Nasoni, 75 m high."),
    place("luis", "Ponte Luís I", "poi", 41.1400, -8.6094, "Two decks: the metro above, cars below, people on both."),
    place("cais", "Cais da Ribeira", "poi", 41.1406, -8.6130, "The riverfront of the old town."),
    place("bolsa", "Palácio da Bolsa", "poi", 41.1414, -8.6157, "Only with a guide; the Arab Room is at the end."),
    place("bolhao", "Mercado do Bolhão", "shop", 41.1492, -8.6070, "Closed on Sundays."),
    place("serralves", "Museu de Serralves", "poi", 41.1597, -8.6596, "By Álvaro Siza, in a park of 18 hectares."),
    place("musica", "Casa da Música", "poi", 41.1588, -8.6307, "By Rem Koolhaas, opened in 2005."),
    place("morro", "Jardim do Morro", "poi", 41.1378, -8.6089, "On the Gaia side of the upper deck; for sunsets."),
    place("opo", "Aeroporto Francisco Sá Carneiro", "airport", 41.2370, -8.6705, "The metro's line E (violet) ends here."),
];

/// Something to do.
#[derive(Debug)]
pub(super) struct ActivitySeed {
    /// What the rest of the content calls it.
    pub(super) key: &'static str,
    /// Index into [`DAYS`]; none: unscheduled.
    pub(super) day: Option<usize>,
    /// `HH:MM` in [`ZONE`]; empty: no time.
    pub(super) start: &'static str,
    /// `HH:MM`; empty: open.
    pub(super) end: &'static str,
    /// What it is called.
    pub(super) title: &'static str,
    /// An activity kind of the trip.
    pub(super) kind: &'static str,
    /// An activity status of the trip.
    pub(super) status: &'static str,
    /// Key of a place; empty: none.
    pub(super) place: &'static str,
    /// Cents for all three; 0: nothing to pay.
    pub(super) cents: i64,
    /// Who added it and takes care of it.
    pub(super) by: Person,
}

#[expect(clippy::too_many_arguments, reason = "one row of a table")]
const fn row(
    key: &'static str,
    day: usize,
    start: &'static str,
    end: &'static str,
    title: &'static str,
    kind: &'static str,
    status: &'static str,
    place: &'static str,
    cents: i64,
    by: Person,
) -> ActivitySeed {
    ActivitySeed { key, day: Some(day), start, end, title, kind, status, place, cents, by }
}

const fn idea(key: &'static str, title: &'static str, kind: &'static str, place: &'static str, by: Person) -> ActivitySeed {
    ActivitySeed { key, day: None, start: "", end: "", title, kind, status: "idea", place, cents: 0, by }
}

use Person::{Ines, Robin, Tomas};

/// The activities, in the order of each day.
#[rustfmt::skip]
pub(super) const ACTIVITIES: &[ActivitySeed] = &[
    row("land", 0, "12:40", "", "Land in Lisbon", "flight", "booked", "lis", 36_000, Robin),
    row("flat", 0, "15:00", "", "Keys to the flat in Alfama", "accommodation", "booked", "", 54_000, Ines),
    row("baixa", 0, "17:00", "18:30", "Stroll through the Baixa to the river", "sightseeing", "planned", "comercio", 0, Ines),
    row("first-dinner", 0, "20:00", "22:00", "First dinner, every stall once", "food", "planned", "ribeira-market", 7_500, Tomas),

    row("tarts", 1, "09:00", "09:45", "Custard tarts while they are warm", "food", "planned", "pasteis", 1_200, Tomas),
    row("cloister", 1, "10:00", "11:30", "Cloister of the Jerónimos", "sightseeing", "booked", "jeronimos", 5_400, Ines),
    row("discoveries", 1, "11:45", "12:30", "Monument to the Discoveries", "sightseeing", "planned", "padrao", 3_000, Ines),
    row("tower", 1, "12:45", "13:30", "Torre de Belém from the lawn", "sightseeing", "planned", "torre", 0, Robin),
    row("lx-lunch", 1, "14:00", "16:30", "Late lunch and bookshops", "shopping", "planned", "lx", 6_000, Tomas),
    row("sunset-monte", 1, "20:00", "21:00", "Sunset over the city", "outdoor", "planned", "monte", 0, Tomas),

    row("sintra-train", 2, "08:40", "09:20", "Train to Sintra", "transport", "planned", "rossio", 1_400, Ines),
    row("pena", 2, "10:00", "12:30", "Pena palace and its park", "sightseeing", "booked", "pena", 6_000, Ines),
    row("regaleira", 2, "14:00", "16:00", "Down the Initiation Well", "sightseeing", "planned", "regaleira", 4_500, Robin),
    row("roca", 2, "17:30", "18:30", "The end of Europe", "outdoor", "planned", "roca", 1_500, Tomas),
    row("sintra-dinner", 2, "20:30", "22:00", "Dinner back in Lisbon", "food", "idea", "", 7_500, Robin),

    row("castle", 3, "09:30", "11:30", "Castle and its peacocks", "sightseeing", "planned", "castelo", 4_500, Ines),
    row("cathedral", 3, "11:45", "12:30", "Cathedral, then tram 28 downhill", "sightseeing", "planned", "se-lisboa", 2_400, Tomas),
    row("lunch-alfama", 3, "13:00", "14:00", "Sardines in Alfama", "food", "planned", "", 5_400, Tomas),
    row("ocean", 3, "15:00", "17:30", "Sea otters at the Oceanário", "sightseeing", "idea", "oceanario", 7_500, Robin),
    row("fado", 3, "21:00", "23:00", "An evening of fado", "event", "planned", "", 9_000, Ines),

    row("train-porto", 4, "09:30", "12:50", "Train to Porto", "transport", "planned", "apolonia", 10_500, Ines),
    row("change", 4, "13:00", "13:15", "Change to the local train", "transport", "planned", "campanha", 0, Ines),
    row("tiles", 4, "13:20", "14:00", "Count the tiles", "sightseeing", "planned", "sao-bento", 0, Tomas),
    row("rooms-porto", 4, "15:00", "", "Rooms near the Aliados", "accommodation", "booked", "", 42_000, Ines),
    row("lello", 4, "16:00", "17:00", "Staircase of the Lello", "shopping", "planned", "lello", 3_000, Robin),
    row("tower-porto", 4, "17:30", "18:30", "Up the Clérigos tower", "sightseeing", "planned", "clerigos", 3_000, Tomas),
    row("francesinha", 4, "20:00", "21:30", "Francesinha, one each", "food", "planned", "", 5_400, Tomas),

    row("market", 5, "09:00", "10:30", "Breakfast at the market", "food", "planned", "bolhao", 3_000, Tomas),
    row("serralves", 5, "11:00", "14:00", "Museum and treetop walk", "sightseeing", "planned", "serralves", 7_200, Ines),
    row("bolsa", 5, "15:00", "16:00", "The Arab Room", "sightseeing", "planned", "bolsa", 4_200, Ines),
    row("riverfront", 5, "16:15", "17:30", "Coffee on the riverfront", "food", "planned", "cais", 1_500, Robin),
    row("bridge", 5, "18:00", "18:45", "Across the upper deck", "outdoor", "planned", "luis", 0, Robin),
    row("sunset-morro", 5, "20:15", "21:30", "Last sunset, on the grass", "outdoor", "planned", "morro", 0, Tomas),

    row("pack", 6, "09:00", "10:00", "Pack, and one last galão", "free_time", "planned", "", 900, Robin),
    row("metro-opo", 6, "11:00", "11:40", "Metro to the airport", "transport", "planned", "opo", 900, Ines),
    row("home", 6, "13:50", "", "Fly home", "flight", "booked", "opo", 36_000, Robin),

    idea("concert", "A concert, if there are seats", "event", "musica", Tomas),
    idea("day-off", "Half a day without any plan", "free_time", "", Robin),
];

/// Who is for which place.
pub(super) const VOTES: &[(Person, &str)] = &[
    (Robin, "pena"),
    (Ines, "pena"),
    (Tomas, "pasteis"),
    (Robin, "pasteis"),
    (Ines, "serralves"),
    (Tomas, "lx"),
    (Ines, "jeronimos"),
    (Robin, "monte"),
    (Tomas, "monte"),
    (Ines, "monte"),
];

/// What was said before the newcomer looks: who, what, and the activity it is about (empty: none).
pub(super) const CHAT: &[(Person, &str, &str)] = &[
    (Ines, "I put the frame of the week in: Lisbon until Tuesday morning, then the train up to Porto.", ""),
    (Tomas, "Tarts before the cloister, please. They are best straight from the oven.", "tarts"),
    (Ines, "Fine, but then we must be there at nine.", "tarts"),
    (Robin, "Is the Oceanário too much after the castle?", "ocean"),
    (Tomas, "Sea otters are never too much.", "ocean"),
    (Ines, "Let us keep it as an idea and see how tired we are.", "ocean"),
    (Tomas, "Who votes for the sunset at Senhora do Monte? I bring the camera.", "sunset-monte"),
    (Ines, "Everybody, it seems. Cloister and Pena are booked, by the way.", ""),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_trip_is_as_large_as_promised() {
        assert!(DAYS.len() >= 5 && ACTIVITIES.len() >= 30 && PLACES.len() >= 20);
        for day in 0..DAYS.len() {
            assert!(ACTIVITIES.iter().any(|activity| activity.day == Some(day)), "nothing happens on day {day}");
        }
    }

    #[test]
    fn keys_are_unique_and_lead_somewhere() {
        let places: BTreeSet<_> = PLACES.iter().map(|place| place.key).collect();
        let activities: BTreeSet<_> = ACTIVITIES.iter().map(|activity| activity.key).collect();
        assert_eq!((places.len(), activities.len()), (PLACES.len(), ACTIVITIES.len()));
        for activity in ACTIVITIES {
            assert!(activity.place.is_empty() || places.contains(activity.place), "{}", activity.key);
        }
        assert!(VOTES.iter().all(|(_, place)| places.contains(place)));
        assert!(CHAT.iter().all(|(_, _, about)| about.is_empty() || activities.contains(about)));
    }

    #[test]
    fn every_place_is_in_portugal_around_the_two_cities() {
        for place in PLACES {
            let around = |lat: f64, lon: f64| (place.lat - lat).abs() < 0.15 && (place.lon - lon).abs() < 0.4;
            assert!(around(38.72, -9.14) || around(41.15, -8.61), "{}", place.key);
        }
    }

    #[test]
    fn days_and_times_follow_each_other() {
        for days in DAYS.windows(2) {
            let day = |text: &str| text.parse::<tripsync_domain::civil::Date>().unwrap();
            assert_eq!(day(days[1]).days_since(day(days[0])), 1);
        }
        for pair in ACTIVITIES.windows(2).filter(|pair| pair[0].day.is_some() && pair[0].day == pair[1].day) {
            let ends = if pair[0].end.is_empty() { pair[0].start } else { pair[0].end };
            assert!(ends <= pair[1].start, "{} overlaps {}", pair[0].key, pair[1].key);
        }
    }
}
