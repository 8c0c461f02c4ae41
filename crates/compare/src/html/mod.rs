//! The page: one file that needs nothing else, readable on a phone, on paper, in the dark and without a mouse.
//!
//! Every number is one of the [`Summary`]; elements that show one carry it in `data-value`, with `data-metric`,
//! `data-topology` and `data-stat` beside it, so that page and document can be compared.

mod bars;
mod drift;
mod figures;
mod marks;
mod phases;
mod surface;
mod view;

use crate::{Comparison, Summary};
use minijinja::{Environment, UndefinedBehavior, syntax::SyntaxConfig, value::Serde};

/// Why there is no page. Its template is part of rig, so this is a mistake in rig.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the page: {0}")]
pub struct PageError(#[from] minijinja::Error);

/// The page of a comparison. `summary` must be that of `comparison`.
///
/// # Errors
/// When the template and what it is given do not fit together.
pub fn html(comparison: &Comparison, summary: &Summary) -> Result<String, PageError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    // The name ends in .html: whatever is not marked as safe is escaped.
    environment.add_template("page.html", include_str!("page.html"))?;
    let view = view::View::new(comparison, summary);
    Ok(environment.get_template("page.html")?.render(Serde(&view))?)
}
