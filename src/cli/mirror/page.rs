//! `reprove mirror page`: the page at a mirror's root.

use std::{io::Write as _, num::NonZeroUsize, path::PathBuf, thread};

use clap::Args;

use super::to_write;
use crate::{
    cli::{Context, Exit, Failure, document::deliver},
    mirror::{
        Mirror,
        check::{Finding, Kind},
        layout::Object,
        page::{Maker, Standing},
    },
    report::{escape::escape, mirror::Address},
};

/// Write the page at a mirror's root, index.html: what it holds and how sure each package is, on what it rests, who signs, what was
/// refused, conflicts, and the commands to use it.
///
/// `mirror serve` makes the page itself, whenever it is asked for. This is for mirrors that another server serves, or nobody. Once it
/// is there, whoever writes the mirror makes it again (`populate`, `cosign`, `gc`, `snapshot`, `init`), and `mirror verify` says when it
/// is not the one that follows from the mirror.
#[derive(Debug, Args)]
pub struct Page {
    /// The mirror
    #[arg(value_name = "LOCATION")]
    location: String,
    /// The address by which people reach the mirror, for the commands on the page [default: the one on the page that is there]
    #[arg(long, value_name = "URL", value_parser = address)]
    address: Option<Address>,
    /// Write it to FILE and not into the mirror; `-` is standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Page {
    /// Makes and writes it.
    pub fn run(&self, _context: &Context) -> Result<Exit, Failure> {
        let mirror = Mirror::open(to_write(&self.location)?)?;
        let address = match &self.address {
            Some(address) => Some(address.clone()),
            None => mirror.stored_page()?.as_deref().and_then(Address::of_page),
        };
        let make = maker(address);
        if let Some(file) = &self.output {
            deliver(file, make(&mirror.holdings(jobs())?).html.as_bytes())?;
            return Ok(Exit::Success);
        }
        mirror.write_page(&make, jobs())?;
        let name = mirror.location().url(&Object::Page.name());
        writeln!(anstream::stdout().lock(), "{}", escape(&name))
            .map_err(|error| Failure::io("standard output", &error))?;
        Ok(Exit::Success)
    }
}

/// Makes pages that tell people this address.
pub(super) fn maker(address: Option<Address>) -> Box<Maker> {
    Box::new(move |holdings| crate::report::mirror::page(holdings, address.as_ref()))
}

/// What `--address` takes.
pub(super) fn address(text: &str) -> Result<Address, String> {
    let wrong = || {
        "an address begins with http://, https://, file:/// or s3://, and has nothing in it that a shell reads".to_owned()
    };
    Address::parse(text).ok_or_else(wrong)
}

/// Makes the page again if there is one: the mirror has changed.
pub(super) fn renew(mirror: &Mirror) -> Result<(), Failure> {
    if let Some(stored) = mirror.stored_page()? {
        mirror.write_page(&maker(Address::of_page(&stored)), jobs())?;
    }
    Ok(())
}

/// What is wrong with the page that lies in a mirror.
pub(super) fn fault(mirror: &Mirror) -> Option<Finding> {
    let fault = |kind, why| Some(Finding { kind, object: Object::Page.name(), why });
    let standing = mirror.stored_page().and_then(|stored| {
        let address = |page: &Vec<u8>| Address::of_page(page);
        stored.map(|page| mirror.page_standing(&maker(address(&page)), jobs())).transpose()
    });
    match standing {
        Ok(Some(Standing::Other)) => {
            let why = "it is not the page that follows from the mirror: older, or altered; `reprove mirror page` makes it again";
            fault(Kind::Outdated, why.to_owned())
        }
        Ok(_) => None,
        Err(error) => fault(Kind::Unread, error.to_string()),
    }
}

/// As many objects are read at once.
pub(super) fn jobs() -> usize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN).get()
}
