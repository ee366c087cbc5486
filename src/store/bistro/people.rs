//! The staff and their passwords.

use rusqlite::{OptionalExtension, Row, params};

use super::super::StoreError;
use super::super::engine::{Touched, unwatched};
use super::super::rows::parsed;
use super::Bistro;
use crate::domain::permission::Role;
use crate::domain::session::{PersonId, Staff};
use crate::observe::span::Span;

/// By the index of names, in which guests, who have none, don't stand: `+` keeps SQLite from going through all
/// people by their ids.
const STAFF: &str = "SELECT id, role, name, password_phc IS NOT NULL FROM person WHERE name > '' ORDER BY +id";
const BY_NAME: &str = "SELECT id, role, password_phc FROM person WHERE name = ?1";
const SET_PASSWORD: &str = "UPDATE person SET password_phc = ?2 WHERE name = ?1";
const END_SESSIONS: &str = "DELETE FROM session WHERE person_id = (SELECT id FROM person WHERE name = ?1)";

/// What a sign-in is checked against.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub person: PersonId,
    pub role: Role,
    /// PHC string; None until a password is set.
    pub password_phc: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("person", &self.person).field("role", &self.role).finish_non_exhaustive()
    }
}

impl Bistro {
    /// Everybody who works here.
    pub async fn staff(&self) -> Result<Vec<Staff>, StoreError> {
        let member = |row: &Row<'_>| {
            Ok(Staff {
                person: PersonId(row.get(0)?),
                role: parsed(row, 1, Role::from_id)?,
                name: row.get(2)?,
                has_password: row.get(3)?,
            })
        };
        self.engine.read(&unwatched("Read the staff"), |db| {
            db.step("Read the staff", &[STAFF], |connection| {
                let staff: Vec<_> =
                    connection.prepare_cached(STAFF)?.query_map([], member)?.collect::<rusqlite::Result<_>>()?;
                let rows = staff.len();
                Ok((staff, Touched::Returned(rows)))
            })
        })
    }

    /// Sets the password's hash and ends the sessions of before. False: nobody has that name.
    pub async fn set_staff_password(&self, name: &str, password_phc: &str) -> Result<bool, StoreError> {
        let (name, password_phc) = (name.to_owned(), password_phc.to_owned());
        let span = unwatched("Set a password");
        self.engine
            .write(&span, "Set the password", move |transaction| {
                transaction.db.step("Set the password", &[SET_PASSWORD, END_SESSIONS], |connection| {
                    let changed = connection.prepare_cached(SET_PASSWORD)?.execute(params![name, password_phc])?;
                    connection.prepare_cached(END_SESSIONS)?.execute([&name])?;
                    Ok((changed > 0, Touched::Changed(changed)))
                })
            })
            .await
    }

    /// What a member of staff of that name signs in with; None when there is none.
    pub async fn credentials(&self, span: &Span, name: &str) -> Result<Option<Credentials>, StoreError> {
        self.engine.read(span, |db| {
            db.step("Find the name", &[BY_NAME], |connection| {
                let credentials = |row: &Row<'_>| {
                    Ok(Credentials {
                        person: PersonId(row.get(0)?),
                        role: parsed(row, 1, Role::from_id)?,
                        password_phc: row.get(2)?,
                    })
                };
                let found = connection.prepare_cached(BY_NAME)?.query_row([name], credentials).optional()?;
                let rows = usize::from(found.is_some());
                Ok((found, Touched::Returned(rows)))
            })
        })
    }
}
