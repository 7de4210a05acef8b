//! Why a guest could not be made.

use crate::code::{Code, Explanation};
use crate::source::deb::DebError;

/// Why a guest could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuestError {
    /// The lock file is not what it should be.
    #[error("guest.lock: {0}")]
    Lock(String),
    /// A package could not be got.
    #[error("the package {package} cannot be had: {source}")]
    Fetch {
        /// Name, version, architecture.
        package: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A package is not the one in the lock file.
    #[error("the package {package} has SHA-256 {found} instead of {expected}")]
    WrongHash {
        /// Name, version, architecture.
        package: String,
        /// In hexadecimal, from the lock file.
        expected: String,
        /// In hexadecimal, of what came.
        found: String,
    },
    /// A package cannot be read.
    #[error("the package {package}: {source}")]
    Package {
        /// Name, version, architecture.
        package: String,
        /// What is wrong with it.
        source: DebError,
    },
    /// A package lacks what a guest needs of it.
    #[error("the package {package} has no {wanted}")]
    Missing {
        /// Name, version, architecture.
        package: String,
        /// What was looked for.
        wanted: String,
    },
    /// The kernel image cannot be unpacked.
    #[error("the kernel: {0}")]
    Kernel(String),
    /// A kernel module cannot be used.
    #[error("the kernel module {name}: {problem}")]
    Module {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// The folder of built guests cannot be used.
    #[error("{path}: {source}")]
    Cache {
        /// The file or folder.
        path: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
}

impl GuestError {
    /// The stable code of the error.
    pub fn code(&self) -> Code {
        match self {
            GuestError::Lock(_) => Code(501),
            GuestError::Fetch { .. } => Code(502),
            GuestError::WrongHash { .. } => Code(503),
            GuestError::Package { source, .. } => source.code(),
            GuestError::Missing { .. } => Code(504),
            GuestError::Kernel(_) => Code(505),
            GuestError::Module { .. } => Code(506),
            GuestError::Cache { .. } => Code(507),
        }
    }
}

/// What `reprove explain` prints for the errors of this room.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code(501),
        title: "the lock file of the guest cannot be read",
        text: "guest.lock names the Debian packages a guest is made of, each with version and SHA-256, per \
               architecture. `reprove guest update` writes it anew.",
    },
    Explanation {
        code: Code(502),
        title: "a package of the guest cannot be had",
        text: "Kernel, busybox and firmware are Debian packages pinned in guest.lock. They are taken by hash from the \
               store, from files added with `reprove source add`, or from the machine's package client. A version \
               that its suite no longer has: add the .deb file, or `reprove guest update`.",
    },
    Explanation {
        code: Code(503),
        title: "a package of the guest has the wrong hash",
        text: "What came under the package's name is not what guest.lock pins. Nothing of it was used.",
    },
    Explanation {
        code: Code(504),
        title: "a package of the guest lacks something",
        text: "The package is the pinned one but has no file of the kind a guest needs: guest.lock pins a package of \
               another layout. `reprove guest update`, or undo the change to guest.lock.",
    },
    Explanation {
        code: Code(505),
        title: "the kernel cannot be unpacked",
        text: "The x86_64 guest boots the ELF file inside Debian's compressed kernel image. The image in the pinned \
               package is not of a form that is known: an older or newer boot protocol, or another compression.",
    },
    Explanation {
        code: Code(506),
        title: "a kernel module cannot be used",
        text: "A module that the guest loads is damaged, or needs another module that is not loaded before it: the \
               pinned kernel splits its drivers in another way than the recipe of this release expects.",
    },
    Explanation {
        code: Code(507),
        title: "the folder of built guests cannot be used",
        text: "Built guests are kept so that packages are read once. Check permissions and free space of the folder; \
               it may be deleted at any time.",
    },
];
