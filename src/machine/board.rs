//! What a riscv64 guest is told of its machine: one hart, a console and the drives, at the same addresses on every engine.

use sha2::{Digest, Sha256};

use super::fdt::Fdt;
use super::layout::Range;

/// Physical address of the first byte of memory.
pub const MEMORY: u64 = 0x8000_0000;

/// Handles other nodes are named by.
const HART_INTERRUPTS: u32 = 1;
const PLATFORM_INTERRUPTS: u32 = 2;
const POWER: u32 = 3;

/// What stands in the kernel's command line beside what every architecture has: three-level page tables, whatever the processor of a QEMU release has.
pub const COMMAND_LINE: &str = "no4lvl no5lvl";

/// The whole command line of a kernel of any architecture: `rest` is what its own architecture needs.
pub fn command_line(rest: &str, seed: u64) -> String {
    format!("console=ttyS0 quiet panic=-1 {rest} reprove.seed={seed:016x}")
}

/// Who boots the kernel.
pub enum Boot<'a> {
    /// QEMU with firmware, which say the rest themselves: QEMU the command line and where the initial file system is. The
    /// firmware finds its devices in the tree.
    Firmware,
    /// The machine, which is its own firmware.
    Direct {
        /// The kernel's command line.
        command_line: &'a str,
        /// Address of the initial file system, and the address after it.
        initrd: (u64, u64),
    },
}

/// The device tree of a machine with `memory` bytes of memory and these drives, with a random seed made from `seed`.
pub fn device_tree(memory: u64, drives: &[Range], seed: u64, boot: &Boot<'_>) -> Vec<u8> {
    let mut fdt = Fdt::new();
    fdt.cells("#address-cells", &[2]);
    fdt.cells("#size-cells", &[2]);
    fdt.strings("compatible", &["riscv-virtio"]);
    fdt.strings("model", &["reprove"]);

    fdt.begin("chosen");
    fdt.strings("stdout-path", &["/soc/serial@10000000"]);
    let digest = Sha256::new().chain_update(b"rng-seed").chain_update(seed.to_be_bytes()).finalize();
    fdt.bytes("rng-seed", &digest);
    if let Boot::Direct { command_line, initrd } = boot {
        fdt.strings("bootargs", &[command_line]);
        fdt.bytes("linux,initrd-start", &initrd.0.to_be_bytes());
        fdt.bytes("linux,initrd-end", &initrd.1.to_be_bytes());
    }
    fdt.end();

    fdt.begin("memory@80000000");
    fdt.strings("device_type", &["memory"]);
    fdt.range(MEMORY, memory);
    fdt.end();

    for drive in drives {
        fdt.begin(&format!("pmem@{:x}", drive.address));
        fdt.strings("compatible", &["pmem-region"]);
        fdt.range(drive.address, drive.len);
        fdt.flag("volatile");
        fdt.end();
    }
    processor(&mut fdt);
    if let Boot::Firmware = boot {
        power(&mut fdt);
    }
    fdt.begin("soc");
    fdt.cells("#address-cells", &[2]);
    fdt.cells("#size-cells", &[2]);
    fdt.strings("compatible", &["simple-bus"]);
    fdt.flag("ranges");
    if let Boot::Firmware = boot {
        firmware_devices(&mut fdt);
    }
    console(&mut fdt);
    fdt.end();
    fdt.finish()
}

fn processor(fdt: &mut Fdt) {
    fdt.begin("cpus");
    fdt.cells("#address-cells", &[1]);
    fdt.cells("#size-cells", &[0]);
    fdt.cells("timebase-frequency", &[10_000_000]);
    fdt.begin("cpu@0");
    fdt.strings("device_type", &["cpu"]);
    fdt.cells("reg", &[0]);
    fdt.strings("status", &["okay"]);
    fdt.strings("compatible", &["sifive,u54", "riscv"]);
    fdt.strings("riscv,isa", &["rv64imafdc_zicntr_zicsr_zifencei_zihpm"]);
    fdt.strings("mmu-type", &["riscv,sv39"]);
    fdt.begin("interrupt-controller");
    fdt.cells("#interrupt-cells", &[1]);
    fdt.cells("#address-cells", &[0]);
    fdt.flag("interrupt-controller");
    fdt.strings("compatible", &["riscv,cpu-intc"]);
    fdt.cells("phandle", &[HART_INTERRUPTS]);
    fdt.end();
    fdt.end();
    fdt.end();
}

/// How to switch off. These two nodes are for the firmware, which looks everywhere in the tree. The kernel makes no
/// devices of children of a node without `compatible`, so it switches off by asking the firmware, which then runs
/// nothing more; if the kernel wrote to the device itself it would run on for as long as QEMU takes to notice.
fn power(fdt: &mut Fdt) {
    fdt.begin("firmware-only");
    for (name, compatible, value) in
        [("poweroff", "syscon-poweroff", 0x5555), ("reboot", "syscon-reboot", 0x7777)]
    {
        fdt.begin(name);
        fdt.strings("compatible", &[compatible]);
        fdt.cells("regmap", &[POWER]);
        fdt.cells("offset", &[0]);
        fdt.cells("value", &[value]);
        fdt.end();
    }
    fdt.end();
}

/// What only firmware talks to.
fn firmware_devices(fdt: &mut Fdt) {
    fdt.begin("test@100000");
    fdt.strings("compatible", &["sifive,test1", "sifive,test0", "syscon"]);
    fdt.range(0x10_0000, 0x1000);
    fdt.cells("phandle", &[POWER]);
    fdt.end();

    fdt.begin("clint@2000000");
    fdt.strings("compatible", &["sifive,clint0", "riscv,clint0"]);
    fdt.range(0x200_0000, 0x1_0000);
    fdt.cells("interrupts-extended", &[HART_INTERRUPTS, 3, HART_INTERRUPTS, 7]);
    fdt.end();
}

fn console(fdt: &mut Fdt) {
    fdt.begin("interrupt-controller@c000000");
    fdt.strings("compatible", &["sifive,plic-1.0.0", "riscv,plic0"]);
    fdt.cells("#interrupt-cells", &[1]);
    fdt.cells("#address-cells", &[0]);
    fdt.flag("interrupt-controller");
    fdt.range(0xc00_0000, 0x60_0000);
    fdt.cells("interrupts-extended", &[HART_INTERRUPTS, 11, HART_INTERRUPTS, 9]);
    fdt.cells("riscv,ndev", &[95]);
    fdt.cells("phandle", &[PLATFORM_INTERRUPTS]);
    fdt.end();

    fdt.begin("serial@10000000");
    fdt.strings("compatible", &["ns16550a"]);
    fdt.range(0x1000_0000, 0x100);
    fdt.cells("interrupts", &[10]);
    fdt.cells("interrupt-parent", &[PLATFORM_INTERRUPTS]);
    fdt.cells("clock-frequency", &[3_686_400]);
    fdt.end();
}
