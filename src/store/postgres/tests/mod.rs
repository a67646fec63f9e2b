//! The conformance suite on a real server, and tests of failures, updates and audits.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use tokio::runtime::Handle;
use url::Url;

use self::real_server::{Proxy, ProxyMode, certificate, client, database, secret, shared_database};
use super::{store::PostgresStore, values::moment};
use crate::{
    channel::Channel,
    clock::{Clock, Timestamp},
    secret::Random,
    store::{
        CodeFacts, DepositPlace, Digest, FamilyId, Grant, Holder, Lease, NewCode, Opened, Quota, Resent, Settled, Sid,
        Spent, Store, StoreError, Tried, conformance, local::LocalState,
    },
};

mod real_server;
mod versions;

/// How long an event may take before a test fails.
const DEADLINE: Duration = Duration::from_secs(20);

const SID: Sid = Sid([1; 16]);
const RT: Digest = Digest([2; 32]);
const ADDRESS: Digest = Digest([3; 32]);
const BROWSER: Digest = Digest([4; 32]);
const MAC: Digest = Digest([5; 32]);
const WRONG: Digest = Digest([6; 32]);
const HOLDER: Holder = Holder([7; 16]);

conformance::conformance!(one_handle);
conformance::shared!(two_handles);
conformance::clocks_apart!(two_handles_in_server_time);

async fn one_handle() -> Option<(Store, ())> {
    Some((with_long_deadline(&shared_database().await), ()))
}

async fn two_handles_in_server_time() -> Option<(Store, Store, ())> {
    let url = shared_database().await;
    let [one, other] = conformance::skewed::clocks().map(|clock| in_server_time(&url, clock));
    Some((one, other, ()))
}

async fn two_handles() -> Option<(Store, Store, ())> {
    let url = shared_database().await;
    Some((with_long_deadline(&url), with_long_deadline(&url), ()))
}

/// A store with a long deadline, for hundreds of concurrent calls on a busy machine.
fn with_long_deadline(url: &Url) -> Store {
    in_time_of_calls(url, DEADLINE)
}

/// A store whose server's clock shows the `now` of each call.
fn in_time_of_calls(url: &Url, deadline: Duration) -> Store {
    let local = LocalState::in_time_of_calls();
    let store = PostgresStore::with(&secret(url), &Handle::current(), &Random::system(), local, deadline);
    Store::of(Arc::new(store.unwrap()))
}

/// A store as the gateway opens it: its server's clock decides.
fn in_server_time(url: &Url, clock: Clock) -> Store {
    let local = LocalState::new(clock);
    let store = PostgresStore::with(&secret(url), &Handle::current(), &Random::system(), local, DEADLINE);
    Store::of(Arc::new(store.unwrap()))
}

/// A store with the deadline of the gateway.
fn opened(url: &Url) -> Store {
    in_time_of_calls(url, secs(1))
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

async fn in_time<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, event).await.expect("it happens in time")
}

/// Waits until the store answers.
async fn wait_until_reachable(store: &Store) {
    in_time(async {
        while store.health.probe().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Waits until calls fail.
async fn wait_until_unreachable(store: &Store) {
    in_time(async { while store.health.probe().await.is_ok() {} }).await;
}

async fn wait_until_ended(store: &Store, sid: Sid) {
    let mut endings = store.refreshes.endings();
    in_time(async {
        while !store.refreshes.has_ended(sid, at(0)) {
            endings.recv().await.unwrap();
        }
    })
    .await;
}

fn code(browser: Digest, expires: i64) -> NewCode {
    NewCode {
        address: ADDRESS,
        browser,
        mac: MAC,
        sealed: Bytes::from_static(b"sealed digits"),
        expires: at(expires),
        facts: CodeFacts { channel: Channel::Sms, purpose: "verify", masked: "010-****-5678".to_owned() },
    }
}

/// Every call that uses the server, all concurrently.
async fn every_call(store: &Store) -> BTreeMap<&'static str, Result<(), StoreError>> {
    let (now, later, family) = (at(0), at(60), FamilyId([9; 16]));
    let quota = || vec![Quota { key: RT, most: 5, window: secs(60) }];
    let Store { refreshes, one_time, codes, counters, families, deposits, notes, health } = store;
    let place = DepositPlace { owner: RT, key: RT };
    let calls: Vec<(_, BoxFuture<'_, Result<(), StoreError>>)> = vec![
        ("lease", refreshes.lease(SID, RT, 0, HOLDER, secs(60), now).map(|r| r.map(drop)).boxed()),
        ("renew", refreshes.renew(SID, RT, 1, secs(60), now).map(|r| r.map(drop)).boxed()),
        ("settle", refreshes.settle(SID, RT, 1, None, later, now).map(|r| r.map(drop)).boxed()),
        ("result", refreshes.result(SID, RT, now).map(|r| r.map(drop)).boxed()),
        ("acknowledge", refreshes.acknowledge(SID, 1, later, now)),
        ("end", refreshes.end(Sid([7; 16]), later, now)),
        ("take", one_time.take(RT, later, now).map(|r| r.map(drop)).boxed()),
        ("give_back", one_time.give_back(RT, now)),
        ("open", codes.open(code(BROWSER, 180), secs(60), 3, now).map(|r| r.map(drop)).boxed()),
        ("again", codes.resend(ADDRESS, BROWSER, 3, now).map(|r| r.map(drop)).boxed()),
        ("try_code", codes.try_code(ADDRESS, BROWSER, MAC, 5, later, now).map(|r| r.map(drop)).boxed()),
        ("settle_code", codes.settle_code(ADDRESS, BROWSER, 1, true, now).map(|r| r.map(drop)).boxed()),
        ("spend", counters.spend(quota(), now).map(|r| r.map(drop)).boxed()),
        ("refund", counters.refund(quota(), now, now)),
        ("begin", families.begin(family, Bytes::new(), later, now)),
        ("advance", families.advance(family, 0, secs(5), later, now).map(|r| r.map(drop)).boxed()),
        ("end_family", families.end_family(family, now)),
        ("deposit", deposits.deposit(place, Bytes::new(), later, 3, now)),
        ("deposited", deposits.deposited(place, now).map(|r| r.map(drop)).boxed()),
        ("withdraw", deposits.withdraw(place, now).map(|r| r.map(drop)).boxed()),
        ("read_note", notes.read(RT, now).map(|r| r.map(drop)).boxed()),
        (
            "replace_note",
            notes.replace(RT, Bytes::new(), RT.0.to_vec().into(), secs(60), now).map(|r| r.map(drop)).boxed(),
        ),
        ("probe", health.probe()),
    ];
    in_time(join_all(calls.into_iter().map(async |(name, call)| (name, call.await)))).await.into_iter().collect()
}

/// Waits until every call is answered in one round: on a busy machine the first rounds may fail.
async fn wait_until_all_answer(store: &Store) {
    in_time(async { while !every_call(store).await.values().all(Result::is_ok) {} }).await;
}

fn assert_all_unavailable(answers: BTreeMap<&'static str, Result<(), StoreError>>) {
    for (call, answer) in answers {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{call}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_start_at_once_create_the_schema_once() {
    let url = database().await;
    let stores = [opened(&url), opened(&url), opened(&url)];
    for probed in in_time(join_all(stores.iter().map(|store| store.health.probe()))).await {
        probed.unwrap();
    }
    let numbers = "select array_agg(number order by number) from vestibule.migrations";
    let numbers: Vec<i32> = client(&url).await.query_one(numbers, &[]).await.unwrap().get(0);
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    wait_until_reachable(&opened(&url)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_newer_than_the_program_is_not_used_and_not_changed() {
    let url = database().await;
    wait_until_reachable(&opened(&url)).await;
    let newer = "insert into vestibule.migrations (number, name) values (999, 'to come')";
    client(&url).await.batch_execute(newer).await.unwrap();
    let store = opened(&url);
    let refused = in_time(store.health.probe()).await.unwrap_err().to_string();
    assert!(refused.contains("version 999"), "{refused}");
    assert_eq!(store.health.is_reachable(), Some(false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_owns_only_the_schema_creates_its_tables_there() {
    let url = database().await;
    let role = format!("gateway_{}", Random::system().uuid().simple());
    let made = format!("create role {role} login; create schema vestibule authorization {role}");
    client(&url).await.batch_execute(&made).await.unwrap();
    let mut url = url;
    url.set_username(&role).unwrap();
    wait_until_all_answer(&opened(&url)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_is_unreachable_every_call_fails_and_sessions_that_ended_meanwhile_are_found_afterwards() {
    let url = database().await;
    let proxy = Proxy::at(&url, ProxyMode::Forwarding).await;
    let (behind, direct) = (opened(&proxy.url), opened(&url));
    wait_until_all_answer(&behind).await;
    assert_eq!(behind.health.is_reachable(), Some(true));

    proxy.set_mode(ProxyMode::Refusing).await;
    wait_until_unreachable(&behind).await;
    assert_all_unavailable(every_call(&behind).await);
    assert_eq!(behind.health.is_reachable(), Some(false));
    // A settlement may be missed, so this wait must be woken after the reconnection.
    let waits = behind.refreshes.wait(Sid([20; 16]), secs(3600));
    direct.refreshes.end(SID, at(500), at(0)).await.unwrap();
    assert!(!behind.refreshes.has_ended(SID, at(0)));

    proxy.set_mode(ProxyMode::Forwarding).await;
    wait_until_reachable(&behind).await;
    wait_until_ended(&behind, SID).await;
    in_time(waits).await;
    wait_until_all_answer(&behind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_answering_makes_every_call_unavailable_within_its_deadline() {
    let url = database().await;
    let proxy = Proxy::at(&url, ProxyMode::Forwarding).await;
    let store = opened(&proxy.url);
    wait_until_all_answer(&store).await;
    proxy.set_mode(ProxyMode::Silent).await;
    assert_all_unavailable(every_call(&store).await);
    assert_all_unavailable(every_call(&store).await);
    proxy.set_mode(ProxyMode::Forwarding).await;
    wait_until_reachable(&store).await;
    wait_until_all_answer(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_server_starts_later_is_opened_and_answers_once_the_server_runs() {
    let url = database().await;
    let mut proxy = Proxy::at(&url, ProxyMode::Refusing).await;
    proxy.url.set_password(Some("hunter2")).unwrap();
    let store = opened(&proxy.url);
    assert_ne!(store.health.is_reachable(), Some(true));
    let calls = every_call(&store).await;
    assert!(!format!("{calls:?}").contains("hunter2"), "{calls:?}");
    assert_all_unavailable(calls);
    proxy.set_mode(ProxyMode::Forwarding).await;
    wait_until_reachable(&store).await;
    assert_eq!(store.health.is_reachable(), Some(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_connects_with_a_trusted_certificate_and_fails_with_another_one_or_another_name() {
    // Without a server of these tests, its certificate is unknown.
    let Some(certificate) = certificate() else { return };
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.pem");
    std::fs::write(&root, certificate).unwrap();
    let plain = database().await;
    let with = |host: &str, options: String| {
        let mut url = plain.clone();
        url.set_host(Some(host)).unwrap();
        url.set_query(Some(&options));
        opened(&url)
    };
    let refused = async |store: Store| in_time(store.health.probe()).await.unwrap_err().to_string();

    let unknown = refused(with("localhost", "sslmode=require".to_owned())).await;
    assert!(unknown.contains("UnknownIssuer"), "{unknown}");
    let trusted = format!("sslmode=require&sslrootcert={}", root.display());
    let other_name = refused(with("127.0.0.1", trusted.clone())).await;
    assert!(other_name.contains("not valid for name"), "{other_name}");
    wait_until_reachable(&with("localhost", trusted)).await;
    let store = with("localhost", format!("sslmode=prefer&sslrootcert={}", root.display()));
    wait_until_reachable(&store).await;
    let encrypted = "select count(*) from pg_stat_ssl natural join pg_stat_activity \
                     where datname = current_database() and application_name = 'vestibule' and ssl";
    assert!(client(&plain).await.query_one(encrypted, &[]).await.unwrap().get::<_, i64>(0) >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_server_ended_are_replaced() {
    let url = database().await;
    let store = opened(&url);
    wait_until_reachable(&store).await;
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity \
                where datname = current_database() and pid <> pg_backend_pid()";
    let observer = client(&url).await;
    assert!(observer.query(kill, &[]).await.unwrap().len() >= 2);
    wait_until_reachable(&store).await;
    // The listening connection is replaced too.
    opened(&url).refreshes.end(SID, at(500), at(0)).await.unwrap();
    wait_until_ended(&store, SID).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_without_notification_that_commits_after_later_ones_is_found() {
    let url = database().await;
    let store = opened(&url);
    wait_until_reachable(&store).await;
    let insert = "insert into vestibule.ended (sid, ends_at) values ($1, now() + interval '1 day')";
    let (late, later) = (Sid([8; 16]), Sid([9; 16]));
    let mut slow = client(&url).await;
    let slow = slow.transaction().await.unwrap();
    slow.execute(insert, &[&late.0.as_slice()]).await.unwrap();
    client(&url).await.execute(insert, &[&later.0.as_slice()]).await.unwrap();
    wait_until_ended(&store, later).await;
    assert!(!store.refreshes.has_ended(late, at(0)));
    slow.commit().await.unwrap();
    wait_until_ended(&store, late).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_copied_from_another_server_are_read_and_do_not_hide_new_ones() {
    let url = database().await;
    wait_until_reachable(&opened(&url)).await;
    let observer = client(&url).await;
    let copied =
        "insert into vestibule.ended (sid, ends_at, tx) values ($1, now() + interval '1 day', 1::bigint << 60)";
    observer.execute(copied, &[&[8_u8; 16].as_slice()]).await.unwrap();
    let store = opened(&url);
    wait_until_reachable(&store).await;
    assert!(store.refreshes.has_ended(Sid([8; 16]), at(0)));
    let new = "insert into vestibule.ended (sid, ends_at) values ($1, now() + interval '1 day')";
    observer.execute(new, &[&[9_u8; 16].as_slice()]).await.unwrap();
    wait_until_ended(&store, Sid([9; 16])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_instance_finds_the_sessions_that_ended_before_it_started() {
    let url = database().await;
    opened(&url).refreshes.end(SID, at(500), at(0)).await.unwrap();
    let store = opened(&url);
    wait_until_reachable(&store).await;
    assert!(store.refreshes.has_ended(SID, at(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_shows_the_outcome_of_each_code_and_no_digits() {
    let url = database().await;
    let store = opened(&url);
    let codes = &store.codes;
    assert_eq!(codes.open(code(BROWSER, 180), secs(60), 3, at(0)).await.unwrap(), Opened::Stored);
    assert_eq!(codes.try_code(ADDRESS, BROWSER, WRONG, 5, at(70), at(10)).await.unwrap(), Tried::Wrong);
    assert_eq!(codes.try_code(ADDRESS, BROWSER, WRONG, 5, at(70), at(11)).await.unwrap(), Tried::Wrong);
    let Tried::Right(claim) = codes.try_code(ADDRESS, BROWSER, MAC, 5, at(70), at(12)).await.unwrap() else {
        panic!("it is right");
    };
    assert!(codes.settle_code(ADDRESS, BROWSER, claim, true, at(13)).await.unwrap());
    assert_eq!(codes.open(code(BROWSER, 280), secs(60), 3, at(100)).await.unwrap(), Opened::Stored);
    assert!(matches!(codes.resend(ADDRESS, BROWSER, 3, at(110)).await.unwrap(), Resent::Code { .. }));
    assert_eq!(codes.open(code(BROWSER, 380), secs(60), 3, at(200)).await.unwrap(), Opened::Stored);

    let observer = client(&url).await;
    let audit = "select format('%s %s %s–%s tries %s, %s %s', channel, address_masked, \
                 to_char(made_at at time zone 'UTC', 'MI:SS'), to_char(expires_at at time zone 'UTC', 'MI:SS'), \
                 tries, coalesce(to_char(verified_at at time zone 'UTC', 'MI:SS'), '-'), coalesce(ended_how, '-')) \
                 from vestibule.codes order by id";
    let rows: Vec<String> = observer.query(audit, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    // 1,700,000,000 s is 13:20 past the hour.
    assert_eq!(
        rows,
        [
            "sms 010-****-5678 13:20–16:20 tries 3, 13:33 verified",
            "sms 010-****-5678 15:00–18:00 tries 0, - replaced",
            "sms 010-****-5678 16:40–19:40 tries 0, - -",
        ]
    );
    let left =
        "select count(*) from vestibule.codes where ended_at is not null and (mac is not null or sealed is not null)";
    assert_eq!(observer.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_rows_are_removed_and_codes_are_kept_30_days_for_audits() {
    const DAY: i64 = 24 * 3600;
    let url = database().await;
    let store = opened(&url);
    wait_until_all_answer(&store).await;
    store.families.begin(FamilyId([1; 16]), Bytes::new(), at(60), at(0)).await.unwrap();
    store.one_time.take(WRONG, at(60), at(0)).await.unwrap();
    store.counters.spend(vec![Quota { key: MAC, most: 5, window: secs(60) }], at(0)).await.unwrap();
    let (other, sid) = (Digest([10; 32]), Sid([11; 16]));
    assert!(matches!(store.refreshes.lease(sid, RT, 0, HOLDER, secs(60), at(0)).await.unwrap(), Lease::Granted(_)));
    store.codes.open(code(other, 10 * DAY), Duration::ZERO, 3, at(1)).await.unwrap();

    let observer = client(&url).await;
    let counted = async |tables: &[&str]| {
        let mut rows = Vec::new();
        for table in tables {
            let count = format!("select count(*) from vestibule.{table}");
            rows.push(observer.query_one(&count, &[]).await.unwrap().get::<_, i64>(0));
        }
        rows
    };
    let sweep = async |now: Timestamp| {
        let sweep = "select vestibule.sweep($1, 100)";
        observer.query_one(sweep, &[&moment(now)]).await.unwrap();
    };
    let short_lived = ["leases", "results", "ended", "taken", "counters", "families"];
    sweep(at(0)).await;
    assert!(counted(&short_lived).await.iter().sum::<i64>() >= 5);
    sweep(at(DAY)).await;
    assert_eq!(counted(&short_lived).await, [0; 6]);
    assert_eq!(counted(&["codes"]).await, [2]);
    let how = "select ended_how from vestibule.codes order by id";
    let how: Vec<Option<String>> = observer.query(how, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert!(how[0].is_some() && how[1].is_none(), "{how:?}");
    sweep(at(31 * DAY)).await;
    assert_eq!(counted(&["codes"]).await, [1]);
    sweep(at(41 * DAY)).await;
    assert_eq!(counted(&["codes"]).await, [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_atomic_also_if_the_databases_default_isolation_is_serializable() {
    let url = database().await;
    let prefers = format!("alter database {} set default_transaction_isolation = 'serializable'", &url.path()[1..]);
    client(&url).await.batch_execute(&prefers).await.unwrap();
    let store = with_long_deadline(&url);
    conformance::counters::of_200_at_once_a_quota_of_20_admits_20(&store).await;
    conformance::codes::of_100_openings_at_once_one_is_stored(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_20_results_keeps_its_newest_16() {
    let store = with_long_deadline(&shared_database().await);
    let sid = Sid(Random::system().bytes());
    for generation in 1..=20_u8 {
        let rt = Digest([generation; 32]);
        let now = at(generation.into());
        let Lease::Granted(Grant { fence, .. }) =
            store.refreshes.lease(sid, rt, 0, HOLDER, secs(60), now).await.unwrap()
        else {
            panic!("no other call has the lease");
        };
        let result = Some((generation.into(), Bytes::from_static(b"sealed")));
        let settled = store.refreshes.settle(sid, rt, fence, result, at(900), now).await.unwrap();
        assert_eq!(settled, Settled::Stored);
    }
    assert!(store.refreshes.result(sid, Digest([4; 32]), at(30)).await.unwrap().is_none());
    assert!(store.refreshes.result(sid, Digest([5; 32]), at(30)).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_behind_after_a_failover_does_not_overwrite_a_count() {
    let store = with_long_deadline(&shared_database().await);
    let quota = vec![Quota { key: Digest(Random::system().bytes()), most: 2, window: secs(100) }];
    let spend = async |millis: i64| {
        store.counters.spend(quota.clone(), Timestamp::from_millis(1_700_000_000_000 + millis)).await.unwrap()
    };
    assert_eq!(spend(10).await, Spent::Within);
    assert_eq!(spend(-10).await, Spent::Within);
    let over = Spent::Over { which: 0, again_at: Timestamp::from_millis(1_700_000_150_000) };
    assert_eq!(spend(-5).await, over);
    assert_eq!(spend(20).await, over);
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_with_the_same_keys_in_another_order_do_not_block_each_other() {
    let store = with_long_deadline(&shared_database().await);
    let keys: Vec<_> = (0..4).map(|_| Digest(Random::system().bytes())).collect();
    let all = (0..40).map(|number| {
        let mut quotas: Vec<_> = keys.iter().map(|key| Quota { key: *key, most: 30, window: secs(3600) }).collect();
        quotas.rotate_left(number % 4);
        if number % 2 == 0 {
            quotas.reverse();
        }
        store.counters.spend(quotas, at(0))
    });
    let within = in_time(join_all(all)).await.into_iter().filter(|spent| matches!(spent, Ok(Spent::Within))).count();
    assert_eq!(within, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_that_are_given_back_leave_no_row() {
    let url = database().await;
    let store = opened(&url);
    wait_until_reachable(&store).await;
    let quotas = vec![Quota { key: RT, most: 5, window: secs(60) }, Quota { key: MAC, most: 5, window: secs(60) }];
    store.counters.spend(quotas.clone(), at(0)).await.unwrap();
    store.counters.refund(quotas, at(0), at(1)).await.unwrap();
    let rows = client(&url).await.query_one("select count(*) from vestibule.counters", &[]).await.unwrap();
    assert_eq!(rows.get::<_, i64>(0), 0);
}
