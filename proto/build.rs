//! Compiles the `.proto` files with protox, so that no protoc is needed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut files = protox::Compiler::new(["proto"])?
        .include_imports(true)
        .include_source_info(true)
        .open_files([
            "pvelens/agent/v1/agent.proto",
            "pvelens/v1/admin.proto",
            "pvelens/v1/analysis.proto",
            "pvelens/v1/enrollment.proto",
            "pvelens/v1/finding.proto",
            "pvelens/v1/fleet.proto",
            "pvelens/v1/guest_command.proto",
            "pvelens/v1/history.proto",
            "pvelens/v1/intent.proto",
            "pvelens/v1/inventory.proto",
        ])?
        .file_descriptor_set();
    tonic_prost_build::configure()
        .build_transport(false)
        .compile_fds(files.clone())?;
    // The comments are for the generated code; every program holds the rest.
    for file in &mut files.file {
        file.source_code_info = None;
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("pvelens.binpb"), files.encode_to_vec())?;
    Ok(())
}
