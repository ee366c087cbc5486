//! Sockets for the ports that were asked for, or the next free ones.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use super::CliError;
use crate::settings::startup::PortChoice;

/// How many ports after a busy default are tried.
const NEXT_MAX: u16 = 50;

/// A bound socket for `what` (as the message names it). A busy default is said on standard error.
pub fn tcp(what: &str, flag: &str, ip: IpAddr, choice: PortChoice) -> Result<TcpListener, CliError> {
    first_free(what, flag, choice, |port| TcpListener::bind(SocketAddr::new(ip, port)))
}

/// A port that is free for UDP and TCP alike. It is let go again: the DNS server binds it itself.
pub fn dns(ip: IpAddr, choice: PortChoice) -> Result<SocketAddr, CliError> {
    if choice == PortChoice::Asked(0) {
        return Ok(SocketAddr::new(ip, 0));
    }
    first_free("DNS", "--dns-port", choice, |port| {
        let address = SocketAddr::new(ip, port);
        UdpSocket::bind(address)?;
        TcpListener::bind(address)?;
        Ok(address)
    })
}

fn first_free<T>(
    what: &str,
    flag: &str,
    choice: PortChoice,
    bind: impl Fn(u16) -> std::io::Result<T>,
) -> Result<T, CliError> {
    let bad = |port: u16, error: std::io::Error| {
        CliError::new(format!("port {port} for {what} can't be had ({error}); give another one with {flag}"))
    };
    match choice {
        PortChoice::Asked(port) => bind(port).map_err(|error| bad(port, error)),
        PortChoice::Default(port) => {
            for next in port..=port + NEXT_MAX {
                match bind(next) {
                    Ok(bound) => {
                        if next != port {
                            eprintln!("Port {port} is busy; {what} is on {next}.");
                        }
                        return Ok(bound);
                    }
                    Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                    Err(error) => return Err(bad(next, error)),
                }
            }
            Err(bad(port, ErrorKind::AddrInUse.into()))
        }
    }
}
