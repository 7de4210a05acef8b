//! Leaves-first execution over a graph.
