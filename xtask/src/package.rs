//! The files of an npm package: this checkout's, a tarball's, an installed one's.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::error::{Context, Error, Result};
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
    unpacked(packed).context(path.display())
}

/// npm unpacks more than npm packs: files of any first folder, what stands behind the mark of the end or in a further
/// gzip member; and of one name the last. What is read here must be all that would be installed, so each is refused.
fn unpacked(packed: impl Read) -> Result<Files> {
    // One byte more than whole blocks: where the limit cuts, the archive does not just seem to end.
    let tar = MultiGzDecoder::new(packed).take(MOST_UNPACKED_BYTES + 1);
    let mut archive = tar::Archive::new(tar);
    archive.set_ignore_zeros(true);
    let mut files = Files::new();
    // Raw: no header gives another its name or length.
    for entry in archive.entries().context("tar")?.raw(true) {
        let mut entry = entry.context("tar")?;
        let name = entry.path().context("a name")?.display().to_string();
        let kind = entry.header().entry_type();
        // A folder with contents is one more way to hide a file.
        if kind.is_dir() && entry.size() == 0 {
            continue;
        }
        let Some(own) = name.strip_prefix("package/").filter(|_| kind.is_file()) else {
            return Err(Error::new(format!("{name} is no plain file in package/")));
        };
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).context(&name)?;
        if files.insert(own.to_owned(), bytes).is_some() {
            return Err(Error::new(format!("{name} is there twice")));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// One entry of an archive, without the end of it.
    fn entry(kind: tar::EntryType, path: &str, bytes: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_data(&mut header, path, bytes).unwrap();
        archive.get_ref().clone()
    }

    fn file(path: &str, text: &str) -> Vec<u8> {
        entry(tar::EntryType::Regular, path, text.as_bytes())
    }

    fn gzip(tar: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(tar).unwrap();
        gzip.finish().unwrap()
    }

    /// A sound package, where nothing says yet that it ends.
    fn sound() -> Vec<u8> {
        [
            entry(tar::EntryType::Directory, "package/dist/", b""),
            file("package/package.json", "{}"),
            file("package/dist/api.js", "glue"),
        ]
        .concat()
    }

    #[test]
    fn a_tarball_is_read_as_the_folder_it_was_packed_from() {
        let at = std::env::temp_dir().join(format!("leeward-package-{}.tgz", std::process::id()));
        fs::write(&at, gzip(&[sound(), vec![0; 1024]].concat())).unwrap();
        let read = read(&at);
        fs::remove_file(&at).unwrap();
        let files: Files = [(MANIFEST, "{}"), ("dist/api.js", "glue")]
            .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
            .into();
        assert_eq!(read.ok(), Some(files));
    }

    #[test]
    fn what_npm_would_unpack_besides_is_refused() {
        let said = |tar: &[Vec<u8>]| {
            unpacked(&*gzip(&tar.concat()))
                .err()
                .map(|error| error.to_string())
        };
        let twice = Some("package/dist/api.js is there twice".to_owned());
        let evil = || file("package/dist/api.js", "evil");
        assert_eq!(said(&[sound(), evil()]), twice);
        assert_eq!(said(&[sound(), vec![0; 512], evil()]), twice);
        let members = [gzip(&sound()), gzip(&evil())].concat();
        assert_eq!(unpacked(&*members).err().map(|error| error.to_string()), twice);

        let no_file = |path: &str| Some(format!("{path} is no plain file in package/"));
        let other = file("x/dist/api.js", "evil");
        assert_eq!(said(&[sound(), other]), no_file("x/dist/api.js"));
        let folder = entry(tar::EntryType::Directory, "package/more/", &evil());
        assert_eq!(said(&[sound(), folder]), no_file("package/more/"));
        let renamed = entry(
            tar::EntryType::XHeader,
            "package/pax",
            b"28 path=package/dist/api.js\n",
        );
        assert_eq!(said(&[sound(), renamed, evil()]), no_file("package/pax"));
    }

    #[test]
    fn what_stands_beyond_the_limit_is_not_passed_over() {
        let rest = vec![0; MOST_UNPACKED_BYTES as usize - sound().len()];
        assert!(unpacked(&*gzip(&[sound(), rest.clone()].concat())).is_ok());
        let evil = file("package/dist/api.js", "evil");
        assert!(unpacked(&*gzip(&[sound(), rest, evil].concat())).is_err());
    }
}
