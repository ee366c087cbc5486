//! Who is signed in at the restaurant, and for how long.

use std::time::Duration;

use roundtrip::domain::permission::Role;
use roundtrip::domain::session::{ABSOLUTE_MAX, IDLE_MAX, MINTED_MAX, PER_PERSON_MAX};

use super::ground::{Ground, Outcome, span};

pub async fn a_session_ends_when_idle_when_old_and_when_told<G: Ground>() -> Outcome {
    let house = G::new()?;
    let bistro = house.bistro()?;
    let waiter = bistro.staff().await?[0].person;
    let secret = bistro.create_session(&span(), waiter).await?;
    let found = bistro.session(&span(), &secret).await?.ok_or("a new session is live")?;
    assert_eq!((found.person, found.role, found.name.as_deref()), (waiter, Role::Waiter, Some("waiter")));
    // Used again and again it outlives the idle time, but not the absolute one.
    let step = IDLE_MAX / 2;
    let mut lived = Duration::ZERO;
    while lived + step < ABSOLUTE_MAX {
        house.pass(step);
        lived += step;
        assert!(bistro.session(&span(), &secret).await?.is_some(), "after {lived:?}");
        // What was noted in passing is committed before this returns: the writer has one queue.
        bistro.set_staff_password("nobody", "").await?;
    }
    house.pass(step);
    assert_eq!(bistro.session(&span(), &secret).await?, None);

    let idle = bistro.create_session(&span(), waiter).await?;
    house.pass(IDLE_MAX);
    assert_eq!(bistro.session(&span(), &idle).await?, None);

    let told = bistro.create_session(&span(), waiter).await?;
    bistro.delete_session(&span(), &told).await?;
    assert_eq!(bistro.session(&span(), &told).await?, None);
    Ok(())
}

pub async fn a_person_has_five_sessions_at_most_and_minted_ones_push_none_out<G: Ground>() -> Outcome {
    let house = G::new()?;
    let bistro = house.bistro()?;
    let waiter = bistro.staff().await?[0].person;
    let mut secrets = Vec::new();
    for _ in 0..=PER_PERSON_MAX {
        house.pass(Duration::from_secs(1));
        secrets.push(bistro.create_session(&span(), waiter).await?);
    }
    let minted = bistro.mint_session(Role::Waiter).await?;
    assert!(bistro.session(&span(), &secrets[0]).await?.is_none(), "the oldest went");
    for secret in &secrets[1..] {
        assert!(bistro.session(&span(), secret).await?.is_some());
    }
    assert_eq!(bistro.session(&span(), &minted).await?.map(|session| session.role), Some(Role::Waiter));
    house.pass(MINTED_MAX);
    assert_eq!(bistro.session(&span(), &minted).await?, None);
    assert!(bistro.mint_session(Role::Owner).await.is_err());
    let guest = bistro.mint_session(Role::Guest).await?;
    assert_eq!(bistro.session(&span(), &guest).await?.map(|session| session.role), Some(Role::Guest));
    Ok(())
}

pub async fn a_new_password_ends_the_sessions_of_before<G: Ground>() -> Outcome {
    let house = G::new()?;
    let bistro = house.bistro()?;
    let waiter = bistro.staff().await?[0].person;
    let secret = bistro.create_session(&span(), waiter).await?;
    assert!(bistro.set_staff_password("waiter", "$argon2id$…").await?);
    assert!(!bistro.set_staff_password("nobody", "$argon2id$…").await?);
    assert_eq!(bistro.session(&span(), &secret).await?, None);
    assert!(bistro.staff().await?[0].has_password);
    Ok(())
}
