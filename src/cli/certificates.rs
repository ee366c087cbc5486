//! The certificates that app and console show: the local one, and the operator's own if there is one.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::server::ResolvesServerCert;
use time::OffsetDateTime;
use tokio::task::JoinSet;

use super::CliError;
use crate::settings::startup::Startup;
use crate::tls::{Authority, Certificates, Given, LeafResolver, is_private, keep_current, keep_renewed};
use crate::web::hsts::Hsts;

/// The operator's certificate, read before anything is made or bound.
pub fn given(startup: &Startup) -> Result<Option<Arc<Given>>, CliError> {
    let Some(files) = &startup.certificate else {
        if !is_private(startup.bind) {
            return Err(CliError::new(format!(
                "--bind {} is no private address, and the local authority vouches for those alone; give a \
                 certificate of your own: --cert FILE --key FILE",
                startup.bind
            )));
        }
        return Ok(None);
    };
    let given = Given::load(&files.cert, &files.key, OffsetDateTime::now_utc());
    given.map(|given| Some(Arc::new(given))).map_err(|error| CliError::new(error.to_string()))
}

/// What the servers need of them.
pub struct Shown {
    pub resolver: Arc<dyn ResolvesServerCert>,
    /// Further names that app and console answer to.
    pub names: Vec<String>,
    pub hsts: Hsts,
    /// Renewal; ends when dropped.
    pub upkeep: JoinSet<()>,
}

/// `names`: what the local certificate is to stand for.
pub fn show(
    startup: &Startup,
    authority: &Authority,
    names: &[String],
    given: Option<Arc<Given>>,
) -> Result<Shown, CliError> {
    // A public address, which only the operator's own certificate can stand for.
    let permitted = |name: &&String| name.parse::<IpAddr>().map_or(true, is_private);
    let names: Vec<String> = names.iter().filter(permitted).cloned().collect();
    let local = LeafResolver::new(authority.clone(), &names, OffsetDateTime::now_utc());
    let local = Arc::new(local.map_err(|error| CliError::new(error.to_string()))?);
    let mut upkeep = JoinSet::new();
    upkeep.spawn(keep_renewed(Arc::clone(&local)));
    let Some(given) = given else {
        return Ok(Shown { resolver: local, names: Vec::new(), hsts: Hsts::default(), upkeep });
    };
    upkeep.spawn(keep_current(Arc::clone(&given)));
    let names = given.names();
    Ok(Shown {
        resolver: Arc::new(Certificates { given, local, bound: startup.bind }),
        hsts: Hsts::new(startup.hsts, names.clone()),
        names,
        upkeep,
    })
}
