//! The documents about routes are those of the table.

use std::path::Path;

#[test]
fn the_document_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/routes.md");
    let wanted = ramgate_plugin::routes_document();
    if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        std::fs::write(&path, &wanted).unwrap();
    }
    let document = std::fs::read_to_string(&path).unwrap();
    assert_eq!(document, wanted, "write it anew with `make golden`");
}
