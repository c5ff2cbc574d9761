//! The fields of every command of a kind, once: for the bodies of the resource-shaped routes and for commands as they are.

use super::build::{Field, Made, any_object, one_of, required, strict, string};
use serde_json::Value;

/// A command: its tag, what it does, its fields, an example of them.
pub(in crate::http::v1) struct CommandSchema {
    pub(in crate::http::v1) tag: &'static str,
    pub(in crate::http::v1) about: &'static str,
    pub(in crate::http::v1) fields: fn() -> Vec<Field>,
    pub(in crate::http::v1) example: fn() -> Value,
}

/// Declares all commands of a kind.
macro_rules! commands {
    ($($tag:literal $about:literal $fields:expr => $example:tt;)*) => {
        /// All commands.
        pub(in crate::http::v1) const COMMANDS: &[$crate::http::v1::rooms::schema::command::CommandSchema] = &[$(
            $crate::http::v1::rooms::schema::command::CommandSchema { tag: $tag, about: $about, fields: || $fields, example: || json!($example) },
        )*];
    };
}

pub(in crate::http::v1) use commands;

/// The body of a route for one command: its fields without those that the address says.
pub(in crate::http::v1) fn body_of(commands: &[CommandSchema], tag: &str, addressed: &[&str]) -> Made {
    let Some(command) = commands.iter().find(|command| command.tag == tag) else { return any_object() };
    let fields = (command.fields)().into_iter().filter(|field| !addressed.contains(&field.name)).collect();
    let mut example = (command.example)();
    if let Some(example) = example.as_object_mut() {
        example.retain(|name, _| !addressed.contains(&name.as_str()));
    }
    strict(command.about, fields).examples([example]).build().into()
}

/// Any command as it is.
pub(in crate::http::v1) fn any_command(commands: &[CommandSchema]) -> Made {
    let one = |command: &CommandSchema| {
        let tag = required("type", "Which command.", string().enum_values(Some([command.tag])).build().into());
        let fields = std::iter::once(tag).chain((command.fields)()).collect();
        strict(command.about, fields).title(Some(command.tag)).examples([command.example_in_wire_form()]).build().into()
    };
    one_of("A command of the live protocol: `type` and its fields side by side.", commands.iter().map(one))
}

impl CommandSchema {
    fn example_in_wire_form(&self) -> Value {
        let mut example = (self.example)();
        if let Some(fields) = example.as_object_mut() {
            fields.insert("type".into(), self.tag.into());
        }
        example
    }
}

/// Holds the descriptions against the parser; `inner` are commands that only the server sends, which are not described.
#[cfg(test)]
pub(in crate::http::v1) fn check<C: serde::de::DeserializeOwned + std::fmt::Debug>(commands: &[CommandSchema], inner: &[&str]) {
    use serde_json::json;
    use std::collections::BTreeSet;
    use tripsync_domain::ErrorCode;
    use tripsync_domain::command::parse;

    /// The names in "…, expected one of `a`, `b`" or "…, expected `a`".
    fn expected(message: &str) -> BTreeSet<&str> {
        let (_, list) = message.rsplit_once("expected").unwrap_or((message, ""));
        list.split('`').skip(1).step_by(2).collect()
    }

    let unknown = parse::<C>(&json!({"type": "no_such_command"})).unwrap_err();
    assert_eq!(unknown.code, ErrorCode::UnknownCommand);
    assert_eq!(expected(&unknown.message), commands.iter().map(|command| command.tag).chain(inner.iter().copied()).collect());
    for command in commands {
        let unknown = parse::<C>(&json!({"type": command.tag, "no_such_field": 1})).unwrap_err();
        assert_eq!(unknown.code, ErrorCode::UnknownField, "{}: {unknown}", command.tag);
        assert_eq!(expected(&unknown.message), (command.fields)().iter().map(|field| field.name).collect(), "{}", command.tag);
        let example = command.example_in_wire_form();
        parse::<C>(&example).unwrap_or_else(|rejection| panic!("{example}: {rejection}"));
    }
}
