//! `alidade serve`: the window's screens in a browser, on this machine only, behind a random token.

use crate::serve::{Server, token};
use alidade_domain::Problem;
use alidade_studio::{Configuration, Studio, tend_in_background};
use std::io::Write;

/// Arguments of `serve`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let studio = Studio::open(Configuration::of_environment()?)?;
    tend_in_background(&studio);
    let failed = |error: std::io::Error| Problem::internal(format!("Starting the server failed: {error}."));
    let runtime = tokio::runtime::Runtime::new().map_err(failed)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", arguments.port)).await.map_err(|error| {
            Problem::input(format!("Port {} cannot be used: {error}.", arguments.port))
                .hint("Choose another --port.")
                .at("port")
        })?;
        let port = listener.local_addr().map_err(failed)?.port();
        let token = token()?;
        println!("http://127.0.0.1:{port}/#token={token}");
        eprintln!("Open this address in a browser on this machine. Ctrl-C ends the server; runs go on.");
        // The address is for programs as well; a closed pipe must not end the server.
        let _ = std::io::stdout().flush();
        let server = Server { studio, token, port };
        axum::serve(listener, server.routes()).with_graceful_shutdown(stopped()).await.map_err(failed)
    })?;
    runtime.shutdown_background();
    Ok(())
}

async fn stopped() {
    // Without a signal handler the server runs until it is killed.
    let _ = tokio::signal::ctrl_c().await;
}
