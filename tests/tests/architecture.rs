//! The house's rules, as far as a machine can read them: arrows point down, hosts do not know each other, and
//! no host's name appears below.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Packages by layer: a package may depend on those of lower layers only.
const LAYERS: [(&str, u8); 8] = [
    ("leeward", 0),
    ("leeward-sync", 1),
    ("leeward-wasm", 2),
    ("leeward-worker", 2),
    ("leeward-tests", 3),
    ("leeward-fuzz", 4),
    ("leeward-rmcp", 3),
    ("xtask", 3),
];
/// Words that name a host, a runtime or a product. They have no place in the portable layers, comments
/// included.
const HOSTS: [&str; 15] = [
    "wasm_bindgen",
    "node.js",
    "nodejs",
    "npm",
    "workerd",
    "cloudflare",
    "miniflare",
    "wrangler",
    "browser",
    "deno",
    "uniffi",
    "kotlin",
    "swift",
    "android",
    "js_sys",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ is in the workspace")
        .to_path_buf()
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root());
    let output = command.output().expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
}

/// Each package with the workspace packages it depends on, for whatever reason.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().cloned().unwrap_or_default();
    let path_dependencies = |package: &Value| -> BTreeSet<String> {
        let dependencies = package["dependencies"].as_array().cloned().unwrap_or_default();
        let named = dependencies
            .iter()
            .filter(|dependency| dependency["path"].is_string());
        named
            .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
            .collect()
    };
    packages
        .iter()
        .map(|package| {
            (
                package["name"].as_str().unwrap_or_default().into(),
                path_dependencies(package),
            )
        })
        .collect()
}

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    fn collect(folder: &Path, into: &mut Vec<(PathBuf, String)>) {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.is_dir() {
                collect(&path, into);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "rs" || extension == "toml")
            {
                let text = fs::read_to_string(&path).unwrap_or_default();
                into.push((path, text));
            }
        }
    }
    let mut all = Vec::new();
    collect(&root().join(folder), &mut all);
    assert!(!all.is_empty(), "{folder} has no sources");
    all
}

#[test]
fn arrows_point_down_only() {
    let layers: BTreeMap<&str, u8> = LAYERS.into();
    let arrows = arrows();
    for (package, dependencies) in &arrows {
        let layer = layers
            .get(&**package)
            .unwrap_or_else(|| panic!("{package} has no layer: name it in LAYERS"));
        for dependency in dependencies {
            assert!(
                layers[&**dependency] < *layer,
                "{package} depends on {dependency}"
            );
        }
    }
    assert_eq!(
        arrows.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        layers.into_keys().collect()
    );
}

#[test]
fn the_core_has_no_path_dependency_and_hosts_never_import_each_other() {
    let arrows = arrows();
    assert!(arrows["leeward"].is_empty(), "not even for tests");
    assert_eq!(arrows["leeward-sync"], BTreeSet::from(["leeward".to_owned()]));
    for host in ["leeward-wasm", "leeward-worker"] {
        assert!(
            arrows[host]
                .iter()
                .all(|name| name == "leeward" || name == "leeward-sync"),
            "{host}: {:?}",
            arrows[host]
        );
    }
}

#[test]
fn no_hosts_name_appears_below() {
    for (path, text) in ["src", "sync"].into_iter().flat_map(sources) {
        for (number, line) in text.lines().enumerate() {
            let lower = line.to_lowercase();
            let words: Vec<&str> = lower
                .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
                .collect();
            for host in HOSTS {
                assert!(
                    !words.contains(&host),
                    "{}:{}: {line}",
                    path.display(),
                    number + 1
                );
            }
        }
    }
}

#[test]
fn the_portable_layers_are_no_std_and_have_no_features_of_hosts() {
    for (file, root_module) in [
        ("Cargo.toml", "src/lib.rs"),
        ("sync/Cargo.toml", "sync/src/lib.rs"),
    ] {
        let manifest = fs::read_to_string(root().join(file)).expect("a manifest");
        assert!(
            !manifest.contains("[features]"),
            "{file}: a feature needs a reason, and a line in this test"
        );
        let module = fs::read_to_string(root().join(root_module)).expect("a root module");
        assert!(module.contains("#![no_std]"), "{root_module}");
    }
}
