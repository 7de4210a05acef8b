//! Rounds under varied settings, references to compare with, a verdict per output.
