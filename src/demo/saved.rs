//! What the demo keeps in its data folder, so that a second start finds what the first one made.

use super::DemoError;
use super::content::Person;
use rand::RngExt;
use rand::distr::Alphanumeric;
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Write};
use std::path::Path;
use uuid::Uuid;

/// The file's name.
const FILE: &str = "demo.json";
/// Alphanumeric characters of a password: 119 bits.
const PASSWORD_CHARS: usize = 20;

/// The file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Saved {
    robin: SavedAccount,
    ines: SavedAccount,
    tomas: SavedAccount,
    /// The `Idempotency-Key` under which the trip is made: a start that lost the answer gets the same trip.
    pub(super) trip_key: Uuid,
    /// The trip, once it is known.
    pub(super) trip: Option<Uuid>,
    /// Whether all of its content was acknowledged.
    pub(super) filled: bool,
}

/// One person.
#[derive(Serialize, Deserialize)]
pub(super) struct SavedAccount {
    /// Chosen at random at the first start.
    pub(super) password: String,
    /// The client id under which the content is sent: the server recognises what it has already.
    pub(super) client: Uuid,
}

impl std::fmt::Debug for SavedAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SavedAccount").field("client", &self.client).finish_non_exhaustive()
    }
}

impl SavedAccount {
    fn new() -> Self {
        let password = rand::rng().sample_iter(Alphanumeric).take(PASSWORD_CHARS).map(char::from).collect();
        Self { password, client: Uuid::now_v7() }
    }
}

impl Saved {
    /// What an earlier start left in the folder, or a new one, which is written at once.
    ///
    /// # Errors
    /// [`DemoError::File`].
    pub(super) fn open(folder: &Path) -> Result<Self, DemoError> {
        let path = folder.join(FILE);
        let failed = |reason: String| DemoError::File { path: path.clone(), reason };
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let saved = Self {
                    robin: SavedAccount::new(),
                    ines: SavedAccount::new(),
                    tomas: SavedAccount::new(),
                    trip_key: Uuid::now_v7(),
                    trip: None,
                    filled: false,
                };
                saved.write(folder)?;
                Ok(saved)
            }
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Writes it. What is there is replaced as a whole.
    ///
    /// # Errors
    /// [`DemoError::File`].
    pub(super) fn write(&self, folder: &Path) -> Result<(), DemoError> {
        let bytes =
            serde_json::to_vec_pretty(self).map_err(|error| DemoError::File { path: folder.join(FILE), reason: error.to_string() })?;
        write_private(&folder.join(FILE), &bytes)
    }

    /// The trip is gone: the next one gets a new key and its content new numbers.
    pub(super) fn forget_trip(&mut self) {
        self.trip = None;
        self.filled = false;
        self.trip_key = Uuid::now_v7();
        for account in [&mut self.robin, &mut self.ines, &mut self.tomas] {
            account.client = Uuid::now_v7();
        }
    }

    /// One person's.
    pub(super) const fn of(&self, person: Person) -> &SavedAccount {
        match person {
            Person::Robin => &self.robin,
            Person::Ines => &self.ines,
            Person::Tomas => &self.tomas,
        }
    }
}

/// Writes a file that only its owner can read, whole or not at all.
///
/// # Errors
/// [`DemoError::File`].
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), DemoError> {
    let beside = path.with_extension("tmp");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let written = options.open(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(|error| DemoError::File { path: path.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_finds_what_the_first_one_chose() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Saved::open(folder.path()).unwrap();
        first.trip = Some(Uuid::now_v7());
        first.write(folder.path()).unwrap();
        let second = Saved::open(folder.path()).unwrap();
        assert_eq!((second.trip, second.trip_key), (first.trip, first.trip_key));
        assert_eq!(second.of(Person::Robin).password, first.of(Person::Robin).password);
        assert_ne!(second.of(Person::Robin).password, second.of(Person::Ines).password);
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        Saved::open(folder.path()).unwrap();
        let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn passwords_are_not_shown() {
        let account = SavedAccount::new();
        assert!(!format!("{account:?}").contains(&account.password));
    }
}
