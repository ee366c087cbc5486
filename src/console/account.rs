//! The restaurant's staff, who have no password until the owner sets one.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::caller::{Answer, Body, Call, unavailable};
use super::journeys::json_answer;
use super::signing::hasher_failed;
use super::written::carry_out;
use crate::domain::event::Event;
use crate::domain::permission::Permission;
use crate::domain::session::{PASSWORD_CHARS_MAX, password_refusal};
use crate::web::problem::Problem;

pub async fn staff(call: Call) -> Answer {
    call.owner(Permission::StaffManage)?;
    let staff = call.state.stack.staff().await.map_err(unavailable)?;
    let member = |member: crate::domain::session::Staff| json!({ "name": member.name, "role": member.role.id(), "has_password": member.has_password });
    Ok(json_answer(&json!({ "staff": staff.into_iter().map(member).collect::<Vec<_>>() })))
}

pub async fn set_password(call: Call, name: web::Path<String>, body: Body) -> Answer {
    let who = call.owner(Permission::StaffManage)?.to_owned();
    let password = call.parse(body, |fields| fields.text("password", PASSWORD_CHARS_MAX).map(str::to_owned))?;
    if let Some(reason) = password_refusal(&password) {
        let problem = Problem::new(None, 422, "invalid-body", "Not taken", "The password was not changed.");
        return Err(problem.field("/password", reason));
    }
    let staff = call.state.stack.staff().await.map_err(unavailable)?;
    let member = staff.into_iter().find(|member| member.name == *name).ok_or_else(nobody)?;
    let phc = call.state.hasher.hash(&password).await.map_err(hasher_failed)?;
    let before = if member.has_password { json!("set") } else { Value::Null };
    let event = Event::new(&who, "password", &name, &before, &json!("set anew"));
    let stack = Arc::clone(&call.state.stack);
    let act = async move {
        let set = stack.set_staff_password(&name, &phc).await.map_err(unavailable)?;
        if set { Ok(()) } else { Err(nobody()) }
    };
    carry_out(&call.state, event, act).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn nobody() -> Problem {
    Problem::new(None, 404, "no-such-person", "Nobody of that name", "Nobody of that name works here.")
}
