//! The names under which requests are counted. There are few, however many paths are asked for: a path is counted
//! by the template that it matches, and one that matches none as `other`.

use std::sync::{Arc, OnceLock};

/// Routes that can be told apart.
pub const ROUTES_MAX: usize = 96;
/// A path that matches none.
pub const OTHER: &str = "other";

/// A route's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteId(pub(super) u8);

const NONE: RouteId = RouteId(u8::MAX);

/// The templates of the application, and after them the routes of somebody's own service as they are met.
#[derive(Debug)]
pub struct Routes {
    templates: &'static [&'static str],
    met: [OnceLock<Arc<str>>; ROUTES_MAX],
}

impl Routes {
    pub fn new(templates: &'static [&'static str]) -> Self {
        Self { templates: &templates[..templates.len().min(ROUTES_MAX)], met: [const { OnceLock::new() }; ROUTES_MAX] }
    }

    /// The template that `path` matches.
    pub fn of(&self, path: &str) -> RouteId {
        let found = self.templates.iter().position(|template| matches(template, path));
        found.map_or(NONE, |place| RouteId(place as u8))
    }

    /// The route of that name, which is remembered while there is room.
    pub fn named(&self, name: &Arc<str>) -> RouteId {
        for (place, slot) in self.met.iter().enumerate().skip(self.templates.len()) {
            if **slot.get_or_init(|| Arc::clone(name)) == **name {
                return RouteId(place as u8);
            }
        }
        NONE
    }

    pub fn name(&self, route: RouteId) -> &str {
        let place = usize::from(route.0);
        match self.templates.get(place) {
            Some(template) => template,
            None => self.met.get(place).and_then(OnceLock::get).map_or(OTHER, |name| name),
        }
    }
}

/// `{id}` stands for one segment, `{path:.*}` for all that follow.
fn matches(template: &str, path: &str) -> bool {
    let (mut wanted, mut found) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted.starts_with('{') => {
                if wanted.ends_with(":.*}") {
                    return true;
                }
                if found.is_empty() {
                    return false;
                }
            }
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATES: &[&str] = &["/", "/api/v1/menu", "/api/v1/menu/{id}", "/static/{hash}/{path:.*}"];

    #[test]
    fn a_path_is_known_by_its_template() {
        let routes = Routes::new(TEMPLATES);
        for (path, name) in [
            ("/", "/"),
            ("/api/v1/menu", "/api/v1/menu"),
            ("/api/v1/menu/7", "/api/v1/menu/{id}"),
            ("/static/x/a/b.js", "/static/{hash}/{path:.*}"),
            ("/api/v1/menu/", OTHER),
            ("/api/v1/menu/7/8", OTHER),
            ("/wp-admin", OTHER),
            ("", OTHER),
        ] {
            assert_eq!(routes.name(routes.of(path)), name, "{path}");
        }
    }

    #[test]
    fn names_are_remembered_once_and_bounded() {
        let routes = Routes::new(TEMPLATES);
        let name = |number: usize| Arc::<str>::from(format!("/{number}"));
        assert_eq!(routes.named(&name(1)), routes.named(&name(1)));
        assert_eq!(routes.name(routes.named(&name(1))), "/1");
        let told = (0..10 * ROUTES_MAX).map(|number| routes.name(routes.named(&name(number))).to_owned());
        assert_eq!(told.collect::<std::collections::BTreeSet<_>>().len(), ROUTES_MAX - TEMPLATES.len() + 1);
    }
}
