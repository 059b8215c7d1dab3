//! The `Method` and `Training` traits, and lookup of methods by name. The registry is in `methods/mod.rs`.

use crate::about::{About, Before, Needs, Outlook, Starter};
use crate::batches::Steps;
use crate::encode::{Encoder, Prepared};
use crate::error::Result;
pub use crate::methods::METHODS;
use crate::passes::PassesPerRow;
use crate::session::{End, Session};
use crate::settings::CommonSettings;
use alidade_domain::{
    DatasetKind, Example, MethodCard, Place, Problem, SettingField, Settings, Watch, Wording, nearest_name, wording,
};
use alidade_model::{Critic, ScorerKind};

/// A training method. Everything specific to it is in its own file, behind this trait.
pub trait Method: Sync {
    /// Its name in recipes.
    fn name(&self) -> &'static str;

    /// Its user-visible texts.
    fn about(&self) -> About;

    /// Its settings, in the order of a form.
    fn fields(&self) -> Vec<SettingField>;

    /// Its charts and how they are interpreted.
    fn watch(&self) -> Watch;

    /// Its presets for the starter model.
    fn starter(&self) -> Starter;

    /// What it needs besides its rows.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// True when the result is a scorer and generates no answers.
    fn makes_scorer(&self) -> bool {
        false
    }

    /// Reads complete settings; called through [`Method::configure`].
    ///
    /// # Errors
    /// The first value that cannot be read, or rule between settings that is broken, at its field.
    fn read(&self, settings: &Settings) -> std::result::Result<Box<dyn Training>, Problem>;

    /// The method with the settings of a run, which are read once here.
    ///
    /// # Errors
    /// The first value that cannot be read, or rule between settings that is broken, at its field.
    fn configure(&self, settings: &Settings) -> std::result::Result<Box<dyn Training>, Problem> {
        self.read(&settings.with_defaults(&self.fields()))
    }

    /// Its card: what the user should know before choosing it, and what the UI needs to show a run of it.
    fn card(&self) -> MethodCard {
        let (about, needs) = (self.about(), self.needs());
        let kind = about.learns_from.first().copied();
        let place = if needs.reward { Place::Prompts } else { kind.map_or(Place::Answers, Place::of) };
        MethodCard {
            name: self.name(),
            label: about.label,
            title: about.title,
            summary: about.summary,
            why: about.why,
            paper: about.paper,
            needs: about.learns_from,
            place,
            needs_reward: needs.reward,
            limits_cost: needs.cost,
            makes_scorer: self.makes_scorer(),
            variants: about.variants,
            watch: self.watch(),
            settings: self.fields(),
        }
    }
}

/// A method with its settings: it owns its rows and its loss, never the optimizer loop.
pub trait Training {
    /// The settings that all methods share.
    fn common(&self) -> &CommonSettings;

    /// The optimizer steps for so many items.
    fn steps(&self, items: usize) -> Steps {
        self.common().steps(items)
    }

    /// Checks a run over so many prepared items before it starts; a session checks this too.
    ///
    /// # Errors
    /// When no step could change a weight, at the setting that causes it.
    fn check_steps(&self, items: usize) -> std::result::Result<(), Problem> {
        self.common().moves(self.steps(items).total)
    }

    /// Which passes a run makes, so that memory and time can be computed.
    fn passes(&self) -> PassesPerRow {
        PassesPerRow::ONE
    }

    /// Advice on such a run before it starts, each at the setting that it concerns.
    fn advice(&self, _outlook: &Outlook) -> Vec<Problem> {
        Vec::new()
    }

    /// The value model that it trains with the policy.
    fn critic(&self) -> Option<Critic> {
        None
    }

    /// The kind of scorer that results; `None` when the result generates answers.
    fn scorer_kind(&self) -> Option<ScorerKind> {
        None
    }

    /// Turns rows into token sequences; rows that cannot be used are listed, never dropped silently.
    ///
    /// # Errors
    /// When no row is left, or the model's tokenizer or chat template fails.
    fn prepare(&self, rows: &[Example], encoder: &Encoder) -> Result<Prepared>;

    /// Trains to the end, or until the person or a problem ends it.
    ///
    /// # Errors
    /// When the model fails or a value is not finite.
    fn train(&self, session: &mut Session, prepared: &Prepared) -> Result<End>;
}

/// The method of a name.
///
/// # Errors
/// When there is none, with the nearest name that there is.
pub fn method(name: impl AsRef<str>) -> std::result::Result<&'static dyn Method, Problem> {
    let name = name.as_ref();
    METHODS.iter().find(|method| method.name() == name).copied().ok_or_else(|| {
        let names = || METHODS.iter().map(|method| method.name());
        let list = Wording::names(names());
        let problem = Problem::input(wording!(
            "There is no method “{name}”. Known: {list}.",
            "没有名为“{name}”的方法。可用：{list}。";
            list
        ))
        .at("method");
        match nearest_name(name, names()) {
            Some(near) => problem.hint(wording!("Did you mean {near}?", "是否想写 {near}？")),
            None => problem,
        }
    })
}

/// True when the method of this name trains a scorer.
pub fn makes_scorer(name: impl AsRef<str>) -> bool {
    METHODS.iter().any(|method| method.name() == name.as_ref() && method.makes_scorer())
}

/// The method for a stage that precedes another: SFT, or the one that trains a scorer.
///
/// # Errors
/// When no method does.
pub fn before(stage: Before) -> std::result::Result<&'static dyn Method, Problem> {
    let does = |method: &&&dyn Method| match stage {
        Before::Answers => !method.needs().reward && method.about().learns_from.contains(&DatasetKind::Answers),
        Before::Scorer => method.makes_scorer(),
    };
    let found = METHODS.iter().find(does).copied();
    found.ok_or_else(|| {
        Problem::internal(wording!("No method makes the stage {stage:?}.", "没有方法对应阶段 {stage:?}。"))
    })
}

/// Names of the methods for which `holds` is true, for hints.
pub fn names_of(holds: impl Fn(&dyn Method) -> bool) -> String {
    METHODS.iter().filter(|method| holds(**method)).map(|method| method.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alidade_domain::{SettingValue, Words};

    #[test]
    fn every_method_says_what_is_known_of_it() {
        for method in METHODS {
            let (card, name) = (method.card(), method.name());
            assert_eq!(super::method(name).unwrap().name(), name);
            assert!(
                !card.needs.is_empty()
                    && card.settings.iter().all(|field| field.help.en.len() >= 10 && !field.help.zh.is_empty()),
                "{name}"
            );
            let said = |words: &Words| !words.en.is_empty() && !words.zh.is_empty();
            assert!([card.label, card.title, card.summary, card.why].iter().all(said), "{name}");
            assert!(!card.watch.charts.is_empty() && !card.watch.needs.is_empty(), "{name}");
            let readings = &card.watch.readings;
            assert!(readings.last().is_some_and(|reading| reading.when.is_empty()), "{name}: a last word for all else");
            assert!(readings.iter().rev().skip(1).all(|reading| !reading.when.is_empty()), "{name}");
            let defaults = Settings::default().with_defaults(&card.settings);
            assert_eq!(defaults.resolve(&card.settings).unwrap(), defaults);
            let training = method.configure(&Settings::default()).unwrap();
            assert_eq!(training.scorer_kind().is_some(), method.makes_scorer(), "{name}");
            assert_eq!(training.passes().answers.is_some(), method.needs().reward, "{name}");
        }
    }

    #[test]
    fn the_starter_model_s_settings_are_settings_of_the_method() {
        let mut goals = Vec::new();
        for method in METHODS {
            let starter = method.starter();
            for goal in &starter.goals {
                let said = starter.settings.iter().chain(&goal.settings);
                let said = said.map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
                method.configure(&Settings(said).resolve(&method.fields()).unwrap()).unwrap();
                goals.push(goal.id);
            }
        }
        let all = goals.len();
        goals.sort_unstable();
        goals.dedup();
        assert_eq!(goals.len(), all, "two goals have one name");
    }

    #[test]
    fn a_name_that_is_none_is_told_with_its_neighbour() {
        let problem = method("dop").err().unwrap();
        assert_eq!(
            (problem.hints, problem.field.as_deref()),
            (vec![wording!("Did you mean dpo?", "是否想写 dpo？")], Some("method"))
        );
    }

    /// Every declared key is unique and read by the method: an impossible value is reported at its field.
    #[test]
    fn every_declared_setting_is_read() {
        for method in METHODS {
            let mut keys: Vec<_> = method.fields().iter().map(|field| field.key).collect();
            for key in &keys {
                let wrong = Settings([((*key).to_owned(), SettingValue::Names(vec!["?".to_owned()]))].into());
                let problem = method.configure(&wrong).err().unwrap_or_else(|| panic!("{key} is not read"));
                assert_eq!(problem.field, Some(format!("settings.{key}")), "{:?}", method.name());
            }
            let all = keys.len();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), all, "{:?} declares a key twice", method.name());
        }
    }
}
