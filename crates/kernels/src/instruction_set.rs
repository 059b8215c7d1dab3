//! Which SIMD instructions to use, detected once or forced in tests; and the macro that compiles one plain body for each of
//! them.

/// How wide the vectors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What every processor of the target can do.
    Portable,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512 (F, VL, BW, DQ).
    Avx512,
    /// AVX-512 with dot products of bf16 pairs and of four bytes in each lane (BF16, VNNI).
    Avx512Bf16,
    /// All this, and tile registers for matrix products of bf16 values (AMX).
    Amx,
}

impl Level {
    /// Every level, the narrowest first.
    pub const ALL: [Level; 5] = [Level::Portable, Level::Avx2, Level::Avx512, Level::Avx512Bf16, Level::Amx];

    /// A short name, for logs and settings ("avx512").
    pub fn name(self) -> &'static str {
        match self {
            Level::Portable => "portable",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
            Level::Avx512Bf16 => "avx512-bf16",
            Level::Amx => "amx",
        }
    }
}

/// A level that this processor has. It can only be made by asking the processor, which is what makes calls into code
/// compiled for that level sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstructionSet(Level);

impl InstructionSet {
    /// The fastest that the processor has.
    pub fn best() -> Self {
        // Dot products of bf16 pairs are used where they were measured to be faster than f32: on Zen 4 (233 against 116
        // gigaflops on one core). On another processor they were half as fast (84 against 170).
        let fast = |level: &Level| *level != Level::Avx512Bf16 || is_zen_four();
        Level::ALL.into_iter().rev().filter(fast).find_map(Self::forced).unwrap_or(Self(Level::Portable))
    }

    /// Exactly this level, or `None` when the processor lacks it.
    pub fn forced(level: Level) -> Option<Self> {
        Self::has(level).then_some(Self(level))
    }

    /// Every level that the processor has.
    pub fn all() -> impl Iterator<Item = Self> {
        Level::ALL.into_iter().filter_map(Self::forced)
    }

    /// The level.
    pub fn level(self) -> Level {
        self.0
    }

    /// True when products with bf16 weights round the other operand too and use dot products of bf16 pairs, and when
    /// generation with quantised weights quantises the activations to bytes.
    pub fn takes_pairs(self) -> bool {
        self.0 >= Level::Avx512Bf16
    }

    /// The level's name ("avx512").
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    #[cfg(target_arch = "x86_64")]
    fn has(level: Level) -> bool {
        let narrow = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let wide = || {
            is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
        };
        let bytes = || is_x86_feature_detected!("avx512vnni");
        let pairs = || is_x86_feature_detected!("avx512bf16");
        match level {
            Level::Portable => true,
            Level::Avx2 => narrow,
            Level::Avx512 => narrow && wide(),
            Level::Avx512Bf16 => narrow && wide() && bytes() && pairs(),
            Level::Amx => narrow && wide() && bytes() && pairs() && crate::pairs::tiles_available(),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn has(level: Level) -> bool {
        level == Level::Portable
    }
}

/// AMD's family 25; those of its members that know bf16 are Zen 4.
#[cfg(target_arch = "x86_64")]
fn is_zen_four() -> bool {
    // A virtual machine's host answers the question, which takes it a while.
    static FOUND: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *FOUND.get_or_init(|| {
        // Leaves 0 and 1 exist on every processor of this target.
        let (maker, version) = (std::arch::x86_64::__cpuid(0), std::arch::x86_64::__cpuid(1).eax);
        let family = (version >> 8 & 15) + (version >> 20 & 255);
        [maker.ebx, maker.edx, maker.ecx].map(u32::to_le_bytes).concat() == b"AuthenticAMD" && family == 25
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn is_zen_four() -> bool {
    false
}

/// Compiles the generic function `$body::<FMA>` once for each level and calls the one that the instruction set names. The
/// body is plain code that the compiler turns into vectors; `FMA` says whether fused multiply-add is cheap.
macro_rules! dispatch {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? = $body:ident) => {
        $(#[$doc])*
        #[inline]
        $vis fn $name(set: $crate::InstructionSet, $($arg: $type),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
                fn wide($($arg: $type),*) $(-> $out)? {
                    $body::<true>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn narrow($($arg: $type),*) $(-> $out)? {
                    $body::<true>($($arg),*)
                }
                match set.level() {
                    // SAFETY: an `InstructionSet` of this level exists only after the processor said that it has it.
                    $crate::Level::Avx512 | $crate::Level::Avx512Bf16 | $crate::Level::Amx => return unsafe { wide($($arg),*) },
                    // SAFETY: as above.
                    $crate::Level::Avx2 => return unsafe { narrow($($arg),*) },
                    $crate::Level::Portable => {}
                }
            }
            let _ = set;
            $body::<false>($($arg),*)
        }
    };
}
pub(crate) use dispatch;
