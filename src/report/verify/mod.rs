//! A verification for a person and as a document.

mod json;
mod terminal;

pub use json::{SCHEMA, document};
pub use terminal::write;

#[cfg(test)]
mod tests {
    use crate::{
        code::Code,
        store::StoreError,
        verify::{
            Note,
            session::{
                UnknownInput,
                tests::{path, verification},
            },
        },
    };

    #[test]
    fn what_an_earlier_run_built_is_said_and_what_went_wrong_beside_the_verdict() {
        let mut verification = verification();
        let note = Note { code: Code(1001), text: "where bits differ\u{1b}[2J is not known".to_owned() };
        verification.targets[0].outputs[0].notes.push(note);
        let error = StoreError::Damaged { file: "paths/b.json".into(), why: "it is no JSON".to_owned() };
        verification.unknown_inputs.push(UnknownInput { path: path("b"), error });
        let mut text = Vec::new();
        super::write(&mut text, &verification).unwrap();
        let text = anstream::adapter::strip_bytes(&text).into_vec();
        insta::assert_snapshot!(String::from_utf8(text).unwrap());
        let document = serde_json::to_value(super::document(&verification)).unwrap();
        let output = &document["outputs"][0];
        let kept = |round: usize| output["rounds"][round]["kept_from_an_earlier_run"].as_bool();
        assert_eq!((kept(0), kept(1)), (Some(true), Some(false)));
        assert_eq!(output["rounds"][0]["wall_seconds"], serde_json::Value::Null);
        assert_eq!(output["notes"][0]["code"], "RP1001");
        assert!(!output["notes"][0]["error"].as_str().unwrap().contains('\u{1b}'));
        assert!(document["unknown_inputs"][0]["path"].as_str().unwrap().ends_with("-b"));
    }
}
