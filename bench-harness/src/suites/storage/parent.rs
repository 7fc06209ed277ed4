//! The process that has a store measured in others, kills them, and judges what they left.

use std::{
    io::{self, BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    store::{self, Reopened, Store, Task, WorkError, Worked},
    workload::{Content, Model},
};

/// The word on a child's command line that says what it is to do.
pub const WORK: &str = "store-work";
/// The same, to open what a killed child left.
pub const REOPEN: &str = "store-reopen";

/// A program that can be started as the child that measures one store.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its file.
    pub path: PathBuf,
    /// Arguments before the child's own.
    pub arguments: Vec<String>,
}

/// What a store came to, from beginning to end.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Before the kill.
    pub worked: Worked,
    /// After it.
    pub reopened: Reopened,
}

/// Why a store has no rows.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// A child could not be started, or be read from.
    #[error("its process: {0}")]
    Process(#[from] io::Error),
    /// A child ended without its result; what it said stands on standard error.
    #[error("its process ended without a result ({0})")]
    Ended(std::process::ExitStatus),
    /// A child's line is no result.
    #[error("its process said what is no result: {0}")]
    Line(#[from] serde_json::Error),
    /// The store failed.
    #[error("{0}")]
    Work(#[from] WorkError),
    /// After the kill there is something else than was committed.
    #[error("after the kill it held {found:?} instead of {expected:?}")]
    OtherContent {
        /// What it held.
        found: Content,
        /// What was committed.
        expected: Content,
    },
}

/// Measures a store in two processes of `program`: the first is killed when its last batch is durable, the second opens
/// what it left.
///
/// # Errors
/// [`StoreFault`].
pub fn measure(program: &Program, task: &Task) -> Result<Outcome, StoreFault> {
    let worked: Worked = ask(program, WORK, task)?;
    let reopen = (task.clone(), worked.batches_us.len() as u64);
    judge(worked, ask(program, REOPEN, &reopen)?, task)
}

/// Measures a store in this process, which is not killed: the store is dropped as it is.
///
/// # Errors
/// [`StoreFault`].
pub fn measure_here<S: Store>(task: &Task) -> Result<Outcome, StoreFault> {
    let (store, worked) = store::work::<S>(task)?;
    drop(store);
    let reopened = store::reopen::<S>(task, worked.batches_us.len() as u64)?;
    judge(worked, reopened, task)
}

fn judge(worked: Worked, reopened: Reopened, task: &Task) -> Result<Outcome, StoreFault> {
    let expected = Model::content(task.seed, task.records, worked.batches_us.len() as u64);
    if reopened.content == expected {
        Ok(Outcome { worked, reopened })
    } else {
        Err(StoreFault::OtherContent {
            found: reopened.content,
            expected,
        })
    }
}

/// Starts a child, takes the line that is its result, and kills it.
fn ask<T: DeserializeOwned>(program: &Program, role: &str, about: &impl Serialize) -> Result<T, StoreFault> {
    let mut child = Command::new(&program.path)
        .args(&program.arguments)
        .args([role, &serde_json::to_string(about)?])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let stdout = child.stdout.take().expect("it was just piped");
    let read = BufReader::new(stdout).read_line(&mut line);
    // SIGKILL, whatever it is doing.
    let killed = child.kill();
    let status = child.wait()?;
    read?;
    killed?;
    if line.is_empty() {
        return Err(StoreFault::Ended(status));
    }
    Ok(serde_json::from_str(&line)?)
}

/// The child's part: does what `role` says with the store `S`, prints the result, and waits to be killed.
///
/// # Errors
/// [`StoreFault`]; and [`StoreFault::Process`] if its parent has gone.
///
/// # Panics
/// If `role` is none of [`WORK`] and [`REOPEN`].
pub fn child<S: Store>(role: &str, about: &str) -> Result<(), StoreFault> {
    if role == WORK {
        let (store, worked) = store::work::<S>(&serde_json::from_str(about)?)?;
        tell(&worked)?;
        // Open, as it was after the last batch.
        drop(store);
    } else {
        assert_eq!(role, REOPEN, "what a child is told to do");
        let (task, batches): (Task, u64) = serde_json::from_str(about)?;
        tell(&store::reopen::<S>(&task, batches)?)?;
    }
    Ok(())
}

/// Prints a result, and waits until this process is killed or its parent gone.
fn tell(result: &impl Serialize) -> Result<(), StoreFault> {
    println!("{}", serde_json::to_string(result)?);
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// A peer's program: measures the store `S` for its parent and prints the rows, or is one of its own children. `None` for
/// arguments that are neither.
///
/// ```text
/// PROGRAM STORE TASK                measures; rows on standard output, one JSON object a line
/// PROGRAM STORE store-work TASK     the child that is killed
/// PROGRAM STORE store-reopen TASK   the child that opens what is left
/// ```
#[must_use]
pub fn run_peer<S: Store>(store: &str, arguments: &[&str]) -> Option<Result<(), StoreFault>> {
    match arguments {
        [role, about] if [WORK, REOPEN].contains(role) => Some(child::<S>(role, about)),
        [task] => Some(print_rows(store, task)),
        _ => None,
    }
}

fn print_rows(store: &str, task: &str) -> Result<(), StoreFault> {
    let task: Task = serde_json::from_str(task)?;
    let program = Program {
        path: std::env::current_exe()?,
        arguments: vec![store.to_owned()],
    };
    for row in super::rows(store, &task, &measure(&program, &task)?) {
        println!("{}", serde_json::to_string(&row)?);
    }
    Ok(())
}
