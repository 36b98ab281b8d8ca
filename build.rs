//! The pages and the migrations are embedded by macros that do not notice new files by themselves.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=static");
}
