//! Derivations as a graph, leaves first (pure).
