//! Commands by chance, for suites that drive whole trips: most are sensible, some are refused.

use super::command::{
    AddActivity, AddExpense, AddMember, AddPlace, Command, DeleteMessage, EditMessage, Leave, MarkRead, MoveActivity, React,
    RemoveActivity, RemoveExpense, RemoveMember, RemovePlace, SendMessage, SetRole, SetStatus, UpdateActivity, UpdateDetails,
    UpdateExpense, UpdatePlace, VotePlace,
};
use super::state::State;
use super::types::{ActivityKind, ActivityStatus, Anchor, Emoji, ExpenseShare, PlaceKind, TripStatus, TripType};
use crate::civil::{Date, Moment};
use crate::geo::Position;
use crate::money::{Currency, MinorUnits, Money};
use crate::text::{Line, Text};
use crate::{ItemId, Role, Seq, UserId};
use std::collections::BTreeSet;
use uuid::Uuid;

/// A source of numbers from a seed (splitmix64): the same everywhere, for ever.
pub fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A command of a user to a trip, never one that changes who belongs to it or ends it: whoever is in stays in.
///
/// A part is refused by a trip where the user may edit: it names things that are gone, ends before it starts, takes a name
/// twice. To a room without a trip the command is refused as well; create it first.
pub fn random_command(rng: &mut impl FnMut() -> u64, state: &State, user: UserId) -> Command {
    Dice { rng, state }.command(user)
}

/// A command that changes who belongs to a trip: adds one of `people`, changes rights, removes, leaves. Never the deletion of the trip.
pub fn random_member_command(rng: &mut impl FnMut() -> u64, state: &State, people: &[UserId]) -> Command {
    let mut dice = Dice { rng, state };
    let anybody = dice.one_of(people).unwrap_or(UserId(Uuid::nil()));
    match dice.below(8) {
        0..=3 => Command::AddMember(AddMember { user: anybody, role: dice.role() }),
        4 | 5 => Command::SetRole(SetRole { user: anybody, role: dice.role() }),
        6 => Command::RemoveMember(RemoveMember { user: anybody }),
        _ => Command::Leave(Leave {}),
    }
}

struct Dice<'a, R> {
    rng: &'a mut R,
    state: &'a State,
}

impl<R: FnMut() -> u64> Dice<'_, R> {
    /// 0 to `end` − 1.
    fn below(&mut self, end: u32) -> u32 {
        u32::try_from((self.rng)() % u64::from(end.max(1))).unwrap_or(0)
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    fn one_of<T: Copy>(&mut self, things: &[T]) -> Option<T> {
        let index = self.below(u32::try_from(things.len()).unwrap_or(u32::MAX));
        things.get(usize::try_from(index).unwrap_or(0)).copied()
    }

    fn maybe<T>(&mut self, percent: u32, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.chance(percent) { Some(make(self)) } else { None }
    }

    fn fresh_id(&mut self) -> ItemId {
        ItemId(Uuid::from_u64_pair((self.rng)(), (self.rng)()))
    }

    /// One of some ids, now and then one that is not there.
    fn id_of(&mut self, ids: &[ItemId]) -> ItemId {
        let removed: Vec<_> = self.state.tombstones.iter().map(|stone| stone.id).collect();
        let gone = if self.chance(4) { self.one_of(&removed) } else { None };
        gone.or_else(|| self.one_of(ids)).unwrap_or_else(|| self.fresh_id())
    }

    fn activity(&mut self) -> ItemId {
        let ids: Vec<_> = self.state.activities.keys().copied().collect();
        self.id_of(&ids)
    }

    fn place(&mut self) -> ItemId {
        let ids: Vec<_> = self.state.places.keys().copied().collect();
        self.id_of(&ids)
    }

    fn message(&mut self) -> ItemId {
        let ids: Vec<_> = self.state.messages.iter().map(|message| message.id).collect();
        self.id_of(&ids)
    }

    fn members(&mut self) -> BTreeSet<UserId> {
        let members: Vec<_> = self.state.members.keys().copied().collect();
        (0..self.below(3)).filter_map(|_| self.one_of(&members)).collect()
    }

    fn role(&mut self) -> Role {
        self.one_of(&[Role::Viewer, Role::Participant, Role::Organizer]).unwrap_or(Role::Viewer)
    }

    fn line<const MAX: usize>(&mut self) -> Line<MAX> {
        const WORDS: [&str; 12] =
            ["Alfama", "Belém", "Café", "Dom Luís", "Elevador", "Fado 🎶", "Graça", "Oceanário", "Pastéis", "Sintra", "Tram 28", "Żabka"];
        let text = format!("{} {}", self.one_of(&WORDS).unwrap_or("x"), self.below(40));
        Line::new(&text).unwrap_or_else(|_| unreachable!("words are short lines"))
    }

    fn text<const MAX: usize>(&mut self) -> Text<MAX> {
        let text = format!("{}\n{}", self.line::<MAX>(), self.below(1_000));
        Text::new(&text).unwrap_or_else(|_| unreachable!("words are short texts"))
    }

    fn day(&mut self) -> Date {
        let day = i8::try_from(1 + self.below(7)).unwrap_or(1);
        Date::new(2027, 5, day).unwrap_or_else(|| unreachable!("a week in May"))
    }

    fn moment(&mut self) -> Moment {
        let day = self.day();
        if self.chance(25) {
            return Moment::AllDay(day);
        }
        let zone = self.one_of(&["Europe/Lisbon", "Europe/Madrid", "Atlantic/Azores", "UTC"]).unwrap_or("UTC");
        let zone = if self.chance(2) { "Europe/Atlantis" } else { zone };
        let local = format!("{day}T{:02}:{:02}", self.below(24), self.below(4) * 15);
        Moment::At { local: local.parse().unwrap_or_else(|_| unreachable!("a quarter of an hour")), tz: zone.into() }
    }

    fn money(&mut self) -> Money {
        let minor = i64::from(self.below(50_000)) - if self.chance(3) { 60_000 } else { 0 };
        let code = self.one_of(&["EUR", "USD", "JPY"]).unwrap_or("EUR");
        Money { minor: MinorUnits::new(minor).unwrap_or_default(), currency: Currency::new(code).unwrap_or_else(|| unreachable!("listed")) }
    }

    fn position(&mut self) -> Position {
        let (lat, lon) = (38.0 + f64::from(self.below(100)) / 100.0, -9.0 - f64::from(self.below(100)) / 100.0);
        Position::new(lat, lon).unwrap_or_else(|| unreachable!("near Lisbon"))
    }

    /// A neighbour in the order: absent, the beginning, or an activity.
    fn after(&mut self) -> Option<Option<ItemId>> {
        match self.below(4) {
            0 => None,
            1 => Some(None),
            _ => Some(Some(self.activity())),
        }
    }

    /// Mostly a message of the user's own, which is what may be edited.
    fn own_message(&mut self, user: UserId) -> ItemId {
        let own: Vec<_> = self.state.messages.iter().filter(|message| message.by == user).map(|message| message.id).collect();
        if self.chance(80) { self.id_of(&own) } else { self.message() }
    }

    fn command(&mut self, user: UserId) -> Command {
        match self.below(108) {
            0..=5 => Command::UpdateDetails(Box::new(self.update_details())),
            6 => Command::SetStatus(SetStatus { status: self.one_of(TripStatus::ALL).unwrap_or_default() }),
            7..=20 => Command::AddActivity(Box::new(self.add_activity())),
            21..=38 => Command::UpdateActivity(Box::new(self.update_activity())),
            39..=58 => Command::MoveActivity(MoveActivity {
                activity: self.activity(),
                day: self.maybe(70, |dice| dice.maybe(85, Self::day)),
                after: self.after(),
            }),
            59..=62 => Command::RemoveActivity(RemoveActivity { activity: self.activity() }),
            63..=69 => Command::AddPlace(Box::new(AddPlace {
                id: self.maybe(50, Self::fresh_id),
                name: self.line(),
                kind: self.one_of(PlaceKind::ALL).unwrap_or_default(),
                position: self.maybe(80, Self::position),
                address: None,
                notes: self.maybe(20, Self::text),
            })),
            70..=74 => Command::UpdatePlace(Box::new(UpdatePlace {
                place: self.place(),
                name: self.maybe(40, Self::line),
                kind: None,
                position: self.maybe(40, |dice| dice.maybe(90, Self::position)),
                address: self.maybe(10, |_| None),
                notes: self.maybe(40, |dice| dice.maybe(80, Self::text)),
            })),
            75 | 76 => Command::RemovePlace(RemovePlace { place: self.place() }),
            77..=80 => Command::VotePlace(VotePlace { place: self.place(), on: self.chance(70) }),
            81..=89 => Command::SendMessage(Box::new(self.send_message())),
            90 | 91 => Command::EditMessage(Box::new(EditMessage { message: self.own_message(user), body: self.text() })),
            92 => Command::DeleteMessage(DeleteMessage { message: self.own_message(user) }),
            93..=96 => {
                let emoji = self.one_of(&["👍", "❤️", "🎉"]).and_then(Emoji::new).unwrap_or_else(|| unreachable!("emojis"));
                Command::React(React { message: self.message(), emoji, on: self.chance(75) })
            }
            97..=101 => Command::AddExpense(Box::new(self.add_expense())),
            102..=105 => Command::UpdateExpense(Box::new(self.update_expense())),
            106 => Command::RemoveExpense(RemoveExpense { expense: self.expense() }),
            _ => {
                let seq = u64::from(self.below(u32::try_from(self.state.seq.0).unwrap_or(u32::MAX).saturating_add(2)));
                Command::MarkRead(MarkRead { seq: Seq(seq) })
            }
        }
    }

    fn update_details(&mut self) -> UpdateDetails {
        UpdateDetails {
            status: self.maybe(10, |dice| dice.one_of(TripStatus::ALL).unwrap_or_default()),
            title: self.maybe(30, Self::line),
            description: self.maybe(30, |dice| dice.maybe(80, Self::text)),
            destination: self.maybe(20, |dice| dice.maybe(80, Self::line)),
            start_date: self.maybe(20, |dice| dice.maybe(80, Self::day)),
            end_date: self.maybe(20, |dice| dice.maybe(80, Self::day)),
            trip_type: self.maybe(10, |dice| dice.one_of(TripType::ALL).unwrap_or_default()),
            budget: self.maybe(20, |dice| dice.maybe(80, Self::money)),
            privacy: None,
            trip_data: None,
        }
    }

    fn add_activity(&mut self) -> AddActivity {
        let start = self.maybe(40, Self::moment);
        AddActivity {
            id: self.maybe(50, Self::fresh_id),
            title: self.line(),
            kind: self.one_of(ActivityKind::ALL).unwrap_or_default(),
            status: self.one_of(ActivityStatus::ALL).unwrap_or_default(),
            day: if start.is_some() { None } else { self.maybe(80, Self::day) },
            after: self.after(),
            end: if self.chance(30) { start.clone() } else { None },
            start,
            place: if self.state.places.is_empty() { None } else { self.maybe(30, Self::place) },
            cost: self.maybe(20, Self::money),
            assignees: self.members(),
            notes: self.maybe(20, Self::text),
        }
    }

    fn update_activity(&mut self) -> UpdateActivity {
        UpdateActivity {
            activity: self.activity(),
            title: self.maybe(30, Self::line),
            kind: self.maybe(15, |dice| dice.one_of(ActivityKind::ALL).unwrap_or_default()),
            status: self.maybe(15, |dice| dice.one_of(ActivityStatus::ALL).unwrap_or_default()),
            start: self.maybe(20, |dice| dice.maybe(85, Self::moment)),
            end: self.maybe(15, |dice| dice.maybe(50, Self::moment)),
            place: self.maybe(20, |dice| dice.maybe(80, Self::place)),
            cost: self.maybe(20, |dice| dice.maybe(80, Self::money)),
            assignees: self.maybe(20, Self::members),
            notes: self.maybe(20, |dice| dice.maybe(80, Self::text)),
        }
    }

    fn expense(&mut self) -> ItemId {
        let ids: Vec<_> = self.state.expenses.keys().copied().collect();
        self.id_of(&ids)
    }

    /// Shares of some members and what they add up to; now and then they do not.
    fn shares(&mut self) -> (Vec<ExpenseShare>, Money) {
        let some: BTreeSet<UserId> = self.members().into_iter().chain(self.member()).collect();
        let shares: Vec<_> = some
            .into_iter()
            .map(|user| ExpenseShare { user, minor: MinorUnits::new(i64::from(self.below(9_000))).unwrap_or_default() })
            .collect();
        let off = if self.chance(5) { 1 } else { 0 };
        let sum = shares.iter().map(|share| share.minor.get()).sum::<i64>() + off;
        (shares, Money { minor: MinorUnits::new(sum).unwrap_or_default(), ..self.money() })
    }

    fn member(&mut self) -> Option<UserId> {
        let members: Vec<_> = self.state.members.keys().copied().collect();
        self.one_of(&members)
    }

    fn add_expense(&mut self) -> AddExpense {
        let (shares, amount) = self.shares();
        AddExpense {
            id: self.maybe(50, Self::fresh_id),
            title: self.line(),
            payer: self.member().unwrap_or(UserId(Uuid::nil())),
            amount,
            shares,
            date: self.maybe(50, Self::day),
        }
    }

    fn update_expense(&mut self) -> UpdateExpense {
        let (shares, amount) = self.shares();
        let settles = self.chance(40);
        UpdateExpense {
            expense: self.expense(),
            title: self.maybe(40, Self::line),
            payer: if self.chance(20) { self.member() } else { None },
            amount: if settles { Some(amount) } else { None },
            shares: if settles { Some(shares) } else { None },
            date: self.maybe(30, |dice| dice.maybe(80, Self::day)),
        }
    }

    fn send_message(&mut self) -> SendMessage {
        SendMessage {
            id: self.maybe(50, Self::fresh_id),
            body: self.text(),
            reply_to: if self.state.messages.is_empty() { None } else { self.maybe(20, Self::message) },
            anchor: if self.state.activities.is_empty() { None } else { self.maybe(20, |dice| Anchor::Activity(dice.activity())) },
            mentions: self.members(),
        }
    }
}
