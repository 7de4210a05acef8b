//! A diagnosis for a person and as a document.

mod closure;
mod command;
mod json;
mod origins;
mod places;
mod subjects;
mod terminal;

pub use json::{SCHEMA, document, schema};
pub use subjects::subjects;
pub use terminal::write;

use crate::verify::{diagnosis::OutputDiagnosis, isolate::Dependence};

/// `depends on clock, and on memory and hostname together`
fn headline(output: &OutputDiagnosis) -> String {
    match &output.dependence {
        Dependence::Nothing => "depends on nothing that was varied".to_owned(),
        Dependence::Unsteady => "differs under the very same settings".to_owned(),
        Dependence::Unknown(_) => "not known".to_owned(),
        Dependence::Settings { alone, together } => {
            let names = |set: &[crate::machine::Setting]| {
                set.iter().map(|which| which.name()).collect::<Vec<_>>().join(" and ")
            };
            let alone = (!alone.is_empty()).then(|| format!("on {}", names(alone)));
            let together = (!together.is_empty()).then(|| format!("on {} together", names(together)));
            let both: Vec<String> = alone.into_iter().chain(together).collect();
            format!("depends {}", both.join(", and "))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        nix::hash::NarHash,
        report::{diff::Detail, subject::Standing},
        verify::{
            diagnosis::tests::{diagnosis, output},
            inputs::tests::damaged,
            isolate::Dependence,
        },
    };

    #[test]
    fn no_view_says_reproduced_while_an_input_is_unknown() {
        let steady = output(Dependence::Nothing, Some(NarHash([1; 32])));
        let diagnosis = diagnosis(vec![steady], vec![damaged("b")]);
        let document = serde_json::to_value(super::document(&diagnosis)).unwrap();
        assert_eq!(document["outputs"][0]["verdict"], "not-checked");
        assert!(document["unknown_inputs"][0]["path"].as_str().unwrap().ends_with("-b"));
        let report = super::subjects(&diagnosis);
        assert_eq!((report.subjects[0].standing, report.problems.len()), (Standing::Unknown, 1));
        let mut text = Vec::new();
        super::write(&mut text, &diagnosis, Detail::Short).unwrap();
        let text = String::from_utf8(anstream::adapter::strip_bytes(&text).into_vec()).unwrap();
        assert!(text.starts_with('⚠') && text.contains("unknown input") && !text.contains('✔'), "{text}");
    }
}
