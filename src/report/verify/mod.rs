//! A verification for a person and as a document.

mod json;
mod subjects;
mod terminal;

pub(super) use json::{MadeOf, Unknown};
pub use json::{SCHEMA, document, schema};
pub use subjects::subjects;
pub(super) use subjects::{standing, unknown_input};
pub(super) use terminal::{varied, write_differences, write_unknown};
pub use terminal::{write, write_inputs};

#[cfg(test)]
mod tests {
    use crate::{
        code::Code,
        report::diff::Detail,
        verify::{
            Compared, Level, Note, Reference, conclusion::Comparison, inputs::tests::damaged,
            session::tests::verification,
        },
    };

    #[test]
    fn a_replay_is_shown_with_what_it_showed() {
        let mut verification = verification();
        let output = &mut verification.targets[0].outputs[0];
        let hash = output.finding.nar_hash;
        let compared =
            |comparison| Compared::by_us(Reference::Replay, hash, comparison, Some("77".to_owned()));
        let unlike = Comparison::Unlike { why: "replay: other runs\u{1b}[2J".to_owned() };
        let both = [compared(Comparison::Equal { shows: Level::Replayed }), compared(unlike)];
        output.compared.extend(both);
        let mut text = Vec::new();
        super::write(&mut text, &verification, Detail::Short).unwrap();
        let text = String::from_utf8(anstream::adapter::strip_bytes(&text).into_vec()).unwrap();
        assert!(text.contains("       equal  replay  the same run"), "{text}");
        assert!(
            text.contains(" another run  replay  replay: other runs") && !text.contains('\u{1b}'),
            "{text}"
        );
        let document = serde_json::to_value(super::document(&verification)).unwrap();
        let references = document["outputs"][0]["references"].as_array().unwrap();
        let of = |which: usize| (references[which]["verdict"].as_str(), references[which]["run"].as_str());
        assert_eq!(of(0), (Some("reproduced"), Some("77")));
        assert_eq!(of(1), (Some("not-checked"), Some("77")));
        assert!(!references[1]["reason"].as_str().unwrap().contains('\u{1b}'));
    }

    #[test]
    fn what_an_earlier_run_built_is_said_and_what_went_wrong_beside_the_verdict() {
        let mut verification = verification();
        let note = Note { code: Code(1001), text: "where bits differ\u{1b}[2J is not known".to_owned() };
        verification.targets[0].outputs[0].notes.push(note);
        verification.unknown_inputs.push(damaged("b"));
        let mut text = Vec::new();
        super::write(&mut text, &verification, Detail::Short).unwrap();
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
