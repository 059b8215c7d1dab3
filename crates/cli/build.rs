//! The UI may not be built yet when the program is compiled for its other commands.

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=../../ui/dist");
    std::fs::create_dir_all("../../ui/dist")
}
