//! OpenPGP certificates and detached signatures (RFC 9580), as far as they say who signed a file, and when.
//!
//! The packets and the arithmetic are rpgp's; what a signature is worth is decided here, by the rules of GnuPG and stricter:
//! - signatures and the bindings of keys count with SHA-2 or SHA-3 of at least 256 bits only; RSA from 2048 bits on, no DSA;
//! - the newest binding that verifies says until when a key is good and what it may do;
//! - a key that has expired or was retired before a signature was made did not make it; a key that was given up without a
//!   reason, or because it was stolen, never made any;
//! - a subkey needs the primary key's word for it, and has to have said itself that it belongs there;
//! - words of third parties (certifications, designated revokers) count for nothing.

mod certificate;
mod verify;

pub use certificate::{Certificate, CertificateError, MAX_LEN as MAX_CERTIFICATE_LEN, read};
pub use verify::{Signed, signatures, verify};

use pgp::crypto::hash::HashAlgorithm;

/// Whether collisions of it are out of reach.
fn is_strong(hash: HashAlgorithm) -> bool {
    use HashAlgorithm::{Sha3_256, Sha3_512, Sha256, Sha384, Sha512};
    matches!(hash, Sha256 | Sha384 | Sha512 | Sha3_256 | Sha3_512)
}
