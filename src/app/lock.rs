//! One server per SQLite file.

use super::{StartError, io_error};
use crate::store::{DbKind, sqlite_path};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;

/// An advisory lock on `<database>.lock`; the operating system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct DatabaseLock {
    _file: File,
}

impl DatabaseLock {
    /// Takes the lock for a SQLite database; `None` for PostgreSQL, which many servers may share.
    pub(super) fn take(url: &str) -> Result<Option<Self>, StartError> {
        if DbKind::of_url(url)? != DbKind::Sqlite {
            return Ok(None);
        }
        let database = sqlite_path(url)?;
        if let Some(parent) = database.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            super::prepare_folder(parent, "database.url")?;
        }
        let mut name = database.into_os_string();
        name.push(".lock");
        let shown = name.to_string_lossy().into_owned();
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&name)
            .map_err(|source| io_error(format!("cannot open {shown}"), source))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Err(io_error(
                "another server uses this SQLite database: stop it, or change data_dir or database.url",
                io::Error::from(io::ErrorKind::WouldBlock),
            )),
            Err(TryLockError::Error(source)) => Err(io_error(format!("cannot lock {shown}"), source)),
        }
    }
}
