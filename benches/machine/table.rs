//! What was measured, as a table; and whether it was the same that was measured.

use std::fmt::Write as _;

use crate::Results;

/// CPU seconds, steps, speed and ratios, a line for each workload.
pub fn table(workloads: &[&str], all: &[(&str, Results)]) -> String {
    let of = |engine: &str, workload: &str| {
        all.iter().find(|(name, _)| *name == engine).and_then(|(_, results)| results.get(workload))
    };
    let mut table = String::from(
        "| workload | steps (M) | embedded (s) | MIPS | QEMU (s) | QEMU / embedded | native (s) | embedded / native |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let number = |value: Option<f64>, digits: usize| match value {
        Some(value) if value.is_finite() => format!("{value:.digits$}"),
        _ => "-".to_owned(),
    };
    for workload in workloads {
        let seconds = |engine| of(engine, workload).map(|measured| measured.seconds);
        let steps = of("embedded", workload).and_then(|measured| measured.steps);
        let (ours, qemu, native) = (seconds("embedded"), seconds("qemu"), seconds("native"));
        let ratio = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a / b);
        let _ = writeln!(
            table,
            "| {workload} | {} | {} | {} | {} | {} | {} | {} |",
            number(steps.map(|(steps, _)| steps as f64 / 1e6), 0),
            number(ours, 2),
            number(steps.zip(ours).map(|((_, retired), s)| retired as f64 / s / 1e6), 0),
            number(qemu, 2),
            number(ratio(qemu, ours), 2),
            number(native, 2),
            number(ratio(ours, native), 1),
        );
    }
    table
}

/// Ends the bench when a workload is missing, or printed something else on one engine than on another.
pub fn check(workloads: &[&str], all: &[(&str, Results)]) {
    let mut wrong = 0;
    for workload in workloads {
        for (engine, results) in all {
            let first = all[0].1.get(*workload);
            match results.get(*workload) {
                _ if *workload == "boot" => {}
                Some(one) if one.text.trim().is_empty() => {
                    eprintln!("{workload}: {engine} printed nothing");
                    wrong += 1;
                }
                Some(one) if Some(&one.text) == first.map(|first| &first.text) => {}
                Some(one) => {
                    let first = first.map_or("nothing", |first| &first.text);
                    eprintln!("{workload}: {engine} printed {:?}, {} {first:?}", one.text, all[0].0);
                    wrong += 1;
                }
                None => {
                    eprintln!("{workload}: {engine} did not run it");
                    wrong += 1;
                }
            }
        }
    }
    if wrong > 0 {
        eprintln!("{wrong} results are not what they should be: the table is worth nothing");
        std::process::exit(1);
    }
    eprintln!("every workload printed the same on every engine");
}
