//! `reprove mirror serve`: a mirror over HTTP.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

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
    #[arg(long, value_name = "URL", value_parser = address)]
    address: Option<String>,
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
        self.names_an_address()?;
        let failed = |error: std::io::Error| Failure::io(self.listen.clone(), &error);
        let listener = TcpListener::bind(&self.listen).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        context.progress.line(&format!("serving {} at http://{bound}", self.location));
        let told = self.told(bound);
        // Who listens on every address is reached by none of this name.
        let shown = told.clone().unwrap_or_else(|| format!("http://HOST:{}", bound.port()));
        let keys = keys.join(" ");
        context.progress.line(&format!("nix copy --from {shown} --trusted-public-keys '{keys}' PATH"));
        if told.is_none() {
            context.progress.line(
                "HOST is how others reach this machine: `--address http://…` tells it, here and on the page",
            );
        }
        let address = told.as_deref().and_then(Address::parse);
        allow_open_files();
        let limits = Limits { connections: self.connections.max(1), ..Limits::default() };
        let server = Arc::new(Server::new(mirror).making_pages(page::maker(address)));
        server.run(listener, limits, told_to_end).map_err(failed)?;
        Ok(Exit::Success)
    }

    /// A port alone is no address to listen on, and the system's answer to it says too little.
    fn names_an_address(&self) -> Result<(), Failure> {
        let port = self.listen.strip_prefix(':').unwrap_or(&self.listen);
        if port.parse::<u16>().is_ok() {
            let message = format!("`--listen {}` names no address to listen on", self.listen);
            return Err(Failure::usage(message).hint(format!(
                "`--listen 127.0.0.1:{port}` for this machine only, `--listen 0.0.0.0:{port}` for everybody who reaches it"
            )));
        }
        Ok(())
    }

    /// How people reach what listens at `bound`, if that is known.
    fn told(&self, bound: SocketAddr) -> Option<String> {
        self.address.clone().or_else(|| (!bound.ip().is_unspecified()).then(|| format!("http://{bound}")))
    }
}

/// An address that can be on a page, as it was typed.
fn address(text: &str) -> Result<String, String> {
    page::address(text)?;
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(listen: &str, address: Option<&str>) -> Serve {
        let address = address.map(str::to_owned);
        Serve { location: "mirror".to_owned(), listen: listen.to_owned(), address, connections: 1 }
    }

    #[test]
    fn a_port_alone_is_refused_with_an_address() {
        for listen in ["8080", ":8080"] {
            let failure = serve(listen, None).names_an_address().unwrap_err();
            assert!(failure.hints[0].contains("--listen 127.0.0.1:8080"), "{failure:?}");
        }
        for listen in ["127.0.0.1:8080", "[::1]:0", "localhost:80"] {
            serve(listen, None).names_an_address().unwrap();
        }
    }

    #[test]
    fn nobody_is_told_to_read_from_every_address() {
        let told = |address, bound: &str| serve("", address).told(bound.parse().unwrap());
        assert_eq!(told(None, "127.0.0.1:80").as_deref(), Some("http://127.0.0.1:80"));
        assert_eq!((told(None, "0.0.0.0:80"), told(None, "[::]:80")), (None, None));
        assert_eq!(told(Some("http://cache.example"), "0.0.0.0:80").as_deref(), Some("http://cache.example"));
        assert!(address("http://a/").is_ok_and(|text| text == "http://a") && address("<a>").is_err());
    }
}
