//! Ctrl-C as a request to stop: the current step is finished and kept. A second one ends the program at once.

use crate::output;
use alidade_domain::{Problem, StopReason, StopSignal, why, wording};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code of a program that was ended by Ctrl-C.
const AT_ONCE: i32 = 130;

/// Whether the person has pressed Ctrl-C.
pub struct Interruption(Arc<AtomicBool>);

impl Interruption {
    /// Starts listening, in a thread of its own.
    ///
    /// # Errors
    /// When signals are not available.
    pub fn listen() -> Result<Self, Problem> {
        let failed = |error: std::io::Error| {
            Problem::internal(
                wording!("Listening to signals failed: {why}.", "监听信号失败：{why}。"; why = why(&error)),
            )
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let asked = Arc::new(AtomicBool::new(false));
        let (seen, (ready, listening)) = (asked.clone(), std::sync::mpsc::channel());
        std::thread::spawn(move || runtime.block_on(hear(&seen, &ready)));
        // If listening fails, Ctrl-C ends the program in the default way.
        let _ = listening.recv();
        Ok(Self(asked))
    }
}

impl StopSignal for Interruption {
    fn requested(&self) -> Option<StopReason> {
        self.0.load(Ordering::Relaxed).then_some(StopReason::Pause)
    }
}

async fn hear(asked: &AtomicBool, ready: &std::sync::mpsc::Sender<()>) {
    let Ok(mut signals) = Signals::new() else { return };
    let _ = ready.send(());
    signals.next().await;
    asked.store(true, Ordering::Relaxed);
    output::note(wording!(
        "\nStopping after this step, which is kept; a second Ctrl-C stops at once.",
        "\n做完这一步后停止，这一步会保留；再按一次 Ctrl-C 立即停止。"
    ));
    signals.next().await;
    std::process::exit(AT_ONCE);
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}
