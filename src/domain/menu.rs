//! The menu.

use serde::{Deserialize, Serialize};

use super::money::Money;

/// The number of a dish on the menu.
pub type MenuItemId = i64;

/// Part of the meal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Course {
    Starter,
    Main,
    Side,
    Dessert,
    Drink,
}

impl Course {
    pub const ALL: [Course; 5] = [Course::Starter, Course::Main, Course::Side, Course::Dessert, Course::Drink];

    pub const fn id(self) -> &'static str {
        match self {
            Course::Starter => "starter",
            Course::Main => "main",
            Course::Side => "side",
            Course::Dessert => "dessert",
            Course::Drink => "drink",
        }
    }

    pub fn from_id(id: &str) -> Option<Course> {
        Course::ALL.into_iter().find(|course| course.id() == id)
    }
}

/// A dish or drink that can be ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuItem {
    pub id: MenuItemId,
    pub name: String,
    pub description: String,
    pub course: Course,
    pub price: Money,
    /// Whether the pantry holds enough for at least one portion.
    pub available: bool,
    pub tags: Vec<String>,
}
