//! JSON Schemas (draft 2020-12) of the documents, made from the types that are written, so that they cannot say anything else.

use schemars::{JsonSchema, Schema, generate::SchemaSettings};

/// The schema of documents of type `T`, as they are written.
///
/// A member that a schema does not name may come with a later release; one that it names keeps its meaning for as long as
/// the document's version is the same.
pub fn of<T: JsonSchema>() -> Schema {
    let mut schema =
        SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    // The name of a type of ours tells nobody anything; the document's version does.
    if let Some(version) = schema.pointer("/properties/schema/const").cloned() {
        schema.insert("title".to_owned(), version);
    }
    schema
}
