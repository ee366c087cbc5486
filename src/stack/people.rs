//! Who works in the restaurant, and what can be counted there.

use super::Stack;
use crate::domain::permission::Role;
use crate::domain::session::{SessionSecret, Staff};
use crate::store::StoreError;
use crate::store::bistro::Bistro;
pub use crate::store::bistro::Counts;

impl Stack {
    /// Whose requests can be sent: the restaurant's people, or nobody in particular.
    pub fn roles(&self) -> &'static [Role] {
        if self.bistro.is_some() { &Role::BISTRO } else { &[Role::Guest] }
    }

    /// None without the restaurant.
    pub async fn counts(&self) -> Result<Option<Counts>, StoreError> {
        match &self.bistro {
            Some(bistro) => bistro.counts().await.map(Some),
            None => Ok(None),
        }
    }

    /// None without the restaurant, and when its database can't say at once.
    pub fn counts_now(&self) -> Option<Counts> {
        self.bistro.as_ref().and_then(Bistro::counts_now)
    }

    /// Nobody without the restaurant.
    pub async fn staff(&self) -> Result<Vec<Staff>, StoreError> {
        let Some(bistro) = self.bistro.clone() else { return Ok(Vec::new()) };
        // A read waits for its connection with the whole thread, for a second at most: not with one that others need.
        let runtime = tokio::runtime::Handle::current();
        let read = tokio::task::spawn_blocking(move || runtime.block_on(bistro.staff()));
        read.await.map_err(|error| StoreError::Internal(error.to_string()))?
    }

    /// Sets the password hash of a member of staff; false when there is nobody of that name.
    pub async fn set_staff_password(&self, name: &str, phc: &str) -> Result<bool, StoreError> {
        match &self.bistro {
            Some(bistro) => bistro.set_staff_password(name, phc).await,
            None => Ok(false),
        }
    }

    /// A real session of five minutes for the staff of `role`, one of [`Self::roles`]; None for a guest, who
    /// needs none.
    pub async fn mint_session(&self, role: Role) -> Result<Option<SessionSecret>, StoreError> {
        match (&self.bistro, role) {
            (_, Role::Guest) => Ok(None),
            (Some(bistro), role) => bistro.mint_session(role).await.map(Some),
            (None, role) => Err(StoreError::Internal(format!("nobody is a {} without the restaurant", role.id()))),
        }
    }
}
