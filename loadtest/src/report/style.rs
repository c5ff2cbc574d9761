//! The page around a report.

use super::markup::{Markup, escaped};

/// A whole page.
pub(super) fn page(title: &str, body: &Markup) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>{}</title><style>{CSS}</style></head><body><main>\n{}</main></body></html>\n",
        escaped(title),
        body.as_str()
    )
}

const CSS: &str = include_str!("style.css");
