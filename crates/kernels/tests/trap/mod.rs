//! Emulates AMX tile instructions on processors without them: a SIGILL handler decodes the faulting instruction, does what
//! the manual says, and resumes behind it. So the shipped machine code itself is tested, at some microseconds an
//! instruction. Decoding is done by `iced-x86`, independently of how the code was assembled.
//!
//! Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1 chapter 18 and volume 2, TDPBF16PS.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Register};
use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering};

const ROWS: usize = 16;
const BYTES: usize = 64;

/// Instructions emulated so far, by all threads.
pub static EMULATED: AtomicUsize = AtomicUsize::new(0);

struct Tiles {
    configured: bool,
    data: [[[u8; BYTES]; ROWS]; 8],
}

thread_local! {
    static TILES: RefCell<Tiles> = const { RefCell::new(Tiles { configured: false, data: [[[0; BYTES]; ROWS]; 8] }) };
}

/// Installs the handler and makes the level available.
pub fn install() {
    // SAFETY: the handler has the signature that SA_SIGINFO asks for, and does what the six instructions do.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handle as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        assert_eq!(libc::sigaction(libc::SIGILL, &action, std::ptr::null_mut()), 0);
        alidade_kernels::trust_tiles();
    }
}

extern "C" fn handle(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the system passes the registers of the thread, and fifteen bytes from the instruction on lie within the
    // program.
    let (registers, code) = unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let at = registers[libc::REG_RIP as usize] as usize;
        (registers, std::slice::from_raw_parts(at as *const u8, 15))
    };
    let at = registers[libc::REG_RIP as usize] as u64;
    let instruction = Decoder::with_ip(64, code, at, DecoderOptions::NONE).decode();
    let done = TILES.with_borrow_mut(|tiles| tiles.emulate(&instruction, registers));
    if !done {
        // SAFETY: the program cannot continue behind an instruction that is not emulated.
        unsafe { libc::abort() };
    }
    EMULATED.fetch_add(1, Ordering::SeqCst);
    registers[libc::REG_RIP as usize] = instruction.next_ip() as i64;
}

fn general(register: Register, registers: &[i64]) -> Option<u64> {
    let place = match register {
        Register::RAX => libc::REG_RAX,
        Register::RBX => libc::REG_RBX,
        Register::RCX => libc::REG_RCX,
        Register::RDX => libc::REG_RDX,
        Register::RSI => libc::REG_RSI,
        Register::RDI => libc::REG_RDI,
        Register::RBP => libc::REG_RBP,
        Register::RSP => libc::REG_RSP,
        Register::R8 => libc::REG_R8,
        Register::R9 => libc::REG_R9,
        Register::R10 => libc::REG_R10,
        Register::R11 => libc::REG_R11,
        Register::R12 => libc::REG_R12,
        Register::R13 => libc::REG_R13,
        Register::R14 => libc::REG_R14,
        Register::R15 => libc::REG_R15,
        Register::None => return Some(0),
        _ => return None,
    };
    Some(registers[place as usize] as u64)
}

impl Tiles {
    /// False for an instruction that is not one of the six, or that a processor would refuse here.
    fn emulate(&mut self, instruction: &Instruction, registers: &[i64]) -> bool {
        let tile = |operand: u32| instruction.op_register(operand) as usize - Register::TMM0 as usize;
        let value = |register| general(register, registers).unwrap_or_else(|| std::process::abort());
        let base = value(instruction.memory_base()).wrapping_add(instruction.memory_displacement64());
        let index = value(instruction.memory_index()).wrapping_mul(u64::from(instruction.memory_index_scale()));
        if instruction.code() != Code::VEX_Ldtilecfg_m512 && !self.configured {
            return false;
        }
        match instruction.code() {
            Code::VEX_Ldtilecfg_m512 => {
                // SAFETY: the instruction reads these 64 bytes.
                let config = unsafe { std::slice::from_raw_parts((base + index) as *const u8, 64) };
                let full =
                    (0..8).all(|tile| config[16 + 2 * tile..18 + 2 * tile] == [64, 0] && config[48 + tile] == 16);
                let rest = config[1..16].iter().chain(&config[32..48]).chain(&config[56..]).all(|byte| *byte == 0);
                self.configured = config[0] == 1 && full && rest; // No other shape is supported.
                self.data = [[[0; BYTES]; ROWS]; 8];
                return self.configured;
            }
            Code::VEX_Tilerelease => self.configured = false,
            Code::VEX_Tilezero_tmm => self.data[tile(0)] = [[0; BYTES]; ROWS],
            Code::VEX_Tileloadd_tmm_sibmem => {
                for (row, bytes) in self.data[tile(0)].iter_mut().enumerate() {
                    let from = (base + index * row as u64) as *const u8;
                    // SAFETY: the instruction reads 64 bytes of every row.
                    unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), BYTES) };
                }
            }
            Code::VEX_Tilestored_sibmem_tmm => {
                for (row, bytes) in self.data[tile(1)].iter().enumerate() {
                    let to = (base + index * row as u64) as *mut u8;
                    // SAFETY: the instruction writes 64 bytes of every row.
                    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, BYTES) };
                }
            }
            Code::VEX_Tdpbf16ps_tmm_tmm_tmm => self.multiply(tile(0), tile(1), tile(2)),
            _ => return false,
        }
        true
    }

    /// Even and odd elements are accumulated separately, then added.
    fn multiply(&mut self, out: usize, a: usize, b: usize) {
        let half = |tile: &[[u8; BYTES]; ROWS], row: usize, at: usize| {
            f32::from_bits(u32::from(u16::from_le_bytes([tile[row][2 * at], tile[row][2 * at + 1]])) << 16)
        };
        for row in 0..ROWS {
            let mut sums = [[0.0f32; 2]; ROWS];
            for pair in 0..ROWS {
                for (column, sums) in sums.iter_mut().enumerate() {
                    for (odd, sum) in sums.iter_mut().enumerate() {
                        let factors =
                            (half(&self.data[a], row, 2 * pair + odd), half(&self.data[b], pair, 2 * column + odd));
                        *sum = factors.0.mul_add(factors.1, *sum);
                    }
                }
            }
            for (column, [even, odd]) in sums.into_iter().enumerate() {
                let bytes = &mut self.data[out][row][4 * column..4 * column + 4];
                let earlier = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                bytes.copy_from_slice(&(earlier + (even + odd)).to_le_bytes());
            }
        }
    }
}
