//! Laying the sources over each other: defaults < file < environment < flags.

use super::{Config, DEFAULTS, check};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The file that is read when it is there and none is named.
const DEFAULT_FILE: &str = "tripsync.toml";
/// Names the configuration file when no flag does.
const FILE_VARIABLE: &str = "TRIPSYNC_CONFIG";
/// What environment variables for single keys begin with.
const PREFIX: &str = "TRIPSYNC__";

/// Where values may come from. A test makes its own; the program takes [`Sources::of_process`].
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// `--set key=value`, in order.
    pub flags: Vec<(String, String)>,
}

/// What is wrong, one sentence per finding, each naming the place to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration cannot be used:\n  - {}", .0.join("\n  - "))]
pub struct ConfigError(pub Vec<String>);

/// A checked configuration and where each value that is not a default came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// Key (`http.listen`) → source (`environment TRIPSYNC__HTTP__LISTEN`).
    pub origin: BTreeMap<String, String>,
}

impl Sources {
    /// The process's environment with the given flags.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        Self {
            file,
            // A variable that is not UTF-8 cannot be one of ours.
            environment: std::env::vars_os()
                .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            flags,
        }
    }

    /// Reads, lays over each other and checks.
    ///
    /// # Errors
    /// [`ConfigError`] with every finding at once: unknown keys, values of the wrong kind, unreadable files, and whatever
    /// does not hold together.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let mut layers = Layers::defaults();
        layers.add_file(self.file.as_deref(), &self.environment);
        layers.add_environment(&self.environment);
        for (key, text) in &self.flags {
            layers.set_text(key, text, format!("flag --set {key}"));
        }
        let loaded = layers.finish()?;
        let findings = check::findings(&loaded.config);
        if findings.is_empty() { Ok(loaded) } else { Err(ConfigError(findings)) }
    }
}

struct Layers {
    values: Table,
    origin: BTreeMap<String, String>,
    findings: Vec<String>,
}

impl Layers {
    fn defaults() -> Self {
        let (values, findings) = match DEFAULTS.parse::<Table>() {
            Ok(values) => (values, Vec::new()),
            Err(error) => (Table::new(), vec![format!("config.default.toml: {error}")]),
        };
        Self { values, origin: BTreeMap::new(), findings }
    }

    fn add_file(&mut self, named: Option<&Path>, environment: &BTreeMap<String, String>) {
        let named = named.map(Path::to_owned).or_else(|| environment.get(FILE_VARIABLE).map(PathBuf::from));
        let path = match named {
            Some(path) => path,
            None if Path::new(DEFAULT_FILE).exists() => PathBuf::from(DEFAULT_FILE),
            None => return,
        };
        let origin = format!("file {}", path.display());
        match std::fs::read_to_string(&path) {
            Ok(text) => match text.parse::<Table>() {
                Ok(table) => self.lay_over("", table, &origin),
                Err(error) => self.findings.push(format!("{origin}: {error}")),
            },
            Err(error) => self.findings.push(format!("{origin} cannot be read: {error}")),
        }
    }

    fn lay_over(&mut self, prefix: &str, table: Table, origin: &str) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match value {
                Value::Table(inner) if self.lookup(&key).is_some_and(Value::is_table) => {
                    self.lay_over(&key, inner, origin);
                }
                value @ (Value::Table(_)
                | Value::String(_)
                | Value::Integer(_)
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::Datetime(_)
                | Value::Array(_)) => self.set(&key, value, origin.to_owned()),
            }
        }
    }

    fn add_environment(&mut self, environment: &BTreeMap<String, String>) {
        for (variable, text) in environment {
            let Some(name) = variable.strip_prefix(PREFIX) else {
                continue;
            };
            let key = name.to_lowercase().replace("__", ".");
            let origin = format!("environment {variable}");
            let from_file = key.strip_suffix("_file").filter(|_| self.lookup(&key).is_none());
            match from_file {
                Some(key) => match std::fs::read_to_string(text) {
                    Ok(content) => self.set_text(key, content.trim_end(), origin),
                    Err(error) => self.findings.push(format!("{origin}: {text} cannot be read: {error}")),
                },
                None => self.set_text(&key, text, origin),
            }
        }
    }

    /// Sets a key from text, read as the kind of value that the default has.
    fn set_text(&mut self, key: &str, text: &str, origin: String) {
        let value = match self.lookup(key) {
            Some(Value::Integer(_)) => text.trim().parse().ok().map(Value::Integer),
            Some(Value::Boolean(_)) => text.trim().parse().ok().map(Value::Boolean),
            Some(Value::Float(_)) => text.trim().parse().ok().map(Value::Float),
            Some(Value::Array(_)) => list(text),
            Some(Value::String(_) | Value::Datetime(_) | Value::Table(_)) | None => Some(Value::String(text.to_owned())),
        };
        match value {
            Some(value) => self.set(key, value, origin),
            None => {
                let kind = self.lookup(key).map_or("value", Value::type_str);
                self.findings.push(format!("{key} (from {origin}) must be: {kind}"));
            }
        }
    }

    fn set(&mut self, key: &str, value: Value, origin: String) {
        if self.lookup(key).is_none_or(Value::is_table) {
            self.findings.push(format!("there is no key {key} (from {origin}); `tripsync config --default` lists all keys"));
            return;
        }
        if let Some(slot) = self.slot(key) {
            *slot = value;
            self.origin.insert(key.to_owned(), origin);
        }
    }

    fn lookup(&self, key: &str) -> Option<&Value> {
        let mut parts = key.split('.');
        let first = self.values.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.as_table()?.get(part))
    }

    fn slot(&mut self, key: &str) -> Option<&mut Value> {
        let mut parts = key.split('.');
        let first = self.values.get_mut(parts.next()?)?;
        parts.try_fold(first, |value, part| value.as_table_mut()?.get_mut(part))
    }

    fn finish(mut self) -> Result<Loaded, ConfigError> {
        if !self.findings.is_empty() {
            return Err(ConfigError(self.findings));
        }
        let mut track = serde_path_to_error::Track::new();
        let values = serde_path_to_error::Deserializer::new(Value::Table(self.values), &mut track);
        match Config::deserialize(values) {
            Ok(config) => Ok(Loaded { config, origin: self.origin }),
            Err(error) => {
                let key = track.path().to_string();
                let origin = self.origin.get(&key).map_or("default", String::as_str);
                let text = error.to_string();
                self.findings.push(format!("{key} (from {origin}): {}", text.trim()));
                Err(ConfigError(self.findings))
            }
        }
    }
}

/// `["a", "b"]` or `a,b`.
fn list(text: &str) -> Option<Value> {
    if text.trim_start().starts_with('[') {
        let table = format!("list = {text}").parse::<Table>().ok()?;
        return table.get("list").filter(|list| list.is_array()).cloned();
    }
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(|item| Value::String(item.to_owned())).collect();
    Some(Value::Array(items))
}
