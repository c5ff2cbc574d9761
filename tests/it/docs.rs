//! The documentation says what the code does.

use tripsync_actors::session::SessionLimits;
use tripsync_domain::ErrorCode;
use tripsync_domain::error_code::Advice;
use tripsync_domain::trip::limits;

const ERRORS: &str = include_str!("../../docs/ERRORS.md");
const TRIPS: &str = include_str!("../../docs/TRIPS.md");
const POOLS: &str = include_str!("../../docs/POOLS.md");
const INBOX: &str = include_str!("../../docs/INBOX.md");
const PROTOCOL: &str = include_str!("../../docs/PROTOCOL.md");
const README: &str = include_str!("../../README.md");

#[test]
fn every_error_code_is_documented_with_its_numbers() {
    for code in ErrorCode::ALL {
        let advice = match code.advice() {
            Advice::RetryLater => "retry later",
            Advice::Authenticate => "authenticate again",
            Advice::Change => "change the request",
        };
        let tag = code.as_str();
        let row = format!("| [`{tag}`](#{tag}) | {} | {} | {advice} |", code.http_status(), code.close_code());
        assert!(ERRORS.contains(&row), "docs/ERRORS.md lacks the row\n{row}");
        assert!(ERRORS.contains(&format!("\n## `{tag}`\n{}. ", code.title())), "docs/ERRORS.md lacks the section of {tag}");
    }
    let rows = ERRORS.lines().filter(|line| line.starts_with("| [`")).count();
    assert_eq!(rows, ErrorCode::ALL.len(), "docs/ERRORS.md has rows of codes that do not exist");
}

#[test]
fn the_protocol_names_the_limits_that_hold() {
    let limits = SessionLimits::default();
    for row in [
        format!("| frame from the client | {} KiB |", limits.frame_bytes_max / 1024),
        format!("| commands | {}/s, burst {} |", limits.commands_per_s, limits.commands_burst),
        format!("| unanswered commands per socket | {} |", limits.commands_in_flight_max),
        format!("| presence | {}/s |", limits.presence_per_s),
        format!("| rooms per socket | {} |", limits.rooms_per_socket_max),
        format!("| sockets per user | {} |", limits.sockets_per_user_max),
        format!("| bytes waiting for a slow reader | {} MiB |", limits.outbound_bytes_max / (1024 * 1024)),
        format!("| a reader that takes nothing | {} s |", limits.drain_timeout.as_secs()),
        format!("| messages of any sort | {}/s |", limits.messages_per_s),
        format!("| silence | ping after {} s, close after {} s |", limits.heartbeat.as_secs(), limits.heartbeat_timeout.as_secs()),
        format!("| frames that cannot be understood | {} a minute |", limits.errors_per_min),
    ] {
        assert!(PROTOCOL.contains(&row), "docs/PROTOCOL.md lacks\n{row}");
    }
}

#[test]
fn the_trip_page_names_the_bounds_that_hold() {
    for row in [
        format!("| members | {} |", limits::MEMBERS_MAX),
        format!("| assignees, mentions | {} each |", limits::ASSIGNEES_MAX.max(limits::MENTIONS_MAX)),
        format!("| people that share an expense | {} |", limits::SHARES_MAX),
        format!("| different emojis on a message | {} |", limits::REACTIONS_MAX),
        format!("| title, name, destination | {} characters |", limits::TITLE_CHARS_MAX.max(limits::DESTINATION_CHARS_MAX)),
        format!("| address | {} |", limits::ADDRESS_CHARS_MAX),
        format!("the newest {}; all of them can be read", limits::MESSAGES_IN_STATE),
    ] {
        assert!(TRIPS.contains(&row), "docs/TRIPS.md lacks\n{row}");
    }
}

#[test]
fn the_pool_page_names_the_bounds_that_hold() {
    use tripsync_domain::pool::limits;
    for row in [
        format!("| seats | {} |", limits::SEATS_MAX),
        format!("| price of a seat | {} minor units |", limits::PRICE_MAX),
        format!("| stops | {} |", limits::STOPS_MAX),
        format!("| requests waiting for the owner's answer | {} |", limits::PENDING_MAX),
        format!("| people on the waiting list | {} |", limits::WAITING_MAX),
        format!("| preferences | {}, {} characters each |", limits::PREFERENCES_MAX, limits::PREFERENCE_CHARS_MAX),
        format!("| name of a stop | {} characters |", limits::STOP_CHARS_MAX),
        format!("| car | {} |", limits::CAR_CHARS_MAX),
        format!("at most {} requests that wait for an answer", limits::PENDING_PER_PERSON_MAX),
        format!("`hold_seconds` ({})", limits::DECIDE_SECONDS_DEFAULT),
        format!("the newest {}\n", limits::MESSAGES_IN_STATE),
    ] {
        assert!(POOLS.contains(&row), "docs/POOLS.md lacks\n{row}");
    }
}

#[test]
fn the_pool_page_says_who_may_do_what() {
    use tripsync_domain::pool::{Action, Relation, may};
    let rows: Vec<Vec<&str>> =
        POOLS.lines().filter(|line| line.starts_with("| ")).map(|line| line.split('|').map(str::trim).collect()).collect();
    for action in Action::ALL {
        let names = |row: &&Vec<&str>| {
            let words = row[1].split(':').next().unwrap_or("");
            row.len() == 7 && words.split([',', ' ', '(', ')']).any(|word| word == action.as_str())
        };
        let row = rows.iter().find(names).unwrap_or_else(|| panic!("docs/POOLS.md has no row for {}", action.as_str()));
        let said: Vec<_> = row[2..6].iter().map(|cell| *cell == "yes").collect();
        let rules: Vec<_> = Relation::ALL.iter().map(|relation| may(*relation, *action)).collect();
        assert_eq!(said, rules, "{}", action.as_str());
    }
}

#[test]
fn the_inbox_page_names_the_bounds_that_hold() {
    use tripsync_domain::inbox::limits;
    for row in [
        format!("| items in the room; older ones over REST | {} |", limits::ITEMS_IN_STATE),
        format!("| saved searches | {} |", limits::SEARCHES_MAX),
        format!("(the newest {})", limits::ITEMS_IN_VIEW),
        format!("lives {} minutes", limits::RIDE_LIVES.as_secs() / 60),
    ] {
        assert!(INBOX.contains(&row), "docs/INBOX.md lacks\n{row}");
    }
}

#[test]
fn the_tests_that_the_promises_name_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for folder in ["domain/src", "actors/src", "actors/tests", "src", "tests", "loadtest"] {
        read_sources(&root.join(folder), &mut sources);
    }
    let (_, promises) = README.split_once("\n## What it promises\n").unwrap();
    let rows: Vec<_> = promises.lines().take_while(|line| !line.starts_with("##")).filter(|line| line.contains("**")).collect();
    let named = rows.iter().filter_map(|row| row.rsplit(" | ").next()).flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let named: Vec<_> = named.collect();
    assert!(rows.len() == 8 && named.len() >= 8, "README.md: {} promises, {} tests", rows.len(), named.len());
    for test in named {
        assert!(sources.contains(&format!("fn {test}(")), "README.md names {test}, which is not there");
    }
}

fn read_sources(folder: &std::path::Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}
