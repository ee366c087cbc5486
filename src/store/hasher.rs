//! Password hashing: argon2id on one thread with one buffer.
//!
//! Thirty sign-ins at once on a worker pool took the median user's read to 800 ms and 2.7 GB;
//! in a queue of their own they take turns, and strangers' reads don't wait.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use argon2::password_hash::{Output, ParamsString, PasswordHash, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::oneshot;

use crate::web::secret::{random_bytes, same};

/// Jobs that may wait.
const QUEUE_MAX: usize = 32;
/// The buffer is given back after so long without work: 19 MiB are most of an idle server.
const BUFFER_IDLE: Duration = Duration::from_secs(5);
/// Added to the thread's niceness (nice(2)), where that is a thread's and not the process'.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;
/// No stored hash may ask for more memory, in KiB: a planted one could exhaust the machine.
const STORED_MEMORY_MAX_KIB: u32 = 256 * 1_024;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// What a hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    pub memory_kib: u32,
    pub passes: u32,
}

impl Default for Cost {
    /// OWASP Password Storage Cheat Sheet: argon2id, 19 MiB, two passes, one lane.
    fn default() -> Self {
        Self { memory_kib: 19 * 1_024, passes: 2 }
    }
}

impl Cost {
    /// As little as argon2id allows, for tests.
    pub const LEAST: Cost = Cost { memory_kib: 8, passes: 1 };

    fn params(self) -> Result<Params, HasherError> {
        Params::new(self.memory_kib, self.passes, 1, Some(HASH_BYTES)).map_err(HasherError::internal)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HasherError {
    /// The queue is full: try again in a moment.
    #[error("too many passwords are being checked")]
    Busy,
    #[error("password hashing failed: {0}")]
    Internal(String),
}

impl HasherError {
    fn internal(error: impl std::fmt::Display) -> Self {
        HasherError::Internal(error.to_string())
    }
}

enum Work {
    Hash(oneshot::Sender<Result<String, HasherError>>),
    Verify(String, oneshot::Sender<Result<bool, HasherError>>),
}

struct Job {
    password: String,
    work: Work,
}

/// The process' one hasher. Cheap to clone; the thread ends with the last clone.
#[derive(Debug, Clone)]
pub struct Hasher {
    inbox: SyncSender<Job>,
    /// A hash that no password has: checking against it takes as long as a real check.
    nobody: Arc<str>,
}

impl Hasher {
    /// Starts the thread.
    pub fn start(cost: Cost) -> Result<Self, HasherError> {
        let params = cost.params()?;
        let nobody = phc(&params, &random_salt()?, &random_bytes::<HASH_BYTES>().map_err(HasherError::internal)?)?;
        let (inbox, outbox) = sync_channel(QUEUE_MAX);
        std::thread::Builder::new()
            .name("password-hasher".to_owned())
            .spawn(move || work(&outbox, &params))
            .map_err(HasherError::internal)?;
        Ok(Self { inbox, nobody: nobody.into() })
    }

    /// The password's hash as a PHC string, with a new salt.
    pub async fn hash(&self, password: &str) -> Result<String, HasherError> {
        let (reply, answer) = oneshot::channel();
        self.queue(password, Work::Hash(reply), answer).await
    }

    /// Whether the password has that hash.
    pub async fn verify(&self, phc: &str, password: &str) -> Result<bool, HasherError> {
        let (reply, answer) = oneshot::channel();
        self.queue(password, Work::Verify(phc.to_owned(), reply), answer).await
    }

    /// Takes as long as [`verify`](Hasher::verify) and finds nothing: for names that nobody has.
    pub async fn verify_nobody(&self, password: &str) -> Result<(), HasherError> {
        self.verify(&self.nobody, password).await.map(drop)
    }

    async fn queue<T>(
        &self,
        password: &str,
        work: Work,
        answer: oneshot::Receiver<Result<T, HasherError>>,
    ) -> Result<T, HasherError> {
        self.inbox.try_send(Job { password: password.to_owned(), work }).map_err(|error| match error {
            TrySendError::Full(_) => HasherError::Busy,
            TrySendError::Disconnected(_) => HasherError::internal("the thread is gone"),
        })?;
        answer.await.unwrap_or_else(|_| Err(HasherError::internal("the thread gave no answer")))
    }
}

fn work(outbox: &Receiver<Job>, params: &Params) {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        log::debug!("hasher: stays at normal priority: {error}");
    }
    let mut memory = Vec::new();
    loop {
        let idle = memory.is_empty();
        let next = if idle { outbox.recv().map_err(Into::into) } else { outbox.recv_timeout(BUFFER_IDLE) };
        match next {
            // Whoever left before the turn came costs nothing.
            Ok(Job { password, work: Work::Hash(reply) }) if !reply.is_closed() => {
                let _ = reply.send(hash(params, &password, &mut memory));
            }
            Ok(Job { password, work: Work::Verify(phc, reply) }) if !reply.is_closed() => {
                let _ = reply.send(verify(&phc, &password, &mut memory));
            }
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => memory = Vec::new(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn hash(params: &Params, password: &str, memory: &mut Vec<Block>) -> Result<String, HasherError> {
    let salt = random_salt()?;
    let mut salt_bytes = [0; SALT_BYTES];
    let salt_bytes = salt.decode_b64(&mut salt_bytes).map_err(HasherError::internal)?;
    let hash = derive(params, password, salt_bytes, memory)?;
    phc(params, &salt, &hash)
}

fn verify(phc: &str, password: &str, memory: &mut Vec<Block>) -> Result<bool, HasherError> {
    let stored = PasswordHash::new(phc).map_err(HasherError::internal)?;
    let params = Params::try_from(&stored).map_err(HasherError::internal)?;
    let known = stored.algorithm == argon2::ARGON2ID_IDENT && stored.version == Some(Version::V0x13.into());
    let (Some(salt), Some(hash), true) = (stored.salt, stored.hash, known) else {
        return Err(HasherError::internal("the stored hash is not argon2id, version 19"));
    };
    if params.m_cost() > STORED_MEMORY_MAX_KIB {
        return Err(HasherError::internal("the stored hash asks for too much memory"));
    }
    let mut salt_bytes = [0; 64];
    let salt_bytes = salt.decode_b64(&mut salt_bytes).map_err(HasherError::internal)?;
    Ok(same(&derive(&params, password, salt_bytes, memory)?, hash.as_bytes()))
}

fn derive(
    params: &Params,
    password: &str,
    salt: &[u8],
    memory: &mut Vec<Block>,
) -> Result<[u8; HASH_BYTES], HasherError> {
    if memory.len() < params.block_count() {
        memory.resize(params.block_count(), Block::default());
    }
    let mut hash = [0; HASH_BYTES];
    let context = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
    let memory = &mut memory[..params.block_count()];
    context
        .hash_password_into_with_memory(password.as_bytes(), salt, &mut hash, memory)
        .map_err(HasherError::internal)?;
    Ok(hash)
}

fn random_salt() -> Result<SaltString, HasherError> {
    let bytes = random_bytes::<SALT_BYTES>().map_err(HasherError::internal)?;
    SaltString::encode_b64(&bytes).map_err(HasherError::internal)
}

/// `$argon2id$v=19$m=…,t=…,p=1$salt$hash` (github.com/P-H-C/phc-string-format).
fn phc(params: &Params, salt: &SaltString, hash: &[u8]) -> Result<String, HasherError> {
    let phc = PasswordHash {
        algorithm: argon2::ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(HasherError::internal)?,
        salt: Some(salt.as_salt()),
        hash: Some(Output::new(hash).map_err(HasherError::internal)?),
    };
    Ok(phc.to_string())
}
