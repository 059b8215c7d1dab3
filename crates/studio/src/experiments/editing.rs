//! Changes of experiments by the person: titles, notes and tags at any time, stages as long as nothing has run, and copies
//! that begin as drafts. A started experiment never changes what it ran.

use crate::studio::{Studio, now_ms};
use crate::views::ExperimentSummary;
use alidade_domain::{Choices, Experiment, Problem, ProblemCode, Stage, Words, wording};

/// Maximum length of title and question.
const LONGEST_TEXT: usize = 2_000;
/// Maximum length of notes.
const LONGEST_NOTES: usize = 20_000;
/// Maximum number of tags, and of characters in one.
const TAGS: usize = 12;
const LONGEST_TAG: usize = 40;

impl Studio {
    /// Changes title, question, notes and tags. Tags are kept in lower case, each once, in alphabetical order.
    ///
    /// # Errors
    /// When there is none of this id, no title, or too many tags.
    pub fn update_experiment(
        &self,
        id: &str,
        title: &str,
        question: &str,
        notes: &str,
        tags: Vec<String>,
    ) -> Result<ExperimentSummary, Problem> {
        let mut experiment = self.store.experiment(id)?;
        (experiment.title, experiment.question) = texts(title, question)?;
        experiment.notes = notes.trim().chars().take(LONGEST_NOTES).collect();
        experiment.tags = tidy_tags(tags)?;
        self.keep_experiment(experiment)
    }

    /// Replaces title, question, stages and choices of a draft.
    ///
    /// # Errors
    /// When there is none of this id, no title, or when it was started: what ran does not change afterwards.
    pub fn update_draft(
        &self,
        id: &str,
        title: &str,
        question: &str,
        stages: Vec<Stage>,
        choices: Option<Choices>,
    ) -> Result<ExperimentSummary, Problem> {
        let mut experiment = self.store.experiment(id)?;
        if !self.store.runs_of(id)?.is_empty() {
            let title = &experiment.title;
            let message = wording!(
                "“{title}” was started already, so its stages can no longer change.",
                "“{title}”已经启动过，它的阶段不能再改。"
            );
            return Err(Problem::new(ProblemCode::Conflict, message)
                .hint(Words::new("Save the changes as a new experiment.", "把改动另存为新实验。")));
        }
        (experiment.title, experiment.question) = texts(title, question)?;
        (experiment.stages, experiment.choices) = (stages, choices);
        self.keep_experiment(experiment)
    }

    /// A copy of an experiment as a draft, under a title that no other has.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn duplicate_experiment(&self, id: &str) -> Result<ExperimentSummary, Problem> {
        let original = self.store.experiment(id)?;
        let titles: Vec<String> = self.store.experiments()?.into_iter().map(|known| known.title).collect();
        let copy = Experiment {
            id: self.fresh_id("e"),
            title: numbered(&original.title, &titles),
            created_ms: now_ms(),
            notes: String::new(),
            ..original
        };
        self.keep_experiment(copy)
    }

    pub(super) fn keep_experiment(&self, experiment: Experiment) -> Result<ExperimentSummary, Problem> {
        self.store.put_experiment(&experiment)?;
        self.want_backup();
        self.summary(experiment)
    }
}

/// Title and question without surrounding space, of a bounded length.
pub(super) fn texts(title: &str, question: &str) -> Result<(String, String), Problem> {
    let title = title.trim();
    if title.is_empty() {
        return Err(Problem::input(Words::new("The experiment needs a title.", "实验需要一个标题。")).at("title"));
    }
    let cut = |text: &str| text.chars().take(LONGEST_TEXT).collect::<String>();
    Ok((cut(title), cut(question.trim())))
}

fn tidy_tags(tags: Vec<String>) -> Result<Vec<String>, Problem> {
    let tags = tags.into_iter().map(|tag| tag.trim().to_lowercase().chars().take(LONGEST_TAG).collect::<String>());
    let mut tags: Vec<String> = tags.filter(|tag| !tag.is_empty()).collect();
    tags.sort();
    tags.dedup();
    let count = tags.len();
    if count > TAGS {
        return Err(Problem::input(wording!(
            "An experiment has at most {TAGS} tags; these are {count}.",
            "一个实验最多有 {TAGS} 个标签；这里有 {count} 个。"
        ))
        .at("tags"));
    }
    Ok(tags)
}

/// The title with the first number from 2 that makes it differ from all others.
fn numbered(title: &str, taken: &[String]) -> String {
    // "Kind (2)" is copied as "Kind (3)", not as "Kind (2) (2)".
    let stem = match title.rsplit_once(" (") {
        Some((stem, number)) if number.strip_suffix(')').is_some_and(|number| number.parse::<u32>().is_ok()) => stem,
        _ => title,
    };
    let titles = (2..).map(|number| format!("{stem} ({number})"));
    titles.into_iter().find(|title| !taken.contains(title)).unwrap_or_else(|| stem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, import, recipe};
    use alidade_store::RunRecord;

    #[test]
    fn a_draft_changes_until_it_runs_and_its_copy_is_a_draft_of_its_own() {
        let house = House::new();
        let studio = house.open();
        let stages = vec![Stage::Train(recipe(&import(&studio).id))];
        let choices = Choices { seed: 7, ..Choices::default() };
        let made = studio.create_experiment("Kind", "?", stages.clone(), Some(choices.clone())).unwrap().experiment;
        let tags = ["Beta", " beta ", "", "a"].map(str::to_owned).to_vec();
        let told = studio.update_experiment(&made.id, " Kinder ", "??", "A note.", tags).unwrap().experiment;
        assert_eq!((told.title.as_str(), told.notes.as_str()), ("Kinder", "A note."));
        assert_eq!((told.tags, told.choices), (vec!["a".to_owned(), "beta".to_owned()], Some(choices)));
        let copy = studio.duplicate_experiment(&made.id).unwrap().experiment;
        let again = studio.duplicate_experiment(&copy.id).unwrap().experiment;
        assert_eq!((copy.title.as_str(), again.title.as_str()), ("Kinder (2)", "Kinder (3)"));
        assert_eq!((copy.stages.len(), copy.choices.map(|choices| choices.seed)), (1, Some(7)));
        let empty = studio.update_draft(&made.id, "Kinder", "", Vec::new(), None).unwrap().experiment;
        assert_eq!((empty.stages.len(), empty.choices), (0, None));
        let many = (0..13).map(|number| format!("t{number}")).collect();
        let refused = studio.update_experiment(&made.id, "t", "", "", many).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some("tags"));
        let run = RunRecord::new("r".to_owned(), made.id.clone(), 0, stages[0].clone(), 1);
        studio.store.put_run(&run).unwrap();
        let refused = studio.update_draft(&made.id, "t", "", stages, None).unwrap_err();
        assert_eq!(refused.code, ProblemCode::Conflict);
    }
}
