//! RLOO (Ahmadian et al., arXiv 2402.14740): REINFORCE with a leave-one-out baseline.
//!
//! The advantage of a whole answer is its score minus the mean of the others; β·KL is subtracted from the score.

use super::group::{Objective, Shape, check, clip_range, step, steps};
use super::watch::groups;
use crate::about::{About, Before, Goal, Needs, Starter};
use crate::batches::Steps;
use crate::declare::{number, settings, whole};
use crate::encode::{Encoder, Prepared};
use crate::error::Result;
use crate::method::{Method, Training};
use crate::passes::PassesPerRow;
use crate::rollout::{Sampling, prompt_kinds, prompts};
use crate::session::{End, Session};
use crate::settings::{CommonSettings, Defaults, SamplingStrategy, common};
use alidade_domain::{
    Example, Problem, SettingField,
    SettingValue::{Number, Whole},
    Settings, Watch, Words,
};

/// The method.
pub(crate) struct Rloo;

const DEFAULTS: Defaults =
    Defaults { learning_rate: 1e-5, epochs: 1.0, warmup_ratio: 0.0, order: SamplingStrategy::Random };

settings! {
    struct Own {
        num_generations: usize = whole(2, 1024, 4), Simple,
            "Answers per question" "每题回答数",
            "Number of answers that are compared with each other."
            "相互比较的回答数。";
        max_completion_length: usize = whole(1, 4096, 256), Simple,
            "Longest answer" "最长回答",
            "In tokens."
            "以词元计。";
        temperature: f64 = number(0.05, 5.0, 1.0), Advanced,
            "Temperature" "温度",
            "Of sampling in training; higher explores more."
            "训练中采样的温度；越高探索越多。";
        epsilon: f64 = number(0.0, 10.0, 0.2), Advanced,
            "Clip range" "裁剪范围",
            "How far a probability may fall in one step."
            "概率在一步中最多下降多少。";
        epsilon_high: f64 = number(0.0, 10.0, 0.0), Advanced,
            "Clip range upwards" "向上裁剪范围",
            "How far it may rise; 0 takes the clip range downwards."
            "概率最多上升多少；0 表示与下降相同。";
        num_iterations: usize = whole(1, 100, 1), Advanced,
            "Updates per step" "每步更新次数",
            "Optimizer updates on the answers of a step."
            "对一步的回答更新的次数。";
        beta: f64 = number(0.0, 100.0, 0.05), Simple,
            "KL coefficient" "KL 系数",
            "What each nat of KL divergence from the start takes off the score. Higher stays nearer."
            "与起点的 KL 散度每 nat 从分数中扣除多少。越高越接近起点。";
    }
}

/// A run of it.
struct Run {
    common: CommonSettings,
    own: Own,
}

impl Run {
    fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.own.temperature,
            max_new_tokens: self.own.max_completion_length,
            each: self.own.num_generations,
            rows: self.common.per_device_train_batch_size,
        }
    }
}

impl Method for Rloo {
    fn name(&self) -> &'static str {
        "rloo"
    }

    fn about(&self) -> About {
        About {
            label: Words::name("RLOO"),
            title: Words::new("REINFORCE leave-one-out", "REINFORCE 留一法"),
            summary: Words::new(
                "Lets the model answer each prompt several times and makes answers likelier that beat the average of the others.",
                "让模型对每个提问多次作答，使胜过其他回答平均值的回答更可能。",
            ),
            why: Words::new(
                "compares each answer with the average of the others to the same question.",
                "把每个回答与同一问题其他回答的平均值比较。",
            ),
            paper: "Ahmadian et al., Back to Basics: Revisiting REINFORCE Style Optimization, 2024",
            learns_from: prompt_kinds(),
            variants: Vec::new(),
        }
    }

    fn fields(&self) -> Vec<SettingField> {
        [common(&DEFAULTS), Own::fields()].concat()
    }

    fn watch(&self) -> Watch {
        groups()
    }

    fn starter(&self) -> Starter {
        let settings = vec![
            ("learning_rate", Number(1e-3)),
            ("per_device_train_batch_size", Whole(64)),
            ("max_steps", Whole(60)),
            ("num_generations", Whole(8)),
            ("max_completion_length", Whole(40)),
            ("temperature", Number(1.0)),
        ];
        let goals = vec![Goal { id: "leave_one_out", before: &[Before::Answers], settings: vec![], words: None }];
        Starter { settings, goals }
    }

    fn needs(&self) -> Needs {
        Needs { reward: true, reference: true, ..Needs::default() }
    }

    fn read(&self, settings: &Settings) -> std::result::Result<Box<dyn Training>, Problem> {
        let (common, own) = (CommonSettings::of(settings)?, Own::read(settings)?);
        check(&common, own.num_generations)?;
        Ok(Box::new(Run { common, own }))
    }
}

impl Training for Run {
    fn common(&self) -> &CommonSettings {
        &self.common
    }

    fn passes(&self) -> PassesPerRow {
        let answers = Some(self.sampling().passes());
        PassesPerRow { trained: self.own.num_iterations as f64, read: 3.0, answers, ..PassesPerRow::ONE }
    }

    fn steps(&self, items: usize) -> Steps {
        steps(&self.common, self.own.num_generations, items)
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder) -> Result<Prepared> {
        prompts(rows, encoder, self.common.max_length, self.own.max_completion_length)
    }

    fn train(&self, session: &mut Session, prepared: &Prepared) -> Result<End> {
        let own = &self.own;
        let shape = Shape {
            sampling: self.sampling(),
            objective: Objective::Answers,
            beta: own.beta,
            clip: clip_range(own.epsilon, own.epsilon_high),
            iterations: own.num_iterations,
            mask_truncated: false,
        };
        let steps = self.steps(prepared.items.len());
        session.iterate(&prepared.items, steps, &self.common, &mut |context| step(context, &shape))
    }
}
