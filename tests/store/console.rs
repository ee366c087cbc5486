//! Whose installation it is, what was changed in it, and with what scripts come.

use std::time::Duration;

use roundtrip::domain::event::Event;
use roundtrip::domain::permission::Scope;
use roundtrip::domain::session::Owner;
use roundtrip::domain::token::NewToken;
use roundtrip::store::control::{ClaimError, SETUP_TOKEN_LIFETIME, TokenError};

use super::ground::{Ground, Outcome};

pub async fn set_up_happens_once_with_a_live_token<G: Ground>() -> Outcome {
    let house = G::new()?;
    let control = house.control()?;
    let owner = |name: &str| Owner { name: name.into(), password_phc: "$argon2id$…".into() };
    let first = control.create_setup_token().await?;
    let token = control.create_setup_token().await?;
    assert!(!control.is_setup_token_live(&first).await?, "a newer link replaces the older");
    assert_eq!(control.claim(&first, owner("thief")).await, Err(ClaimError::BadToken));
    house.pass(SETUP_TOKEN_LIFETIME);
    assert_eq!(control.claim(&token, owner("late")).await, Err(ClaimError::BadToken));

    let token = control.create_setup_token().await?;
    let (one, two) = tokio::join!(control.claim(&token, owner("one")), control.claim(&token, owner("two")));
    let session = one.or(two.clone())?;
    assert!(two.is_err(), "one token, one owner");
    assert!(control.session(&session).await?.is_some());
    assert!(!control.create_owner(owner("third")).await?);
    let token = control.create_setup_token().await?;
    assert_eq!(control.claim(&token, owner("third")).await, Err(ClaimError::OwnerExists));

    let rotated = control.create_session(Some(&session)).await?;
    assert_eq!(control.session(&session).await?, None, "signing in leaves the old session behind");
    let token = NewToken { name: "ci".into(), scopes: vec![Scope::Read], days: 1 };
    let (_, secret) = control.create_token(token, "two").await?;
    control.reset_owner(owner("new"), "a command").await?;
    assert_eq!(control.session(&rotated).await?, None);
    assert_eq!(control.token(&secret).await?, None, "what the owner of before let in is let in no more");
    let told = control.events(None, 2).await?;
    let told: Vec<_> = told.iter().map(|row| (&*row.who, &*row.kind, &*row.subject, row.after.is_some())).collect();
    assert_eq!(told, [("a command", "token", "ci", false), ("a command", "owner", "new", true)]);
    control.close().await?;
    assert_eq!(house.control()?.owner().await?.map(|owner| owner.name), Some("new".to_owned()));
    Ok(())
}

pub async fn a_token_counts_until_its_time_is_over_or_it_is_revoked<G: Ground>() -> Outcome {
    let house = G::new()?;
    let control = house.control()?;
    let new = |name: &str, days| NewToken { name: name.into(), scopes: vec![Scope::Read, Scope::Send], days };
    let (short, short_secret) = control.create_token(new("short", 1), "owner").await?;
    let (long, long_secret) = control.create_token(new("long", 90), "owner").await?;
    assert_eq!(control.create_token(new("long", 1), "owner").await, Err(TokenError::NameTaken));
    let found = control.token(&long_secret).await?.ok_or("it counts")?;
    assert_eq!((found.name.as_str(), found.scopes), ("long", vec![Scope::Read, Scope::Send]));
    house.pass(Duration::from_secs(24 * 60 * 60));
    assert_eq!(control.token(&short_secret).await?, None);
    assert!(!control.is_token_live(short.id).await? && control.is_token_live(long.id).await?);
    // What has expired makes room, and no id comes twice.
    let (again, _) = control.create_token(new("short", 1), "owner").await?;
    assert!(again.id > long.id);
    assert!(control.revoke_token(long.id, "a command").await?);
    assert!(!control.revoke_token(long.id, "a command").await?);
    assert_eq!(control.token(&long_secret).await?, None);
    let told: Vec<(String, String, bool)> = control
        .events(None, 9)
        .await?
        .into_iter()
        .map(|event| (event.who, event.subject, event.after.is_some()))
        .collect();
    let expected =
        [("a command", "long", false), ("owner", "short", true), ("owner", "long", true), ("owner", "short", true)];
    assert_eq!(told, expected.map(|(who, subject, made)| (who.to_owned(), subject.to_owned(), made)));
    control.close().await?;
    Ok(())
}

pub async fn a_tokens_last_use_is_written_down_once_a_minute<G: Ground>() -> Outcome {
    let house = G::new()?;
    let control = house.control()?;
    let new = NewToken { name: "ci".into(), scopes: vec![Scope::Read], days: 1 };
    let (made, secret) = control.create_token(new, "owner").await?;
    let used = async |after: u64| -> Outcome<Option<i64>> {
        house.pass(Duration::from_secs(after));
        control.token(&secret).await?;
        // A later write stands behind the note.
        control.record(Vec::new()).await?;
        let token = control.tokens().await?.into_iter().next().ok_or("one")?;
        Ok(token.last_used_at.map(|at| (at - made.created_at).whole_seconds()))
    };
    assert_eq!(used(10).await?, Some(10));
    assert_eq!(used(59).await?, Some(10));
    assert_eq!(used(1).await?, Some(70));
    control.close().await?;
    Ok(())
}

pub async fn changes_are_there_after_reopening_the_newest_first<G: Ground>() -> Outcome {
    let house = G::new()?;
    let control = house.control()?;
    let event = |number: i64| Event {
        who: "owner".into(),
        kind: "setting",
        subject: format!("key {number}"),
        before: None,
        after: Some(number.to_string()),
    };
    control.record((1..=5).map(event).collect()).await?;
    control.close().await?;
    let control = house.control()?;
    let subjects = async |before, limit| -> Outcome<Vec<String>> {
        Ok(control.events(before, limit).await?.into_iter().map(|event| event.subject).collect())
    };
    assert_eq!(subjects(None, 2).await?, ["key 5", "key 4"]);
    assert_eq!(subjects(Some(4), 9).await?, ["key 3", "key 2", "key 1"]);
    assert_eq!(subjects(Some(1), 9).await?, Vec::<String>::new());
    control.close().await?;
    Ok(())
}
