//! Experiments: create, edit, start, list with their results.

mod budget;
pub mod compose;
mod editing;
pub(crate) mod links;
pub(crate) mod pipeline;
pub(crate) mod planning;
pub(crate) mod plans;
pub(crate) mod presets;
pub(crate) mod sharing;
pub(crate) mod stage_plans;
pub(crate) mod stages;
pub(crate) mod uses;

use crate::experiments::editing::texts;
use crate::studio::{Studio, lock, now_ms};
use crate::views::{ExperimentState, ExperimentSummary, without_samples};
use alidade_domain::{Choices, Evaluation, EventKind, Experiment, Problem, ProblemCode, RunState, Stage, wording};
use alidade_evaluation::worded;
use alidade_jobs::asking::questions::Questions;
use alidade_jobs::concluded;
use alidade_jobs::files::durable::remove_folder;
use alidade_jobs::train::comparing::{AFTER, BEFORE};
use alidade_store::RunRecord;

impl Studio {
    /// All experiments, newest first, without samples and rows, which a list does not show.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn list_experiments(&self) -> Result<Vec<ExperimentSummary>, Problem> {
        // An experiment with unreadable runs is left out.
        let experiments = self.store.experiments()?.into_iter();
        Ok(experiments.filter_map(|experiment| self.summary_of(experiment, Detail::Brief).ok()).collect())
    }

    /// One experiment.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn get_experiment(&self, id: &str) -> Result<ExperimentSummary, Problem> {
        self.summary(self.store.experiment(id)?)
    }

    /// Stores a new experiment as a draft.
    ///
    /// # Errors
    /// When it has no title.
    pub fn create_experiment(
        &self,
        title: &str,
        question: &str,
        stages: Vec<Stage>,
        choices: Option<Choices>,
    ) -> Result<ExperimentSummary, Problem> {
        let (title, question) = texts(title, question)?;
        let experiment = Experiment::new(self.fresh_id("e"), title, question, stages, now_ms());
        self.keep_experiment(Experiment { choices, ..experiment })
    }

    /// Removes an experiment with its runs, their folders and adapters.
    ///
    /// # Errors
    /// When one of its runs is in progress.
    pub fn delete_experiment(&self, id: &str) -> Result<(), Problem> {
        let runs = self.store.runs_of(id)?;
        if runs.iter().any(|run| run.state == RunState::Running) {
            return Err(Problem::new(
                ProblemCode::Conflict,
                wording!("A run of this experiment is in progress.", "这个实验有一次运行正在进行。"),
            )
            .hint(wording!("Discard the run first.", "请先丢弃该运行。")));
        }
        self.forget_models_of(&runs)?;
        self.store.delete_experiment(id)?;
        for run in runs {
            self.note(&run.id, None);
            // The database no longer refers to the folder; a leftover only costs disk space.
            let _ = remove_folder(&self.run_folder(&run.id));
        }
        self.forget_unused()
    }

    /// Queues every stage without a result.
    ///
    /// # Errors
    /// When the pipeline is not ready; the first fault is named with its field.
    pub fn start_experiment(&self, id: &str) -> Result<ExperimentSummary, Problem> {
        let mut experiment = self.store.experiment(id)?;
        let checked = self.check_pipeline(&experiment.stages)?;
        if let Some(problem) = checked.problems.into_iter().next() {
            return Err(problem);
        }
        let runs = self.store.runs_of(id)?;
        if let Some(most) = checked.compare.filter(|_| runs.is_empty()) {
            // What the plan chose becomes part of the experiment, so that it can be repeated elsewhere.
            budget::write(&mut experiment.stages, most);
            self.store.put_experiment(&experiment)?;
        }
        for (stage, work) in experiment.stages.iter().enumerate() {
            match runs.iter().rev().find(|run| run.stage == stage && run.state != RunState::Discarded) {
                Some(run) if run.state.can_resume() => drop(self.append_event(run, EventKind::Queued)?),
                Some(_) => {}
                None => {
                    let mut run = RunRecord::new(self.fresh_id("r"), id.to_owned(), stage, work.clone(), now_ms());
                    run.estimate = checked.stages.iter().find(|estimate| estimate.stage == stage).cloned();
                    run.total_steps = run.estimate.as_ref().map_or(0, |estimate| estimate.optimizer_steps);
                    self.store.put_run(&run)?;
                }
            }
        }
        self.wake.call();
        self.get_experiment(id)
    }

    fn summary(&self, experiment: Experiment) -> Result<ExperimentSummary, Problem> {
        self.summary_of(experiment, Detail::Whole)
    }

    fn summary_of(&self, experiment: Experiment, detail: Detail) -> Result<ExperimentSummary, Problem> {
        let runs = self.store.runs_of(&experiment.id)?;
        let latest = latest(&runs);
        let state = state(&latest, experiment.stages.len());
        let views = latest.iter().map(|run| self.run_view(run)).collect::<Result<Vec<_>, _>>()?;
        if detail == Detail::Whole {
            let overall = self.overall(&experiment, &latest);
            return Ok(ExperimentSummary { experiment, state, runs: views, overall });
        }
        let overall = self.brief_overall(&experiment, &latest);
        Ok(ExperimentSummary { experiment, state, runs: views, overall }.brief())
    }

    /// [`Studio::overall`] without samples. Lists ask for it every few seconds, so it is kept as long as no run changes.
    fn brief_overall(&self, experiment: &Experiment, latest: &[&RunRecord]) -> Vec<Evaluation> {
        let runs = latest.iter().map(|run| format!("{}:{}", run.id, run.last_sequence)).collect::<Vec<_>>().join(" ");
        if let Some((known, overall)) = lock(&self.overalls).get(&experiment.id)
            && *known == runs
        {
            return overall.clone();
        }
        let mut overall = self.overall(experiment, latest);
        overall.iter_mut().for_each(without_samples);
        lock(&self.overalls).insert(experiment.id.clone(), (runs, overall.clone()));
        overall
    }

    /// Compares the first stack with the last, from the stored answers of the stages.
    pub(crate) fn overall(&self, experiment: &Experiment, runs: &[&RunRecord]) -> Vec<Evaluation> {
        // A reward model gives no answers; alone it is shown by its own figures.
        let found = |run: &&&RunRecord| !run.evaluations.is_empty();
        let trains =
            |run: &RunRecord| run.work.recipe().is_some() && !crate::experiments::pipeline::makes_scorer(&run.work);
        let evaluated = |run: &&&RunRecord| found(run) && trains(run);
        let (Some(first), Some(last)) = (runs.iter().find(evaluated), runs.iter().rev().find(evaluated)) else {
            return runs.iter().rev().find(found).map_or_else(Vec::new, |run| self.evaluations_of(run));
        };
        let compared = self.first_against_last(experiment, [first, last], runs);
        match first.id == last.id {
            // The record of a single stage has the same figures, with fewer samples.
            true => compared.ok().filter(|found| !found.is_empty()).unwrap_or_else(|| self.evaluations_of(last)),
            // A comparison that is no longer possible is not shown; the stages keep their own figures.
            false => compared.unwrap_or_default(),
        }
    }

    fn first_against_last(
        &self,
        experiment: &Experiment,
        [first, last]: [&RunRecord; 2],
        runs: &[&RunRecord],
    ) -> Result<Vec<Evaluation>, Problem> {
        let snapshots = [self.snapshot_of(&first.id, BEFORE)?, self.snapshot_of(&last.id, AFTER)?];
        let Some(recipe) = first.work.recipe() else { return Ok(Vec::new()) };
        let model = self.model_facts(recipe)?;
        let prompts = self.run_folder(&last.id).join("prompts.jsonl");
        let asked = Questions::of_files(Some(&prompts), None, self.judged_by_oracle(experiment, &model))?;
        let mut seconds = runs.iter().flat_map(|run| &run.evaluations).map(|found| found.seconds).sum();
        let mut overall = Vec::new();
        for part in &snapshots[1].parts {
            let question = asked.of_suite(&part.suite)?;
            let evaluation = concluded(&question, &[], &snapshots, (usize::MAX, seconds));
            if !evaluation.measures.is_empty() {
                overall.push(evaluation);
                seconds = 0.0;
            }
        }
        Ok(overall)
    }

    /// The evaluations of a run, with current texts.
    pub(crate) fn evaluations_of(&self, run: &RunRecord) -> Vec<Evaluation> {
        let mut evaluations = run.evaluations.clone();
        evaluations.iter_mut().for_each(worded);
        evaluations
    }
}

/// How much of its evaluations a summary has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// The figures.
    Brief,
    /// Also every sample, pair and row.
    Whole,
}

/// The latest run of each stage; a discarded one only if there is no other.
pub(crate) fn latest(runs: &[RunRecord]) -> Vec<&RunRecord> {
    let mut found: Vec<&RunRecord> = Vec::new();
    for run in runs {
        match found.iter_mut().find(|known| known.stage == run.stage) {
            Some(known) if run.state != RunState::Discarded || known.state == RunState::Discarded => *known = run,
            Some(_) => {}
            None => found.push(run),
        }
    }
    found
}

fn state(runs: &[&RunRecord], stages: usize) -> ExperimentState {
    let any = |state: RunState| runs.iter().any(|run| run.state == state);
    let done = |run: &&&RunRecord| matches!(run.state, RunState::Finished | RunState::Stopped);
    let told = [
        (RunState::Failed, ExperimentState::Failed),
        (RunState::Interrupted, ExperimentState::Interrupted),
        (RunState::Paused, ExperimentState::Paused),
        (RunState::Running, ExperimentState::Running),
        (RunState::Queued, ExperimentState::Running),
    ];
    if let Some((_, state)) = told.into_iter().find(|(run, _)| any(*run)) {
        return state;
    }
    match (runs.iter().filter(done).count() == stages && stages > 0, any(RunState::Stopped)) {
        (true, true) => ExperimentState::Stopped,
        (true, false) => ExperimentState::Finished,
        _ => ExperimentState::Draft,
    }
}
