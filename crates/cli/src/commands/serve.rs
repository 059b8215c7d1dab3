//! `alidade serve`: the window's screens in a browser, on this machine only, behind the token of the data folder.

use crate::output;
use crate::serve::{Server, browser, token_of};
use alidade_domain::{Problem, why, wording};
use alidade_studio::{Configuration, Studio, run_queue_in_background};

/// Arguments of `serve`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Port on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Open the address in the browser.
    #[arg(long)]
    open: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Problem> {
    let studio = Studio::open(Configuration::of_environment()?)?;
    // Before the queue starts: it removes what an interrupted write has left in the data folder.
    let token = token_of(&studio)?;
    run_queue_in_background(&studio);
    let failed = |error: std::io::Error| {
        Problem::internal(wording!("Starting the server failed: {why}.", "启动服务器失败：{why}。"; why = why(&error)))
    };
    let runtime = tokio::runtime::Runtime::new().map_err(failed)?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", arguments.port)).await.map_err(|error| {
            Problem::input(wording!(
                "Port {port} cannot be used: {why}.",
                "端口 {port} 不能使用：{why}。";
                why = why(&error); port = arguments.port
            ))
            .hint(wording!("Choose another --port.", "请选择另一个 --port。"))
            .at("port")
        })?;
        let port = listener.local_addr().map_err(failed)?.port();
        // The address is for programs too; a closed pipe must not end the server.
        output::announce(&format!("http://127.0.0.1:{port}/#token={token}"));
        if arguments.open {
            browser::open(&studio, port, &token)?;
        }
        output::note(wording!(
            "Open this address in a browser on this machine. Ctrl-C ends the server; runs go on.",
            "请在本机的浏览器中打开此地址。按 Ctrl-C 结束服务器，运行会继续。"
        ));
        Server::new(studio, token, port).serve(listener, stopped()).await;
        Ok::<(), Problem>(())
    })?;
    runtime.shutdown_background();
    Ok(())
}

async fn stopped() {
    // Without a signal handler the server runs until it is killed.
    let _ = tokio::signal::ctrl_c().await;
}
