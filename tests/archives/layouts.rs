//! Small writers of container images: OCI layouts, and archives as `docker save` writes them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::writers;

/// A member of a layer: path and contents; a directory ends in a slash.
pub type Files<'a> = &'a [(&'a str, &'a str)];

pub fn layer(files: Files<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, data) in files {
        let flag = if name.ends_with('/') { b'5' } else { b'0' };
        out.extend(writers::tar_header(name.as_bytes(), data.len() as u64, flag));
        out.extend(data.as_bytes());
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn hash(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

/// An image to be written: its configuration without the layers, and its layers unpacked.
#[derive(Clone)]
pub struct Image {
    pub config: Value,
    pub layers: Vec<Vec<u8>>,
}

impl Image {
    pub fn new(layers: &[Files<'_>]) -> Image {
        let config = json!({"architecture": "amd64", "os": "linux", "created": "1970-01-01T00:00:01Z",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]}});
        Image { config, layers: layers.iter().map(|files| layer(files)).collect() }
    }

    fn config(&self) -> Vec<u8> {
        let mut config = self.config.clone();
        let ids: Vec<String> = self.layers.iter().map(|layer| format!("sha256:{}", hash(layer))).collect();
        config["rootfs"] = json!({"type": "layers", "diff_ids": ids});
        config.to_string().into_bytes()
    }

    /// The files of an OCI layout.
    pub fn oci(&self, pack: fn(&[u8]) -> Vec<u8>) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut blob = |kind: &str, bytes: Vec<u8>| {
            let digest = hash(&bytes);
            let descriptor = json!({"mediaType": format!("application/vnd.oci.image.{kind}"),
                "digest": format!("sha256:{digest}"), "size": bytes.len()});
            files.insert(format!("blobs/sha256/{digest}"), bytes);
            descriptor
        };
        let layers: Vec<Value> =
            self.layers.iter().map(|layer| blob("layer.v1.tar+gzip", pack(layer))).collect();
        let config = blob("config.v1+json", self.config());
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        let manifest = blob("manifest.v1+json", manifest.to_string().into_bytes());
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        files.insert("index.json".to_owned(), index.to_string().into_bytes());
        files.insert("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
        files
    }

    /// What `docker save` writes.
    pub fn docker(&self) -> BTreeMap<String, Vec<u8>> {
        let config = self.config();
        let name = format!("{}.json", hash(&config));
        let mut files = BTreeMap::new();
        let paths: Vec<String> =
            self.layers.iter().map(|layer| format!("{}/layer.tar", hash(layer))).collect();
        for (path, layer) in paths.iter().zip(&self.layers) {
            let id = path.strip_suffix("/layer.tar").unwrap();
            files.insert(path.clone(), layer.clone());
            files.insert(format!("{id}/VERSION"), b"1.0".to_vec());
            files.insert(format!("{id}/json"), json!({"id": id}).to_string().into_bytes());
        }
        let manifest = json!([{"Config": name, "RepoTags": ["x:latest"], "Layers": paths}]);
        files.insert(name, config);
        files.insert("manifest.json".to_owned(), manifest.to_string().into_bytes());
        files
    }
}

pub fn tar(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let files: Vec<(&[u8], &[u8])> =
        files.iter().map(|(name, data)| (name.as_bytes(), data.as_slice())).collect();
    writers::tar(&files)
}

pub fn plain(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}
