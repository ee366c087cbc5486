//! The guides, and the table of settings as a page of them: rendered here, readable without a script. For those who are
//! signed in, as every page.

use std::fmt::Write as _;

use actix_web::web;
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, html};
use serde_json::Value;

use super::caller::{Answer, Call};
use super::pages::turned_away;
use crate::observe::hop::Hop;
use crate::settings::row::{Field, Row};
use crate::settings::runtime::{Snapshot, rows};
use crate::web::problem::Problem;
use crate::web::respond;

/// What a page of the docs is called in its address, its title and its text.
type Guide = (&'static str, &'static str, &'static str);

const GUIDES: [Guide; 5] = [
    ("backups", "Backups, and the way back", include_str!("../../data/docs/backups.md")),
    ("edge", "What the edge does, by RFC section", include_str!("../../data/docs/edge.md")),
    ("instances", "Instances that come and go, and releases", include_str!("../../data/docs/instances.md")),
    ("load", "Sending traffic, and what its figures mean", include_str!("../../data/docs/load.md")),
    ("metrics", "What is counted", include_str!("../../data/docs/metrics.md")),
];

const SETTINGS: &str = "Settings and faults";

pub async fn index(call: Call) -> Answer {
    if let Some(elsewhere) = turned_away(&call).await? {
        return Ok(elsewhere);
    }
    let mut body = "<h1>Docs</h1><ul class=\"docs-list\">".to_owned();
    let entry = |(name, title): (&str, &str)| format!("<li><a href=\"/docs/{name}\">{title}</a></li>");
    body.extend(std::iter::once(("settings", SETTINGS)).chain(GUIDES.map(|(name, title, _)| (name, title))).map(entry));
    body.push_str("</ul>");
    Ok(page_of("Docs", &body))
}

pub async fn page(call: Call, name: web::Path<String>) -> Answer {
    if let Some(elsewhere) = turned_away(&call).await? {
        return Ok(elsewhere);
    }
    if *name == "settings" {
        return Ok(page_of(SETTINGS, &settings()));
    }
    let Some((_, title, text)) = GUIDES.iter().find(|(known, ..)| known == &*name) else {
        let detail = "No page of the docs has that name; /docs lists them.";
        return Err(Problem::new(None, 404, "no-such-page", "No such page", detail));
    };
    Ok(page_of(title, &rendered(text)))
}

fn page_of(title: &str, body: &str) -> actix_web::HttpResponse {
    respond::page_with("docs", "", &[("{{title}}", &escaped(title)), ("{{body}}", body)])
}

/// Markdown as HTML. What stands in it as HTML is shown as text: a guide has none.
fn rendered(text: &str) -> String {
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url: between_guides(dest_url), title, id })
        }
        other => other,
    });
    let mut out = String::with_capacity(text.len() * 2);
    html::push_html(&mut out, events);
    // A wide table scrolls by itself, and with the keyboard.
    out.replace("<table>", "<div class=\"scroll-x\" tabindex=\"0\"><table>").replace("</table>", "</table></div>")
}

/// The files name each other as files.
fn between_guides(url: CowStr<'_>) -> CowStr<'_> {
    match url.strip_suffix(".md") {
        Some(name) if !name.contains('/') => format!("/docs/{name}").into(),
        _ => url,
    }
}

/// One table a hop, in the order of the way.
fn settings() -> String {
    let mut body = format!(
        "<h1>{SETTINGS}</h1><p class=\"say\">Everything that can be changed while a stack runs, by its key: on its page, \
         with <code>roundtrip settings set KEY=VALUE</code>, or with <code>PATCH /api/settings</code>. Nothing set this \
         way survives a restart. A fault ends by itself after two minutes, or when <code>for=SECONDS</code> says; \
         <code>roundtrip restore</code> ends all of them at once.</p>"
    );
    for hop in Hop::ALL {
        let id = hop.id();
        let _ = write!(
            body,
            "<h2 id=\"{id}\">{id}</h2><div class=\"scroll-x\" tabindex=\"0\" role=\"region\" aria-labelledby=\"{id}\">\
             <table class=\"docs-settings\"><thead><tr><th scope=\"col\">Key</th><th scope=\"col\">What it does</th>\
             <th scope=\"col\">Takes</th><th scope=\"col\">Default</th><th scope=\"col\">Unit</th></tr></thead><tbody>"
        );
        let defaults = Snapshot::default();
        rows().filter(|row| row.hop == hop).for_each(|row| body.push_str(&line(row, &defaults)));
        body.push_str("</tbody></table></div>");
    }
    body
}

fn line(row: &Row, defaults: &Snapshot) -> String {
    let default = match row.value(defaults) {
        Value::Bool(on) => if on { "on" } else { "off" }.to_owned(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    let (mark, title) = match &row.field {
        Field::Fault(kind) => (" <span class=\"tag bad\">fault</span>", format!("<b>{}.</b> ", escaped(kind.title))),
        _ => ("", String::new()),
    };
    let key = escaped(row.key);
    format!(
        "<tr id=\"{key}\"><th scope=\"row\"><code>{key}</code>{mark}</th><td>{title}{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        escaped(row.help),
        escaped(&row.takes()),
        escaped(&default),
        escaped(row.unit().unwrap_or_default()),
    )
}

/// As text in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guide_has_a_page() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/docs");
        for entry in std::fs::read_dir(folder).expect("the guides") {
            let name = entry.expect("an entry").file_name().into_string().expect("a name");
            let Some(name) = name.strip_suffix(".md") else { continue };
            assert!(GUIDES.iter().any(|(known, ..)| *known == name), "{name}.md has no page");
        }
    }

    #[test]
    fn every_setting_has_a_line_and_what_could_be_markup_is_text() {
        let page = settings();
        for row in rows() {
            assert!(page.contains(&format!("<tr id=\"{}\">", row.key)), "{}", row.key);
        }
        assert_eq!(escaped("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }

    #[test]
    fn guides_lead_to_each_other_and_bring_no_markup_of_their_own() {
        let html = rendered("[the edge](edge.md) [out](https://example.org/a.md) <script>alert(1)</script>");
        assert!(html.contains("href=\"/docs/edge\"") && html.contains("href=\"https://example.org/a.md\""), "{html}");
        assert!(!html.contains("<script>"), "{html}");
    }
}
