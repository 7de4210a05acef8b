//! A mirror from outside: what stock Nix makes of it, what is caught when it was altered, and two who write it at once.

#![allow(clippy::unwrap_used, clippy::panic)] // what is not as expected ends the test

#[path = "../support/mod.rs"]
mod support;

mod below_policy;
mod bucket;
mod challenge;
mod cosign;
mod endings;
mod fixture;
mod gc;
mod hostile_cache;
mod init;
mod killed;
mod meanwhile;
mod packages;
mod page;
mod poison;
mod populate;
mod rebuild;
mod serve;
mod served;
mod service;
mod snapshot;
mod stock_nix;
mod watched;
mod workers;
mod writers;
