//! `tidegate inspect signatures`: the verdict of every path of the verifier on this machine, side by side.
//!
//! Rule 4 knows one verdict per signature. Whoever doubts a path feeds it the signatures in question; two paths that
//! differ on any of them end with exit code 1.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_crypto::keys::PublicKey;
use tidegate_crypto::verify::{Backend, Item, Verdict, Verifier, VerifierConfig, verify};
use tidegate_types::{KeyBytes, SignatureBytes};

use crate::cli::Outcome;
use crate::cli::output::{JsonFlag, read_file};
use crate::error::Error;

#[derive(Debug, Args)]
pub(in crate::cli) struct SignaturesArgs {
    /// One JSON object a line: {"key":HEX,"message":HEX,"signature":HEX}
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Deserialize)]
struct Line {
    #[serde(alias = "pub_key")]
    key: String,
    message: String,
    signature: String,
}

/// One signature of the file; a key that rule 3 refuses has no verdict to differ on.
struct Case {
    key: Result<PublicKey, String>,
    message: Vec<u8>,
    signature: SignatureBytes,
}

/// One way to a verdict, and what it said of each signature with a good key.
struct PathVerdicts {
    name: String,
    verdicts: Vec<Verdict>,
}

pub(super) fn run(args: &SignaturesArgs) -> Outcome {
    let cases = read(&args.file)?;
    let paths = all_paths(&cases)?;
    let rows: Vec<Value> = rows(&cases, &paths);
    let differ = rows.iter().filter(|row| row["agree"] == false).count();
    let names: Vec<&str> = paths.iter().map(|path| path.name.as_str()).collect();
    let value = json!({"checked": cases.len(), "paths": names, "disagreements": differ, "signatures": rows});
    args.json.emit(&value, || lines(&value))?;
    Ok(u8::from(differ > 0))
}

fn read(path: &Path) -> Result<Vec<Case>, Error> {
    let bad = |line: usize, what: String| Error::SignatureFile {
        path: path.to_owned(),
        line,
        what,
    };
    let bytes = read_file(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| bad(1, "it is not text".to_owned()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| case(line).map_err(|what| bad(at + 1, what)))
        .collect()
}

fn case(line: &str) -> Result<Case, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let key: KeyBytes = line.key.parse().map_err(|error| format!("`key`: {error}"))?;
    let signature = line
        .signature
        .parse()
        .map_err(|error| format!("`signature`: {error}"))?;
    let message = hex::decode(&line.message).map_err(|error| format!("`message`: {error}"))?;
    Ok(Case {
        key: PublicKey::register(key).map_err(|error| error.to_string()),
        message,
        signature,
    })
}

/// The stateless verdict, and for each back end that this processor has: each alone, and all in one batch with tables.
fn all_paths(cases: &[Case]) -> Result<Vec<PathVerdicts>, Error> {
    let good: Vec<(&PublicKey, &Case)> = cases
        .iter()
        .filter_map(|case| case.key.as_ref().ok().map(|key| (key, case)))
        .collect();
    let stateless = good
        .iter()
        .map(|(key, case)| verify(key, &case.message, &case.signature))
        .collect();
    let mut paths = vec![PathVerdicts {
        name: "stateless".to_owned(),
        verdicts: stateless,
    }];
    for backend in [Backend::Avx512, Backend::Avx2, Backend::Portable] {
        let config = VerifierConfig {
            backend,
            ..VerifierConfig::default()
        };
        let Ok(verifier) = Verifier::new(config) else { continue };
        paths.extend(paths_of(backend.name(), &verifier, &good));
    }
    Ok(paths)
}

/// Uses after which every key has earned the largest table.
const USES: usize = 32;

fn paths_of(name: &str, verifier: &Verifier, good: &[(&PublicKey, &Case)]) -> [PathVerdicts; 3] {
    let known: Vec<_> = good.iter().map(|&(key, case)| (verifier.register(key), case)).collect();
    let items: Vec<Item<'_>> = known
        .iter()
        .map(|(key, case)| Item {
            key: *key,
            message: &case.message,
            signature: &case.signature,
        })
        .collect();
    let batch = |name: String| {
        let mut verdicts = vec![Verdict::Invalid; items.len()];
        verifier.verify_batch(&items, &mut verdicts);
        PathVerdicts { name, verdicts }
    };
    let single = items.iter().map(|item| verifier.verify_one(item)).collect();
    let single = PathVerdicts {
        name: format!("{name} single"),
        verdicts: single,
    };
    let cold = batch(format!("{name} batch"));
    for _ in 0..USES {
        batch(String::new());
        verifier.maintain(usize::MAX);
    }
    [single, cold, batch(format!("{name} tables"))]
}

fn rows(cases: &[Case], paths: &[PathVerdicts]) -> Vec<Value> {
    let mut good = 0;
    let row = |(at, case): (usize, &Case)| match &case.key {
        Err(why) => json!({"index": at, "key": format!("refused: {why}"), "verdict": "invalid", "agree": true}),
        Ok(_) => {
            let said: Vec<bool> = paths.iter().map(|path| path.verdicts[good].is_valid()).collect();
            good += 1;
            let agree = said.iter().all(|valid| *valid == said[0]);
            let word = |valid: bool| if valid { "valid" } else { "invalid" };
            let each: serde_json::Map<String, Value> = paths
                .iter()
                .zip(&said)
                .map(|(path, valid)| (path.name.clone(), word(*valid).into()))
                .collect();
            json!({"index": at, "key": "good", "verdict": if agree { word(said[0]) } else { "differs" }, "agree": agree, "paths": each})
        }
    };
    cases.iter().enumerate().map(row).collect()
}

fn lines(value: &Value) -> String {
    let mut text = String::new();
    for row in value["signatures"].as_array().into_iter().flatten() {
        let word = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        text += &format!("{:>6}  {:<8} key {}\n", row["index"], word("verdict"), word("key"));
        for (path, verdict) in row["paths"].as_object().into_iter().flatten() {
            text += &format!("        {:<8} {path}\n", verdict.as_str().unwrap_or_default());
        }
    }
    text + &format!(
        "{} signatures on {} paths, {} disagreements\n",
        value["checked"],
        value["paths"].as_array().map_or(0, Vec::len),
        value["disagreements"]
    )
}
