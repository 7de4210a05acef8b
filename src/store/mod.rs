//! Our artefact store: NARs, path records and run records by hash, crash-safe.
