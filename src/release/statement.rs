//! What an ed25519 key signs of a document: the pre-authentication encoding of DSSE v1, which names the type of the document.
//! So a signature of one kind of document is never one of another kind, nor of a path in a binary cache, though one key may
//! sign all of them.

/// The type of a manifest, in either form.
pub const MANIFEST: &str = "application/vnd.reprove.manifest";

/// The type of an objection.
pub const OBJECTION: &str = "application/vnd.reprove.objection+json";

/// `DSSEv1 <length of the type> <type> <length of the document> <document>` (DSSE protocol, "Signature Definition").
pub fn pre_authentication_encoding(kind: &str, document: &[u8]) -> Vec<u8> {
    let mut encoded = format!("DSSEv1 {} {kind} {} ", kind.len(), document.len()).into_bytes();
    encoded.extend_from_slice(document);
    encoded
}

#[cfg(test)]
mod tests {
    use super::pre_authentication_encoding;

    #[test]
    fn it_is_that_of_the_protocols_own_example() {
        let encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }
}
