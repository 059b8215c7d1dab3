//! Evaluation from the terminal: any number of adapters on one base model, each a stack next to the bare model, with the
//! suite and the judges that a person names. Suites, judges and statistics are in `evaluation`.

use crate::asking::questions::Questions;
use crate::asking::scorer::evaluate_scorers;
use crate::asking::{StackSpeaker, ask_stacks, concluded, evaluated};
use crate::{Clock, Speaker};
use alidade_domain::{
    AdapterRef, EvaluatedStack, Evaluation, Example, Generator, ModelRef, Precision, Problem, Stack, Wording, Words,
    wording,
};
use alidade_evaluation::{
    GENERAL_TEXT, HELD_OUT_PAIRS, HELD_OUT_ROWS, JUDGES, JudgeCard, JudgeSpec, KEPT, NamedJudge, Question,
    STARTER_WORLD, SUITES, Snapshot, SuiteCard, judge_answers, judge_kind, suite,
};
use alidade_model::{adapter_sha256, model_sha256};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// The suites of the registry, for lists.
pub fn suites() -> Vec<&'static SuiteCard> {
    SUITES.iter().map(|suite| suite.card()).collect()
}

/// The judges of the registry, for lists.
pub fn judges() -> Vec<&'static JudgeCard> {
    JUDGES.iter().map(|kind| kind.card()).collect()
}

/// A bare model against the same model with adapters.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The model folder.
    pub model: PathBuf,
    /// The PEFT folders, each a stack of its own.
    pub adapters: Vec<PathBuf>,
    /// Held-out rows; without them the suite about Alder Bay is used.
    pub rows: Option<Vec<Example>>,
    /// Name of the suite; the one that fits the data when absent.
    pub suite: Option<String>,
    /// Judges that label the answers in addition to the suite: "refusal", "contains=blue".
    pub judges: Vec<String>,
    /// The model folder of judges that ask a model; the bare model itself when absent.
    pub judge_model: Option<PathBuf>,
    /// Most prompts or rows.
    pub limit: usize,
}

/// Evaluates outside of a run: the bare model is the first stack and the baseline.
///
/// # Errors
/// When a file cannot be used, or there is no suite or judge of a name; the field is named.
pub fn evaluate(comparison: &Comparison) -> Result<Vec<Evaluation>, Problem> {
    let clock = Clock::start();
    let asked = asked(comparison)?;
    for spec in &comparison.judges {
        judge_kind(&JudgeSpec::from(spec.as_str()).name, &[])?;
    }
    let stacks = stacks(comparison)?;
    if comparison.suite.as_deref() == Some(HELD_OUT_PAIRS) {
        if let Some(judge) = comparison.judges.first() {
            let message = wording!(
                "The judge “{judge}” reads answers, but models that score generate none.",
                "裁判“{judge}”要读取回答，而打分模型不生成回答。"
            );
            return Err(Problem::input(message).hint(Words::new("Leave --judge out.", "去掉 --judge。")).at("judge"));
        }
        return evaluate_scorers(comparison, &asked, &stacks[1..], &clock);
    }
    let paths: Vec<Option<&Path>> =
        [None].into_iter().chain(comparison.adapters.iter().map(|path| Some(path.as_path()))).collect();
    let speaker = Speaker::of_stacks(&comparison.model, &paths, Precision::F32, crate::local_time())?;
    let asked = asked.answerable(&speaker)?;
    let questions = asked.by_suite()?;
    let speaker = RefCell::new(speaker);
    let other = other_judge(comparison)?;
    let bare = StackSpeaker { speaker: other.as_ref().unwrap_or(&speaker), place: 0 };
    let judges = judges_of(comparison, &bare)?;
    let mut snapshots = ask_stacks(&questions, &speaker, &stacks, None, None, &mut |_| true)?;
    judge(&questions, &judges, &mut snapshots)?;
    let cards: Vec<&'static JudgeCard> = judges.iter().map(|named| named.card).collect();
    Ok(questions.iter().map(|question| concluded(question, &cards, &snapshots, (KEPT, clock.seconds()))).collect())
}

/// The named suite, else the one that fits the data.
pub fn fitting_suite(named: Option<&str>, has_rows: bool) -> &str {
    named.unwrap_or(if has_rows { HELD_OUT_ROWS } else { STARTER_WORLD })
}

pub(crate) fn asked(comparison: &Comparison) -> Result<Questions, Problem> {
    let needs = |message: Wording, hint: Words| Err(Problem::input(message).hint(hint).at("suite"));
    let name = fitting_suite(comparison.suite.as_deref(), comparison.rows.is_some());
    let found = suite(name)?;
    match (name, &comparison.rows) {
        (STARTER_WORLD, None) => Ok(Questions::of_world(comparison.limit)),
        (GENERAL_TEXT, None) => Ok(Questions::of_general_text(false)),
        (_, Some(_)) if found.brings_its_own() => needs(
            wording!(
                "The suite “{name}” brings its own questions and reads no data.",
                "评测“{name}”自带提问，不读取数据。"
            ),
            Words::new("Leave --data out.", "去掉 --data。"),
        ),
        (_, None) => needs(
            wording!(
                "The suite “{name}” asks about rows, but none were given.",
                "评测“{name}”的提问来自数据，但没有给出数据。"
            ),
            Words::new("Add --data FILE.", "加上 --data FILE。"),
        ),
        (_, Some(rows)) => Ok(Questions::of_rows(found, rows.iter().take(comparison.limit).cloned().collect())),
    }
}

/// The model that judges ask, where it is not the bare base model, which is loaded anyway.
fn other_judge(comparison: &Comparison) -> Result<Option<RefCell<Speaker>>, Problem> {
    let same = |path: &Path| path.canonicalize().ok() == comparison.model.canonicalize().ok();
    let Some(path) = comparison.judge_model.as_deref().filter(|path| !same(path)) else { return Ok(None) };
    Ok(Some(RefCell::new(Speaker::open(path, None, Precision::F32).map_err(|problem| problem.at("judge-model"))?)))
}

pub(crate) fn judges_of<'a>(comparison: &Comparison, model: &'a dyn Generator) -> Result<Vec<NamedJudge<'a>>, Problem> {
    let make = |spec: &String| {
        let JudgeSpec { name, argument } = JudgeSpec::from(spec.as_str());
        let kind = judge_kind(&name, &[])?;
        Ok(NamedJudge { card: kind.card(), judge: kind.make(argument.as_deref(), Some(model))? })
    };
    comparison.judges.iter().map(make).collect()
}

/// The bare model, then one stack for each adapter.
fn stacks(comparison: &Comparison) -> Result<Vec<EvaluatedStack>, Problem> {
    let file_name = |path: &Path| path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let name = file_name(&comparison.model);
    let sha256 = model_sha256(&comparison.model).map_err(|error| Problem::from(error).at("model"))?;
    let model = ModelRef { id: name.clone(), name, sha256 };
    let mut stacks = vec![evaluated(&Stack::base(model.clone()))];
    for path in &comparison.adapters {
        let sha256 = adapter_sha256(path).map_err(|error| Problem::from(error).at("adapter"))?;
        let name = if comparison.adapters.len() == 1 { "adapter".to_owned() } else { file_name(path) };
        let adapter = AdapterRef { id: String::new(), name, sha256 };
        stacks.push(evaluated(&Stack::with_adapter(model.clone(), adapter)));
    }
    Ok(stacks)
}

/// Lets judges label the answers of all stacks; the answers of the first stack are the baseline.
pub(crate) fn judge(questions: &[Question], judges: &[NamedJudge], snapshots: &mut [Snapshot]) -> Result<(), Problem> {
    for (place, question) in questions.iter().enumerate() {
        for named in judges {
            let baseline = snapshots.first().map(|first| first.parts[place].clone());
            for (stack, snapshot) in snapshots.iter_mut().enumerate() {
                if stack > 0 || !named.card.compares {
                    judge_answers(question, named, &mut snapshot.parts[place], baseline.as_ref())?;
                }
            }
        }
    }
    Ok(())
}
