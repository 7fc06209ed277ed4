//! Reading a result: what else a file may be is told apart from it, with what to do.

use super::{Report, SCHEMA};

/// Why a text is no result of a suite.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// Not even JSON.
    #[error("no JSON: {0}")]
    NoJson(serde_json::Error),
    /// JSON that does not say what it is.
    #[error("it has no `schema`, and {SCHEMA} is wanted; `bench-harness run SUITE --json FILE` makes one")]
    Nameless,
    /// Another form, or another version of this one.
    #[error("it is {schema}, and {SCHEMA} is wanted; {}", advice(.schema))]
    Other {
        /// What it says.
        schema: String,
    },
    /// It says that it is one, and is not.
    #[error("it says {SCHEMA} and is not: {0}; `bench-harness run SUITE --json FILE` makes one")]
    Keys(serde_json::Error),
}

/// How to come from another form to a result of a suite.
fn advice(schema: &str) -> &'static str {
    match schema.split_once('/').map_or(schema, |(name, _)| name) {
        "tidegate.result" | "tidegate.curve" | "tidegate.search" => {
            "payments of a hub are measured in this form by `bench-harness run e2e --json FILE`, and this file is shown by \
             `bench-harness report`"
        }
        "tidegate.compare" => "give the two results that it was made of",
        "tidegate.bench" => "it is of another version of this program; measure again with this one",
        _ => "`bench-harness run SUITE --json FILE` makes one",
    }
}

impl Report {
    /// Reads a result.
    ///
    /// # Errors
    /// [`FormError`] if the text is something else.
    pub fn from_json(text: &str) -> Result<Self, FormError> {
        let value: serde_json::Value = serde_json::from_str(text).map_err(FormError::NoJson)?;
        match value.get("schema").and_then(serde_json::Value::as_str) {
            Some(SCHEMA) => serde_json::from_str(text).map_err(FormError::Keys),
            Some(schema) => Err(FormError::Other {
                schema: schema.to_owned(),
            }),
            None => Err(FormError::Nameless),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_result_says_how_to_make_one() {
        for (text, what) in [
            ("nothing", "no JSON: "),
            ("{}", "no `schema`"),
            (r#"{"schema":"tidegate.result/1","rows":[]}"#, "run e2e --json"),
            (r#"{"schema":"tidegate.bench/2"}"#, "another version"),
            (r#"{"schema":"tidegate.compare/1"}"#, "the two results"),
            (r#"{"schema":"tidegate.instructions/1"}"#, "run SUITE --json"),
            (r#"{"schema":"tidegate.bench/1"}"#, "missing field `suite`"),
        ] {
            let error = Report::from_json(text).expect_err(text).to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
