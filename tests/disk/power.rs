//! Power cuts. A kill of the process can't show a missing fsync, since the kernel still writes what it was
//! given; this can.

use super::rig::{Chance, Disk, Leaves, Outcome, acknowledged, count};

/// Till, orders, cut: so often. Returns the number of cuts with a loss, and of lost orders.
async fn cut(rounds: u64, durability: &str, leaves: Leaves) -> Outcome<(u64, usize)> {
    let seed = count("SEED", 7);
    let (mut chance, mut cuts, mut lost, mut orders) = (Chance::seeded(seed), 0, 0, 0);
    let mut disk = Disk::new()?;
    for round in 0..rounds {
        // A new house now and then: an audit goes through all orders.
        if round % 20 == 0 {
            disk = Disk::new()?;
            // The first start is as good a moment for a cut as any, but what it makes is not what orders lose.
            if durability == "normal" {
                disk.lost(&[]).await?;
                disk.settle()?;
            }
        }
        let mut till = disk.till(durability)?;
        till.tell(&format!("run {}", 1 + chance.below(16)))?;
        let mut said = Vec::new();
        // One round in four is long enough for a checkpoint (1,000 pages).
        let most = if chance.below(4) == 0 { 400 } else { 60 };
        for _ in 0..chance.below(most) {
            said.push(till.line()?);
        }
        said.extend(till.kill()?);
        disk.cut_power(leaves, &mut chance)?;
        let ids: Vec<String> = said.iter().filter_map(|line| acknowledged(line)).collect();
        assert_eq!(ids.len(), said.len(), "a disk that works refuses nothing: {said:?}");
        let missing = disk.lost(&ids).await?;
        assert!(missing == 0 || durability != "full", "seed {seed}, cut {round}: {missing} of {} lost", ids.len());
        disk.settle()?;
        (cuts, lost, orders) = (cuts + u64::from(missing > 0), lost + missing, orders + ids.len());
    }
    println!("{durability}, {leaves:?}: {rounds} power cuts, {orders} acknowledged, {lost} lost in {cuts} cuts");
    Ok((cuts, lost))
}

#[tokio::test]
async fn no_acknowledged_order_is_lost_with_the_power() -> Outcome {
    let rounds = count("POWER_CUTS", 6);
    assert_eq!(cut(rounds, "full", Leaves::Nothing).await?, (0, 0));
    assert_eq!(cut(rounds, "full", Leaves::SomeSectors).await?, (0, 0));
    Ok(())
}

#[tokio::test]
async fn the_same_cuts_lose_orders_where_a_commit_is_not_synced_so_they_would_show_it() -> Outcome {
    let (cuts, lost) = cut(count("POWER_CUTS", 6), "normal", Leaves::Nothing).await?;
    assert!(cuts > 0 && lost > 0);
    Ok(())
}
