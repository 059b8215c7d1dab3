//! The AMX tile instructions: detection, and one block of a matrix product.

use super::{DEPTH, HALF_SIDE, Line, SIDE};
use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// How the eight tile registers are divided: palette 1, each sixteen rows of 64 bytes.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    unused: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

const _: () = assert!(size_of::<Config>() == 64, "the processor reads 64 bytes");

static CONFIG: Config = {
    let (mut row_bytes, mut rows, mut tile) = ([0; 16], [0; 16], 0);
    while tile < 8 {
        (row_bytes[tile], rows[tile]) = (64, 16);
        tile += 1;
    }
    Config { palette: 1, start_row: 0, unused: [0; 14], row_bytes, rows }
};

static TRUSTED: AtomicBool = AtomicBool::new(false);

/// Makes [`crate::Level::Amx`] available although the processor does not name it, for tests that carry the instructions
/// out themselves.
///
/// # Safety
/// The six tile instructions have to work on every thread that calls into this crate, for instance because a handler of
/// the signal for illegal instructions does what they do.
pub unsafe fn trust_tiles() {
    TRUSTED.store(true, Ordering::SeqCst);
}

/// True when this process may use tiles and they give correct results.
pub(crate) fn available() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    static PROVEN: OnceLock<bool> = OnceLock::new();
    let asked = || *FOUND.get_or_init(|| named() && permitted());
    (TRUSTED.load(Ordering::SeqCst) || asked()) && *PROVEN.get_or_init(proven)
}

/// The processor reports AMX-TILE and AMX-BF16.
fn named() -> bool {
    const TILES_AND_BF16: u32 = 1 << 24 | 1 << 22;
    // Leaf 7 exists wherever AVX2 does, which is checked first.
    is_x86_feature_detected!("avx512bw") && __cpuid_count(7, 0).edx & TILES_AND_BF16 == TILES_AND_BF16
}

/// Requests the tile state (8 KiB) from Linux, once for all threads of the process.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST_PERMISSION: i64 = 0x1023;
    const TILE_DATA: i64 = 18;
    let result: i64;
    // SAFETY: the call changes which registers the process may use and touches no memory of ours; `syscall` overwrites the
    // two registers named beside the result.
    unsafe {
        asm!("syscall", inlateout("rax") ARCH_PRCTL => result, in("rdi") REQUEST_PERMISSION, in("rsi") TILE_DATA,
             out("rcx") _, out("r11") _, options(nostack));
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false // Windows has a call of its own for this, which is untested and therefore not made.
}

/// Checks one block of small integers, whose results are exact, against plain loops.
fn proven() -> bool {
    let small = |index: usize| (index * 7 % 11) as f32 - 5.0;
    let bits = |value: f32| (value.to_bits() >> 16) as u16;
    let a: Vec<u16> = (0..SIDE * 2 * DEPTH).map(|index| bits(small(index))).collect();
    let mut panel = vec![Line([0u32; 16]); 2 * 2 * HALF_SIDE];
    let b = |depth: usize, column: usize| small(3 * depth + 5 * column);
    for (line, values) in panel.iter_mut().enumerate() {
        let (side, pair) = (line % 2, line / 2);
        for (lane, value) in values.0.iter_mut().enumerate() {
            let half = |odd: usize| u32::from(bits(b(2 * pair + odd, side * HALF_SIDE + lane)));
            *value = half(0) | half(1) << 16;
        }
    }
    let mut found = [0.0; SIDE * SIDE];
    multiply(&a, 2 * DEPTH, &panel, &mut found);
    found.iter().enumerate().all(|(index, value)| {
        let (row, column) = (index / SIDE, index % SIDE);
        *value == (0..2 * DEPTH).map(|depth| small(row * 2 * DEPTH + depth) * b(depth, column)).sum::<f32>()
    })
}

/// `out` `[32, 32]` = a·b for a `[32, 32·steps]`, with rows `stride` elements apart, and a panel b of two times `16·steps`
/// lines that alternate. Only for processes in which tiles were found.
pub(super) fn multiply(a: &[u16], stride: usize, panel: &[Line<u32, 16>], out: &mut [f32; SIDE * SIDE]) {
    let steps = panel.len() / (2 * HALF_SIDE);
    assert!(panel.len() == 2 * HALF_SIDE * steps && a.len() >= (SIDE - 1) * stride + steps * DEPTH, "too short");
    if steps == 0 {
        return out.fill(0.0);
    }
    // SAFETY: both operands reach as far as the block reads; a set with tiles exists only after they were found.
    unsafe { block(a.as_ptr(), stride, panel.as_ptr(), steps, out) }
}

/// [`multiply`] itself. The registers are set up and given back in here, so that no other code has to know about them.
///
/// # Safety
/// There are tiles; `a` points to 32 rows of `32·steps` elements, `b` to `2·16·steps` lines; `steps` is not zero.
unsafe fn block(a: *const u16, stride: usize, b: *const Line<u32, 16>, steps: usize, out: &mut [f32; SIDE * SIDE]) {
    // SAFETY: each tile is sixteen rows of 64 bytes. The loop reads 64 bytes of each row of a and sixteen lines of each
    // half of the panel in every step, which the caller answers for, and the stores cover `out` exactly.
    unsafe {
        asm!(
            "ldtilecfg [{config}]",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{upper} + {stride}]",
            "tileloadd tmm6, [{left} + {line}]",
            "tileloadd tmm7, [{right} + {line}]",
            "tileloadd tmm5, [{lower} + {stride}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {upper}, 64",
            "add {lower}, 64",
            "add {left}, 2048",
            "add {right}, 2048",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{out} + {row}], tmm0",
            "tilestored [{out} + {row} + 64], tmm1",
            "tilestored [{out} + {row} + 2048], tmm2",
            "tilestored [{out} + {row} + 2112], tmm3",
            "tilerelease",
            config = in(reg) &raw const CONFIG,
            upper = inout(reg) a => _,
            lower = inout(reg) a.wrapping_add(HALF_SIDE * stride) => _,
            left = inout(reg) b => _,
            right = inout(reg) b.wrapping_add(1) => _,
            stride = in(reg) 2 * stride,
            line = in(reg) 2 * size_of::<Line<u32, 16>>(),
            steps = inout(reg) steps => _,
            out = in(reg) out.as_mut_ptr(),
            row = in(reg) size_of::<f32>() * SIDE,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
