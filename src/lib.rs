//! Roundtrip: a whole backend in one binary. This page is the map of the crate.
//!
//! The ground, which every hop stands on (each imports only what is above it here):
//! [`domain`] the nouns · [`policy`] pure rules · [`observe`] spans and journeys · [`settings`] what can
//! be changed · [`web`] the rules of HTTP that several hops share.
//!
//! The hops, in the order of a request's way; they meet at sockets and don't know each other:
//! [`client`] → [`dns`] → [`tls`] → [`edge`] → [`balancer`] → [`api`] → [`service`] → [`store`].
//!
//! Above the hops: [`stack`] builds one backend out of them, `lab` sends journeys through it, `console`
//! shows them, `cli` starts it all.

pub mod balancer;
pub mod domain;
pub mod edge;

pub mod observe;
pub mod policy;
pub mod settings;
pub mod web;
