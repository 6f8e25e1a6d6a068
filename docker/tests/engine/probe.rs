//! The program inside the test image: small commands whose effects a behaviour can see.

use std::{
    io::{Read as _, Write as _},
    os::unix::fs::FileTypeExt as _,
    process::ExitCode,
};

use shoal_docker_fake::GIANT;
use tokio::signal::unix::{SignalKind, signal};

/// Runs a command; its exit status.
pub(crate) async fn run(words: Vec<String>) -> ExitCode {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        // Until SIGTERM, which the first process of a container must ask for.
        ["sleep"] => {
            let mut term = signal(SignalKind::terminate()).unwrap();
            println!("waiting");
            term.recv().await;
            println!("told to end");
            ExitCode::from(7)
        }
        // Whatever it is told: the first process of a container gets only the signals it asks for.
        ["stubborn"] => std::future::pending().await,
        ["say", out, err, status] => {
            println!("{out}");
            eprintln!("{err}");
            ExitCode::from(status.parse::<u8>().unwrap())
        }
        ["lines", count] => {
            (1..=count.parse::<u32>().unwrap()).for_each(|n| println!("line {n}"));
            ExitCode::SUCCESS
        }
        // What looks like the header of a frame of 4 GiB, then lines.
        ["header", count] => {
            std::io::stdout().write_all(&GIANT).unwrap();
            (1..=count.parse::<u32>().unwrap()).for_each(|n| println!("line {n}"));
            ExitCode::SUCCESS
        }
        // Input to output, in pieces as they come, and at its end how much it was.
        ["copy"] => {
            let (mut total, mut piece) = (0, vec![0; 64 << 10]);
            loop {
                match std::io::stdin().read(&mut piece).unwrap() {
                    0 => break,
                    n => {
                        std::io::stdout().write_all(&piece[..n]).unwrap();
                        std::io::stdout().flush().unwrap();
                        total += n;
                    }
                }
            }
            eprintln!("{total} bytes");
            ExitCode::SUCCESS
        }
        // The size of the terminal, and again whenever it changes, until something is typed.
        ["terminal"] => {
            let mut changed = signal(SignalKind::window_change()).unwrap();
            let mut typed = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
            loop {
                // An engine sizes a terminal after it has started the command: until then there is none.
                if let Some((columns, rows)) = terminal_size::terminal_size() {
                    println!("{} rows, {} columns", rows.0, columns.0);
                }
                tokio::select! {
                    _ = changed.recv() => {}
                    _ = &mut typed => std::process::exit(5),
                }
            }
        }
        ["show", path] => {
            std::io::stdout().write_all(&std::fs::read(path).unwrap()).unwrap();
            ExitCode::SUCCESS
        }
        ["write", path, text] => {
            std::fs::write(path, text).unwrap();
            ExitCode::SUCCESS
        }
        ["mkdir", path] => {
            std::fs::create_dir(path).unwrap();
            print!("made");
            ExitCode::SUCCESS
        }
        ["kind", path] => {
            let kind = std::fs::metadata(path).unwrap().file_type();
            print!("{}", if kind.is_char_device() { "character device" } else { "other" });
            ExitCode::SUCCESS
        }
        other => {
            eprintln!("no such command: {other:?}");
            ExitCode::FAILURE
        }
    }
}
