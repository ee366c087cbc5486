//! How SQLite goes about a statement, and whether that gets slower as the restaurant gets older.

use rusqlite::Connection;

/// EXPLAIN QUERY PLAN (sqlite.org/eqp.html), a line a step of the plan. A statement that can't be explained
/// has none.
pub fn explain(connection: &Connection, sql: &str) -> Vec<String> {
    let plan = || -> rusqlite::Result<Vec<String>> {
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
        let mut rows = explain.raw_query();
        let mut lines = Vec::new();
        while let Some(row) = rows.next()? {
            lines.push(row.get(3)?);
        }
        Ok(lines)
    };
    plan().unwrap_or_default()
}

/// The lines of a plan that read a whole table, or index one on the spot, unless it is one of `fixed`. What
/// the statement itself made (a subquery, a list of values) is as large as the steps that made it, and
/// those stand in the plan, too. `fixed` may name an index, too, of what is under way and not of all time.
pub fn scans<'p>(sql: &str, plan: &'p [String], fixed: &[&str]) -> Vec<&'p str> {
    let made = |name: &str| {
        let made_here = |line: &String| {
            let rest = line.strip_prefix("MATERIALIZE ").or_else(|| line.strip_prefix("CO-ROUTINE "));
            rest.is_some_and(|rest| rest.split(' ').next() == Some(name))
        };
        name.starts_with('(') || plan.iter().any(made_here)
    };
    let grows = |line: &&str| {
        let rest = match line.strip_prefix("SCAN ") {
            Some(rest) => Some(rest),
            None => line.strip_prefix("SEARCH ").filter(|rest| rest.contains(" AUTOMATIC ")),
        };
        let name = rest.and_then(|rest| rest.split(' ').next());
        !line.ends_with(" VALUES CLAUSE")
            && name.is_some_and(|name| !ROWLESS.contains(&name) && !fixed.contains(&table(sql, name)) && !made(name))
            && index(line).is_none_or(|index| !fixed.contains(&index))
    };
    if reads_its_limit(sql, plan) { Vec::new() } else { plan.iter().map(String::as_str).filter(grows).collect() }
}

/// Whether it takes a table's first rows as they stand, and stops: nothing is left out, grouped or sorted.
fn reads_its_limit(sql: &str, plan: &[String]) -> bool {
    let words: Vec<&str> = sql.split_whitespace().collect();
    let more = ["WHERE", "JOIN", "DISTINCT", "GROUP"].iter().any(|word| words.contains(word));
    plan.len() == 1 && words.contains(&"LIMIT") && !more && !sql.contains('(')
}

/// The index that a line of a plan goes by.
fn index(line: &str) -> Option<&str> {
    line.split_once("INDEX ").and_then(|(_, rest)| rest.split(' ').next())
}

/// The table that a statement calls `name`: a plan knows only that.
fn table<'s>(sql: &'s str, name: &'s str) -> &'s str {
    let words: Vec<&str> =
        sql.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
    let named = words.windows(3).find(|words| words[1].eq_ignore_ascii_case("AS") && words[2] == name);
    named.map_or(name, |words| words[0])
}

/// What a plan may name that is no table of the file: one row of constants, a list that the statement brings.
const ROWLESS: [&str; 3] = ["CONSTANT", "json_each", "json_tree"];

#[cfg(test)]
mod tests {
    use super::*;

    fn scans_of(sql: &str) -> Result<Vec<String>, rusqlite::Error> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(
            "CREATE TABLE dish (id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE sale (id INTEGER PRIMARY KEY, \
             dish_id INTEGER, at INTEGER); CREATE INDEX sale_by_time ON sale (at); \
             CREATE INDEX open_sale ON sale (at) WHERE dish_id = 0;",
        )?;
        connection.prepare(sql)?;
        let plan = explain(&connection, sql);
        Ok(scans(sql, &plan, &["dish", "open_sale"]).into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn what_reads_a_growing_table_whole_is_found_under_whatever_name() -> Result<(), rusqlite::Error> {
        for sql in [
            "SELECT * FROM sale",
            "SELECT * FROM sale AS s WHERE dish_id = 1",
            "SELECT at FROM sale ORDER BY at",
            "SELECT count(*) FROM sale LIMIT 1",
            "SELECT id FROM sale ORDER BY dish_id LIMIT 1",
            "SELECT id FROM sale WHERE dish_id = 7 ORDER BY id DESC LIMIT 1",
            "SELECT count(*) FROM sale",
            "SELECT 1 FROM dish WHERE EXISTS (SELECT 1 FROM sale WHERE dish_id = dish.id)",
            "SELECT * FROM (SELECT * FROM sale LIMIT 5) AS latest",
            "UPDATE sale SET at = 0 WHERE dish_id = 7",
            "SELECT * FROM dish JOIN sale ON dish_id = dish.id",
        ] {
            assert!(!scans_of(sql)?.is_empty(), "{sql}");
        }
        Ok(())
    }

    #[test]
    fn a_search_a_fixed_table_and_what_the_statement_brings_are_no_scans() -> Result<(), rusqlite::Error> {
        for sql in [
            "SELECT * FROM dish ORDER BY name",
            "SELECT item.id FROM dish AS item",
            "SELECT * FROM sale WHERE id = 1",
            "SELECT * FROM sale WHERE id < ?1 ORDER BY id DESC LIMIT 10",
            "SELECT max(id) FROM sale",
            "SELECT id FROM sale ORDER BY id DESC LIMIT 1",
            "SELECT at FROM sale WHERE dish_id = 0 ORDER BY at LIMIT 1",
            "SELECT latest.at FROM (SELECT * FROM sale WHERE at > 5 LIMIT 5) AS latest JOIN dish ON dish.id = dish_id",
            "SELECT * FROM json_each(?1) JOIN sale ON sale.id = json_each.value",
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM sale WHERE at = 4)",
            "INSERT INTO sale (at) VALUES (1), (2)",
        ] {
            assert_eq!(scans_of(sql)?, Vec::<String>::new(), "{sql}");
        }
        Ok(())
    }
}
