//! The C extension: each 16-bit instruction is a 32-bit one written shorter (Unprivileged ISA, chapter C).

/// The 32-bit instruction that `half` stands for; none when it is illegal or reserved.
pub(crate) fn expand(half: u16) -> Option<u32> {
    let w = u32::from(half);
    let funct3 = w >> 13;
    // Full register fields, and the short ones for x8 to x15.
    let rd = w >> 7 & 31;
    let rs2 = w >> 2 & 31;
    let short = |at: u32| 8 + (w >> at & 7);
    match (w & 3, funct3) {
        (0, 0) => {
            let imm = bits(w, &[(5, 3), (6, 2), (7, 6), (8, 7), (9, 8), (10, 9), (11, 4), (12, 5)]);
            (imm != 0).then(|| i_type(imm, 2, 0, short(2), OP_IMM)) // addi4spn
        }
        (0, 1) => Some(i_type(offset8(w), short(7), 3, short(2), LOAD_FP)), // fld
        (0, 2) => Some(i_type(offset4(w), short(7), 2, short(2), LOAD)),    // lw
        (0, 3) => Some(i_type(offset8(w), short(7), 3, short(2), LOAD)),    // ld
        (0, 5) => Some(s_type(offset8(w), short(2), short(7), 3, STORE_FP)), // fsd
        (0, 6) => Some(s_type(offset4(w), short(2), short(7), 2, STORE)),   // sw
        (0, 7) => Some(s_type(offset8(w), short(2), short(7), 3, STORE)),   // sd
        (1, 0) => Some(i_type(imm6(w), rd, 0, rd, OP_IMM)),                 // addi, nop
        (1, 1) => (rd != 0).then(|| i_type(imm6(w), rd, 0, rd, OP_IMM_32)), // addiw
        (1, 2) => Some(i_type(imm6(w), 0, 0, rd, OP_IMM)),                  // li
        (1, 3) if rd == 2 => {
            let imm = bits(w, &[(2, 5), (3, 7), (4, 8), (5, 6), (6, 4)]) | sign(w >> 12 & 1, 9);
            (imm != 0).then(|| i_type(imm, 2, 0, 2, OP_IMM)) // addi16sp
        }
        (1, 3) => {
            let imm = imm6(w);
            (imm != 0).then_some(imm << 12 | rd << 7 | LUI)
        }
        (1, 4) => arithmetic(w, short(7), short(2)),
        (1, 5) => {
            let imm =
                bits(w, &[(2, 5), (3, 1), (4, 2), (5, 3), (6, 7), (7, 6), (8, 10), (9, 8), (10, 9), (11, 4)])
                    | sign(w >> 12 & 1, 11);
            Some(j_type(imm, 0)) // j
        }
        (1, 6) | (1, 7) => {
            let imm =
                bits(w, &[(2, 5), (3, 1), (4, 2), (5, 6), (6, 7), (10, 3), (11, 4)]) | sign(w >> 12 & 1, 8);
            Some(b_type(imm, short(7), funct3 & 1)) // beqz, bnez
        }
        (2, 0) => Some(i_type(shamt(w), rd, 1, rd, OP_IMM)), // slli
        (2, 1) => Some(i_type(sp8(w), 2, 3, rd, LOAD_FP)),   // fldsp
        (2, 2) => (rd != 0)
            .then(|| i_type(bits(w, &[(2, 6), (3, 7), (4, 2), (5, 3), (6, 4), (12, 5)]), 2, 2, rd, LOAD)),
        (2, 3) => (rd != 0).then(|| i_type(sp8(w), 2, 3, rd, LOAD)), // ldsp
        (2, 4) => match (w >> 12 & 1, rd, rs2) {
            (0, 0, 0) => None,
            (0, _, 0) => Some(i_type(0, rd, 0, 0, JALR)),    // jr
            (0, _, _) => Some(r_type(0, rs2, 0, 0, rd, OP)), // mv
            (_, 0, 0) => Some(0x0010_0073),                  // ebreak
            (_, _, 0) => Some(i_type(0, rd, 0, 1, JALR)),    // jalr
            (_, _, _) => Some(r_type(0, rs2, rd, 0, rd, OP)), // add
        },
        (2, 5) => Some(s_type(store_sp8(w), rs2, 2, 3, STORE_FP)), // fsdsp
        (2, 6) => {
            Some(s_type(bits(w, &[(7, 6), (8, 7), (9, 2), (10, 3), (11, 4), (12, 5)]), rs2, 2, 2, STORE))
        }
        (2, 7) => Some(s_type(store_sp8(w), rs2, 2, 3, STORE)), // sdsp
        _ => None,
    }
}

/// Quadrant 1, funct3 4: arithmetic of the short registers.
fn arithmetic(w: u32, rd: u32, rs2: u32) -> Option<u32> {
    Some(match (w >> 10 & 3, w >> 12 & 1, w >> 5 & 3) {
        (0, _, _) => i_type(shamt(w), rd, 5, rd, OP_IMM), // srli
        (1, _, _) => i_type(shamt(w) | 0x400, rd, 5, rd, OP_IMM), // srai
        (2, _, _) => i_type(imm6(w), rd, 7, rd, OP_IMM),  // andi
        (_, 0, 0) => r_type(0x20, rs2, rd, 0, rd, OP),    // sub
        (_, 0, 1) => r_type(0, rs2, rd, 4, rd, OP),       // xor
        (_, 0, 2) => r_type(0, rs2, rd, 6, rd, OP),       // or
        (_, 0, _) => r_type(0, rs2, rd, 7, rd, OP),       // and
        (_, _, 0) => r_type(0x20, rs2, rd, 0, rd, OP_32), // subw
        (_, _, 1) => r_type(0, rs2, rd, 0, rd, OP_32),    // addw
        _ => return None,
    })
}

const LOAD: u32 = 0x03;
const LOAD_FP: u32 = 0x07;
const OP_IMM: u32 = 0x13;
const OP_IMM_32: u32 = 0x1b;
const STORE: u32 = 0x23;
const STORE_FP: u32 = 0x27;
const OP: u32 = 0x33;
const LUI: u32 = 0x37;
const OP_32: u32 = 0x3b;
const BRANCH: u32 = 0x63;
const JALR: u32 = 0x67;
const JAL: u32 = 0x6f;

/// Collects bits: of each pair the first is where it is in `w`, the second where it belongs.
fn bits(w: u32, pairs: &[(u32, u32)]) -> u32 {
    pairs.iter().fold(0, |value, (from, to)| value | (w >> from & 1) << to)
}

/// `bit` at position `at` and at all above.
fn sign(bit: u32, at: u32) -> u32 {
    bit.wrapping_neg() << at
}

fn imm6(w: u32) -> u32 {
    w >> 2 & 31 | sign(w >> 12 & 1, 5)
}

fn shamt(w: u32) -> u32 {
    w >> 2 & 31 | (w >> 12 & 1) << 5
}

fn offset4(w: u32) -> u32 {
    bits(w, &[(5, 6), (6, 2), (10, 3), (11, 4), (12, 5)])
}

fn offset8(w: u32) -> u32 {
    bits(w, &[(5, 6), (6, 7), (10, 3), (11, 4), (12, 5)])
}

fn sp8(w: u32) -> u32 {
    bits(w, &[(2, 6), (3, 7), (4, 8), (5, 3), (6, 4), (12, 5)])
}

fn store_sp8(w: u32) -> u32 {
    bits(w, &[(7, 6), (8, 7), (9, 8), (10, 3), (11, 4), (12, 5)])
}

fn i_type(imm: u32, rs1: u32, funct3: u32, rd: u32, opcode: u32) -> u32 {
    imm << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode
}

fn r_type(funct7: u32, rs2: u32, rs1: u32, funct3: u32, rd: u32, opcode: u32) -> u32 {
    funct7 << 25 | rs2 << 20 | i_type(0, rs1, funct3, rd, opcode)
}

fn s_type(imm: u32, rs2: u32, rs1: u32, funct3: u32, opcode: u32) -> u32 {
    (imm >> 5 & 0x7f) << 25 | rs2 << 20 | i_type(0, rs1, funct3, imm & 31, opcode)
}

fn b_type(imm: u32, rs1: u32, funct3: u32) -> u32 {
    let high = (imm >> 12 & 1) << 6 | imm >> 5 & 0x3f;
    let low = imm & 0x1e | imm >> 11 & 1;
    high << 25 | i_type(0, rs1, funct3, low, BRANCH)
}

fn j_type(imm: u32, rd: u32) -> u32 {
    let field = (imm >> 20 & 1) << 19 | (imm >> 1 & 0x3ff) << 9 | (imm >> 11 & 1) << 8 | imm >> 12 & 0xff;
    field << 12 | rd << 7 | JAL
}
