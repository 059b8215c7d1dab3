//! Opens the address in the person's browser. The browser gets a page in the data folder that leads there: on the command line
//! of another program the token would be visible to every user of the machine.

use alidade_domain::{Problem, why, wording};
use alidade_studio::{Studio, write_private};
use std::process::{Command, Stdio};

/// The page in the data folder.
const PAGE: &str = "open.html";

/// Opens the browser; the program goes on without waiting for it.
///
/// # Errors
/// When there is no program that opens pages.
pub fn open(studio: &Studio, port: u16, token: &str) -> Result<(), Problem> {
    let page = studio.home().join(PAGE);
    let address = format!("http://127.0.0.1:{port}/#token={token}");
    let text = format!(
        "<!doctype html><meta charset=\"utf-8\"><title>Alidade</title>\
         <meta http-equiv=\"refresh\" content=\"0; url={address}\"><a href=\"{address}\">Alidade</a>"
    );
    write_private(&page, text.as_bytes())?;
    let program = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    let started =
        Command::new(program).arg(&page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    started.map(drop).map_err(|error| {
        let message = wording!(
            "The browser could not be opened with {program}: {why}.",
            "无法用 {program} 打开浏览器：{why}。";
            why = why(&error)
        );
        let hint =
            wording!("Leave --open out and open the printed address yourself.", "请去掉 --open，自行打开显示的地址。");
        Problem::input(message).hint(hint).at("open")
    })
}
