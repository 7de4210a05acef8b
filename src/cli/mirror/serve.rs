//! `reprove mirror serve`: a mirror over HTTP.

use std::{net::TcpListener, sync::Arc};

use clap::Args;

use super::page;
use crate::{
    cli::{Context, Exit, Failure},
    mirror::{
        Mirror,
        location::Location,
        serve::{Limits, Server, allow_open_files, told_to_end},
    },
    report::mirror::Address,
};

/// Serve a mirror over HTTP, for stock Nix: its objects and its page, `/healthz` and `/metrics`; nothing can be uploaded.
///
/// It speaks HTTP/1.1 and nothing encrypted: what does that stands in front. Any static file server does as well; this one also serves
/// locations that are no folders, and answers for nothing but objects of a mirror. It ends on SIGINT and SIGTERM, when what is under way
/// is done.
#[derive(Debug, Args)]
pub struct Serve {
    /// The mirror
    #[arg(value_name = "LOCATION")]
    location: String,
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: String,
    /// The address by which people reach the mirror, for the commands on its page [default: that of --listen]
    #[arg(long, value_name = "URL", value_parser = page::address)]
    address: Option<Address>,
    /// Connections at once; more wait
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections)]
    connections: usize,
}

impl Serve {
    /// Serves until it is told to end.
    pub fn run(&self, context: &Context) -> Result<Exit, Failure> {
        // Who serves something else than a mirror wants to know now.
        let mirror = Mirror::open(Location::parse(&self.location)?)?;
        let keys: Vec<String> =
            mirror.signers().contributors.iter().flat_map(|one| &one.nix).map(ToString::to_string).collect();
        let failed = |error: std::io::Error| Failure::io(self.listen.clone(), &error);
        let listener = TcpListener::bind(&self.listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        context.progress.line(&format!("serving {} at http://{address}", self.location));
        context.progress.line(&format!(
            "nix copy --from http://{address} --trusted-public-keys '{}' PATH",
            keys.join(" ")
        ));
        let told = || (!address.ip().is_unspecified()).then(|| Address::parse(&format!("http://{address}")));
        let address = self.address.clone().or_else(|| told().flatten());
        allow_open_files();
        let limits = Limits { connections: self.connections.max(1), ..Limits::default() };
        let server = Arc::new(Server::new(mirror).making_pages(page::maker(address)));
        server.run(listener, limits, told_to_end).map_err(failed)?;
        Ok(Exit::Success)
    }
}
