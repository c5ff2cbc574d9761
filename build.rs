//! Makes cargo notice new migration files: `sqlx::migrate!` reads the folders when the crate is compiled, but cargo
//! does not know that it did.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
