//! What the builds weigh.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::build;
use crate::error::{Context, Result};
use crate::setup;
use crate::workspace::Workspace;

/// Builds both and prints a table of their sizes.
pub(crate) fn command(workspace: &Workspace) -> Result {
    setup::setup(workspace)?;
    build::npm(workspace)?;
    build::worker(workspace)?;
    println!("{:32} {:>9} {:>9} {:>9}", "bytes", "raw", "gzip", "brotli");
    row(workspace, "npm wasm", &["wasm/dist/leeward_wasm_bg.wasm"])?;
    row(workspace, "worker wasm", &["worker-js/build/index_bg.wasm"])?;
    row(
        workspace,
        "worker bundle (wasm and module)",
        &["worker-js/build/index_bg.wasm", "worker-js/build/worker.mjs"],
    )
}

fn row(workspace: &Workspace, label: &str, files: &[&str]) -> Result {
    let (mut raw, mut gzip, mut brotli) = (0, 0, 0);
    for file in files {
        let bytes = fs::read(workspace.path(file)).context(file)?;
        raw += bytes.len();
        gzip += gzipped(&bytes).context(file)?;
        brotli += brotlied(&bytes).context(file)?;
    }
    println!("{label:32} {raw:>9} {gzip:>9} {brotli:>9}");
    Ok(())
}

fn gzipped(bytes: &[u8]) -> std::io::Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

fn brotlied(bytes: &[u8]) -> std::io::Result<usize> {
    let mut out = Vec::new();
    // Quality 11, window 2^22: what registries and CDNs serve.
    brotli::BrotliCompress(
        &mut &*bytes,
        &mut out,
        &brotli::enc::BrotliEncoderParams::default(),
    )?;
    Ok(out.len())
}
