//! The chat. Only the newest messages are in the state, so only these can be edited, deleted, reacted and replied to.

use super::{Judgement, Room};
use crate::trip::command::{DeleteMessage, EditMessage, MarkRead, React, SendMessage};
use crate::trip::event::{Event, SentMessage};
use crate::trip::limits::{MENTIONS_MAX, MESSAGES_IN_STATE, REACTIONS_MAX};
use crate::trip::rights::Action;
use crate::trip::types::{Anchor, Message};
use crate::{Decision, ErrorCode, ItemId, Rejection};

pub(super) fn send(room: &Room<'_>, command: &SendMessage) -> Judgement {
    let id = room.new_id(command.id)?;
    if let Some(answered) = command.reply_to {
        find(room, "/reply_to", answered)?;
    }
    match command.anchor {
        Some(Anchor::Activity(id)) if room.state.activity(id).is_none() => return Err(room.missing("activity", "/anchor/activity", id)),
        Some(Anchor::Place(id)) if room.state.place(id).is_none() => return Err(room.missing("place", "/anchor/place", id)),
        Some(Anchor::Activity(_) | Anchor::Place(_)) | None => {}
    }
    room.members_only("/mentions", &command.mentions, MENTIONS_MAX)?;
    let message = SentMessage {
        id,
        body: command.body.clone(),
        reply_to: command.reply_to,
        anchor: command.anchor,
        mentions: command.mentions.clone(),
    };
    Ok(Decision::event(Event::MessageSent { message: Box::new(message) }))
}

pub(super) fn edit(room: &Room<'_>, command: &EditMessage) -> Judgement {
    let message = find(room, "/message", command.message)?;
    if message.by != room.me.user {
        return Err(Rejection::forbidden("Only its author may edit a message"));
    }
    let from = message.body.clone().ok_or_else(deleted)?;
    Ok(Decision::event(Event::MessageEdited { message: message.id, from, to: command.body.clone() }))
}

pub(super) fn delete(room: &Room<'_>, command: DeleteMessage) -> Judgement {
    let message = find(room, "/message", command.message)?;
    if message.by != room.me.user {
        room.needs(Action::Moderate)?;
    }
    if message.body.is_none() {
        return Err(deleted());
    }
    Ok(Decision::event(Event::MessageDeleted { message: Box::new(message.clone()) }))
}

pub(super) fn react(room: &Room<'_>, command: &React) -> Judgement {
    let message = find(room, "/message", command.message)?;
    if message.body.is_none() {
        return Err(deleted());
    }
    let users = message.reactions.get(&command.emoji);
    if command.on && users.is_none() && message.reactions.len() >= REACTIONS_MAX {
        let text = format!("A message has at most {REACTIONS_MAX} different reactions");
        return Err(Rejection::new(ErrorCode::LimitReached, text));
    }
    let from = users.is_some_and(|users| users.contains(&room.me.user));
    Ok(Decision::event(Event::MessageReacted { message: message.id, emoji: command.emoji.clone(), from, to: command.on }))
}

pub(super) fn mark_read(room: &Room<'_>, command: MarkRead) -> Judgement {
    if command.seq > room.state.seq {
        return Err(Rejection::invalid("/seq", format!("the room is at seq {}", room.state.seq)));
    }
    let from = room.state.reads.get(&room.me.user).copied().unwrap_or_default();
    Ok(Decision::event(Event::ReadMarked { from, to: from.max(command.seq) }))
}

fn find<'a>(room: &Room<'a>, pointer: &str, id: ItemId) -> Result<&'a Message, Rejection> {
    room.state.message(id).ok_or_else(|| {
        let message = format!("There is no such message among the newest {MESSAGES_IN_STATE} of the trip");
        Rejection { pointer: Some(pointer.into()), ..Rejection::not_found(message) }
    })
}

fn deleted() -> Rejection {
    Rejection { pointer: Some("/message".into()), ..Rejection::not_found("The message was deleted") }
}
