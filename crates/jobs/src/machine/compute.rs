//! What models compute with: the fastest instructions of the processor, or those that a person names through the environment
//! (to compare machines, to go around a fault). Nothing below the jobs asks the environment; it is handed the answer.

use alidade_domain::{Device, Problem, Wording, Words, wording};
use alidade_model::Backend;
use alidade_model::{InstructionSet, Level};

/// Set to a level's name (“avx2”), it forces the kernels to that level, here and in every worker that is started from here.
const INSTRUCTIONS: &str = "ALIDADE_INSTRUCTIONS";

/// The instructions that kernels use.
///
/// # Errors
/// When a person named some that are unknown or that this processor lacks; those that are there are told.
pub fn instructions() -> Result<InstructionSet, Problem> {
    forced().map(|forced| forced.unwrap_or_else(InstructionSet::best))
}

/// The instructions that a person named, if they named any.
pub fn forced() -> Result<Option<InstructionSet>, Problem> {
    match std::env::var_os(INSTRUCTIONS).filter(|value| !value.is_empty()) {
        Some(said) => named(&said.to_string_lossy()).map(Some),
        None => Ok(None),
    }
}

/// Set to “cuda:0” or “metal:0”, it moves the arithmetic to a GPU; the build must have the feature of that name.
const DEVICE: &str = "ALIDADE_DEVICE";

/// The device that models compute on: the processor, unless the environment names another.
///
/// # Errors
/// When the name is no device. Whether the device is there is found out when a model is opened on it.
pub fn device() -> Result<Device, Problem> {
    match std::env::var(DEVICE).ok().filter(|value| !value.is_empty()) {
        None => Ok(Device::Cpu),
        Some(text) => Device::try_from(text.clone()).map_err(|_| {
            Problem::input(wording!(
                "{DEVICE} is “{text}”, which is no device; cpu, cuda:0 and metal:0 are.",
                "{DEVICE} 是“{text}”，它不是设备；可用的例如 cpu、cuda:0 和 metal:0。"
            ))
            .hint(wording!("Unset {DEVICE} to compute on the processor.", "取消设置 {DEVICE}，即可在处理器上计算。"))
        }),
    }
}

/// On the processor kernels where they can run the model, with these instructions, else candle; elsewhere candle.
///
/// # Errors
/// As [`instructions`].
pub fn backend_on(device: Device) -> Result<Backend, Problem> {
    let set = instructions()?;
    Ok(if device == Device::Cpu { Backend::Best(set) } else { Backend::Candle(device) })
}

/// As [`backend_on`] the device that the environment names.
///
/// # Errors
/// As [`instructions`] and [`device`].
pub fn backend() -> Result<Backend, Problem> {
    backend_on(device()?)
}

fn named(said: &str) -> Result<InstructionSet, Problem> {
    let level = Level::ALL.into_iter().find(|level| level.name() == said);
    if let Some(set) = level.and_then(InstructionSet::forced) {
        return Ok(set);
    }
    let found = match level {
        Some(_) => Words::new("which this processor lacks", "此处理器不支持"),
        None => Words::new("which is no level of instructions", "它不是已知的指令集"),
    };
    let there = Wording::names(InstructionSet::all().map(InstructionSet::name));
    Err(Problem::input(wording!(
        "{INSTRUCTIONS} is “{said}”, {found}; this processor has {there}.",
        "{INSTRUCTIONS} 是“{said}”，{found}；此处理器支持 {there}。";
        found, there
    ))
    .hint(wording!(
        "Set {INSTRUCTIONS} to one of these, or unset it for the fastest.",
        "请把 {INSTRUCTIONS} 设为其中之一，或取消设置以使用最快的。"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_go_by_name_and_others_are_told_what_is_there() {
        for set in InstructionSet::all() {
            assert_eq!(named(set.name()), Ok(set));
        }
        let missing = Level::ALL.into_iter().filter(|level| InstructionSet::forced(*level).is_none());
        let lacks = missing.map(|level| (level.name(), "lacks"));
        for (said, words) in lacks.chain([("sse9", "no level"), ("AVX2", "no level"), ("", "no level")]) {
            let problem = named(said).unwrap_err();
            assert!(problem.message.en.contains(words) && problem.message.en.contains("portable"), "{problem:?}");
            assert!(problem.hints[0].en.contains(INSTRUCTIONS), "{problem:?}");
        }
    }
}
