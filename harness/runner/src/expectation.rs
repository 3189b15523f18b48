//! Which answer a vector expects under the readings that hold, and which reading the answers betray.

use std::collections::{BTreeMap, BTreeSet};

use harness_protocol::{Expect, Vector};

use crate::limits::MIN_READING_EVIDENCE;
use crate::{CaseResult, judge};

/// Declared readings: choice id → reading.
pub type Choices = BTreeMap<String, String>;

/// Two declared readings ask for different answers to one vector.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) first: String,
    pub(crate) second: String,
}

/// The answer that `vector` expects under `choices`: that of the declared reading which changes it, else
/// the default.
pub(crate) fn expectation<'a>(
    vector: &'a Vector,
    choices: &Choices,
) -> Result<&'a Expect, Conflict> {
    let mut chosen: Option<(&str, &Expect)> = None;
    for (choice, readings) in &vector.readings {
        let Some(expect) = choices.get(choice).and_then(|reading| readings.get(reading)) else {
            continue;
        };
        match chosen {
            Some((first, other)) if other != expect => {
                return Err(Conflict { first: first.to_owned(), second: choice.clone() });
            }
            _ => chosen = Some((choice, expect)),
        }
    }
    Ok(chosen.map_or(&vector.expect, |(_, expect)| expect))
}

/// A reading that an implementation follows without having declared it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    pub(crate) choice: String,
    pub(crate) reading: String,
    pub(crate) failures: usize,
}

/// The choices of which one other reading explains every failure, and which no passing vector contradicts:
/// a loader that rejects everything follows no reading.
pub(crate) fn followed_readings(vectors: &[Vector], results: &[CaseResult]) -> Vec<Followed> {
    let answered: Vec<_> = results
        .iter()
        .filter(|result| result.got.is_some() && result.skip.is_none())
        .filter_map(|result| Some((vectors.get(result.index)?, result)))
        .collect();
    let failing = answered.iter().filter(|(_, result)| unexplained(result));
    let choices: BTreeSet<&String> = failing.flat_map(|(v, _)| v.readings.keys()).collect();
    choices.into_iter().filter_map(|choice| followed(choice, &answered)).collect()
}

fn failed(result: &CaseResult) -> bool {
    result.failed_as.unwrap_or(result.outcome).is_failure()
}

/// A failure that no deviation has taken a stand on.
fn unexplained(result: &CaseResult) -> bool {
    failed(result) && result.deviation.is_none()
}

fn followed(choice: &str, answered: &[(&Vector, &CaseResult)]) -> Option<Followed> {
    let touched: Vec<_> = answered
        .iter()
        .filter_map(|(vector, result)| Some((vector, result, vector.readings.get(choice)?)))
        .collect();
    let failures = touched.iter().filter(|(_, result, _)| unexplained(result)).count();
    if failures < MIN_READING_EVIDENCE {
        return None;
    }
    let readings: BTreeSet<&String> = touched.iter().flat_map(|(_, _, r)| r.keys()).collect();
    let fits = |reading: &String| {
        touched.iter().all(|(vector, result, readings)| match readings.get(reading) {
            Some(expect) => judge::agrees(vector, expect, result),
            None => !failed(result),
        })
    };
    let reading = readings.into_iter().find(|reading| fits(reading))?;
    Some(Followed { choice: choice.to_owned(), reading: reading.clone(), failures })
}
