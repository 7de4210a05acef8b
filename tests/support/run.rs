//! Records of runs that never were.

use reprove::{
    build::{RunRecord, run_record},
    machine::{End, Settings},
};

/// The record of a run of a derivation that came to its end in the embedded machine and kept nothing; every hash in it is `hex`.
pub fn record(run: String, drv: String, hex: &str) -> RunRecord {
    RunRecord {
        schema: run_record::SCHEMA.to_owned(),
        run,
        drv,
        engine: "embedded 1".to_owned(),
        bundle: hex.to_owned(),
        settings: Settings::default(),
        input: hex.to_owned(),
        end: End::PoweredOff,
        instructions: Some(1000),
        state: None,
        result: None,
        console: hex.to_owned(),
        console_bytes: 0,
        output_drive: None,
        outputs: Vec::new(),
        error: None,
    }
}
