//! Why a signature is worth nothing.

use crate::{
    code::{Code, Explanation},
    diff::date,
};

/// Why a signature is worth nothing. It is reported and not counted; no signature takes anything from another one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Not a signature, or not one over a file.
    #[error("it is no signature of a file: {0}")]
    Malformed(String),
    /// Over other bytes, or not by that key.
    #[error("it is not a signature of these bytes by the key {key}")]
    Bad {
        /// The key's fingerprint or name.
        key: String,
    },
    /// By somebody else.
    #[error("it was made by the key {key}, which is nobody's in the list of signers")]
    Unknown {
        /// The key, as the signature says.
        key: String,
    },
    /// Made after the key's end, or past its own.
    #[error("{what} expired on {}, it was made on {}", day(*expired), day(*made))]
    Expired {
        /// The key or the signature.
        what: String,
        /// Until when it was good, in seconds since 1970.
        expired: u64,
        /// When the signature was made.
        made: u64,
    },
    /// The key was given up.
    #[error("the key {key} was revoked{}", from.map(|from| format!(" on {}, before it was made", day(from))).unwrap_or_default())]
    Revoked {
        /// The fingerprint.
        key: String,
        /// From when on, in seconds since 1970; `None` if nothing it ever signed is to be believed.
        from: Option<u64>,
    },
    /// Made with something that is not collision resistant any more, or with a key that is too short.
    #[error("it relies on {0}, which is too weak")]
    Weak(String),
    /// Made before its key, or later than now.
    #[error("it says that it was made on {}, {why}", day(*made))]
    Time {
        /// When it says it was made, in seconds since 1970.
        made: u64,
        /// Why that cannot be.
        why: &'static str,
    },
    /// The key is for something else, or not bound to its owner.
    #[error("the key {key} {why}")]
    NotForSigning {
        /// The fingerprint.
        key: String,
        /// Why not.
        why: &'static str,
    },
}

impl SignatureError {
    /// The stable code.
    pub fn code(&self) -> Code {
        Code(match self {
            SignatureError::Malformed(_) => 1240,
            SignatureError::Bad { .. } => 1241,
            SignatureError::Unknown { .. } => 1242,
            SignatureError::Expired { .. } => 1243,
            SignatureError::Revoked { .. } => 1244,
            SignatureError::Weak(_) => 1245,
            SignatureError::Time { .. } => 1246,
            SignatureError::NotForSigning { .. } => 1247,
        })
    }
}

fn day(seconds: u64) -> String {
    let (year, month, day) = date(i64::try_from(seconds).unwrap_or(i64::MAX));
    format!("{year:04}-{month:02}-{day:02}")
}

/// What `reprove explain` prints for these codes.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(1240),
        title: "a signature that is none",
        text: "The file holds neither lines NAME:BASE64 nor OpenPGP signatures of a file's bytes. It is not counted, and takes \
               nothing from other signatures.",
    },
    Explanation {
        code: Code(1241),
        title: "a signature of something else",
        text: "The key is known, but did not sign these bytes: the manifest is another one than was signed, or the signature \
               was forged. Compare the manifest with the one that the signer published.",
    },
    Explanation {
        code: Code(1242),
        title: "a signature by nobody who counts",
        text: "Its key is in no [[contributor]] of signers.toml. If it should be, get the key from its owner, not from where \
               the signature came from.",
    },
    Explanation {
        code: Code(1243),
        title: "the key had expired when it signed, or the signature has",
        text: "What a key signed before its end stays good; what it signed after that never was. If the owner has extended the \
               key, get its newer form.",
    },
    Explanation {
        code: Code(1244),
        title: "the key was revoked",
        text: "A key that was replaced or retired is good for what it signed before. One that was revoked without a reason, or \
               because it was stolen, is good for nothing, since whoever has it can write any date.",
    },
    Explanation {
        code: Code(1245),
        title: "a signature that could be forged",
        text: "It, or the certificate of its key, relies on MD5, SHA-1, RIPEMD-160, DSA or RSA under 2048 bits. Sign again \
               with `--digest-algo SHA512`; bind the key again by setting its expiry (`gpg --quick-set-expire`).",
    },
    Explanation {
        code: Code(1246),
        title: "a signature from before its key or from the future",
        text: "A clock is wrong, the signer's or this machine's; ten minutes are allowed for.",
    },
    Explanation {
        code: Code(1247),
        title: "a key that is not for signing",
        text: "Its owner made it for encryption or certification, or nothing that verifies binds it to the certificate it \
               comes with. Get the certificate again from its owner.",
    },
];
