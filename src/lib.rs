//! Roundtrip: a whole backend in one binary. This page is the map of the crate.
//!
//! The ground, which every hop stands on (each imports only what is above it here):
//! [`domain`] the nouns · [`policy`] pure rules · [`observe`] spans and journeys · [`settings`] what can
//! be changed · [`faults`] whether one strikes · [`web`] the rules of HTTP that several hops share.
//!
//! The hops, in the order of a request's way; they meet at sockets and don't know each other:
//! [`client`] → [`dns`] → [`tls`] → [`edge`] → [`balancer`] → [`api`] → [`service`] → [`store`]; beside it the
//! [`supplier`], which stands for the outside world.
//!
//! Above the hops: [`stack`] builds one backend out of them, [`lab`] sends journeys and load through it, [`console`]
//! shows them, [`cli`] starts it all.

pub mod api;
pub mod balancer;
pub mod cli;
pub mod client;
pub mod console;
pub mod dns;
pub mod domain;
pub mod edge;
pub mod faults;
pub mod lab;
pub mod observe;
pub mod policy;
pub mod service;
pub mod settings;
pub mod stack;
pub mod store;
pub mod supplier;
pub mod tls;
pub mod web;
