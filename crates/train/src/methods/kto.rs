//! KTO (Ethayarajh et al., arXiv 2402.01306): learns from single answers with a binary label.
//!
//! The KL divergence from the reference is estimated on mismatched rows, prompt i with answer i − 1 (the first takes the
//! last). As in TRL these are formed from token ids in file order within chunks of the batch size, after unusable rows are
//! removed; rows come in that order, so that a batch is compared with its own answers. It needs at least two rows per batch;
//! below four the estimate is poor.

use super::advice::high_rate;
use super::labelled::{Labelled, both_kinds, read, sequence};
use super::watch::{LOSS, MARGIN, NOTABLE, preference_flat, rewards};
use crate::about::{About, Before, Goal, Needs, Outlook, Starter};
use crate::declare::{choice, number, settings};
use crate::encode::{Encoder, Item, Prepared, Skipped, or_left_out};
use crate::error::Result;
use crate::heads::unpaired::{KtoLoss, drift, kto_head};
use crate::method::{Method, Training};
use crate::passes::PassesPerRow;
use crate::session::{End, Session};
use crate::settings::{CommonSettings, Defaults, SamplingStrategy, common};
use crate::step::{StepBatch, StepOutcome};
use alidade_domain::{
    Chart, DatasetKind, Example, GoalWords, Metric, Problem, Reading, SettingField,
    SettingValue::{Number, Whole},
    Settings, Sign, Watch, Words, wording,
};
use alidade_model::{Policy, TokenBatch, TokenRow};
use std::collections::BTreeMap;

/// The method.
pub(crate) struct Kto;

const DRIFT: Metric = Metric::new("kl", "KL (nats)", "KL（nat）");
/// KL in nats beyond which the model is far from its start.
const FAR: f64 = 10.0;
const DEFAULTS: Defaults =
    Defaults { learning_rate: 5e-6, epochs: 1.0, warmup_ratio: 0.1, order: SamplingStrategy::Sequential };
/// Smallest batch in which the KL can be estimated.
const SMALLEST_BATCH: usize = 2;
/// Below this batch size the estimate is poor.
const SMALL_BATCH: usize = 4;

settings! {
    struct Own {
        beta: f64 = number(1e-6, 1000.0, 0.1), Simple,
            "Beta" "Beta",
            "How strongly the model is kept near its start. Higher stays nearer."
            "把模型拉回起点的力度。越高越接近起点。";
        loss_type: KtoLoss = choice(KtoLoss::Kto), Advanced,
            "Loss" "损失函数",
            "Form of the loss over single answers."
            "单个回答的损失的形式。";
        desirable_weight: f64 = number(0.0, 1000.0, 1.0), Advanced,
            "Weight of thumbs up" "赞的权重",
            "Wanted and unwanted answers should weigh about the same in sum."
            "赞和踩的总权重应大致相等。";
        undesirable_weight: f64 = number(0.0, 1000.0, 1.0), Advanced,
            "Weight of thumbs down" "踩的权重",
            "Wanted and unwanted answers should weigh about the same in sum."
            "赞和踩的总权重应大致相等。";
    }
}

/// A run of it.
struct Run {
    common: CommonSettings,
    own: Own,
}

impl Method for Kto {
    fn name(&self) -> &'static str {
        "kto"
    }

    fn about(&self) -> About {
        About {
            label: Words::name("KTO"),
            title: Words::new("Kahneman–Tversky optimisation", "卡尼曼–特沃斯基优化"),
            summary: Words::new(
                "Learns from single answers with a thumb up or down; no pairs are needed.",
                "从带有赞或踩的单个回答中学习，不需要成对数据。",
            ),
            why: Words::new(
                "needs no pairs: wanted answers become likelier, unwanted ones less likely.",
                "不需要成对数据：想要的回答变得更可能，不想要的变得更不可能。",
            ),
            paper: "Ethayarajh et al., KTO: Model Alignment as Prospect Theoretic Optimization, 2024",
            learns_from: vec![DatasetKind::Ratings],
            variants: Vec::new(),
        }
    }

    fn fields(&self) -> Vec<SettingField> {
        [common(&DEFAULTS), Own::fields()].concat()
    }

    fn watch(&self) -> Watch {
        Watch {
            charts: vec![Chart::of(MARGIN), rewards(), Chart::beside(DRIFT).usually(0.0, FAR), Chart::of(LOSS)],
            needs: vec![MARGIN.key],
            readings: vec![
                Reading::alarm(
                    "far_from_start",
                    [Sign::above(DRIFT.key, FAR)],
                    "The model has moved far from its start. Lower the learning rate or raise beta.",
                    "模型已远离起点。请降低学习率或提高 beta。",
                ),
                Reading::alarm(
                    "margin_reversed",
                    [Sign::below(MARGIN.key, -NOTABLE)],
                    "Unwanted answers gain on wanted ones. Check that thumbs up and down are not swapped.",
                    "不想要的回答反而占了上风。请检查赞和踩是否颠倒。",
                ),
                Reading::calm(
                    "margin_grows",
                    [Sign::above(MARGIN.key, NOTABLE)],
                    "Wanted answers gain on unwanted ones.",
                    "想要的回答正在胜过不想要的回答。",
                ),
                preference_flat([]),
            ],
            margin: Some(MARGIN.key),
        }
    }

    fn starter(&self) -> Starter {
        let settings = vec![
            ("learning_rate", Number(1e-3)),
            ("num_train_epochs", Number(1.0)),
            ("per_device_train_batch_size", Whole(16)),
            ("beta", Number(0.5)),
        ];
        let goals = vec![Goal {
            id: "thumbs",
            before: &[Before::Answers],
            settings: vec![],
            words: Some(GoalWords {
                name: Words::new("Learn from thumbs up and down", "从赞和踩中学习"),
                text: Words::new(
                    "Single answers, each wanted or not. A short SFT, then KTO; no pairs are needed.",
                    "单个回答，各自标明要或不要。先做很短的 SFT，再做 KTO，不需要成对数据。",
                ),
                title: Words::new("Are thumbs enough to align the starter model?", "只有赞和踩，够不够对齐入门模型？"),
                question: Words::new(
                    "How often does the model answer well before and after SFT and KTO?",
                    "在 SFT 和 KTO 前后，模型有多常回答得好？",
                ),
            }),
        }];
        Starter { settings, goals }
    }

    fn needs(&self) -> Needs {
        Needs { reference: true, ..Needs::default() }
    }

    fn read(&self, settings: &Settings) -> std::result::Result<Box<dyn Training>, Problem> {
        let run = Run { common: CommonSettings::of(settings)?, own: Own::read(settings)? };
        run.check()?;
        Ok(Box::new(run))
    }
}

impl Run {
    fn check(&self) -> std::result::Result<(), Problem> {
        if self.own.desirable_weight == 0.0 && self.own.undesirable_weight == 0.0 {
            let problem = Problem::input(Words::new(
                "Both desirable_weight and undesirable_weight are 0, so no step changes the model.",
                "desirable_weight 和 undesirable_weight 都是 0，任何一步都不会改变模型。",
            ));
            return Err(problem
                .hint(Words::new("Set at least one of them above 0.", "至少把其中一个设为大于 0。"))
                .at("settings.desirable_weight"));
        }
        if !self.own.loss_type.estimates_drift() {
            return Ok(());
        }
        if self.common.train_sampling_strategy != SamplingStrategy::Sequential {
            let message = Words::new(
                "KTO forms its mismatched rows within each batch as the rows stand, so they cannot be shuffled.",
                "KTO 在每个批次内按数据的顺序组成错配的样本，因此不能打乱顺序。",
            );
            let hint = Words::new(
                "Set train_sampling_strategy = \"sequential\", or loss_type = \"apo_zero_unpaired\".",
                "设置 train_sampling_strategy = \"sequential\"，或 loss_type = \"apo_zero_unpaired\"。",
            );
            return Err(Problem::input(message).hint(hint).at("settings.train_sampling_strategy"));
        }
        if self.common.per_device_train_batch_size < SMALLEST_BATCH {
            let message = Words::new(
                "KTO compares each prompt with its neighbour's answer, and a batch of one has no neighbour.",
                "KTO 把每个提问与相邻样本的回答比较，而大小为 1 的批次没有相邻样本。",
            );
            let problem = Problem::input(message).hint(Words::new("Use a batch of at least 4.", "批次至少为 4。"));
            return Err(problem.at("settings.per_device_train_batch_size"));
        }
        Ok(())
    }
}

impl Training for Run {
    fn common(&self) -> &CommonSettings {
        &self.common
    }

    fn passes(&self) -> PassesPerRow {
        // A row holds its own and a mismatched answer, and only the first has gradients.
        let (trained, read) = if self.own.loss_type.estimates_drift() { (0.5, 1.5) } else { (1.0, 1.0) };
        PassesPerRow { trained, read, trained_sequences: 1, reads_batches: true, ..PassesPerRow::ONE }
    }

    fn advice(&self, outlook: &Outlook) -> Vec<Problem> {
        let small = (self.common.per_device_train_batch_size < SMALL_BATCH).then(|| {
            Problem::input(Words::new(
                "A batch below 4 leaves KTO without a usable estimate of how far the model has moved.",
                "批次小于 4 时，KTO 无法可靠估计模型偏离了多远。",
            ))
            .hint(Words::new("Use a batch of 4 or more.", "使用 4 或更大的批次。"))
            .at("settings.per_device_train_batch_size")
        });
        high_rate(&self.common, outlook).into_iter().chain(small).collect()
    }

    fn prepare(&self, rows: &[Example], encoder: &Encoder) -> Result<Prepared> {
        let (limit, size) = (self.common.max_length, self.common.per_device_train_batch_size);
        let (mut prepared, mut labelled) = (Prepared::default(), Vec::new());
        for (index, example) in rows.iter().enumerate() {
            match or_left_out(read(index + 1, example, encoder, limit, &mut prepared))? {
                Ok(row) => labelled.push(row),
                Err(reason) => prepared.skipped.push(Skipped { row: index + 1, reason }),
            }
        }
        both_kinds(&labelled)?;
        prepared.advice.extend(uneven(&labelled, &self.own));
        for chunk in labelled.chunks(size) {
            for (place, row) in chunk.iter().enumerate() {
                let mut sequences = vec![sequence(&row.prompt, &row.answer, limit)];
                if self.own.loss_type.estimates_drift() {
                    let other = &chunk[(place + chunk.len() - 1) % chunk.len()].answer;
                    sequences.push(sequence(&row.prompt, other, limit));
                }
                let label = f64::from(u8::from(row.wanted));
                prepared.items.push(Item { label, ..Item::new(row.number, sequences) });
            }
        }
        prepared.or_nothing(rows.len())
    }

    fn train(&self, session: &mut Session, prepared: &Prepared) -> Result<End> {
        session.optimise(&prepared.items, &self.common, &mut |policy, batch| step(policy, batch, &self.own))
    }
}

/// Ratio of the total weight of wanted to unwanted answers that gets no warning.
const EVEN: std::ops::RangeInclusive<f64> = 0.8..=1.6;

/// Warns where the total weights of wanted and unwanted answers clearly differ; the paper (equation 8) advises a ratio
/// from 1 to 4/3.
fn uneven(labelled: &[Labelled], own: &Own) -> Option<Problem> {
    let wanted = labelled.iter().filter(|row| row.wanted).count();
    let (w, u) = (wanted as f64, (labelled.len() - wanted) as f64);
    let (good, bad) = (own.desirable_weight, own.undesirable_weight);
    let share = w * good / (u * bad);
    // A weight of 0 is intentional.
    if labelled.is_empty() || good * bad == 0.0 || EVEN.contains(&share) {
        return None;
    }
    let message = wording!(
        "{wanted} wanted answers weigh {share:.2} times as much as {u} unwanted ones; KTO is advised to give them from 1 to 1.33 times the weight.",
        "{wanted} 个想要的回答的总权重是 {u} 个不想要的回答的 {share:.2} 倍；建议 KTO 把这个比值控制在 1 到 1.33 之间。"
    );
    let (field, weight) = if w < u { ("desirable_weight", u * bad / w) } else { ("undesirable_weight", w * good / u) };
    let hint = wording!("{field} = {weight:.2} would balance them.", "{field} = {weight:.2} 可使两者平衡。");
    Some(Problem::input(message).hint(hint).at(format!("settings.{field}")))
}

fn step(policy: &mut Policy, batch: &StepBatch, own: &Own) -> Result<StepOutcome> {
    let rows = batch.items() as f64;
    let mut totals = Totals::default();
    for micro_batch in &batch.micro_batches {
        let side = |side: usize| -> Vec<TokenRow> {
            micro_batch.iter().filter_map(|item| item.sequences.get(side).cloned()).collect()
        };
        let (matched, mismatched) = (side(0), side(1));
        let z = if mismatched.is_empty() { 0.0 } else { drift(&ratios(policy, &mismatched)?) };
        let tokens = TokenBatch::new(&matched)?;
        let reference = policy.reference_scores(&tokens, None)?;
        let scores = policy.forward(&tokens, None)?;
        let ratios = sums(&scores.logp, &tokens, &reference.logp);
        let mut coefficients = vec![0.0; scores.logp.len()];
        for (place, (item, range)) in micro_batch.iter().zip(tokens.target_ranges()).enumerate() {
            let wanted = item.label > 0.0;
            let weight = if wanted { own.desirable_weight } else { own.undesirable_weight };
            let (loss, gradient) = kto_head(own.loss_type, own.beta, weight, wanted, ratios[place], z);
            coefficients[range.clone()].fill(gradient / rows);
            let logits = scores.mean_logit[range.clone()].iter().sum();
            let logp = scores.logp[range.clone()].iter().sum();
            totals.loss += loss;
            totals.side(wanted).add(own.beta * ratios[place], logp, logits, range.len());
        }
        totals.entropy += scores.entropy.iter().sum::<f64>();
        totals.tokens += matched.iter().map(|row| row.ids.len() as u64).sum::<u64>();
        totals.drift += z * micro_batch.len() as f64;
        policy.backward(&coefficients)?;
    }
    Ok(StepOutcome { loss: totals.loss / rows, tokens: totals.tokens, metrics: totals.metrics(rows) })
}

/// Σ logπ − Σ logref of rows that have no gradient.
fn ratios(policy: &mut Policy, rows: &[TokenRow]) -> Result<Vec<f64>> {
    let rows = TokenBatch::new(rows)?;
    Ok(sums(&policy.scores(&rows, None)?.logp, &rows, &policy.reference_scores(&rows, None)?.logp))
}

/// Σ logπ − Σ logref of each row.
fn sums(policy: &[f64], batch: &TokenBatch, reference: &[f64]) -> Vec<f64> {
    let difference = |range: std::ops::Range<usize>| range.map(|at| policy[at] - reference[at]).sum();
    batch.target_ranges().into_iter().map(difference).collect()
}

/// Sums over a step.
#[derive(Default)]
struct Totals {
    loss: f64,
    drift: f64,
    entropy: f64,
    tokens: u64,
    wanted: Side,
    unwanted: Side,
}

/// Sums over the wanted or the unwanted answers.
#[derive(Default)]
struct Side {
    rows: f64,
    reward: f64,
    logp: f64,
    logits: f64,
    tokens: f64,
}

impl Side {
    fn add(&mut self, reward: f64, logp: f64, logits: f64, tokens: usize) {
        self.rows += 1.0;
        self.reward += reward;
        self.logp += logp;
        self.logits += logits;
        self.tokens += tokens as f64;
    }
}

impl Totals {
    fn side(&mut self, wanted: bool) -> &mut Side {
        if wanted { &mut self.wanted } else { &mut self.unwanted }
    }

    /// A side without rows in the step has no metrics.
    fn metrics(&self, rows: f64) -> BTreeMap<String, f64> {
        let mut metrics = BTreeMap::from([
            ("kl".to_owned(), self.drift / rows),
            ("entropy".to_owned(), self.entropy / (self.wanted.tokens + self.unwanted.tokens).max(1.0)),
        ]);
        for (name, side) in [("chosen", &self.wanted), ("rejected", &self.unwanted)] {
            if side.rows > 0.0 {
                metrics.insert(format!("rewards/{name}"), side.reward / side.rows);
                metrics.insert(format!("logps/{name}"), side.logp / side.rows);
                metrics.insert(format!("logits/{name}"), side.logits / side.tokens);
            }
        }
        if let (Some(chosen), Some(rejected)) = (metrics.get("rewards/chosen"), metrics.get("rewards/rejected")) {
            let margin = chosen - rejected;
            metrics.insert("rewards/margins".to_owned(), margin);
        }
        metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::TrainError;
    use alidade_domain::{Message, SettingValue};
    use alidade_model::{ModelFolder, TextTokenizer};

    fn settings(change: &[(&str, SettingValue)]) -> Settings {
        let said = change.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        Settings(said).resolve(&Kto.fields()).unwrap()
    }

    fn tokenizer() -> TextTokenizer {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/trl/model");
        ModelFolder::open(folder.as_ref()).unwrap().tokenizer().unwrap()
    }

    fn plain(prompt: &str, completion: &str, label: bool) -> Example {
        Example::PlainRated { prompt: prompt.to_owned(), completion: completion.to_owned(), label }
    }

    fn prepare(rows: &[Example], change: &[(&str, SettingValue)]) -> Result<Prepared> {
        let tokenizer = tokenizer();
        let run = Kto.configure(&settings(change)).unwrap();
        run.prepare(rows, &Encoder { tokenizer: &tokenizer, template: None })
    }

    /// The model has a template; rows of plain text must not pass through it, and end with the end token.
    #[test]
    fn plain_rows_stay_plain() {
        let prepared = prepare(&[plain("The river", " keeps.", true), plain("A lamp", " finds.", false)], &[]).unwrap();
        let tokenizer = tokenizer();
        let (_, end) = tokenizer.eos().unwrap();
        let mut expected = tokenizer.encode("The river keeps.").unwrap();
        expected.push(end);
        assert_eq!(prepared.items[0].sequences[0].ids, expected);
        assert_eq!([prepared.items[0].label, prepared.items[1].label], [1.0, 0.0]);
    }

    /// Rows that are dropped leave no gap and lend no answer: with a batch of two, rows 1 and 3 are neighbours.
    #[test]
    fn mismatched_rows_are_formed_of_what_is_left() {
        let long = "The river keeps the old map. ".repeat(8);
        let rows = [
            plain("The river", " keeps.", true),
            plain(&long, " Too long a prompt.", false),
            plain("A lamp", " finds.", false),
            plain("The clock", " follows.", true),
            plain("A kitten", " paints.", false),
        ];
        let size = ("per_device_train_batch_size", SettingValue::Whole(2));
        let prepared = prepare(&rows, &[("max_length", SettingValue::Whole(24)), size]).unwrap();
        assert_eq!(prepared.items.iter().map(|item| item.row).collect::<Vec<_>>(), [1, 3, 4, 5]);
        assert_eq!(prepared.skipped.iter().map(|skipped| skipped.row).collect::<Vec<_>>(), [2]);
        let answer = |row: &TokenRow| -> Vec<u32> {
            row.ids.iter().zip(&row.scored).filter(|(_, scored)| **scored).map(|(id, _)| *id).collect()
        };
        for (own, other) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
            let [matched, mismatched] = &prepared.items[own].sequences[..] else { panic!("two sequences") };
            assert_eq!(answer(mismatched), answer(&prepared.items[other].sequences[0]), "item {own}");
            let prompt = matched.ids.len() - answer(matched).len();
            assert_eq!(matched.ids[..prompt], mismatched.ids[..prompt]);
        }
    }

    #[test]
    fn one_kind_of_label_alone_is_refused() {
        for label in [true, false] {
            let rows = [plain("The river", " keeps.", label), plain("A lamp", " finds.", label)];
            let problem = Problem::from(prepare(&rows, &[]).err().unwrap());
            assert!(problem.message.en.contains(&format!("All 2 usable rows have the label {label}")), "{problem}");
            assert_eq!(problem.field.as_deref(), Some("dataset"));
        }
        let other = Example::Prompt { prompt: vec![Message::user("Who?")] };
        assert!(matches!(prepare(&[other], &[]).err(), Some(TrainError::NoRows { .. })));
    }

    #[test]
    fn uneven_kinds_are_told_with_the_weight_that_balances_them() {
        let rows: Vec<Example> = (0..8).map(|at| plain("The river", &format!(" keeps {at}."), at < 6)).collect();
        let told = |change: &[(&str, f64)]| {
            let change: Vec<_> = change.iter().map(|(key, value)| (*key, SettingValue::Number(*value))).collect();
            prepare(&rows, &change).unwrap().advice
        };
        let advice = told(&[]);
        assert_eq!(advice[0].field.as_deref(), Some("settings.undesirable_weight"));
        assert!(advice[0].message.en.contains("3.00 times") && advice[0].hints[0].en.contains("3.00"), "{}", advice[0]);
        for good in [&[("undesirable_weight", 3.0)][..], &[("undesirable_weight", 2.25)], &[("desirable_weight", 0.4)]]
        {
            assert!(told(good).is_empty(), "{good:?}");
        }
        assert_eq!(told(&[("undesirable_weight", 6.0)]).len(), 1);
        assert!(told(&[("desirable_weight", 0.0)]).is_empty());
    }

    #[test]
    fn the_order_is_kept_where_the_loss_estimates_a_drift() {
        let text = |text: &str| SettingValue::Text(text.to_owned());
        let order = Kto.configure(&settings(&[])).unwrap().common().train_sampling_strategy;
        assert_eq!(order, SamplingStrategy::Sequential);
        let shuffled = ("train_sampling_strategy", text("random"));
        let field = |change: &[(&str, SettingValue)]| Kto.configure(&settings(change)).err().and_then(|p| p.field);
        assert_eq!(field(std::slice::from_ref(&shuffled)).as_deref(), Some("settings.train_sampling_strategy"));
        let alone = ("per_device_train_batch_size", SettingValue::Whole(1));
        assert_eq!(field(std::slice::from_ref(&alone)).as_deref(), Some("settings.per_device_train_batch_size"));
        let nothing = ["desirable_weight", "undesirable_weight"].map(|key| (key, SettingValue::Number(0.0)));
        assert_eq!(field(&nothing).as_deref(), Some("settings.desirable_weight"));
        assert_eq!(field(&[shuffled, alone, ("loss_type", text("apo_zero_unpaired"))]), None);
    }
}
