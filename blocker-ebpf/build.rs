//! What the linker is told, which is where LLVM makes instructions of the program.

fn main() {
    // Fields of a packet lie at odd places. Without this LLVM reads them byte by byte and puts them together, four instructions for each byte of an
    // address. The kernel takes such reads of packets where the processor does (CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS): on x86-64 and arm64.
    println!("cargo::rustc-link-arg-bins=--cpu-features=+allows-misaligned-mem-access");
}
