//! What was asked for, counted, in the text format of Prometheus.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::request::Kind;

/// Classes of answers that are counted apart, by the first digit of the status.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// Counters since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    answers: [[AtomicU64; CLASSES.len()]; Kind::ALL.len()],
    bytes: AtomicU64,
    connections: AtomicU64,
    open: AtomicU64,
}

impl Metrics {
    /// An answer was given.
    pub(super) fn answered(&self, kind: Kind, status: u16) {
        let class = usize::from(status / 100).saturating_sub(2).min(CLASSES.len() - 1);
        self.answers[kind as usize][class].fetch_add(1, Relaxed);
    }

    /// Bytes of an answer were handed to a connection.
    pub(super) fn sent(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// A connection was opened; it is closed when what is given back is dropped.
    pub(super) fn connected(self: &std::sync::Arc<Self>) -> Connected {
        self.connections.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        Connected(self.clone())
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> u64 {
        self.open.load(Relaxed)
    }

    /// All of it, as Prometheus reads it ("Exposition formats", version 0.0.4).
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, values: &[(String, u64)]| {
            family(&mut text, name, kind, help, values);
        };
        let answers: Vec<(String, u64)> = Kind::ALL
            .iter()
            .flat_map(|kind| CLASSES.iter().enumerate().map(move |(class, name)| (kind, class, name)))
            .map(|(kind, class, name)| {
                let labels = format!("{{kind=\"{kind}\",status=\"{name}\"}}");
                (labels, self.answers[*kind as usize][class].load(Relaxed))
            })
            .collect();
        let one = |value: &AtomicU64| [(String::new(), value.load(Relaxed))];
        family("reprove_mirror_answers_total", "counter", "Answers by what was asked for.", &answers);
        family(
            "reprove_mirror_bytes_total",
            "counter",
            "Bytes of answers sent, without headers.",
            &one(&self.bytes),
        );
        family(
            "reprove_mirror_connections_total",
            "counter",
            "Connections accepted.",
            &one(&self.connections),
        );
        family("reprove_mirror_connections", "gauge", "Connections open now.", &one(&self.open));
        text
    }
}

/// Writes what is counted under one name.
pub(super) fn family(text: &mut String, name: &str, kind: &str, help: &str, values: &[(String, u64)]) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in values {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connected(std::sync::Arc<Metrics>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Arc::new(Metrics::default());
        metrics.answered(Kind::NarInfo, 200);
        metrics.answered(Kind::NarInfo, 404);
        metrics.answered(Kind::Other, 599);
        metrics.answered(Kind::Other, 100);
        metrics.sent(7);
        let open = metrics.connected();
        drop(metrics.connected());
        let text = metrics.text();
        for line in [
            "reprove_mirror_answers_total{kind=\"narinfo\",status=\"2xx\"} 1",
            "reprove_mirror_answers_total{kind=\"narinfo\",status=\"4xx\"} 1",
            "reprove_mirror_answers_total{kind=\"nar\",status=\"2xx\"} 0",
            "reprove_mirror_answers_total{kind=\"other\",status=\"5xx\"} 1",
            "reprove_mirror_bytes_total 7",
            "reprove_mirror_connections_total 2",
            "reprove_mirror_connections 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
        drop(open);
        assert_eq!(metrics.open_connections(), 0);
    }
}
