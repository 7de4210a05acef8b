//! Virtual memory, Sv39.

use reprove_riscv::memory::BASE;

use super::common::asm::{self, A0, A1, A2, Asm, RA, T0, T1, ZERO, sfence_vma};
use super::guest::{self, ENTRY, PROBED, RESULTS, RESUME, SEPC, SPARE, SSTATUS, Trap, USER_CODE, pte};

const SUM: u64 = 1 << 18;
const MXR: u64 = 1 << 19;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Read,
    Write,
    Execute,
}

const ACCESSES: [Access; 3] = [Access::Read, Access::Write, Access::Execute];

/// One access to one address under one set of page tables.
#[derive(Clone, Copy, Debug)]
struct Probe {
    entry: u64,
    level: usize,
    address: u64,
    access: Access,
    user: bool,
    status: u64,
}

/// The page that entries lead to; it begins with `ret`, whose bytes are read, too.
const PAGE: u64 = SPARE;

impl Probe {
    fn of(entry: u64, access: Access) -> Probe {
        Probe { entry, level: 0, address: PROBED, access, user: false, status: 0 }
    }

    /// The trap, if there was one, and the entry afterwards.
    fn run(self) -> (Option<Trap>, u64) {
        let mut asm = guest::supervisor();
        guest::paging(&mut asm);
        asm.li(T0, self.status).put(asm::csrrs(ZERO, SSTATUS, T0));
        asm.la(RESUME, "done").li(A0, self.address).li(A2, 0x55);
        let access = match self.access {
            Access::Read => asm::lbu(A1, A0, 0),
            Access::Write => asm::sb(A2, A0, 0),
            Access::Execute => asm::jalr(RA, A0, 0),
        };
        let mut more = guest::tables();
        let entry_at = ENTRY[self.level];
        more.push((entry_at, self.entry.to_le_bytes().to_vec()));
        more.push((PAGE, asm::jalr(ZERO, RA, 0).to_le_bytes().to_vec()));
        if self.user {
            let mut code = Asm::at(USER_CODE.0);
            code.put(access).put(asm::ecall());
            more.push((USER_CODE.1, code.finish()));
            asm.li(T0, USER_CODE.0).put(asm::csrrw(ZERO, SEPC, T0)).put(asm::sret());
        } else {
            asm.put(access);
        }
        asm.label("done");
        guest::off(&mut asm);
        let mut machine = guest::machine(reprove_riscv::Firmware::Machine, &asm, &more);
        let stop = machine.run(10_000);
        assert!(matches!(stop, reprove_riscv::Stop::PoweredOff { .. }), "{self:x?}: {stop:?}");
        let log = guest::log(&machine);
        let trap = match log[..] {
            [] => None,
            // The user's call after an access that was made.
            [trap] if self.user && trap.cause == 8 => None,
            [trap] => Some(trap),
            _ => panic!("{self:x?}: {log:x?}"),
        };
        if self.access == Access::Write && trap.is_none() && self.level == 0 {
            assert_eq!(machine.memory().slice(PAGE, 1), Some(&[0x55][..]), "{self:x?}");
        }
        (trap, guest::double(&machine, entry_at))
    }

    fn fault(self) -> u64 {
        match self.access {
            Access::Read => 13,
            Access::Write => 15,
            Access::Execute => 12,
        }
    }

    #[track_caller]
    fn succeeds(self) -> u64 {
        let (trap, entry) = self.run();
        assert_eq!(trap, None, "{self:x?}");
        entry
    }

    /// It is a page fault that blames the address and leaves the entry alone.
    #[track_caller]
    fn faults(self) {
        let (trap, entry) = self.run();
        let trap = trap.unwrap_or_else(|| panic!("{self:x?} succeeds"));
        assert_eq!((trap.cause, trap.value), (self.fault(), self.address), "{self:x?}");
        assert_eq!(entry, self.entry, "{self:x?}");
    }
}

/// Every combination of valid, readable, writable, executable, user, accessed and dirty; from both modes; with SUM and
/// MXR. What must be is written down once more, from the specification's algorithm.
#[test]
fn every_permission_bit_is_what_it_says() {
    use pte::*;
    let mut refused = 0;
    let mut count = 0;
    for bits in (0..=0xff).filter(|bits| bits & 0x20 == 0) {
        for access in ACCESSES {
            for (user, status) in
                [(true, 0), (true, MXR), (false, 0), (false, SUM), (false, MXR), (false, SUM | MXR)]
            {
                let has = |bit: u64| bits & bit != 0;
                let probe = Probe { user, status, ..Probe::of(of(PAGE, bits), access) };
                let leaf = has(R) || has(X);
                let reserved = has(W) && !has(R);
                let valid = has(V) && leaf && !reserved;
                let mine =
                    if user { has(U) } else { !has(U) || status & SUM != 0 && access != Access::Execute };
                let right = match access {
                    Access::Read => has(R) || has(X) && status & MXR != 0,
                    Access::Write => has(W),
                    Access::Execute => has(X),
                };
                count += 1;
                if valid && mine && right {
                    let dirty = if access == Access::Write { D } else { 0 };
                    assert_eq!(probe.succeeds(), of(PAGE, bits | A | dirty), "{probe:x?}");
                } else {
                    refused += 1;
                    probe.faults();
                }
            }
        }
    }
    assert!(refused > 100 && count - refused > 100, "{refused} of {count} refused");
}

const ALL: u64 = pte::V | pte::R | pte::W | pte::X;

#[test]
fn a_large_page_reaches_all_of_its_memory() {
    for access in ACCESSES {
        for (level, size) in [(1, 1 << 21), (2, 1u64 << 30)] {
            // The frame of a large page must be aligned: the one that memory begins with.
            let probe = Probe { level, ..Probe::of(pte::of(BASE, ALL), access) };
            let inside = if level == 1 { 0x1f_0000 } else { PAGE - BASE };
            assert!(inside < size);
            probe_in(probe, inside);
        }
    }
}

/// The access at `inside` succeeds: executing there finds `ret` only in [`PAGE`].
fn probe_in(probe: Probe, inside: u64) {
    let probe = Probe { address: PROBED + inside, ..probe };
    if probe.access == Access::Execute && probe.level == 1 {
        return;
    }
    let dirty = if probe.access == Access::Write { pte::D } else { 0 };
    assert_eq!(probe.succeeds(), probe.entry | pte::A | dirty);
}

#[test]
fn a_large_page_that_is_not_aligned_is_a_page_fault() {
    for access in ACCESSES {
        for bit in 12..21 {
            Probe { level: 1, ..Probe::of(pte::of(BASE | 1 << bit, ALL), access) }.faults();
        }
        for bit in 12..30 {
            Probe { level: 2, ..Probe::of(pte::of(BASE | 1 << bit, ALL), access) }.faults();
        }
    }
}

#[test]
fn reserved_bits_of_entries_are_page_faults() {
    for access in ACCESSES {
        for bit in 54..64 {
            Probe::of(pte::of(PAGE, ALL) | 1 << bit, access).faults();
        }
        // Of an entry that leads to another table: accessed, dirty, user.
        for bit in [pte::A, pte::D, pte::U] {
            Probe { level: 1, ..Probe::of(pte::of(ENTRY[0], pte::V | bit), access) }.faults();
        }
        // The last table cannot lead to another.
        Probe::of(pte::of(PAGE, pte::V), access).faults();
    }
}

#[test]
fn bits_for_software_mean_nothing() {
    for bits in [1 << 8, 1 << 9, 1 << 5] {
        let entry = pte::of(PAGE, ALL | bits);
        assert_eq!(Probe::of(entry, Access::Read).succeeds(), entry | pte::A);
    }
}

#[test]
fn an_address_that_is_not_canonical_is_a_page_fault() {
    for access in ACCESSES {
        for address in [1 << 38, 1 << 39, PROBED | 1 << 63, PROBED | 1 << 39, u64::MAX << 39, i64::MAX as u64]
        {
            let address = if access == Access::Execute { address & !1 } else { address };
            let probe = Probe { address, ..Probe::of(pte::of(PAGE, ALL), access) };
            let (trap, _) = probe.run();
            let trap = trap.unwrap_or_else(|| panic!("{probe:x?} succeeds"));
            assert_eq!((trap.cause, trap.value), (probe.fault(), address), "{probe:x?}");
        }
    }
}

#[test]
fn a_page_outside_memory_and_a_table_outside_memory_are_access_faults() {
    for (access, cause) in [(Access::Read, 5), (Access::Write, 7), (Access::Execute, 1)] {
        let outside = BASE + guest::MEMORY;
        for probe in [
            Probe::of(pte::of(outside, ALL), access),
            Probe { level: 1, ..Probe::of(pte::of(outside, pte::V), access) },
            Probe { level: 1, ..Probe::of(pte::of((1 << 56) - 4096, pte::V), access) },
        ] {
            let (trap, _) = probe.run();
            let trap = trap.unwrap_or_else(|| panic!("{probe:x?} succeeds"));
            assert_eq!((trap.cause, trap.value), (cause, PROBED), "{probe:x?}");
        }
    }
}

/// Two frames with other numbers at their beginning, and a guest that reads one after the other through one page.
fn remap(change: impl Fn(&mut Asm)) -> [u64; 3] {
    let entry = |to| pte::of(to, ALL | pte::A | pte::D);
    let mut asm = guest::supervisor();
    guest::paging(&mut asm);
    asm.la(RESUME, "done").li(A0, PROBED).li(A1, RESULTS);
    asm.put(asm::ld(T0, A0, 0)).put(asm::sd(T0, A1, 0));
    asm.li(T0, entry(SPARE + 0x1000)).li(T1, ENTRY[0]).put(asm::sd(T0, T1, 0));
    asm.put(asm::ld(T0, A0, 0)).put(asm::sd(T0, A1, 8));
    change(&mut asm);
    asm.put(asm::ld(T0, A0, 0)).put(asm::sd(T0, A1, 16)).label("done");
    guest::off(&mut asm);
    let mut more = guest::tables();
    more.push((ENTRY[0], entry(SPARE).to_le_bytes().to_vec()));
    more.push((SPARE, 1u64.to_le_bytes().to_vec()));
    more.push((SPARE + 0x1000, 2u64.to_le_bytes().to_vec()));
    let machine = guest::run_to_off(&asm, &more);
    assert_eq!(guest::log(&machine), []);
    guest::results(&machine)
}

/// The specification allows the old page and the new one; here it is the old one, in every run and however that is cut.
#[test]
fn a_changed_entry_is_seen_after_the_fence_and_in_every_run_from_the_same_instruction() {
    let fences: [fn(&mut Asm); 4] = [
        |asm| {
            asm.put(sfence_vma(ZERO, ZERO));
        },
        |asm| {
            asm.put(sfence_vma(A0, ZERO));
        },
        |asm| {
            asm.put(sfence_vma(A0, A1));
        },
        |asm| {
            asm.li(T0, guest::SATP_VALUE).put(asm::csrrw(ZERO, guest::SATP, T0));
        },
    ];
    for fence in fences {
        assert_eq!(remap(fence), [1, 1, 2]);
    }
    assert_eq!(remap(|_| {}), [1, 1, 1], "as long as nothing else empties the caches");
}

/// No fence is needed for an entry that was not valid: it is never remembered.
#[test]
fn a_mapping_that_is_added_is_seen_at_once() {
    let mut asm = guest::supervisor();
    guest::paging(&mut asm);
    asm.li(A0, PROBED).la(RESUME, "again").put(asm::ld(A1, A0, 0)).j("done");
    asm.label("again")
        .la(RESUME, "done")
        .li(T0, pte::of(SPARE, ALL))
        .li(T1, ENTRY[0])
        .put(asm::sd(T0, T1, 0));
    asm.put(asm::ld(A1, A0, 0)).li(T0, RESULTS).put(asm::sd(A1, T0, 0)).label("done");
    guest::off(&mut asm);
    let mut more = guest::tables();
    more.push((SPARE, 77u64.to_le_bytes().to_vec()));
    let machine = guest::run_to_off(&asm, &more);
    assert_eq!(guest::log(&machine).len(), 1);
    assert_eq!(guest::results(&machine), [77]);
}

/// The caches know small pages only. A fence of one address of a large page is one of all of it.
#[test]
fn a_fence_of_one_address_forgets_all_of_a_large_page() {
    for (level, far) in [(1, 0x10_0000), (2, 0x30_0000)] {
        let mut asm = guest::supervisor();
        guest::paging(&mut asm);
        asm.la(RESUME, "done").li(A0, PROBED).li(A1, PROBED + far).li(A2, RESULTS);
        asm.put(asm::ld(T0, A1, 0)).li(T1, ENTRY[level]).put(asm::sd(ZERO, T1, 0));
        asm.put(sfence_vma(A0, ZERO)).label("second").put(asm::ld(T0, A1, 0)).label("done");
        guest::off(&mut asm);
        let mut more = guest::tables();
        more.push((ENTRY[level], pte::of(BASE, ALL).to_le_bytes().to_vec()));
        let machine = guest::run_to_off(&asm, &more);
        let log = guest::log(&machine);
        assert_eq!(log.len(), 1, "level {level}: {log:x?}");
        assert_eq!((log[0].cause, log[0].epc, log[0].value), (13, asm.address("second"), PROBED + far));
    }
}

/// Rights are those of the moment of the access, whatever was translated before under others.
#[test]
fn sum_and_mxr_take_effect_with_the_next_access() {
    let mut asm = guest::supervisor();
    guest::paging(&mut asm);
    asm.li(A0, PROBED).li(A1, SUM).li(A2, MXR);
    let mut epc = Vec::new();
    // Executable and the user's: needs both bits.
    for (set, bits, traps) in [
        (true, A1, true),
        (true, A2, false),
        (false, A1, true),
        (true, A1, false),
        (false, A2, true),
        (true, A2, false),
    ] {
        let name = format!("after {}", epc.len());
        asm.put(if set { asm::csrrs(ZERO, SSTATUS, bits) } else { asm::csrrc(ZERO, SSTATUS, bits) });
        asm.la(RESUME, &name);
        epc.push((asm.here(), traps));
        asm.put(asm::ld(T0, A0, 0)).label(&name);
    }
    guest::off(&mut asm);
    let mut more = guest::tables();
    more.push((ENTRY[0], pte::of(SPARE, pte::V | pte::X | pte::U).to_le_bytes().to_vec()));
    let machine = guest::run_to_off(&asm, &more);
    let expected: Vec<u64> = epc.into_iter().filter(|(_, traps)| *traps).map(|(epc, _)| epc).collect();
    let got: Vec<u64> = guest::log(&machine).iter().map(|trap| trap.epc).collect();
    assert_eq!(got, expected);
}
