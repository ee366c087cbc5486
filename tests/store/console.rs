//! Whose installation it is.

use roundtrip::domain::session::Owner;
use roundtrip::store::control::{ClaimError, SETUP_TOKEN_LIFETIME};

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
    control.reset_owner(owner("new")).await?;
    assert_eq!(control.session(&rotated).await?, None);
    control.close().await?;
    assert_eq!(house.control()?.owner().await?.map(|owner| owner.name), Some("new".to_owned()));
    Ok(())
}
