//! Instances of the previous version beside this one: both see each other's leases.

use super::*;

const LEASE: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread")]
async fn leases_of_the_previous_version_and_of_this_one_exclude_each_other() {
    let url = database().await;
    let store = opened(&url);
    wait_until_reachable(&store).await;
    let previous = client(&url).await;
    let previous = async |until: i64, now: i64| -> String {
        let sql = "select answer from vestibule.lease($1, $2, $3, 0, $4, $5)";
        let (sid, rt) = (SID.0.as_slice(), RT.0.as_slice());
        previous.query_one(sql, &[&1_i64, &sid, &rt, &moment(at(until)), &moment(at(now))]).await.unwrap().get(0)
    };
    let ask = async |now| store.refreshes.lease(SID, RT, 0, HOLDER, LEASE, at(now)).await.unwrap();

    assert_eq!(previous(10, 0).await, "granted");
    assert!(matches!(ask(1).await, Lease::Held(left) if left == secs(9)));
    let Lease::Granted(Grant { doubtful_for, .. }) = ask(10).await else { panic!("it ran out") };
    assert_eq!(doubtful_for, secs(60));

    assert_eq!(previous(30, 11).await, "held");
    assert_eq!(previous(30, 20).await, "granted");
    assert!(matches!(ask(21).await, Lease::Held(_)), "the holder of before has lost it");
}
