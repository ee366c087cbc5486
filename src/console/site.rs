//! What the edge serves: its hosts and routes, with the rules of each.

use super::caller::{Answer, Call, stopped};
use super::journeys::json_answer;
use crate::domain::permission::Permission;

pub async fn view(call: Call) -> Answer {
    call.owner(Permission::StackRead)?;
    Ok(json_answer(&call.state.stack.site().ok_or_else(stopped)?))
}
