//! The verdicts as JUnit's XML, which build servers show: a test case for each subject.
//!
//! There is no specification; elements and attributes are those that Jenkins' and GitLab's readers know. What was not
//! checked is an error, not skipped: a skipped test passes.

use std::fmt::Write as _;

use super::{
    escape::escape,
    subject::{Report, Standing, Subject},
};

/// The document.
pub fn document(report: &Report<'_>) -> String {
    let count = |standing| report.subjects.iter().filter(|subject| subject.standing == standing).count();
    let (failures, errors) = (count(Standing::Bad), count(Standing::Unknown) + report.problems.len());
    let tests = report.subjects.len() + report.problems.len();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let totals = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"");
    // Writing to a String cannot fail.
    let _ = writeln!(out, "<testsuites name=\"reprove\" {totals}>");
    let _ = writeln!(out, "  <testsuite name=\"reprove {}\" {totals} skipped=\"0\">", report.verb);
    for subject in &report.subjects {
        case(&mut out, report.verb, subject);
    }
    for problem in &report.problems {
        let (code, text) = (xml(&problem.code), xml(&problem.text));
        let _ = writeln!(out, "    <testcase classname=\"reprove.{}\" name=\"{code}\">", report.verb);
        let _ = writeln!(out, "      <error type=\"{code}\" message=\"{text}\"/>\n    </testcase>");
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

fn case(out: &mut String, verb: &str, subject: &Subject<'_>) {
    let _ = write!(out, "    <testcase classname=\"reprove.{verb}\" name=\"{}\"", xml(&subject.name));
    let element = match subject.standing {
        Standing::Good | Standing::Accepted => {
            out.push_str("/>\n");
            return;
        }
        Standing::Bad => "failure",
        Standing::Unknown => "error",
    };
    let word = xml(&subject.word);
    let message = subject.reason.as_deref().unwrap_or(&subject.word);
    let _ = writeln!(out, ">\n      <{element} type=\"{word}\" message=\"{}\">", xml(message));
    for seen in &subject.seen {
        let _ = writeln!(out, "{} and {}:", xml(&seen.a), xml(&seen.b));
        for cause in seen.causes {
            let _ = writeln!(out, "  {} ({}, {})", xml(cause.entry.title), cause.entry.id, cause.confidence);
        }
    }
    let _ = writeln!(out, "      </{element}>\n    </testcase>");
}

/// Text as XML may hold it: no control character can be written there at all, so those are escaped first.
fn xml(text: &str) -> String {
    super::html::escaped(&escape(text))
}
