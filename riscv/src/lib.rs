//! A deterministic RV64GC machine.
//!
//! One hart, memory, a console that only sends: nothing of the host gets in, so that two runs from the same state are
//! the same to the last bit. Time is a function of the steps the hart has taken. A stock Linux kernel boots in it
//! without firmware, which the machine is itself.
//!
//! | module | what it is about |
//! |---|---|
//! | [`memory`], [`device`], [`clock`] | what the hart reaches |
//! | [`csr`], [`pmp`], [`trap`], `translate` | privilege: registers, protection, virtual memory |
//! | `compressed`, `decode`, `fuse`, `op`, `block` | from bits to blocks of operations |
//! | `exec`, [`float`] | what operations do |
//! | `native` | blocks as code of the host |
//! | `disassemble` | the same bits for people |
//! | `hart`, `privileged` | the loop, and the instructions only it runs |
//! | `access`, `code`, `tlb` | data and code behind the caches of translations |
//! | [`sbi`] | the firmware |
//! | [`state`], `snapshot` | the whole state: its hash, and how it is stored |

mod access;
mod block;
pub mod clock;
mod code;
mod compressed;
pub mod csr;
mod decode;
pub mod device;
mod disassemble;
mod exec;
pub mod float;
mod fuse;
mod hart;
mod host;
mod machine;
pub mod memory;
mod native;
mod op;
pub mod pmp;
mod privileged;
pub mod sbi;
mod snapshot;
pub mod state;
mod tlb;
mod translate;
pub mod trap;

pub use disassemble::{FLOAT_REGISTERS, REGISTERS, disassemble};
pub use hart::{FLUSH_INTERVAL, Firmware, Stop};
pub use machine::Machine;

/// The version of the machine. Another version may give the same guest another course: what is kept of one is of no use to
/// another.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
