//! Bytes in, differences out (pure).
