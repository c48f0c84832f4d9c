//! The configuration that applies where there is none: mail jails over the system's mail log.
//!
//! It is written in the language of the files it stands in for, and read by the same code.

use std::path::Path;

use super::tree::{Filters, Tree};
use crate::filter::ini::Ini;
use crate::problem::Problems;

/// What stands in the place of a folder's name.
pub(super) const NAME: &str = "compiled-in configuration";

const JAILS: &str = include_str!("builtin/jail.conf");

/// Name and text of each filter.
const FILTERS: &[(&str, &str)] = &[
    ("postfix-spam", include_str!("builtin/filter.d/postfix-spam.conf")),
    ("postfix-sasl", include_str!("builtin/filter.d/postfix-sasl.conf")),
    ("postfix-unknown", include_str!("builtin/filter.d/postfix-unknown.conf")),
];

/// The compiled-in files.
pub(super) fn tree() -> Result<Tree, Problems> {
    let file = Path::new(NAME).join("jail.conf");
    Ok(Tree {
        jails: vec![Ini::parse(&file, JAILS)?],
        filters: Filters::Builtin(FILTERS),
    })
}
