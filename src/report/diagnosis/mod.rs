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
