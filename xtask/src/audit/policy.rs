//! The rules, each with its reason. A change here is a decision; say why beside it.

/// Where packages may come from; the workspace's own have no source.
pub(super) const SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// One version each: two would double a whole stack, or split a type that must be one (`hyper`'s upgraded connection,
/// the one SQLite library that may be linked).
pub(super) const ONCE: &[&str] =
    &["aws-lc-sys", "axum", "hyper", "libsqlite3-sys", "ractor", "rustls", "sqlx", "tokio", "tokio-tungstenite", "tungstenite"];

/// Never built, not even for tests.
pub(super) const BANNED: &[(&str, &str)] = &[
    ("native-tls", "one TLS stack: rustls with aws-lc-rs"),
    ("openssl-sys", "one TLS stack: rustls with aws-lc-rs; nothing but Rust is to be installed for a build"),
    ("ring", "one crypto library: aws-lc-rs"),
    ("rsa", "timing leak without a fix (RUSTSEC-2023-0071); aws-lc-rs does RSA"),
];

/// Direct dependencies to watch, with the oldest version that is good enough. Advisory databases missed the first one.
pub(super) const WATCHED: &[(&str, [u64; 3], &str)] = &[
    ("jsonwebtoken", [11, 0, 0], "up to 10.2 a malformed `nbf` counts as absent (CVE-2026-25537)"),
    ("tungstenite", [0, 29, 0], "the limits on buffers and frames that sessions rely on were tried on 0.29"),
    ("sqlx", [0, 9, 0], "before 0.8.1 a long value could overflow the wire protocol's length (RUSTSEC-2024-0363)"),
    ("rmp-serde", [1, 3, 0], "refusing depth and length bombs was tried on 1.3"),
    ("argon2", [0, 6, 0], "the password parameters and dummy-hash timing were tried on 0.6"),
    ("ractor", [0, 16, 5], "supervision and drain were tried on 0.16.5"),
    ("hyper", [1, 0, 0], "0.14 gets no fixes"),
];

/// Permissive licences only (SPDX). `CDLA-Permissive-2.0` covers Mozilla's list of root certificates.
pub(super) const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];
