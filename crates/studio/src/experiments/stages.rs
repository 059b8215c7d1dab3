//! Finds the inputs of stages that do not train: an adapter of the store or of an earlier stage, a data set, a scorer.
//! Faults are reported at their fields; the job of the stage estimates its cost. Training stages are in `pipeline.rs`.

use crate::experiments::links::fault_of_scorer;
use crate::experiments::pipeline::{facts_of, split_seed};
use crate::studio::Studio;
use alidade_data::builder;
use alidade_domain::{
    AdapterSource, BuildRecipe, DatasetKind, DatasetSource, EvaluateRecipe, ExportForm, ExportRecipe, ModelSource,
    Problem, ScorerSource, StackSource, Stage, Tuning, wording,
};
use alidade_evaluation::HELD_OUT_PAIRS;
use alidade_jobs::kinds::{Ask, BuildAsk, EvaluateAsk, ExportAsk, FetchAsk, job};
use alidade_jobs::machine::folder_bytes;
use alidade_store::{DatasetRecord, ModelRecord};
use alidade_train::makes_scorer;
use std::path::Path;

/// The origin of a stage's rows.
pub(crate) enum Rows {
    /// An existing data set.
    There(Box<DatasetRecord>),
    /// An earlier stage makes them.
    Made {
        /// Its number, from 1.
        stage: usize,
        /// What they can teach.
        kind: DatasetKind,
    },
}

/// A found input, or the problem with it.
type Checked<T> = Result<T, Problem>;

impl Studio {
    /// Faults of a stage and its inputs; else the input of its estimate, which is absent if an earlier stage makes what this
    /// one reads.
    pub(crate) fn ask_of(&self, index: usize, stages: &[Stage]) -> Result<Option<Ask>, Vec<Problem>> {
        let stage = &stages[index];
        if let Stage::Train(recipe) = stage {
            return Ok(self.check_stage(index, recipe, stages)?.map(|ask| Ask::Train(Box::new(ask))));
        }
        let job = job(stage.kind()).map_err(|problem| vec![problem])?;
        let mut problems = job.check(stage);
        let ask = match stage {
            Stage::Build(recipe) => self.ask_build(index, recipe, stages, &mut problems),
            Stage::Evaluate(recipe) => self.ask_evaluate(index, recipe, stages, &mut problems),
            Stage::Export(recipe) => self.ask_export(index, recipe, stages, &mut problems),
            Stage::Fetch(recipe) => Some(Ask::Fetch(FetchAsk { stage: index, recipe: recipe.clone() })),
            Stage::Train(_) => None,
        };
        if problems.is_empty() { Ok(ask) } else { Err(problems) }
    }

    fn ask_build(
        &self,
        index: usize,
        recipe: &BuildRecipe,
        stages: &[Stage],
        problems: &mut Vec<Problem>,
    ) -> Option<Ask> {
        let model = keep(self.base_of(&recipe.model, index, stages), "model", problems).flatten();
        let rows = keep(self.rows_named(&recipe.dataset, index, stages), "dataset", problems);
        if let Some(adapter) = &recipe.adapter {
            let policy = self.policy_named(adapter, &recipe.model, index, stages);
            keep(policy, "adapter", problems);
        }
        let (model, rows) = (model?, rows?);
        let bundled = match &rows {
            Rows::There(set) => self.has_oracle(&model, set),
            Rows::Made { .. } => model.bundled,
        };
        let scorer = match &recipe.scorer {
            Some(ScorerSource::Oracle) if !bundled => Err(Problem::input(wording!(
                "The oracle only knows the world of the bundled model.",
                "oracle 只了解内置模型的世界。"
            ))
            .hint(wording!(
                "Name a reward model, or use the bundled model with the bundled data.",
                "请指定奖励模型，或把内置模型与内置数据一起使用。"
            ))),
            Some(ScorerSource::Model(source)) => {
                let fault = |maker| fault_of_scorer(&maker, &recipe.model, false).map_or(Ok(()), Err);
                self.maker(source, index, stages).and_then(fault)
            }
            _ => Ok(()),
        };
        keep(scorer, "scorer", problems);
        let settings = recipe.settings.resolve(&builder(&recipe.builder).ok()?.fields()).ok()?;
        let (path, rows_sha256) = self.asked_rows(&rows);
        Some(Ask::Build(BuildAsk {
            stage: index,
            recipe: recipe.clone(),
            settings,
            model: facts_of(&model),
            rows: path,
            rows_sha256,
            split: split_seed(stages),
        }))
    }

    fn ask_evaluate(
        &self,
        index: usize,
        recipe: &EvaluateRecipe,
        stages: &[Stage],
        problems: &mut Vec<Problem>,
    ) -> Option<Ask> {
        let model = keep(self.base_of(&recipe.model, index, stages), "model", problems).flatten();
        let rows = recipe.dataset.as_ref().map(|dataset| self.rows_named(dataset, index, stages));
        let rows = rows.and_then(|rows| keep(rows, "dataset", problems));
        let scoring = recipe.suite.as_deref() == Some(HELD_OUT_PAIRS);
        for (place, stack) in recipe.stacks.iter().enumerate() {
            keep(self.stack_named(stack, recipe, (index, scoring), stages), &format!("stacks.{place}"), problems);
        }
        let (path, rows_sha256) = rows.as_ref().map_or((None, String::new()), |rows| self.asked_rows(rows));
        let model = facts_of(&model?);
        Some(Ask::Evaluate(EvaluateAsk { stage: index, recipe: recipe.clone(), model, rows: path, rows_sha256 }))
    }

    fn ask_export(
        &self,
        index: usize,
        recipe: &ExportRecipe,
        stages: &[Stage],
        problems: &mut Vec<Problem>,
    ) -> Option<Ask> {
        let model = keep(self.base_of(&recipe.model, index, stages), "model", problems).flatten();
        let maker = self.maker(&recipe.adapter, index, stages).and_then(|maker| match maker.stands_on(&recipe.model) {
            true => Ok(()),
            false => Err(maker.other_base()),
        });
        keep(maker, "adapter", problems);
        let folder = recipe.adapter.stored().and_then(|id| self.store.adapter(id).ok());
        let adapter_bytes = folder.map_or(0, |record| folder_bytes(Path::new(&record.folder)));
        let model = facts_of(&model?);
        Some(Ask::Export(ExportAsk { stage: index, recipe: recipe.clone(), model, adapter_bytes }))
    }

    /// A base model from the list.
    ///
    /// # Errors
    /// When none is named, or it does not exist.
    pub(crate) fn model_named(&self, source: &ModelSource) -> Checked<ModelRecord> {
        match source {
            ModelSource::Stored(id) if !id.is_empty() => self.model(id),
            ModelSource::Path(path) if !path.is_empty() => Err(Problem::input(wording!(
                "An experiment uses models of the program's list; “{path}” is a path.",
                "实验使用程序列表中的模型，而“{path}”是路径。"
            ))
            .hint(wording!(
                "Add the folder as a model, and name it as in model:ID.",
                "请把该文件夹添加为模型，并以 model:ID 的形式指定。"
            ))),
            ModelSource::Stored(_) | ModelSource::Path(_) => {
                Err(Problem::input(wording!("No model is chosen.", "没有选择模型。"))
                    .hint(wording!("Choose a model.", "请选择模型。")))
            }
            ModelSource::Stage(number) => {
                Err(Problem::input(wording!("Stage {number} has made no model yet.", "阶段 {number} 还没有产生模型。"))
                    .hint(wording!("Run that stage first.", "请先运行该阶段。")))
            }
        }
    }

    /// The base model that a stage names, if it exists already; `None` if an earlier stage makes it.
    ///
    /// # Errors
    /// When none is named, it is not there, or the earlier stage makes no model.
    pub(crate) fn base_of(&self, source: &ModelSource, index: usize, stages: &[Stage]) -> Checked<Option<ModelRecord>> {
        let ModelSource::Stage(number) = source else { return self.model_named(source).map(Some) };
        match stages[..index.min(stages.len())].get(number - 1) {
            Some(Stage::Fetch(_)) => Ok(None),
            Some(Stage::Train(recipe)) if recipe.tuning == Some(Tuning::Full) => Ok(None),
            Some(Stage::Export(recipe)) if recipe.form == ExportForm::Merged => Ok(None),
            Some(_) => Err(Problem::input(wording!(
                "Stage {number} makes no model to work on.",
                "阶段 {number} 不产生可用的模型。"
            ))
            .hint(wording!(
                "Name a stage that fetches a model, trains every weight or exports a merged model; an adapter continues on its \
                 base.",
                "请指定获取模型、训练全部权重或导出合并模型的阶段；适配器在其基座上接续。"
            ))),
            None => Err(Problem::input(wording!(
                "There is no stage {number} before this one.",
                "在这个阶段之前没有阶段 {number}。"
            ))
            .hint(wording!("Name an earlier stage that makes a model.", "请指定前面产生模型的阶段。"))),
        }
    }

    /// The rows of a stage.
    ///
    /// # Errors
    /// When none are named, they do not exist, or the earlier stage makes no rows.
    pub(crate) fn rows_named(&self, source: &DatasetSource, index: usize, stages: &[Stage]) -> Checked<Rows> {
        match source {
            DatasetSource::Stored(id) if !id.is_empty() => Ok(Rows::There(Box::new(self.dataset(id)?))),
            DatasetSource::Path(path) if !path.is_empty() => Err(Problem::input(wording!(
                "An experiment uses data sets of the program's list; “{path}” is a path.",
                "实验使用程序列表中的数据集，而“{path}”是路径。"
            ))
            .hint(wording!(
                "Import the file, and name it as in dataset:ID.",
                "请导入该文件，并以 dataset:ID 的形式指定。"
            ))),
            DatasetSource::Stored(_) | DatasetSource::Path(_) => {
                Err(Problem::input(wording!("No data set is chosen.", "没有选择数据集。"))
                    .hint(wording!("Choose one, or drop a file.", "请选择一个，或拖入文件。")))
            }
            DatasetSource::Stage(number) => match stages[..index.min(stages.len())].get(number - 1) {
                Some(Stage::Build(recipe)) => {
                    Ok(Rows::Made { stage: *number, kind: builder(&recipe.builder)?.card().makes })
                }
                Some(_) => {
                    Err(Problem::input(wording!("Stage {number} makes no data set.", "阶段 {number} 不产生数据集。"))
                        .hint(wording!(
                            "Choose a data set, or a stage that builds one.",
                            "请选择数据集，或构建数据集的阶段。"
                        )))
                }
                None => Err(Problem::input(wording!(
                    "There is no stage {number} before this one.",
                    "在这个阶段之前没有阶段 {number}。"
                ))
                .hint(wording!("Name an earlier stage that builds a data set.", "请指定前面构建数据集的阶段。"))),
            },
        }
    }

    /// An adapter that generates answers on this base.
    fn policy_named(&self, source: &AdapterSource, model: &ModelSource, index: usize, stages: &[Stage]) -> Checked<()> {
        let maker = self.maker(source, index, stages)?;
        if makes_scorer(maker.method()) {
            return Err(Problem::input(wording!(
                "{name} is a reward model, which cannot generate answers.",
                "{name}是奖励模型，不能生成回答。";
                name = maker.name()
            ))
            .hint(wording!("Choose a stage or adapter that is a policy.", "请选择策略模型的阶段或适配器。")));
        }
        if maker.stands_on(model) { Ok(()) } else { Err(maker.other_base()) }
    }

    fn stack_named(
        &self,
        stack: &StackSource,
        recipe: &EvaluateRecipe,
        (index, scoring): (usize, bool),
        stages: &[Stage],
    ) -> Checked<()> {
        let Some(source) = adapter_of(stack) else {
            return Err(match stack {
                StackSource::Model(_) => Problem::input(wording!(
                    "The bare model is asked in any case, as the baseline.",
                    "裸模型总会作为基线参与提问。"
                ))
                .hint(wording!("Name adapters and stages here.", "请在这里指定适配器和阶段。")),
                _ => Problem::input(wording!(
                    "“{stack}” names nothing that can be asked.",
                    "“{stack}”不是可以提问的对象。"
                ))
                .hint(wording!(
                    "Name an earlier stage, as in stage:1, or an adapter, as in adapter:ID.",
                    "请指定前面的阶段，如 stage:1，或适配器，如 adapter:ID。"
                )),
            });
        };
        if !scoring {
            return self.policy_named(&source, &recipe.model, index, stages);
        }
        let maker = self.maker(&source, index, stages)?;
        if !makes_scorer(maker.method()) {
            return Err(Problem::input(wording!(
                "{name} generates answers; the suite asks models that score.",
                "{name}生成回答，而这个评测针对打分模型。";
                name = maker.name()
            ))
            .hint(wording!("Choose a stage or adapter that is a reward model.", "请选择奖励模型的阶段或适配器。")));
        }
        if maker.stands_on(&recipe.model) { Ok(()) } else { Err(maker.other_base()) }
    }

    fn asked_rows(&self, rows: &Rows) -> (Option<std::path::PathBuf>, String) {
        match rows {
            Rows::There(set) => (Some(self.rows_path(&set.id)), set.sha256.clone()),
            Rows::Made { .. } => (None, String::new()),
        }
    }
}

/// The adapter of a stack, if an experiment can name it.
pub(crate) fn adapter_of(stack: &StackSource) -> Option<AdapterSource> {
    match stack {
        StackSource::Adapter(id) => Some(AdapterSource::Stored(id.clone())),
        StackSource::Stage(number) => Some(AdapterSource::Stage(*number)),
        StackSource::Model(_) | StackSource::Path(_) => None,
    }
}

/// Returns what was found, or records the problem at its field.
fn keep<T>(found: Checked<T>, field: &str, problems: &mut Vec<Problem>) -> Option<T> {
    found.map_err(|problem| problems.push(problem.at(field))).ok()
}

/// The original data set of rows, through all stages that build.
pub(crate) fn origin<'a>(source: &'a DatasetSource, stages: &'a [Stage]) -> Option<&'a str> {
    match source {
        DatasetSource::Stored(id) => Some(id),
        DatasetSource::Path(_) => None,
        // Each step leads to an earlier stage, so this terminates.
        DatasetSource::Stage(number) => match stages.get(number - 1)? {
            Stage::Build(recipe) => origin(&recipe.dataset, &stages[..number - 1]),
            _ => None,
        },
    }
}
