//! The rules that edge, api and console share, over plain strings, since actix and hyper have
//! `http` crates of different versions.

pub mod accept_encoding;
pub mod assets;
pub mod cookie;
pub mod cut_off;
pub mod etag;
pub mod events;
pub mod fields;
pub mod headers;
pub mod host;
pub mod hsts;
pub mod list;
pub mod origin;
pub mod probe;
pub mod problem;
pub mod range;
pub mod respond;
pub mod secret;
pub mod traceparent;
