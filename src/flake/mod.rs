//! Asks the `nix` program to evaluate installables, into a store directory of our own.
