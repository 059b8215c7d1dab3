//! What every method offers, and the registry of those that exist.

use crate::encode::{Encoder, Prepared};
use crate::error::Result;
use crate::methods::{
    cpo::Cpo, dpo::Dpo, group::Grpo, group::Rloo, kto::Kto, online_dpo::OnlineDpo, orpo::Orpo, ppo::Ppo,
    rejection::RejectionSampling, reward_model::RewardModelling, sft::Sft,
};
use crate::order::Steps;
use crate::session::{End, Session};
use alidade_domain::{Example, MethodCard, MethodName, Problem, Settings};

/// What a method needs beside its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Something that scores answers.
    pub reward: bool,
    /// True when it can keep a cost below a limit beside that.
    pub cost: bool,
    /// A value model.
    pub critic: bool,
    /// The model as it was at the start, to be compared with; training every weight keeps none.
    pub reference: bool,
}

/// A training method: it owns its rows and its loss, never the optimizer loop.
pub trait Method: Sync {
    /// Its name in recipes.
    fn name(&self) -> MethodName;

    /// What a person should know before choosing it, settings included.
    fn card(&self) -> MethodCard;

    /// What it needs beside its rows.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Its own rules between settings that no single range can say; asked for through [`Method::check`].
    ///
    /// # Errors
    /// The first rule that is broken, at its field.
    fn rules(&self, _settings: &Settings) -> std::result::Result<(), Problem> {
        Ok(())
    }

    /// Rules between settings: those that all methods share, and its own.
    ///
    /// # Errors
    /// The first rule that is broken, at its field.
    fn check(&self, settings: &Settings) -> std::result::Result<(), Problem> {
        crate::settings::check(settings)?;
        self.rules(settings)
    }

    /// How many steps so many items make.
    fn steps(&self, settings: &Settings, items: usize) -> Steps {
        crate::settings::steps(settings, items)
    }

    /// Turns rows into token sequences; rows that cannot be used are listed, never dropped in silence.
    ///
    /// # Errors
    /// When no row is left, or the model's tokenizer or chat template fails.
    fn prepare(&self, rows: &[Example], encoder: &Encoder, settings: &Settings) -> Result<Prepared>;

    /// Looks at a run over so many prepared items before it starts; a session asks this too.
    ///
    /// # Errors
    /// When no step of it could move a weight, at the setting that makes it so.
    fn check_steps(&self, settings: &Settings, items: usize) -> std::result::Result<(), Problem> {
        crate::settings::moves(settings, self.steps(settings, items).total)
    }

    /// Trains to the end, or until the person or a problem ends it.
    ///
    /// # Errors
    /// When the model fails or a number is no longer finite.
    fn train(&self, session: &mut Session, prepared: &Prepared, settings: &Settings) -> Result<End>;
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

    #[test]
    fn every_name_has_its_method_and_every_default_passes_its_own_check() {
        assert_eq!(METHODS.iter().map(|method| method.name()).collect::<Vec<_>>(), MethodName::ALL);
        for name in MethodName::ALL {
            let card = method(*name).card();
            assert_eq!(card.name, *name);
            assert!(!card.needs.is_empty() && card.settings.iter().all(|field| field.help.len() > 10));
            let defaults = Settings(card.settings.iter().map(|f| (f.key.to_owned(), f.default.clone())).collect());
            assert_eq!(defaults.resolve(&card.settings).unwrap(), defaults);
            assert_eq!(card.needs_reward, method(*name).needs().reward);
            method(*name).check(&defaults).unwrap();
        }
    }
}
