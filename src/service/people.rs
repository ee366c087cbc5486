//! Who visits, signing in and signing out.

use super::{Service, ServiceError, step};
use crate::domain::permission::Role;
use crate::domain::session::{PASSWORD_CHARS_MAX, SessionSecret, Visitor};
use crate::observe::hop::Hop;
use crate::observe::span::{Span, Status};

/// No member of staff has a longer name, in bytes: a bound on what is looked up and remembered.
const NAME_BYTES_MAX: usize = 64;

impl Service {
    /// Who the secret of a session belongs to. Unknown, malformed, expired or none: a stranger.
    pub async fn visitor(&self, span: &Span, session_secret: Option<&str>) -> Result<Visitor, ServiceError> {
        let Some(secret) = session_secret.and_then(SessionSecret::parse) else { return Ok(Visitor::stranger()) };
        step(span, "Recognise the visitor", async |span| {
            let session = self.bistro.session(span, &secret).await?;
            Ok(session.map_or_else(Visitor::stranger, |session| Visitor {
                role: session.role,
                person: Some(session.person),
                name: session.name,
            }))
        })
        .await
    }

    /// What the secret's session makes of its holder at this moment, without counting as a use of it.
    pub async fn role_now(&self, span: &Span, session_secret: Option<&str>) -> Result<Role, ServiceError> {
        let Some(secret) = session_secret.and_then(SessionSecret::parse) else { return Ok(Role::Guest) };
        let session = self.bistro.session_unseen(span, &secret).await?;
        Ok(session.map_or(Role::Guest, |session| session.role))
    }

    /// Signs a member of staff in. An unknown name, one without a password and a wrong password are one
    /// error and take one time: whoever guesses learns nothing of who works here.
    pub async fn sign_in(
        &self,
        span: &Span,
        name: &str,
        password: &str,
    ) -> Result<(Visitor, SessionSecret), ServiceError> {
        step(span, "Sign in", async |span| {
            if name.len() > NAME_BYTES_MAX || password.chars().count() > PASSWORD_CHARS_MAX {
                return Err(ServiceError::SignInFailed);
            }
            let throttle = span.child(Hop::Service, "Check the throttle");
            if let Err(retry_after) = self.bistro.attempts(|attempts, now| attempts.attempt(name, now)) {
                throttle.status(Status::Error);
                return Err(ServiceError::Throttled { retry_after });
            }
            throttle.end();
            let credentials = self.bistro.credentials(span, name).await.inspect_err(|_| self.withdraw(name))?;
            let verify = span.child(Hop::Service, "Check the password");
            let phc = credentials.as_ref().and_then(|credentials| credentials.password_phc.as_deref());
            let right = match phc {
                Some(phc) => self.hasher.verify(phc, password).await,
                None => self.hasher.verify_nobody(password).await.map(|()| false),
            };
            verify.attribute("roundtrip.password.algorithm", || "argon2id");
            verify.end();
            let right = right.inspect_err(|_| self.withdraw(name))?;
            let Some(credentials) = credentials.filter(|_| right) else { return Err(ServiceError::SignInFailed) };
            self.bistro.attempts(|attempts, _| attempts.succeeded(name));
            let secret = self.bistro.create_session(span, credentials.person).await?;
            let (role, person) = (credentials.role, Some(credentials.person));
            Ok((Visitor { role, person, name: Some(name.to_owned()) }, secret))
        })
        .await
    }

    /// Ends a session; one that is none is no error.
    pub async fn sign_out(&self, span: &Span, session_secret: &str) -> Result<(), ServiceError> {
        let Some(secret) = SessionSecret::parse(session_secret) else { return Ok(()) };
        step(span, "Sign out", async |span| Ok(self.bistro.delete_session(span, &secret).await?)).await
    }

    /// An attempt that was not judged does not count.
    fn withdraw(&self, name: &str) {
        self.bistro.attempts(|attempts, _| attempts.withdrawn(name));
    }
}
