//! What programs in user mode cannot see: virtual memory, traps, interrupts, code that changes, the firmware, and
//! guests that mean harm. Every program is run in one go, instruction by instruction, and in pieces, with the same state
//! in the end.

#![allow(clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod changing_code;
mod firmware;
mod guest;
mod hostile;
mod interrupts;
mod memory;
mod paging;
mod traps;
