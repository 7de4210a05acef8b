//! What `qemu-riscv64` says: a small program is assembled that runs every case it reads, and its answers are
//! compared with the implementation's.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::operation::{self, Case, OPERATIONS, Operation, Outcome, Width};

/// Cases handed over at once.
const BATCH: usize = 1 << 18;
/// Bytes of a case: operation and rounding mode, and three operands.
const QUESTION: usize = 32;
/// Bytes of an answer: result and flags.
const ANSWER: usize = 16;

/// Collects cases and compares them in batches.
pub struct Oracle {
    folder: PathBuf,
    cases: Vec<Case>,
}

impl Oracle {
    /// Builds the program, in a folder of that name.
    pub fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("float-{name}"));
        fs::create_dir_all(&folder).expect("a folder for the oracle");
        fs::write(folder.join("oracle.s"), program()).expect("the oracle's source");
        let path = |name: &str| folder.join(name);
        run(Command::new("riscv64-linux-gnu-as")
            .args(["-march=rv64gc", "-o"])
            .args([path("oracle.o"), path("oracle.s")]));
        run(Command::new("riscv64-linux-gnu-ld").arg("-o").args([path("oracle"), path("oracle.o")]));
        Self { folder, cases: Vec::new() }
    }

    pub fn push(&mut self, case: Case) {
        self.cases.push(case);
        if self.cases.len() == BATCH {
            self.compare();
        }
    }

    pub fn finish(mut self) {
        self.compare();
        fs::remove_dir_all(&self.folder).expect("the oracle's folder is ours");
    }

    fn compare(&mut self) {
        let mut questions = Vec::with_capacity(self.cases.len() * QUESTION);
        for case in &self.cases {
            let Case { rm, a, b, c, .. } = *case;
            for word in [index(case.width, case.operation) as u64 | (rm as u64) << 32, a, b, c] {
                questions.extend(word.to_le_bytes());
            }
        }
        let path = |name: &str| self.folder.join(name);
        fs::write(path("questions"), questions).expect("the oracle's input");
        run(Command::new("qemu-riscv64")
            .arg(path("oracle"))
            .stdin(File::open(path("questions")).expect("the oracle's input"))
            .stdout(File::create(path("answers")).expect("the oracle's output")));
        let answers = fs::read(path("answers")).expect("the oracle's output");
        assert_eq!(answers.len(), self.cases.len() * ANSWER, "answers are missing");
        for (case, answer) in self.cases.drain(..).zip(answers.chunks_exact(ANSWER)) {
            let word = |at: usize| u64::from_le_bytes(answer[at..at + 8].try_into().expect("eight bytes"));
            let bits = word(0) & mask(case);
            super::check(case, |_| Outcome { bits, flags: word(8) as u8 });
            debug_assert_eq!(operation::run(case).bits & !mask(case), 0);
        }
    }
}

fn run(command: &mut Command) {
    let needed = "this test needs binutils-riscv64-linux-gnu and qemu-user: scripts/install-deps --tests";
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}; {needed}"));
    assert!(status.success(), "{command:?}: {status}");
}

fn index(width: Width, operation: Operation) -> usize {
    let position = OPERATIONS.iter().position(|&other| other == operation).expect("it is in the list");
    position + if width == Width::Double { OPERATIONS.len() } else { 0 }
}

/// The bits of the result that count.
fn mask(case: Case) -> u64 {
    use Operation::*;
    let width = match case.operation {
        Eq | Lt | Le | Classify | ToI64 | ToU64 => Width::Double,
        ToI32 | ToU32 => Width::Single,
        Convert => case.width.other(),
        _ => case.width,
    };
    width.sign() | (width.sign() - 1)
}

/// The assembly of the program: reads questions, writes answers, until there are no more.
fn program() -> String {
    let mut text = format!(
        "
        .globl _start
_start: li a0, 0
        la a1, questions
        li a2, {question_bytes}
        li a7, 63               # read
        ecall
        blez a0, done
        la s0, questions
        add s2, s0, a0          # end
        la s1, answers
next:   lwu t0, 0(s0)
        lwu t1, 4(s0)
        ld a0, 8(s0)
        ld a1, 16(s0)
        ld a2, 24(s0)
        slli t1, t1, 5
        fscsr t1                # the rounding mode; no flags
        la t1, table
        slli t0, t0, 3
        add t1, t1, t0
        ld t1, 0(t1)
        jalr t1
        frflags t1
        sd a0, 0(s1)
        sd t1, 8(s1)
        addi s0, s0, {QUESTION}
        addi s1, s1, {ANSWER}
        bltu s0, s2, next
        la s0, answers
write:  li a0, 1
        mv a1, s0
        sub a2, s1, s0
        li a7, 64               # write
        ecall
        blez a0, failed
        add s0, s0, a0
        bltu s0, s1, write
        j _start
failed: li a0, 1
        j exit
done:   li a0, 0
exit:   li a7, 93               # exit
        ecall
        .bss
        .balign 16
questions: .skip {question_bytes}
answers: .skip {answer_bytes}
        .text
",
        question_bytes = 4096 * QUESTION,
        answer_bytes = 4096 * ANSWER,
    );
    let mut table = String::from("        .data\n        .balign 8\ntable:\n");
    for width in [Width::Single, Width::Double] {
        for operation in OPERATIONS {
            let label = format!("{operation:?}_{width:?}");
            writeln!(text, "{label}: {}\n        ret", instructions(width, operation)).expect("to a string");
            writeln!(table, "        .dword {label}").expect("to a string");
        }
    }
    text + &table
}

/// From the operands in a0, a1 and a2 to the result in a0.
fn instructions(width: Width, operation: Operation) -> String {
    use Operation::*;
    let (s, mv) = match width {
        Width::Single => ("s", "w"),
        Width::Double => ("d", "d"),
    };
    let (other, mv_other) = match width.other() {
        Width::Single => ("s", "w"),
        Width::Double => ("d", "d"),
    };
    let load: String =
        (0..operation.operands()).map(|i| format!("fmv.{mv}.x fa{i}, a{i}\n        ")).collect();
    let store = format!("\n        fmv.x.{mv} a0, fa0");
    let three = |name: &str| format!("{load}{name}.{s} fa0, fa0, fa1, fa2{store}");
    let two = |name: &str| format!("{load}{name}.{s} fa0, fa0, fa1{store}");
    let test = |name: &str| format!("{load}{name}.{s} a0, fa0, fa1");
    // An instruction that is always exact has no rounding mode to be given.
    let to = |integer: &str| format!("{load}fcvt.{integer}.{s} a0, fa0, dyn");
    let from = |integer: &str| match (integer, width) {
        ("w" | "wu", Width::Double) => format!("fcvt.{s}.{integer} fa0, a0{store}"),
        _ => format!("fcvt.{s}.{integer} fa0, a0, dyn{store}"),
    };
    match operation {
        Add => two("fadd"),
        Sub => two("fsub"),
        Mul => two("fmul"),
        Div => two("fdiv"),
        Sqrt => format!("{load}fsqrt.{s} fa0, fa0{store}"),
        MulAdd => three("fmadd"),
        MulSub => three("fmsub"),
        NegMulSub => three("fnmsub"),
        NegMulAdd => three("fnmadd"),
        Min => two("fmin"),
        Max => two("fmax"),
        Eq => test("feq"),
        Lt => test("flt"),
        Le => test("fle"),
        Classify => format!("{load}fclass.{s} a0, fa0"),
        ToI32 => to("w"),
        ToU32 => to("wu"),
        ToI64 => to("l"),
        ToU64 => to("lu"),
        FromI32 => from("w"),
        FromU32 => from("wu"),
        FromI64 => from("l"),
        FromU64 => from("lu"),
        Convert => format!("{load}fcvt.{other}.{s} fa0, fa0\n        fmv.x.{mv_other} a0, fa0"),
    }
}
