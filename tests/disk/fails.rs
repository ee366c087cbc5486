//! A disk that fails at one operation, at every one of an order's in turn and at chance ones under load: full,
//! broken, or taking half of a write.

use std::time::{Duration, Instant};

use super::rig::{Chance, Disk, Failure, Leaves, Operation, Outcome, Till, acknowledged, count};

/// Recovery that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Orders until one is taken: nobody does anything for it.
fn comes_back(till: &mut Till) -> Outcome<String> {
    let since = Instant::now();
    loop {
        let said = till.ask("order")?;
        match acknowledged(&said) {
            Some(id) => return Ok(id),
            None if since.elapsed() < PATIENCE => assert!(said.starts_with("refused "), "{said:?}"),
            None => return Err(format!("it does not come back: {said}").into()),
        }
    }
}

/// One order for each operation that an order has, with that one failing. Returns how many there were.
async fn at_every_operation(operation: Operation, failure: Failure, until_healed: bool) -> Outcome<i64> {
    let disk = Disk::new()?;
    let mut till = disk.till("full")?;
    let mut ids = vec![comes_back(&mut till)?];
    let mut index = 0;
    loop {
        index += 1;
        disk.fail(operation, index, failure, until_healed)?;
        let said = till.ask("order")?;
        // What the disk did not take is not acknowledged, and the answer says why.
        match acknowledged(&said) {
            Some(id) => ids.push(id),
            None if failure == Failure::Broken => assert_eq!(said, "refused Broken", "{operation:?} {index}"),
            None => assert!(["refused Full", "refused Broken"].contains(&&*said), "{operation:?} {index}: {said}"),
        }
        // A sync that failed leaves nothing that could be trusted; all else leaves what was there.
        if operation == Operation::Write || said == "refused Full" {
            assert_eq!(till.ask("menu")?, "menu 40", "reads go on");
        }
        let failed = disk.heal()?;
        ids.push(comes_back(&mut till)?);
        assert_eq!(till.ask("menu")?, "menu 40");
        if failed == 0 {
            break;
        }
    }
    let audit: serde_json::Value = serde_json::from_str(&till.ask("audit")?)?;
    assert_eq!(audit["wrong"], serde_json::json!([]));
    till.kill()?;
    // A sync that failed once and then said that all was well: the power goes, too.
    disk.cut_power(Leaves::Nothing, &mut Chance::seeded(1))?;
    assert_eq!(disk.lost(&ids).await?, 0, "{operation:?} {failure:?} until healed: {until_healed}");
    Ok(index - 1)
}

#[tokio::test]
async fn whichever_write_of_an_order_fails_nothing_false_is_acknowledged_and_nothing_is_lost() -> Outcome {
    for failure in [Failure::Full, Failure::Broken, Failure::Short] {
        for until_healed in [false, true] {
            let writes = at_every_operation(Operation::Write, failure, until_healed).await?;
            assert!(writes > 10, "an order is many writes");
            println!("{failure:?}, until healed: {until_healed}: each of {writes} writes");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_sync_that_fails_acknowledges_nobody_and_fences_until_the_disk_is_well() -> Outcome {
    for failure in [Failure::Full, Failure::Broken] {
        for until_healed in [false, true] {
            assert!(at_every_operation(Operation::Sync, failure, until_healed).await? > 0);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_sync_that_fails_for_whoever_empties_the_log_beside_the_writer_fences_the_writer() -> Outcome {
    for failure in [Failure::Full, Failure::Broken] {
        let disk = Disk::new()?;
        let mut till = disk.till("full")?;
        let mut ids = vec![comes_back(&mut till)?];
        assert_eq!(till.ask("drain")?, "fenced 0");
        ids.push(comes_back(&mut till)?);
        disk.fail(Operation::Sync, 1, failure, false)?;
        assert_eq!(till.ask("drain")?, "fenced 1");
        assert_eq!(disk.heal()?, 1);
        ids.push(comes_back(&mut till)?);
        till.kill()?;
        disk.cut_power(Leaves::Nothing, &mut Chance::seeded(1))?;
        assert_eq!(disk.lost(&ids).await?, 0);
    }
    Ok(())
}

/// Under load, so that checkpoints are among what fails.
#[tokio::test]
async fn a_disk_that_fails_anywhere_under_load_loses_no_acknowledged_order() -> Outcome {
    let (seed, rounds) = (count("SEED", 7), count("DISK_FAILURES", 8));
    let mut chance = Chance::seeded(seed);
    let (mut orders, mut refusals, mut failures) = (0, 0, 0);
    for round in 0..rounds {
        let disk = Disk::new()?;
        let mut till = disk.till("full")?;
        till.tell(&format!("run {}", 1 + chance.below(16)))?;
        let mut said = Vec::new();
        for _ in 0..chance.below(300) {
            said.push(till.line()?);
        }
        let operation = [Operation::Write, Operation::Sync][chance.below(2) as usize];
        let failure = [Failure::Full, Failure::Broken, Failure::Short][chance.below(3) as usize];
        let until_healed = chance.below(2) == 0;
        let reach = if operation == Operation::Write { 4_000 } else { 60 };
        disk.fail(operation, 1 + chance.below(reach) as i64, failure, until_healed)?;
        for _ in 0..200 {
            said.push(till.line()?);
        }
        failures += disk.heal()?;
        let healed = said.len();
        let since = Instant::now();
        while said[healed..].iter().filter(|line| line.starts_with("ok ")).count() < 50 {
            assert!(since.elapsed() < PATIENCE, "seed {seed}, round {round}: it does not come back");
            said.push(till.line()?);
        }
        said.extend(till.kill()?);
        disk.cut_power(Leaves::Nothing, &mut chance)?;
        let ids: Vec<String> = said.iter().filter_map(|line| acknowledged(line)).collect();
        assert_eq!(disk.lost(&ids).await?, 0, "seed {seed}, round {round}: {operation:?} {failure:?} {until_healed}");
        (orders, refusals) = (orders + ids.len(), refusals + said.len() - ids.len());
    }
    println!("{rounds} rounds, {failures} operations failed, {orders} acknowledged, {refusals} refused, 0 lost");
    Ok(())
}
