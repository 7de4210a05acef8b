//! How far a redirect may lead: never nearer to this machine than the server that the user named is.
//!
//! A cache on the internet that answers with `Location: http://169.254.169.254/` asks us to read for it what only we can reach. Caches
//! do send on to other hosts, of content networks and object services, so that other public hosts are fine. Names are looked at
//! as they resolve, and only addresses that were looked at are connected to.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Mutex, PoisonError},
};

use ureq::{
    Error,
    config::Config,
    http::Uri,
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::NextTimeout,
    },
};

/// Who can reach an address, the fewest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// This machine.
    Loopback,
    /// Its network.
    Private,
    /// Everybody.
    Public,
}

/// Where providers of machines tell a machine its own secrets, beside 169.254.169.254.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

impl Reach {
    /// `None` for what no redirect leads to: link-local addresses, and what is no single host's.
    fn of(address: IpAddr) -> Option<Reach> {
        if METADATA.contains(&address) {
            return None;
        }
        match address {
            IpAddr::V4(address) => Reach::of_v4(address),
            IpAddr::V6(address) => match embedded(address) {
                Some(inner) => Reach::of(IpAddr::V4(inner)),
                None => Reach::of_v6(address),
            },
        }
    }

    fn of_v4(address: Ipv4Addr) -> Option<Reach> {
        match address.octets() {
            // 0.0.0.0 is this machine to Linux; 192.0.0.0/24 and everything from multicast on is no host's.
            [0, ..] | [169, 254, ..] | [192, 0, 0, _] | [224..=255, ..] => None,
            [127, ..] => Some(Reach::Loopback),
            [100, 64..=127, ..] | [198, 18..=19, ..] => Some(Reach::Private),
            _ if address.is_private() => Some(Reach::Private),
            _ => Some(Reach::Public),
        }
    }

    fn of_v6(address: Ipv6Addr) -> Option<Reach> {
        if address.is_loopback() {
            return Some(Reach::Loopback);
        }
        match address.segments() {
            [0xfe80..=0xfebf, ..] | [0xff00..=0xffff, ..] | [0x2001, 0, ..] => None,
            [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => Some(Reach::Private),
            [0, 0, 0, 0, 0, 0, 0, 0] => None,
            _ => Some(Reach::Public),
        }
    }
}

/// The older kind of address that is in one of the newer kind: mapped, compatible, or by the prefix of a translator.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// Looks names up, for one server that the user named and for wherever it sends us.
///
/// A proxy is looked up as well, wherever it is: it was named by whoever set up this machine. Where it connects to is its to know.
#[derive(Debug)]
pub(super) struct Within {
    resolver: DefaultResolver,
    named: Option<(String, u16)>,
    come_to: Mutex<ComeTo>,
}

/// Where the way has led so far.
#[derive(Debug, Default)]
struct ComeTo {
    /// The nearest address that the named server had when it was first looked up: a name that is somebody else's can mean something
    /// nearer the next time.
    named: Option<Reach>,
    /// The farthest.
    farthest: Option<Reach>,
}

impl Within {
    /// For the server at `base`.
    pub(super) fn new(base: &str) -> Self {
        let named = base.parse().ok().as_ref().and_then(authority);
        Within { resolver: DefaultResolver::default(), named, come_to: Mutex::default() }
    }

    /// The same for a server that counts as everybody's, wherever it is.
    #[cfg(test)]
    pub(super) fn as_public(base: &str) -> Self {
        let come_to = ComeTo { farthest: Some(Reach::Public), ..ComeTo::default() };
        Within { come_to: Mutex::new(come_to), ..Within::new(base) }
    }

    /// Those of the addresses that may be connected to.
    fn allowed(&self, uri: &Uri, found: &[SocketAddr]) -> Vec<SocketAddr> {
        let mut come_to = self.come_to.lock().unwrap_or_else(PoisonError::into_inner);
        // A server that the user named may lie anywhere, also where no redirect leads.
        let reach = |address: &SocketAddr| Reach::of(address.ip());
        let near = |address: &SocketAddr| reach(address).unwrap_or(Reach::Loopback);
        let named = self.named.is_some() && authority(uri) == self.named;
        let allowed: Vec<SocketAddr> = if named {
            let first = *come_to.named.get_or_insert(found.iter().map(near).min().unwrap_or(Reach::Public));
            found.iter().copied().filter(|one| near(one) >= first).collect()
        } else {
            let least = come_to.farthest.unwrap_or(Reach::Public);
            found.iter().copied().filter(|one| reach(one).is_some_and(|reach| reach >= least)).collect()
        };
        // Who was sent out to everybody is not sent back in.
        let now = allowed.iter().map(|one| reach(one).unwrap_or(Reach::Public)).max();
        come_to.farthest = come_to.farthest.max(now);
        allowed
    }
}

impl Resolver for Within {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let found = self.resolver.resolve(uri, config, timeout)?;
        let proxy = config.proxy().map(|proxy| authority(proxy.uri()));
        if proxy.is_some_and(|proxy| proxy == authority(uri)) {
            return Ok(found);
        }
        let mut addresses = self.empty();
        for address in self.allowed(uri, &found) {
            addresses.push(address);
        }
        if addresses.is_empty() {
            let host = uri.host().unwrap_or_default();
            let why = format!(
                "the server redirects to {host}, which only this machine or its network can reach: that is not followed"
            );
            return Err(Error::Io(io::Error::new(io::ErrorKind::PermissionDenied, why)));
        }
        Ok(addresses)
    }
}

/// Host and port.
fn authority(uri: &Uri) -> Option<(String, u16)> {
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    Some((uri.host()?.to_ascii_lowercase(), uri.port_u16().unwrap_or(usual)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_by_who_reaches_them() {
        for (address, reach) in [
            ("127.0.0.1", Some(Reach::Loopback)),
            ("127.9.9.9", Some(Reach::Loopback)),
            ("::1", Some(Reach::Loopback)),
            ("::ffff:127.0.0.1", Some(Reach::Loopback)),
            ("10.1.2.3", Some(Reach::Private)),
            ("172.31.0.1", Some(Reach::Private)),
            ("192.168.0.1", Some(Reach::Private)),
            ("100.64.0.1", Some(Reach::Private)),
            ("fd12::1", Some(Reach::Private)),
            ("64:ff9b::10.0.0.1", Some(Reach::Private)),
            ("2002:a00:1::", Some(Reach::Private)),
            ("172.32.0.1", Some(Reach::Public)),
            ("100.128.0.1", Some(Reach::Public)),
            ("2600::1", Some(Reach::Public)),
            ("64:ff9b::8.8.8.8", Some(Reach::Public)),
            ("169.254.169.254", None),
            ("::ffff:169.254.169.254", None),
            ("64:ff9b::a9fe:a9fe", None),
            ("::169.254.169.254", None),
            ("fd00:ec2::254", None),
            ("100.100.100.200", None),
            ("fe80::1", None),
            ("0.0.0.0", None),
            ("::", None),
            ("255.255.255.255", None),
            ("ff02::1", None),
        ] {
            assert_eq!(Reach::of(address.parse().unwrap()), reach, "{address}");
        }
    }

    #[test]
    fn what_is_led_to_is_never_nearer_than_what_was_named() {
        let to = |within: &Within, host: &str, address: &str| {
            let address: SocketAddr = SocketAddr::new(address.parse().unwrap(), 80);
            let uri: Uri = format!("http://{host}/x").parse().unwrap();
            !within.allowed(&uri, &[address]).is_empty()
        };
        let public = Within::new("http://Cache.example/x");
        assert!(to(&public, "cache.example", "9.9.9.9"));
        assert!(to(&public, "cdn.example", "8.8.8.8"));
        for near in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd12::1"] {
            assert!(!to(&public, "cdn.example", near), "{near}");
        }
        assert!(!to(&public, "cache.example:8080", "127.0.0.1"), "another port is another server");
        let private = Within::new("http://cache.local");
        assert!(to(&private, "cache.local", "10.0.0.1"));
        assert!(to(&private, "other.local", "10.0.0.2"));
        assert!(!to(&private, "localhost", "127.0.0.1"));
        assert!(!to(&private, "metadata", "169.254.169.254"));
        // Out, and not in again but to who was named.
        assert!(to(&private, "cdn.example", "8.8.8.8"));
        assert!(!to(&private, "other.local", "10.0.0.2"));
        assert!(to(&private, "cache.local", "10.0.0.1"));
        // A name that means something nearer the second time.
        let rebound = Within::new("http://evil.example");
        assert!(to(&rebound, "evil.example", "9.9.9.9"));
        assert!(to(&rebound, "evil.example", "8.8.8.8"));
        for near in ["127.0.0.1", "10.0.0.1", "169.254.169.254"] {
            assert!(!to(&rebound, "evil.example", near), "{near}");
        }
        // Of several addresses those that may be.
        let uri: Uri = "http://cdn.example/".parse().unwrap();
        let both = ["8.8.8.8:80", "127.0.0.1:80"].map(|address| address.parse().unwrap());
        assert_eq!(public.allowed(&uri, &both), both[..1]);
    }
}
