//! What the stacks of an evaluation are asked, suite by suite: read from the files of a run, from a person's rows, or from
//! the starter world. How they are asked is in `asking`.

use crate::Speaker;
use crate::asking::world_oracle::{self, OF_HOST, WorldOracle};
use alidade_domain::{Example, Message, Problem, Sampling, Scorer};
use alidade_evaluation::{
    GeneralText, HARMFUL, HeldOutRows, Material, NamedJudge, Prompt, Question, STARTER_WORLD, StarterWorld, Suite,
    judge_kind, suite,
};
use std::path::Path;

/// Sampling where no suite asks for answers.
const SILENT: Sampling = Sampling { temperature: 0.0, top_p: 1.0, max_new_tokens: 0, seed: 0 };

/// Texts of the starter world's chronicle that stand for general text.
const GENERAL_TEXTS: usize = 40;

/// General texts in both languages, written for this purpose: paragraphs with an empty line between them.
static GENERAL: &str = include_str!("general_text.txt");

/// The general texts, one a paragraph.
fn general_texts() -> Vec<String> {
    GENERAL.split("\n\n").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect()
}

/// Suites with their prompts and rows.
#[derive(Default)]
pub struct Questions {
    parts: Vec<(&'static dyn Suite, Material)>,
}

impl Questions {
    /// Reads the prompts and rows of a plan.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn of_files(prompts: Option<&Path>, rows: Option<&Path>, oracle: bool) -> Result<Self, Problem> {
        let read = |path: Option<&Path>| path.map_or_else(|| Ok(Vec::new()), crate::train::execute::read_rows);
        let prompts = read(prompts)?.iter().filter_map(Example::prompt).collect();
        Ok(if oracle { Self::of_town(prompts, read(rows)?) } else { Self::own(prompts, read(rows)?) })
    }

    /// Questions about Alder Bay, half of them in wordings that no corpus contains.
    pub fn of_world(prompts: usize) -> Self {
        Self::of_town(world_oracle::questions(prompts), Vec::new())
    }

    /// Questions about Alder Bay for its oracle, and held-out rows.
    pub fn of_town(prompts: Vec<Vec<Message>>, rows: Vec<Example>) -> Self {
        let town = Material { prompts: prompts.into_iter().map(world_oracle::known).collect(), rows: Vec::new() };
        Self::of([(&StarterWorld, town), (&HeldOutRows, Material { prompts: Vec::new(), rows })])
    }

    /// Held-out prompts and rows.
    pub fn own(prompts: Vec<Vec<Message>>, rows: Vec<Example>) -> Self {
        let prompts = prompts.into_iter().map(|messages| Prompt { messages, ..Prompt::default() }).collect();
        Self::of([(&HeldOutRows, Material { prompts, rows })])
    }

    /// Texts that show what was forgotten; those of the starter world for a model that knows nothing else.
    pub fn of_general_text(of_town: bool) -> Self {
        Self::default().with_general_text(of_town)
    }

    /// With texts that show what was forgotten.
    #[must_use]
    pub fn with_general_text(mut self, of_town: bool) -> Self {
        let texts = if of_town { world_oracle::chronicle(GENERAL_TEXTS) } else { general_texts() };
        let rows = texts.into_iter().map(|text| Example::Text { text }).collect();
        self.parts.push((&GeneralText, Material { prompts: Vec::new(), rows }));
        self
    }

    /// A person's own rows, each prompt asked once, with its answer as the reference answer.
    pub fn of_rows(suite: &'static dyn Suite, rows: Vec<Example>) -> Self {
        let mut prompts: Vec<Prompt> = Vec::new();
        for row in &rows {
            let Some(messages) = row.prompt() else { continue };
            if !prompts.iter().any(|known| known.messages == messages) {
                prompts.push(Prompt { messages, tags: Vec::new(), reference: row.reference() });
            }
        }
        Self::of([(suite, Material { prompts, rows })])
    }

    fn of<const N: usize>(parts: [(&'static dyn Suite, Material); N]) -> Self {
        Self { parts: parts.into_iter().filter(|(_, material)| !material.is_empty()).collect() }
    }

    /// True when there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// All prompts, suite after suite.
    pub fn prompts(&self) -> Vec<Vec<Message>> {
        self.parts.iter().flat_map(|(_, material)| material.conversations()).collect()
    }

    /// Letters of the rows that one batch of so many may score, the longest ones, the general texts included.
    pub fn batch_letters(&self, rows: usize, of_town: bool) -> usize {
        let general = Self::of_general_text(of_town);
        let longest = |questions: &Self| {
            let rows_of = questions.parts.iter().flat_map(|(_, material)| &material.rows);
            let mut letters: Vec<usize> = rows_of.map(Example::letters).collect();
            letters.sort_unstable_by(|one, other| other.cmp(one));
            letters.into_iter().take(rows).sum::<usize>()
        };
        longest(self).max(longest(&general))
    }

    /// Letters of the general texts that a comparison reads.
    pub fn general_letters(of_town: bool) -> usize {
        let general = Self::of_general_text(of_town);
        general.parts.iter().flat_map(|(_, material)| &material.rows).map(Example::letters).sum()
    }

    /// Rows in all.
    pub fn rows(&self) -> usize {
        self.parts.iter().map(|(_, material)| material.rows.len()).sum()
    }

    /// The sampling of the suite that asks for answers.
    pub fn sampling(&self) -> Sampling {
        let asks = self.parts.iter().find(|(_, material)| !material.prompts.is_empty());
        asks.or(self.parts.first()).map_or(SILENT, |(suite, _)| suite.sampling())
    }

    /// Prompts that may be shown without a warning.
    pub fn harmless_prompts(&self) -> Vec<Vec<Message>> {
        let prompts = self.parts.iter().flat_map(|(_, material)| &material.prompts);
        prompts.filter(|prompt| !prompt.tags.contains(&HARMFUL)).map(|prompt| prompt.messages.clone()).collect()
    }

    /// Without prompts that fill the model's context, because they leave no room for an answer.
    pub fn answerable(mut self, speaker: &Speaker) -> Result<Self, Problem> {
        for (_, material) in &mut self.parts {
            let mut fitting = Vec::with_capacity(material.prompts.len());
            for prompt in std::mem::take(&mut material.prompts) {
                if speaker.prompt(&prompt.messages)?.len() < speaker.context() {
                    fitting.push(prompt);
                }
            }
            material.prompts = fitting;
        }
        Ok(self)
    }

    /// The suites with their questions and the judges that they need.
    ///
    /// # Errors
    /// When a suite needs a judge that is not available.
    pub fn by_suite(&self) -> Result<Vec<Question<'static>>, Problem> {
        self.parts.iter().map(|(suite, material)| question(*suite, material)).collect()
    }

    /// The question of a suite, for figures from earlier answers.
    pub fn of_suite(&self, name: &str) -> Result<Question<'static>, Problem> {
        match self.parts.iter().find(|(own, _)| own.card().name == name) {
            Some((own, material)) => question(*own, material),
            None => question(suite(name)?, &Material::default()),
        }
    }
}

fn question(suite: &'static dyn Suite, material: &Material) -> Result<Question<'static>, Problem> {
    let named = |name: &str| {
        let kind = judge_kind(name, OF_HOST)?;
        Ok::<_, Problem>(NamedJudge { card: kind.card(), judge: kind.make(None, None)? })
    };
    let judge = suite.card().judge.map(named).transpose()?;
    let scorer = (suite.card().name == STARTER_WORLD).then_some(&WorldOracle as &dyn Scorer);
    Ok(Question::new(suite, material, judge, scorer))
}

/// Prompts of an evaluation without the oracle, at most.
const OWN_PROMPTS: usize = 40;

/// The prompts of an experiment's evaluation, the same for all of its stages.
pub fn own_prompts(held_out: &[Vec<Example>]) -> Vec<Example> {
    let mut prompts: Vec<Example> = Vec::new();
    for example in held_out.iter().flatten() {
        let Some(prompt) = example.prompt() else { continue };
        let prompt = Example::Prompt { prompt };
        if prompts.len() < OWN_PROMPTS && !prompts.contains(&prompt) {
            prompts.push(prompt);
        }
    }
    prompts
}
