//! Training: methods, the one optimizer loop, schedules, checkpoints.
//!
//! A method turns rows into token sequences and a step's log-probabilities into loss gradients; everything that all methods
//! share (gradient accumulation, clipping, AdamW, schedule, log, stop, checkpoint) is implemented once, in [`Session`]. No
//! file here names a tensor library: values are passed as plain slices.

mod about;
mod batches;
mod checkpoint;
mod declare;
mod encode;
mod error;
mod heads;
mod log;
mod method;
mod methods;
mod optimizer;
mod packing;
mod passes;
mod plan_facts;
mod pretrain;
mod resume;
mod rollout;
mod schedule;
mod scored;
mod session;
mod settings;
mod step;

pub use about::{About, Before, Goal, Needs, Outlook, Starter};
pub use batches::{Steps, batch_of};
pub use checkpoint::Foreign;
pub use encode::{Encoder, Item, Prepared, Skipped};
pub use error::TrainError;
pub use method::{METHODS, Method, Training, before, makes_scorer, method, names_of};
pub use passes::{AnswerPasses, PassesPerRow};
pub use plan_facts::{Difference, PlanFacts};
pub use pretrain::{PretrainOptions, pretrain, pretrain_fields};
pub use resume::{foreign_checkpoints, resume_step, session_files, work_facts};
pub use rollout::{AnswerScorer, Rollouts};
pub use schedule::SchedulerType;
pub use scored::scored_rows;
pub use session::{End, Sampler, Session, SessionOptions};
pub use settings::{CommonSettings, SamplingStrategy};
pub use step::{StepBatch, StepContext, StepOutcome};
