//! Handshakes that are slow, cut, or show a certificate that is wrong.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use crate::edge::Shared;
use crate::faults::{self, Place, Strike};
use crate::settings::fault::Fault;
use crate::settings::runtime::Settings;

/// How one handshake is to go.
#[derive(Debug)]
pub struct Plan {
    pub config: Arc<ServerConfig>,
    settings: Settings,
    delay: Option<Strike>,
    cut: Option<Strike>,
}

/// Drawn for a connection that has just come.
pub fn of_handshake(shared: &Shared, usual: Arc<ServerConfig>) -> Plan {
    let settings = &shared.settings;
    let strike = |fault| faults::strike(settings, fault, Place::ANYWHERE);
    let config = shared.flaws.as_ref().and_then(|flaws| {
        flaws.instead_of(&usual, settings).unwrap_or_else(|error| {
            log::error!(target: "edge", "no certificate could be made that is wrong: {error}");
            None
        })
    });
    let (delay, cut) = (strike(Fault::TlsDelay), strike(Fault::TlsCut));
    Plan { config: config.unwrap_or(usual), settings: settings.clone(), delay, cut }
}

impl Plan {
    /// By how much longer the handshake may take.
    pub fn delay(&self) -> Duration {
        self.delay.map_or(Duration::ZERO, |strike| strike.delay())
    }

    /// Between ClientHello and ServerHello.
    pub async fn before_answer(&self) -> io::Result<()> {
        if let Some(delay) = self.delay {
            faults::wait(&self.settings, delay, Place::ANYWHERE).await;
        }
        match self.cut {
            Some(cut) => Err(io::Error::other(format!("{} is on", cut.fault.key()))),
            None => Ok(()),
        }
    }

    /// What struck a handshake that came to its end.
    pub fn struck(&self) -> Option<Strike> {
        self.delay
    }
}
