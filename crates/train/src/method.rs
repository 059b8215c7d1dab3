//! What every method offers, and the registry of those that exist.

use crate::encode::{Encoder, Prepared};
use crate::error::Result;
use crate::methods::{
    cpo::Cpo, dpo::Dpo, grpo::Grpo, kto::Kto, online_dpo::OnlineDpo, orpo::Orpo, ppo::Ppo,
    rejection_sampling::RejectionSampling, reward_model::RewardModelling, rloo::Rloo, sft::Sft,
};
use crate::order::Steps;
use crate::passes::PassesPerRow;
use crate::session::{End, Session};
use crate::settings::CommonSettings;
use alidade_domain::{Example, MethodCard, MethodName, Problem, Settings};
use alidade_model::{Critic, Rater};

/// What a method needs beside its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Something that scores answers.
    pub reward: bool,
    /// True when it can keep a cost below a limit beside that.
    pub cost: bool,
    /// The model as it was at the start, to be compared with; training every weight keeps none.
    pub reference: bool,
}

/// What is known of a run when its rows have been counted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Outlook {
    /// Parameters of the model.
    pub model_parameters: u64,
    /// Share of pairs whose first answer is clearly the longer one.
    pub chosen_longer: f64,
}

/// A training method.
pub trait Method: Sync {
    /// Its name in recipes.
    fn name(&self) -> MethodName;

    /// What a person should know before choosing it, settings included.
    fn card(&self) -> MethodCard;

    /// What it needs beside its rows.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Reads settings that say everything; asked for through [`Method::configure`].
    ///
    /// # Errors
    /// The first value that cannot be read, or rule between settings that is broken, at its field.
    fn read(&self, settings: &Settings) -> std::result::Result<Box<dyn Training>, Problem>;

    /// The method under the settings of a run, which are read here once.
    ///
    /// # Errors
    /// The first value that cannot be read, or rule between settings that is broken, at its field.
    fn configure(&self, settings: &Settings) -> std::result::Result<Box<dyn Training>, Problem> {
        self.read(&settings.with_defaults(&self.card().settings))
    }
}

/// A method with its settings: it owns its rows and its loss, never the optimizer loop.
pub trait Training {
    /// The settings that all methods share.
    fn common(&self) -> &CommonSettings;

    /// How many steps so many items make.
    fn steps(&self, items: usize) -> Steps {
        self.common().steps(items)
    }

    /// Looks at a run over so many prepared items before it starts; a session asks this too.
    ///
    /// # Errors
    /// When no step of it could move a weight, at the setting that makes it so.
    fn check_steps(&self, items: usize) -> std::result::Result<(), Problem> {
        self.common().moves(self.steps(items).total)
    }

    /// Which passes a run makes, so that memory and time can be computed.
    fn passes(&self) -> PassesPerRow {
        PassesPerRow::ONE
    }

    /// What a person should know about such a run before it starts, at the setting that it speaks of.
    fn advice(&self, _outlook: &Outlook) -> Vec<Problem> {
        Vec::new()
    }

    /// The value model that it trains beside the policy.
    fn critic(&self) -> Option<Critic> {
        None
    }

    /// What the result says of an answer; `None` when it writes answers.
    fn rates(&self) -> Option<Rater> {
        None
    }

    /// Turns rows into token sequences; rows that cannot be used are listed, never dropped in silence.
    ///
    /// # Errors
    /// When no row is left, or the model's tokenizer or chat template fails.
    fn prepare(&self, rows: &[Example], encoder: &Encoder) -> Result<Prepared>;

    /// Trains to the end, or until the person or a problem ends it.
    ///
    /// # Errors
    /// When the model fails or a number is no longer finite.
    fn train(&self, session: &mut Session, prepared: &Prepared) -> Result<End>;
}

/// Every method.
pub const METHODS: &[&dyn Method] =
    &[&Sft, &Dpo, &Kto, &Orpo, &Cpo, &RewardModelling, &Ppo, &Grpo, &Rloo, &OnlineDpo, &RejectionSampling];

/// The method of a name. `MethodName` lists exactly the registered ones; a test holds the two together.
pub fn method(name: MethodName) -> &'static dyn Method {
    METHODS.iter().find(|method| method.name() == name).copied().unwrap_or(METHODS[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use alidade_domain::SettingValue;

    #[test]
    fn every_name_has_its_method_and_every_default_passes_its_own_check() {
        assert_eq!(METHODS.iter().map(|method| method.name()).collect::<Vec<_>>(), MethodName::ALL);
        for method in METHODS {
            let card = method.card();
            assert_eq!(card.name, method.name());
            assert!(!card.needs.is_empty() && card.settings.iter().all(|field| field.help.len() > 10));
            let defaults = Settings::default().with_defaults(&card.settings);
            assert_eq!(defaults.resolve(&card.settings).unwrap(), defaults);
            assert_eq!(card.needs_reward, method.needs().reward);
            method.configure(&Settings::default()).unwrap();
        }
    }

    /// What a form offers is read by the method, and every key stands once: a value that nothing can be is told at its field.
    #[test]
    fn every_declared_setting_is_read() {
        for method in METHODS {
            let mut keys: Vec<_> = method.card().settings.iter().map(|field| field.key).collect();
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
