//! The smallest program: `cargo run --example block_on_hello`.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

fn main() {
    common::arguments::Arguments::read("block_on_hello");
    let greeting = oneloop::block_on(async {
        let name = oneloop::spawn(async { "loop" });
        format!(
            "hello from one {}",
            name.await.expect("the task does not panic")
        )
    });
    println!("{greeting}");
}
