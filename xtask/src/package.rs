//! The files of an npm package: this checkout's, a tarball's, an installed one's.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

use crate::error::{Context, Result};
use crate::workspace::Workspace;

/// Where everything is that is built.
pub(crate) const BUILT: &str = "dist/";
pub(crate) const MANIFEST: &str = "package.json";
/// What a package has besides.
const BESIDES: [&str; 4] = [MANIFEST, "README.md", "LICENSE-APACHE", "LICENSE-MIT"];
/// Bytes that a package may unpack to; it has a fraction of this.
const MOST_UNPACKED_BYTES: u64 = 64 << 20;

/// Files of a package by path.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// What this checkout would pack.
pub(crate) fn own(workspace: &Workspace) -> Result<Files> {
    let root = workspace.path("wasm");
    let mut files = built(&root.join(BUILT))?;
    for name in BESIDES {
        files.insert(name.to_owned(), fs::read(root.join(name)).context(name)?);
    }
    Ok(files)
}

/// What was built into `dist`, the package's folder of that name or one that becomes it.
pub(crate) fn built(dist: &Path) -> Result<Files> {
    let mut files = Files::new();
    collect(dist, BUILT, &mut files)?;
    Ok(files)
}

/// The files of a package, packed or installed.
pub(crate) fn read(path: &Path) -> Result<Files> {
    if !path.is_dir() {
        return tarball(path);
    }
    let mut files = Files::new();
    collect(path, "", &mut files)?;
    Ok(files)
}

/// Adds all that is in `folder`, by its path behind `name`.
fn collect(folder: &Path, name: &str, files: &mut Files) -> Result {
    for entry in fs::read_dir(folder).context(folder.display())? {
        let entry = entry.context(folder.display())?;
        let path = entry.path();
        let name = format!("{name}{}", entry.file_name().display());
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files)?;
        } else {
            files.insert(name, fs::read(&path).context(path.display())?);
        }
    }
    Ok(())
}

/// The files of a tarball that npm packed: each stands in `package/`.
fn tarball(path: &Path) -> Result<Files> {
    let packed = fs::File::open(path).context(path.display())?;
    let mut archive = tar::Archive::new(GzDecoder::new(packed).take(MOST_UNPACKED_BYTES));
    let mut files = Files::new();
    for entry in archive.entries().context(path.display())? {
        let mut entry = entry.context(path.display())?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let name = entry.path().context(path.display())?.display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).context(path.display())?;
        if let Some(name) = name.strip_prefix("package/") {
            files.insert(name.to_owned(), bytes);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tarball_is_read_as_the_folder_it_was_packed_from() {
        let files: Files = [(MANIFEST, "{}"), ("dist/api.js", "glue")]
            .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
            .into();
        let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(gzip);
        let mut folder = tar::Header::new_ustar();
        folder.set_entry_type(tar::EntryType::Directory);
        folder.set_size(0);
        archive
            .append_data(&mut folder, "package/dist/", &b""[..])
            .unwrap();
        for (path, bytes) in &files {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            let path = format!("package/{path}");
            archive.append_data(&mut header, path, &**bytes).unwrap();
        }
        let bytes = archive
            .into_inner()
            .and_then(flate2::write::GzEncoder::finish)
            .unwrap();
        let at = std::env::temp_dir().join(format!("leeward-package-{}.tgz", std::process::id()));
        fs::write(&at, bytes).unwrap();
        let read = read(&at);
        fs::remove_file(&at).unwrap();
        assert_eq!(read.ok(), Some(files));
    }
}
