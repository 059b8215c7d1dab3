//! The settings that all methods share, with TRL's names and meaning, and what follows from them: the number of optimizer
//! steps, the learning rate of each, and whether any of them changes a weight.

use crate::batches::Steps;
use crate::declare::{automatic, choice, flag, number, options, settings, whole};
use crate::schedule::{Schedule, SchedulerType};
use alidade_domain::{Problem, SettingField, SettingValue, Settings, Words, wording};

options! {
    /// The order in which rows come.
    pub enum SamplingStrategy { Random = "random", Sequential = "sequential" }
}

settings! {
    /// Settings of every method.
    pub struct CommonSettings {
        learning_rate: f64 = number(0.0, 1.0, 1e-5), Simple,
            "Learning rate" "学习率",
            "Peak size of an optimizer step. Too high damages the model, too low changes nothing."
            "优化步的峰值大小。太高会损坏模型，太低则毫无变化。";
        num_train_epochs: f64 = number(0.0, 1000.0, 1.0), Simple,
            "Epochs" "轮数",
            "Passes over the rows."
            "遍历数据的次数。";
        per_device_train_batch_size: usize = whole(1, 4096, 8), Simple,
            "Batch size" "批大小",
            "Rows (or pairs) in one forward pass."
            "一次前向计算中的条数（或偏好对的个数）。";
        gradient_accumulation_steps: usize = whole(1, 4096, 1), Advanced,
            "Gradient accumulation" "梯度累积",
            "Passes whose gradients are added up before an optimizer step."
            "一个优化步之前累加梯度的计算次数。";
        max_steps: i64 = whole(-1, 100_000_000, -1), Advanced,
            "Maximum steps" "最大步数",
            "−1 follows the number of epochs."
            "−1 表示由轮数决定。";
        max_length: usize = whole(8, 1 << 20, 1024), Simple,
            "Longest row" "最大长度",
            "In tokens; longer rows are cut at the end of the answer."
            "以词元计；更长的样本从回答末尾截去。";
        lr_scheduler_type: SchedulerType = choice(SchedulerType::Cosine), Advanced,
            "Learning-rate schedule" "学习率调度",
            "How the learning rate falls after the warm-up."
            "预热之后学习率如何下降。";
        warmup_ratio: f64 = number(0.0, 1.0, 0.0), Advanced,
            "Warm-up share" "预热比例",
            "Share of the steps in which the learning rate rises from zero."
            "学习率从零上升的步数所占比例。";
        warmup_steps: f64 = number(-1.0, 1e8, -1.0), Advanced,
            "Warm-up steps" "预热步数",
            "Steps of the rise; 0 is none, −1 leaves it to the share."
            "上升的步数；0 表示不预热，−1 表示由比例决定。";
        weight_decay: f64 = number(0.0, 1.0, 0.0), Advanced,
            "Weight decay" "权重衰减",
            "Pull of the weights towards zero."
            "将权重拉向零的力度。";
        max_grad_norm: f64 = number(0.0, 1e6, 1.0), Advanced,
            "Gradient clipping" "梯度裁剪",
            "Gradients with a larger norm are scaled down to this one. 0 switches it off."
            "范数更大的梯度会缩小到此范数。0 表示关闭。";
        adam_beta1: f64 = number(0.0, 0.999_999, 0.9), Advanced,
            "Adam beta 1" "Adam beta 1",
            "Decay of the running mean of gradients."
            "梯度滑动平均的衰减率。";
        adam_beta2: f64 = number(0.0, 0.999_999_9, 0.999), Advanced,
            "Adam beta 2" "Adam beta 2",
            "Decay of the running mean of squared gradients."
            "梯度平方滑动平均的衰减率。";
        save_steps: u64 = whole(1, 1_000_000, 50), Advanced,
            "Steps between checkpoints" "检查点间隔步数",
            "The result does not depend on it."
            "结果与它无关。";
        adam_epsilon: f64 = number(0.0, 1.0, 1e-8), Advanced,
            "Adam epsilon" "Adam epsilon",
            "Keeps the optimizer from dividing by zero."
            "避免优化器除以零。";
        loraplus_lr_ratio: f64 = number(1.0, 1000.0, 1.0), Advanced,
            "LoRA+ ratio" "LoRA+ 比率",
            "Learning rate of LoRA's B relative to that of its A. 16 is usual, with half the learning rate."
            "LoRA 的 B 相对于 A 的学习率倍数。常用 16，并将学习率减半。";
        train_sampling_strategy: SamplingStrategy = choice(SamplingStrategy::Random), Advanced,
            "Order of rows" "样本顺序",
            "Shuffled in every epoch, or in the order of the file."
            "每轮重新打乱，或按文件中的顺序。";
        gradient_checkpointing: Option<bool> = automatic(), Advanced,
            "Save memory" "节省内存",
            "Keep fewer activations and compute them again for the backward pass: less memory, more time, the same result to the byte. Automatic decides by the free memory."
            "少保留激活值，反向传播时重新计算：内存更少，时间更长，结果逐字节相同。自动时按空闲内存决定。";
        bf16: bool = flag(false), Advanced,
            "bf16 weights" "bf16 权重",
            "Store the frozen weights in two bytes each: half the memory, slightly rounded."
            "冻结的权重每个只占两个字节：内存减半，略有舍入。";
    }
}

/// Defaults that differ between methods.
pub(crate) struct Defaults {
    pub(crate) learning_rate: f64,
    pub(crate) epochs: f64,
    pub(crate) warmup_ratio: f64,
    pub(crate) order: SamplingStrategy,
}

/// The shared fields with a method's own defaults, in form order.
pub(crate) fn common(defaults: &Defaults) -> Vec<SettingField> {
    let of_method = settings_of(defaults);
    let mut fields = CommonSettings::fields();
    for field in &mut fields {
        if let Some((_, default)) = of_method.iter().find(|(key, _)| *key == field.key) {
            field.default = default.clone();
        }
    }
    fields
}

fn settings_of(defaults: &Defaults) -> [(&'static str, SettingValue); 4] {
    use crate::declare::Choice;
    [
        ("learning_rate", SettingValue::Number(defaults.learning_rate)),
        ("num_train_epochs", SettingValue::Number(defaults.epochs)),
        ("warmup_ratio", SettingValue::Number(defaults.warmup_ratio)),
        ("train_sampling_strategy", SettingValue::Text(defaults.order.name().to_owned())),
    ]
}

impl CommonSettings {
    /// The optimizer steps for so many rows.
    pub(crate) fn steps(&self, items: usize) -> Steps {
        let (batch, accumulation) = (self.per_device_train_batch_size, self.gradient_accumulation_steps);
        Steps::new(items, batch, accumulation, self.num_train_epochs, self.most_steps())
            .in_order(self.train_sampling_strategy == SamplingStrategy::Sequential)
    }

    /// The limit on optimizer steps; `None` leaves it to the number of epochs.
    pub fn most_steps(&self) -> Option<u64> {
        u64::try_from(self.max_steps).ok().filter(|steps| *steps > 0)
    }

    /// The learning-rate schedule over `total` steps. As in transformers 5 a warm-up below 1 is a share of the steps,
    /// rounded up, and one from 1 on is a number of steps, rounded down; where it is not set, `warmup_ratio` is the
    /// share.
    pub(crate) fn schedule(&self, total: u64) -> Schedule {
        let given = Some(self.warmup_steps).filter(|steps| *steps >= 0.0);
        let steps = given.unwrap_or(self.warmup_ratio);
        let share = given.is_none_or(|steps| steps < 1.0);
        let warmup = if share { (steps * total as f64).ceil() as u64 } else { steps as u64 };
        Schedule::new(self.lr_scheduler_type, self.learning_rate, warmup, total)
    }

    /// Reads them and checks rules that involve several settings.
    ///
    /// # Errors
    /// The first value that cannot be read or rule that is broken, at its field.
    pub(crate) fn of(settings: &Settings) -> Result<Self, Problem> {
        let common = Self::read(settings)?;
        common.check()?;
        Ok(common)
    }

    fn check(&self) -> Result<(), Problem> {
        let warmup = self.warmup_steps;
        if warmup < 0.0 && warmup != -1.0 {
            let message = wording!(
                "warmup_steps is {warmup}; it must be -1 (left to warmup_ratio), 0 (none) or more.",
                "warmup_steps 是 {warmup}，必须是 -1（由 warmup_ratio 决定）、0（无预热）或更大。"
            );
            return Err(Problem::input(message).at("settings.warmup_steps"));
        }
        Ok(())
    }

    /// Refuses a run in which no step can change a weight, because its learning rate is 0 at all of them.
    ///
    /// # Errors
    /// At the setting that causes it.
    pub(crate) fn moves(&self, total: u64) -> Result<(), Problem> {
        let schedule = self.schedule(total);
        // Parameters are f32: a learning rate that rounds to 0 in f32 changes nothing.
        if (0..total).any(|step| schedule.rate(step) as f32 > 0.0) {
            return Ok(());
        }
        let rate = self.learning_rate;
        Err(if rate as f32 == 0.0 {
            let message = wording!(
                "learning_rate is {rate:e}, so no step changes a weight.",
                "learning_rate 是 {rate:e}，任何一步都不会改变权重。"
            );
            Problem::input(message)
                .hint(Words::new("Choose a rate above 0.", "请选择大于 0 的学习率。"))
                .at("settings.learning_rate")
        } else if total == 0 {
            let message = Words::new(
                "num_train_epochs is 0, so there is no step to take.",
                "num_train_epochs 是 0，没有任何一步可做。",
            );
            Problem::input(message)
                .hint(Words::new("Choose more than 0, or set max_steps.", "请选择大于 0 的值，或设置 max_steps。"))
                .at("settings.num_train_epochs")
        } else {
            let steps =
                if total == 1 { wording!("one step", "一步") } else { wording!("{total} steps", "{total} 步") };
            let message = wording!(
                "The run has {steps}, and the warm-up begins at a learning rate of 0: no weight would be changed at all.",
                "运行共 {steps}，而预热从学习率 0 开始：权重完全不会改变。";
                steps
            );
            Problem::input(message)
                .hint(Words::new("Set warmup_steps = 0.", "设置 warmup_steps = 0。"))
                .hint(Words::new(
                    "Or take more steps: more rows or epochs, or a smaller batch.",
                    "或增加步数：更多数据、更多轮数，或更小的批次。",
                ))
                .at("settings.warmup_steps")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SettingValue::{Number, Text, Whole};

    fn settings(pairs: &[(&str, SettingValue)]) -> CommonSettings {
        let said = pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let order = SamplingStrategy::Random;
        let defaults = Defaults { learning_rate: 1.0, epochs: 1.0, warmup_ratio: 0.1, order };
        CommonSettings::read(&Settings(said).resolve(&common(&defaults)).unwrap()).unwrap()
    }

    /// Steps in which the rate rises, over 25 steps in all.
    fn warmup(pairs: &[(&str, SettingValue)]) -> usize {
        let schedule = settings(pairs).schedule(25);
        (0..25).take_while(|step| schedule.rate(*step) < 1.0).count()
    }

    #[test]
    fn a_warm_up_is_a_number_of_steps_a_share_or_none() {
        assert_eq!(warmup(&[]), 3);
        assert_eq!(warmup(&[("warmup_ratio", Number(0.3))]), 8);
        assert_eq!(warmup(&[("warmup_steps", Whole(0))]), 0);
        assert_eq!(warmup(&[("warmup_steps", Number(0.0)), ("warmup_ratio", Number(0.3))]), 0);
        assert_eq!(warmup(&[("warmup_steps", Number(0.3))]), 8);
        assert_eq!(warmup(&[("warmup_steps", Number(5.9)), ("warmup_ratio", Number(0.3))]), 5);
        assert_eq!(warmup(&[("warmup_steps", Whole(1))]), 1);
        assert_eq!(warmup(&[("warmup_steps", Whole(-1)), ("warmup_ratio", Number(0.0))]), 0);
        let odd = settings(&[("warmup_steps", Number(-0.5))]).check().err().unwrap();
        assert_eq!(odd.field.as_deref(), Some("settings.warmup_steps"));
    }

    #[test]
    fn a_run_that_cannot_move_a_weight_is_refused_at_its_cause() {
        let field = |pairs: &[(&str, SettingValue)], total| settings(pairs).moves(total).err().and_then(|p| p.field);
        let at = |field: &str| Some(format!("settings.{field}"));
        assert_eq!(field(&[], 1), at("warmup_steps"));
        assert_eq!(field(&[("warmup_steps", Whole(5))], 1), at("warmup_steps"));
        let constant = ("lr_scheduler_type", Text("constant_with_warmup".to_owned()));
        assert_eq!(field(&[constant], 1), at("warmup_steps"));
        assert_eq!(field(&[("learning_rate", Number(0.0))], 10), at("learning_rate"));
        assert_eq!(field(&[("learning_rate", Number(1e-60))], 10), at("learning_rate"));
        assert_eq!(field(&[], 0), at("num_train_epochs"));
        let moving: [&[(&str, SettingValue)]; 3] = [
            &[("warmup_steps", Whole(0))],
            &[("warmup_ratio", Number(0.0))],
            &[("lr_scheduler_type", Text("constant".to_owned()))],
        ];
        assert!(moving.iter().all(|pairs| field(pairs, 1).is_none()));
        assert_eq!(field(&[], 2), None);
    }

    /// A missing key, or a value that cannot be read, is a problem and never a 0.
    #[test]
    fn nothing_is_read_that_was_not_said() {
        let mut said = Settings::default().with_defaults(&CommonSettings::fields());
        assert_eq!(CommonSettings::read(&said).unwrap().lr_scheduler_type, SchedulerType::Cosine);
        for (key, value) in [("lr_scheduler_type", Text("cosin".to_owned())), ("max_length", Number(64.5))] {
            let good = said.0.insert(key.to_owned(), value).unwrap();
            let problem = CommonSettings::read(&said).unwrap_err();
            assert_eq!(problem.field.unwrap(), format!("settings.{key}"));
            said.0.insert(key.to_owned(), good);
        }
        said.0.remove("adam_beta1");
        assert_eq!(CommonSettings::read(&said).unwrap_err().field.as_deref(), Some("settings.adam_beta1"));
    }
}
