//! GRPO (Shao et al., arXiv 2402.03300), with the normalisers of DAPO (arXiv 2503.14476) and Dr. GRPO (arXiv 2503.20783).
//!
//! The advantage of a token is that of its answer within its group; β·k3 may be added to the loss.

use super::group::{Normaliser, Objective, Shape, check, clip_range, step, steps};
use super::watch::groups;
use crate::about::{About, Before, Goal, Needs, Starter};
use crate::batches::Steps;
use crate::declare::{choice, flag, number, settings, whole};
use crate::encode::{Encoder, Prepared};
use crate::error::Result;
use crate::heads::advantage::GroupScale;
use crate::method::{Method, Training};
use crate::passes::PassesPerRow;
use crate::rollout::{Sampling, prompt_kinds, prompts};
use crate::session::{End, Session};
use crate::settings::{CommonSettings, Defaults, SamplingStrategy, common};
use alidade_domain::{
    Example, GoalWords, Problem, SettingField,
    SettingValue::{Number, Whole},
    Settings, Watch, Words,
};

/// The method.
pub(crate) struct Grpo;

const DEFAULTS: Defaults =
    Defaults { learning_rate: 1e-5, epochs: 1.0, warmup_ratio: 0.0, order: SamplingStrategy::Random };

settings! {
    struct Own {
        num_generations: usize = whole(2, 1024, 8), Simple,
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
        beta: f64 = number(0.0, 100.0, 0.0), Simple,
            "KL coefficient" "KL 系数",
            "Weight of the KL divergence from the start in the loss. Higher stays nearer."
            "损失中与起点的 KL 散度的权重。越高越接近起点。";
        loss_type: Normaliser = choice(Normaliser::Dapo), Advanced,
            "Averaging" "平均方式",
            "How the losses of tokens are averaged: over the whole batch, per answer, per pass, or by the length limit."
            "词元损失如何平均：对整批、每个回答、每次前向，或按长度上限。";
        scale_rewards: GroupScale = choice(GroupScale::Group), Advanced,
            "Scale scores by" "分数缩放",
            "The spread within a group, within the batch, or not at all."
            "按组内、批内离散度缩放，或不缩放。";
        mask_truncated_completions: bool = flag(false), Advanced,
            "Skip unfinished answers" "跳过未完回答",
            "Learn nothing from answers that reached the length limit."
            "不从达到长度上限的回答中学习。";
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

impl Method for Grpo {
    fn name(&self) -> &'static str {
        "grpo"
    }

    fn about(&self) -> About {
        About {
            label: Words::name("GRPO"),
            title: Words::new("Group relative policy optimisation", "组相对策略优化"),
            summary: Words::new(
                "Lets the model answer each prompt several times and makes the better answers of a group likelier; it needs no value model.",
                "让模型对每个提问多次作答，使组中较好的回答更可能，不需要价值模型。",
            ),
            why: Words::new(
                "compares several answers to each question with each other; no value model is needed.",
                "把同一问题的多个回答相互比较，不需要价值模型。",
            ),
            paper: "Shao et al., DeepSeekMath: Pushing the Limits of Mathematical Reasoning, 2024",
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
        let goals = vec![Goal {
            id: "oracle",
            before: &[Before::Answers],
            settings: vec![],
            words: Some(GoalWords {
                name: Words::new("Learn from scores of its own answers", "从对自己回答的评分中学习"),
                text: Words::new(
                    "After a short SFT, GRPO compares several answers to one question; the oracle of Alder Bay scores them.",
                    "先做很短的 SFT，再由 GRPO 比较同一问题的多个回答，由 Alder Bay 的裁判打分。",
                ),
                title: Words::new(
                    "Does the starter model learn from scores of its own answers?",
                    "入门模型能从对自己回答的评分中学习吗？",
                ),
                question: Words::new(
                    "How far do SFT and GRPO get when the oracle knows the truth?",
                    "当裁判知道真相时，SFT 和 GRPO 能走多远？",
                ),
            }),
        }];
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
            objective: Objective::Tokens { normaliser: own.loss_type, scale: own.scale_rewards },
            beta: own.beta,
            clip: clip_range(own.epsilon, own.epsilon_high),
            iterations: own.num_iterations,
            mask_truncated: own.mask_truncated_completions,
        };
        let steps = self.steps(prepared.items.len());
        session.iterate(&prepared.items, steps, &self.common, &mut |context| step(context, &shape))
    }
}
