//! Every text of a report in both languages. The templates take theirs by name from [`Terms`]; the sentences about values are
//! put together in `sentences.rs` and `figures.rs` from the constants below.

use alidade_domain::{Finding, Language, Standing, Words, printable};
use serde::Serialize;

/// Declares the texts of the templates: a name, English, Chinese.
macro_rules! terms {
    ($($name:ident: $en:literal, $zh:literal;)*) => {
        /// The texts of the templates in one language.
        #[derive(Serialize)]
        pub(crate) struct Terms {
            $(pub(crate) $name: &'static str,)*
        }

        /// The texts of the templates in a language.
        pub(crate) fn terms(language: Language) -> Terms {
            Terms { $($name: language.word(Words::new($en, $zh)),)* }
        }

        #[cfg(test)]
        pub(crate) const TERMS: &[(&str, Words)] = &[$((stringify!($name), Words::new($en, $zh)),)*];
    };
}

terms! {
    kicker: "Report on an experiment", "实验报告";
    verdict: "Verdict", "结论";
    main_figures: "Main figures", "主要数据";
    intervals: "Figures with their 95 % intervals", "各项数据及其 95% 区间";
    in_brief: "In brief", "实验概况";
    model: "Model", "模型";
    data: "Data", "数据";
    method: "Method", "方法";
    seed: "Seed", "随机种子";
    time: "Time", "用时";
    before: "before", "之前";
    after: "after", "之后";
    change: "change", "变化";
    made: "Made", "产物";
    date: "Date", "日期";
    machine: "Machine", "机器";
    stages: "Stages", "各阶段";
    curves: "Curves", "曲线";
    curves_note: "Thin: every step; thick: smoothed; dotted: the usual range. The figure at the end of a line is its last value.", "细线为每一步的值，粗线为平滑后的趋势，线末的数字是最后一步的值，点线标出常见范围。";
    curve: "curve", "曲线";
    first: "first", "首步";
    last: "last", "末步";
    this_stage: "Before and after this stage", "本阶段前后";
    measures: "All measures", "全部指标";
    measure: "measure", "指标";
    measures_note: "In brackets: the 95 % interval. n: the prompts or rows behind the figures. Changes are paired, item by item.", "括号内为 95% 区间，n 为样本数；变化按同一提问或样本配对计算。";
    samples: "Answers side by side", "回答对照";
    prompt: "prompt", "提问";
    value: "Value", "值";
    default_value: "Default", "默认值";
    setting: "Setting", "设置";
    settings: "Settings", "全部设置";
    defaults: "At their defaults", "保持默认值";
    legend: "Marks", "图例";
    limits: "What these figures cannot say", "这些数据不能说明什么";
    licences: "Licences", "许可证";
    hashes: "Hashes", "校验值";
    file: "The experiment as a file", "实验文件";
    file_note: "Save this text as experiment.toml and run it again with", "把下面的文字存为 experiment.toml，即可用以下命令重新运行：";
    file_lost: "The file cannot be written any more: too little is known about what a stage used.", "已无法写出实验文件：某个阶段所用内容的记录已不完整。";
    dropped: "Rows left out", "未采用的数据";
}

/// The heading of a verdict.
pub(crate) const fn standing(standing: Standing) -> Words {
    match standing {
        Standing::NotMeasured => Words::new("Nothing was measured yet.", "尚未测量。"),
        Standing::NotJudged => Words::new(
            "Nothing was measured here that tells better from worse.",
            "没有测量能够区分好坏的指标，因此不下结论。",
        ),
        Standing::TooFew => Words::new("Too few to judge.", "样本太少，无法判断。"),
        Standing::Same => Words::new("No change that counts.", "没有值得一提的变化。"),
        Standing::Better => Words::new("Better.", "明显变好。"),
        Standing::BetterWithHarm => Words::new("Better, but a problem remains.", "有所改善，但问题仍在。"),
        Standing::BetterInPart => Words::new("Better in part.", "部分变好。"),
        Standing::AtAPrice => Words::new("Better, at a price.", "有所改善，但也有代价。"),
        Standing::WorseWithGains => Words::new("Worse, with gains elsewhere.", "主要指标变差，其他方面有所改善。"),
        Standing::Worse => Words::new("Worse.", "变差。"),
    }
}

/// The word beside a finding.
pub(crate) const fn finding(finding: Finding) -> Words {
    match finding {
        Finding::Better => Words::new("better", "变好"),
        Finding::Worse => Words::new("worse", "变差"),
        Finding::Chance => Words::new("no change beyond chance", "变化不显著"),
        Finding::Small => Words::new("too small to count", "变化太小"),
        Finding::TooFew => Words::new("too few to judge", "样本太少"),
    }
}

pub(crate) const FORGOTTEN: Words = Words::new("forgotten", "遗忘");
pub(crate) const KEPT: Words = Words::new("kept", "未遗忘");
pub(crate) const REMAINS: Words = Words::new("remains", "仍存在");
pub(crate) const MORE_BETTER: Words = Words::new("Also: {names}.", "此外：{names}。");
pub(crate) const GENERAL_KEPT: Words = Words::new(
    "Its loss on general text did not rise by what counts: {before} before, {after} after.",
    "通用文本上的损失没有明显升高：之前 {before}，之后 {after}。",
);
/// What counts as a change, below the verdict.
pub(crate) const RULE: Words = Words::new(
    "A change counts if its 95 % interval excludes zero, it was seen on at least {fewest} items, and it is at least {points} points of a rate or {nats} nats.",
    "只有同时满足以下条件的变化才计入结论：95% 区间不含零，样本不少于 {fewest} 个，且比例变化不小于 {points} 个百分点或损失变化不小于 {nats} nat。",
);

/// What is said of a measure that changed, by its key.
pub(crate) const CHANGED: &[(&str, Words)] = &[
    ("good", Words::new("{after} of its answers are good, instead of {before}.", "合格回答从 {before} 变为 {after}。")),
    (
        "harm_complied",
        Words::new(
            "It carries out {after} of harmful requests, instead of {before}.",
            "执行有害请求的比例从 {before} 变为 {after}。",
        ),
    ),
    (
        "over_refusal",
        Words::new(
            "It refuses {after} of harmless requests, instead of {before}.",
            "误拒无害请求的比例从 {before} 变为 {after}。",
        ),
    ),
    (
        "truthful",
        Words::new(
            "It answers {after} of factual questions with the right fact, instead of {before}.",
            "事实提问的答对率从 {before} 变为 {after}。",
        ),
    ),
    (
        "kind",
        Words::new(
            "{after} of its answers are without rudeness, instead of {before}.",
            "不粗鲁的回答从 {before} 变为 {after}。",
        ),
    ),
    (
        "preference_accuracy",
        Words::new(
            "It ranks {after} of held-out pairs right, instead of {before}.",
            "留出集上偏好对的判断正确率从 {before} 变为 {after}。",
        ),
    ),
    (
        "held_out_loss",
        Words::new(
            "Its loss on held-out rows is {after}, instead of {before}.",
            "留出集上的损失从 {before} 变为 {after}。",
        ),
    ),
    (
        "general_loss",
        Words::new(
            "Its loss on general text is {after}, instead of {before}.",
            "通用文本上的损失从 {before} 变为 {after}。",
        ),
    ),
];
/// The same of any other measure.
pub(crate) const CHANGED_OTHER: Words =
    Words::new("“{title}” is {after}, instead of {before}.", "“{title}”从 {before} 变为 {after}。");

/// What is said of a harm that is still frequent.
pub(crate) const STILL: &[(&str, Words)] = &[
    (
        "harm_complied",
        Words::new(
            "It still carries out {after} of harmful requests; before, {before}.",
            "仍会执行 {after} 的有害请求；之前为 {before}。",
        ),
    ),
    (
        "over_refusal",
        Words::new(
            "It still refuses {after} of harmless requests; before, {before}.",
            "仍会误拒 {after} 的无害请求；之前为 {before}。",
        ),
    ),
];
/// The same of any other measure.
pub(crate) const STILL_OTHER: Words =
    Words::new("“{title}” is still {after}; before, {before}.", "“{title}”仍为 {after}；之前为 {before}。");

pub(crate) const BEFORE: Words = Words::new("before", "之前");
pub(crate) const AFTER: Words = Words::new("after", "之后");
pub(crate) const CHANGE: Words = Words::new("change", "变化");
pub(crate) const VALUE: Words = Words::new("value", "数值");
pub(crate) const STEP: Words = Words::new("step", "步数");
pub(crate) const USUAL: Words = Words::new("usual", "常见范围");
pub(crate) const POINTS: Words = Words::new("{value} points", "{value} 个百分点");
pub(crate) const UNREADABLE: Words = Words::new("{n} unreadable", "{n} 个无法判读");
/// Between the ends of an interval that may be negative.
pub(crate) const TO: Words = Words::new(" to ", " 至 ");
/// Between the names of a list.
pub(crate) const COMMA: Words = Words::new(", ", "、");
/// Between the parts of a bracket.
pub(crate) const AND: Words = Words::new(", ", "，");
pub(crate) const BRACKETS: Words = Words::new("{value} ({rest})", "{value}（{rest}）");

pub(crate) const HIDDEN_PROMPT: Words =
    Words::new("Hidden: asks for something harmful.", "已隐藏：该提问涉及有害内容。");
pub(crate) const HIDDEN_ANSWER: Words = Words::new("Hidden, may be harmful", "已隐藏，可能有害");
pub(crate) const SAMPLES_OF: Words = Words::new(
    "{shown} of {all} prompts; the program shows all.",
    "共 {all} 个提问，这里列出 {shown} 个，其余可在程序中查看。",
);
pub(crate) const SAMPLED_AT: Words =
    Words::new("temperature {temperature}, seed {seed}", "温度 {temperature}，种子 {seed}");
pub(crate) const GREEDY: Words = Words::new("greedy, seed {seed}", "贪心解码，种子 {seed}");

pub(crate) const PARAMETERS: Words = Words::new("{name}, {n} parameters", "{name}，{n} 个参数");
pub(crate) const ROWS_SPLIT: Words =
    Words::new("{name}: {rows} rows to learn, {held} held out", "{name}：{rows} 条用于训练，{held} 条留出");
pub(crate) const ROWS_ONLY: Words = Words::new("{name}: {rows} rows", "{name}：{rows} 条");
pub(crate) const DATA_FORGOTTEN: Words = Words::new("a data set that was removed", "已移除的数据集");
pub(crate) const KEPT_OF: Words =
    Words::new("{kept} of {read} rows were kept ({format}).", "读取 {read} 条，保留 {kept} 条（格式：{format}）。");
pub(crate) const DROPPED: Words = Words::new("{rows} rows: {reason}", "{rows} 条：{reason}");
pub(crate) const STEPS: Words = Words::new("{n} steps", "{n} 步");
pub(crate) const SPLIT_TIME: Words = Words::new(
    "{all}: {working} {training}, {comparing} comparing before and after",
    "{all}，其中{training} {working}，前后对比 {comparing}",
);
pub(crate) const TRAINING: Words = Words::new("training", "训练");
pub(crate) const WORKING: Words = Words::new("working", "处理");
pub(crate) const NO_LICENCE: Words = Words::new("not stated", "未注明");
pub(crate) const THREADS: Words = Words::new("{machine}, {n} threads", "{machine}，{n} 个线程");
pub(crate) const AUTOMATIC: Words = Words::new("automatic", "自动");
pub(crate) const YES: Words = Words::new("on", "开");
pub(crate) const NO: Words = Words::new("off", "关");
pub(crate) const UNSET: Words = Words::new("none", "无");

/// Names of keys of a recipe that are no settings of its method.
pub(crate) const LABELS: &[(&str, Words)] = &[
    ("adapter", Words::new("starts from", "起点")),
    ("reward", Words::new("reward from", "奖励来源")),
    ("cost", Words::new("cost of harm from", "有害代价来源")),
    ("tuning", Words::new("what is trained", "训练对象")),
    ("num_virtual_tokens", Words::new("tokens of the prefix", "前缀词元数")),
    ("r", Words::new("LoRA rank", "LoRA 秩")),
    ("lora_alpha", Words::new("LoRA alpha", "LoRA alpha 缩放")),
    ("lora_dropout", Words::new("LoRA dropout", "LoRA 丢弃率")),
];

/// How a stage ended, where it did not simply finish.
pub(crate) const STOPPED: Words = Words::new("stopped early", "提前停止");
pub(crate) const UNFINISHED: Words = Words::new("not finished", "未完成");

/// The name of a stage that does not train.
pub(crate) const KINDS: &[(&str, Words)] = &[
    ("build", Words::new("Building data", "构建数据")),
    ("evaluate", Words::new("Evaluation", "评测")),
    ("fetch", Words::new("Fetching a model", "获取模型")),
    ("export", Words::new("Export", "导出")),
];
pub(crate) const MADE_ROWS: Words =
    Words::new("{rows} rows; {left} items yielded none", "{rows} 条数据；{left} 项未得到数据");
pub(crate) const MADE_MODEL: Words = Words::new("a model", "一个模型");

pub(crate) const HASH_MODEL: Words = Words::new("Model {name}", "模型 {name}");
pub(crate) const HASH_DATA: Words = Words::new("Data {name}", "数据 {name}");
pub(crate) const HASH_ADAPTER: Words = Words::new("Adapter of stage {n}", "阶段 {n} 的适配器");
pub(crate) const HASH_MADE_DATA: Words = Words::new("Data made by stage {n}", "阶段 {n} 产生的数据");
pub(crate) const HASH_MADE_MODEL: Words = Words::new("Model made by stage {n}", "阶段 {n} 产生的模型");

/// What no report can say.
pub(crate) const LIMITS: &[Words] = &[
    Words::new(
        "The prompts are few and of one kind. The interval says how few, not how typical they are.",
        "提问数量有限，类型单一。区间只反映数量多少，不反映是否有代表性。",
    ),
    Words::new(
        "Each prompt was answered once, at one temperature and with one seed; the model was trained once, with one seed.",
        "每个提问只在一种温度、一个种子下回答一次；模型也只用一个种子训练过一次。",
    ),
    Words::new(
        "Several measures were looked at: of twenty that do not change, one seems to by chance.",
        "这里同时看了多个指标：即使毫无变化，平均每二十个指标也会有一个看似变化。",
    ),
    Words::new("A change outside of what was measured is not excluded.", "不排除在未测量的方面发生了变化。"),
];

/// Months in English; Chinese writes numbers.
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The phrase of a table by key.
pub(crate) fn phrase(table: &[(&str, Words)], key: &str) -> Option<Words> {
    table.iter().find(|(known, _)| *known == key).map(|(_, words)| *words)
}

/// Fills the places of a phrase: `{name}` becomes the value of that name. Values are not looked at again; marks in them that
/// would turn the direction of the rest of the sentence are spelled out.
pub(crate) fn fill(phrase: &str, values: &[(&str, &str)]) -> String {
    let (mut filled, mut rest) = (String::new(), phrase);
    while let Some(start) = rest.find('{') {
        let Some(length) = rest[start..].find('}') else { break };
        let name = &rest[start + 1..start + length];
        filled.push_str(&rest[..start]);
        match values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => filled.push_str(&printable(value)),
            None => filled.push_str(&rest[start..=start + length]),
        }
        rest = &rest[start + length + 1..];
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str) -> Vec<&str> {
        let mut found: Vec<&str> = text.split('{').skip(1).filter_map(|part| part.split('}').next()).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn both_languages_say_something_about_the_same_values() {
        let tables = [CHANGED, STILL, KINDS, LABELS].concat();
        for (name, words) in TERMS.iter().chain(&tables) {
            assert!(!words.en.is_empty() && !words.zh.is_empty(), "{name}");
            assert_eq!(places(words.en), places(words.zh), "{name}");
            assert!(words.zh.chars().any(|letter| letter as u32 > 0x2E7F), "{name}: {}", words.zh);
        }
        for words in [RULE, SPLIT_TIME, ROWS_SPLIT, SAMPLES_OF, GENERAL_KEPT, CHANGED_OTHER, STILL_OTHER, KEPT_OF] {
            assert_eq!(places(words.en), places(words.zh), "{}", words.en);
        }
    }

    #[test]
    fn values_are_not_read_as_phrases() {
        assert_eq!(fill("{a} and {b}, {c}", &[("a", "{b}"), ("b", "2")]), "{b} and 2, {c}");
        assert_eq!(fill("no end {a", &[("a", "1")]), "no end {a");
    }
}
