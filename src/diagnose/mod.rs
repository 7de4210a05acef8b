//! Differences in, causes out (pure).
