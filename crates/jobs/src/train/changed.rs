//! Where a run computes otherwise than its recipe asks, told before training begins: candle, which runs what the kernels do not
//! support, holds weights as f32 and has no activation checkpointing.

use crate::train::memory;
use alidade_domain::{Device, EventKind, Observer, Plan, Precision, Problem, Wording, Words, wording};
use alidade_model::{Capabilities, Engine, Policy};
use alidade_train::CommonSettings;

/// Code of the warning that weights are held in another number format than the recipe asks for.
const PRECISION: &str = "precision_changed";
/// Code of the warning that activation checkpointing is asked for and not done.
const CHECKPOINTING: &str = "checkpointing_changed";

/// Warns of every difference between the plan and the engine that runs it.
pub(crate) fn tell(
    (plan, settings): (&Plan, &CommonSettings),
    policy: &Policy,
    observer: &mut dyn Observer,
) -> Result<(), Problem> {
    for (code, message) in changes(plan.trains.is_full(), settings, &policy.decoder().capabilities()) {
        observer.observe(EventKind::Warning { code: code.to_owned(), message })?;
    }
    Ok(())
}

fn changes(full: bool, settings: &CommonSettings, found: &Capabilities) -> Vec<(&'static str, Wording)> {
    let runs = match found.engine {
        Engine::Slices(_) => return Vec::new(),
        Engine::Candle(Device::Cpu) => {
            wording!(
                "candle runs this model with this adapter, because the faster kernels do not support them",
                "candle 用这个适配器运行这个模型，因为更快的内核不支持它们"
            )
        }
        Engine::Candle(device) => wording!("candle runs the model on {device}", "candle 在 {device} 上运行模型"),
    };
    let mut told = Vec::new();
    if memory::precision(settings) == Precision::Bf16 && !full && !found.precisions.contains(&Precision::Bf16) {
        let held = if found.precision == Precision::Bf16 {
            Words::new("rounded to bf16 but held as f32", "已舍入为 bf16，但以 f32 保存")
        } else {
            Words::new("held as f32", "以 f32 保存")
        };
        told.push((
            PRECISION,
            wording!(
                "bf16 saves no memory here: {runs}, and the weights are {held}.",
                "bf16 在这里不节省内存：{runs}，且权重{held}。";
                runs, held
            ),
        ));
    }
    if settings.gradient_checkpointing == Some(true) && !found.checkpointing {
        told.push((
            CHECKPOINTING,
            wording!(
                "gradient_checkpointing saves no memory here: {runs}, and all activations are saved.",
                "gradient_checkpointing 在这里不节省内存：{runs}，且保存全部激活值。";
                runs
            ),
        ));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use alidade_domain::{SettingValue, Settings};
    use alidade_model::{Carried, InstructionSet};
    use alidade_train::METHODS;

    /// What is told of an engine whose weights were rounded to `precision`.
    fn told(engine: Engine, precision: Precision, full: bool) -> Vec<(&'static str, Wording)> {
        let asked = ["bf16", "gradient_checkpointing"].map(|key| (key.to_owned(), SettingValue::Flag(true)));
        let configured = METHODS[0].configure(&Settings(asked.into())).unwrap();
        let slices = matches!(engine, Engine::Slices(_));
        let precisions: &[Precision] = if slices { &Precision::ALL } else { &[Precision::F32] };
        let (adapters, training) = (Carried::ALL, true);
        let found =
            Capabilities { engine, precision, precisions, adapters, checkpointing: slices, training, full: true };
        changes(full, configured.common(), &found)
    }

    #[test]
    fn what_candle_does_otherwise_is_told_and_the_kernels_do_as_they_are_asked() {
        assert_eq!(told(Engine::Slices(InstructionSet::best()), Precision::Bf16, false), []);
        let rounded = told(Engine::Candle(Device::Cpu), Precision::Bf16, false);
        assert_eq!(rounded.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [PRECISION, CHECKPOINTING]);
        assert!(rounded[0].1.en.contains("rounded to bf16"), "{rounded:?}");
        let stored = told(Engine::Candle(Device::Cuda(1)), Precision::F32, false);
        assert!(!stored[0].1.en.contains("rounded") && stored[1].1.en.contains("cuda:1"), "{stored:?}");
    }

    #[test]
    fn full_training_is_f32_by_itself() {
        let told = told(Engine::Candle(Device::Cpu), Precision::F32, true);
        assert_eq!(told.iter().map(|(code, _)| *code).collect::<Vec<_>>(), [CHECKPOINTING]);
    }
}
