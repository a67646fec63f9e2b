//! The conformance suite, and what a file adds: answered changes survive a restart.

use std::{
    fs,
    future::{Ready, ready},
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::*;
use crate::{
    channel::Channel,
    clock::Timestamp,
    secret::Random,
    store::{
        Advanced, CodeFacts, DepositPlace, Digest, FamilyId, Grant, Holder, Lease, NewCode, Opened, Quota, Resent,
        Settled, Sid, Spent, Tried, conformance,
    },
};

const NAME: &str = "vestibule.redb";
const HOLDER: Holder = Holder([1; 16]);

fn file() -> Ready<Option<(Store, TempDir)>> {
    let folder = tempfile::tempdir().unwrap();
    ready(Some((open(&folder), folder)))
}

conformance::conformance!(file);

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

fn open(folder: &TempDir) -> Store {
    FileStore::open(&folder.path().join(NAME)).unwrap()
}

fn digest() -> Digest {
    Digest(Random::system().bytes())
}

/// The number of records in the file of a closed store.
fn records(folder: &TempDir) -> usize {
    database::open(&folder.path().join(NAME)).unwrap().1.len()
}

#[tokio::test]
async fn results_and_endings_survive_a_restart_and_leases_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, ended, rt) = (Sid([1; 16]), Sid([2; 16]), digest());
    let store = open(&folder);
    for (sid, generation) in [(kept, 7), (ended, 1)] {
        let Lease::Granted(Grant { fence, .. }) =
            store.refreshes.lease(sid, rt, 0, HOLDER, Duration::from_secs(30), at(0)).await.unwrap()
        else {
            panic!("no other call has the lease")
        };
        let result = Some((generation, Bytes::from_static(b"sealed")));
        let settled = store.refreshes.settle(sid, rt, fence, result, at(1000), at(1)).await.unwrap();
        assert_eq!(settled, Settled::Stored);
    }
    store.refreshes.acknowledge(kept, 7, at(60), at(2)).await.unwrap();
    store.refreshes.end(ended, at(500), at(2)).await.unwrap();
    assert!(matches!(
        store.refreshes.lease(kept, digest(), 7, HOLDER, Duration::from_secs(28), at(2)).await.unwrap(),
        Lease::Granted(_)
    ));
    drop(store);

    let store = open(&folder);
    let result = store.refreshes.result(kept, rt, at(59)).await.unwrap().unwrap();
    assert_eq!((result.generation, &result.sealed[..], result.stored_at), (7, &b"sealed"[..], at(1)));
    assert!(store.refreshes.result(kept, rt, at(60)).await.unwrap().is_none());
    assert!(store.refreshes.has_ended(ended, at(499)) && !store.refreshes.has_ended(ended, at(500)));
    assert!(store.refreshes.result(ended, rt, at(3)).await.unwrap().is_none());
    assert!(matches!(
        store.refreshes.lease(kept, rt, 7, HOLDER, Duration::from_secs(27), at(3)).await.unwrap(),
        Lease::Granted(_)
    ));
}

#[tokio::test]
async fn taken_keys_limits_families_and_deposits_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (taken, given_back, family, ended) = (digest(), digest(), FamilyId([1; 16]), FamilyId([2; 16]));
    let quota = Quota { key: digest(), most: 3, window: Duration::from_secs(100) };
    let store = open(&folder);
    assert!(store.one_time.take(taken, at(60), at(0)).await.unwrap());
    assert!(store.one_time.take(given_back, at(60), at(0)).await.unwrap());
    store.one_time.give_back(given_back, at(1)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(store.counters.spend(vec![quota], at(0)).await.unwrap(), Spent::Within);
    }
    store.counters.refund(vec![quota], at(1), at(1)).await.unwrap();
    for family in [family, ended] {
        store.families.begin(family, Bytes::from_static(b"who"), at(1000), at(0)).await.unwrap();
        store.families.advance(family, 0, Duration::from_secs(60), at(1000), at(1)).await.unwrap();
    }
    store.families.end_family(ended, at(2)).await.unwrap();
    let (place, withdrawn) =
        (DepositPlace { owner: digest(), key: digest() }, DepositPlace { owner: digest(), key: digest() });
    for place in [place, withdrawn] {
        store.deposits.deposit(place, Bytes::from_static(b"sealed"), at(60), 3, at(2)).await.unwrap();
    }
    assert!(store.deposits.withdraw(withdrawn, at(2)).await.unwrap().is_some());
    drop(store);

    let store = open(&folder);
    assert!(store.deposits.deposited(place, at(3)).await.unwrap().is_some());
    assert!(store.deposits.deposited(withdrawn, at(3)).await.unwrap().is_none());
    assert!(!store.one_time.take(taken, at(60), at(3)).await.unwrap());
    assert!(store.one_time.take(given_back, at(60), at(3)).await.unwrap());
    assert_eq!(store.counters.spend(vec![quota], at(3)).await.unwrap(), Spent::Within);
    assert!(matches!(store.counters.spend(vec![quota], at(3)).await.unwrap(), Spent::Over { which: 0, .. }));
    let grace = Duration::from_secs(60);
    let to = |generation| Advanced::To { generation, record: Bytes::from_static(b"who") };
    assert_eq!(store.families.advance(family, 0, grace, at(1000), at(60)).await.unwrap(), to(1));
    assert_eq!(store.families.advance(family, 1, grace, at(1000), at(60)).await.unwrap(), to(2));
    assert_eq!(store.families.advance(ended, 1, grace, at(1000), at(3)).await.unwrap(), Advanced::Unknown);
}

#[tokio::test]
async fn a_restart_resets_neither_tries_nor_claims_nor_the_cool_down() {
    let folder = tempfile::tempdir().unwrap();
    let (address, browser, mac) = (digest(), digest(), digest());
    let code = || NewCode {
        address,
        browser,
        mac,
        sealed: Bytes::from_static(b"digits"),
        expires: at(180),
        facts: CodeFacts { channel: Channel::Sms, purpose: "verify", masked: String::new() },
    };
    let opening =
        |store: Store, now| async move { store.codes.open(code(), Duration::from_secs(60), 3, at(now)).await.unwrap() };
    let guess = |store: Store, mac, now| async move {
        store.codes.try_code(address, browser, mac, 5, at(now + 30), at(now)).await.unwrap()
    };
    let store = open(&folder);
    assert_eq!(opening(store.clone(), 0).await, Opened::Stored);
    for _ in 0..3 {
        assert_eq!(guess(store.clone(), digest(), 1).await, Tried::Wrong);
        assert!(matches!(store.codes.resend(address, browser, 3, at(1)).await.unwrap(), Resent::Code { .. }));
    }
    drop(store);

    let store = open(&folder);
    assert_eq!(store.codes.resend(address, browser, 3, at(2)).await.unwrap(), Resent::TooOften(at(180)));
    assert_eq!(opening(store.clone(), 2).await, Opened::TooSoon(at(60)));
    let Tried::Right(claim) = guess(store.clone(), mac, 3).await else { panic!("it is right") };
    drop(store);

    let store = open(&folder);
    assert_eq!(guess(store.clone(), mac, 4).await, Tried::Gone);
    assert!(store.codes.settle_code(address, browser, claim, false, at(5)).await.unwrap());
    assert_eq!(guess(store.clone(), digest(), 6).await, Tried::Wrong);
    assert_eq!(guess(store.clone(), digest(), 6).await, Tried::Wrong);
    drop(store);

    assert_eq!(guess(open(&folder), mac, 7).await, Tried::Gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_records_are_removed_and_the_file_stays_small() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for round in 0..40 {
        let mut takes = JoinSet::new();
        for _ in 0..500 {
            let store = store.clone();
            takes.spawn(async move { store.one_time.take(digest(), at(round * 60 + 30), at(round * 60)).await });
        }
        assert!(takes.join_all().await.into_iter().all(|first| first.unwrap()));
    }
    drop(store);
    assert!(records(&folder) < 2000, "{} are left", records(&folder));
    let size = fs::metadata(folder.path().join(NAME)).unwrap().len();
    assert!(size < 8 << 20, "{size} bytes");
}

#[test]
fn a_file_that_another_store_has_open_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let error = FileStore::open(&folder.path().join(NAME)).err().unwrap().to_string();
    assert!(error.contains("another process has it open"), "{error}");
    drop(store);
    open(&folder);
}

#[test]
fn a_new_file_can_be_read_by_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder);
    assert_eq!(fs::metadata(folder.path().join(NAME)).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_in_a_missing_folder_and_a_file_of_another_kind_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = FileStore::open(&folder.path().join("absent").join(NAME)).err().unwrap().to_string();
    assert!(error.contains("absent"), "{error}");
    let path = folder.path().join(NAME);
    fs::write(&path, "hello ".repeat(10_000)).unwrap();
    let error = FileStore::open(&path).err().unwrap().to_string();
    assert!(error.contains("damaged"), "{error}");
    assert_eq!(fs::read(&path).unwrap().len(), 60_000);
}

#[test]
fn a_file_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(redb::TableDefinition::<&[u8], &[u8]>::new("taken-2")).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = FileStore::open(&path).err().unwrap().to_string();
    assert!(error.contains("another version"), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_refused_or_read_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    let store = open(&folder);
    for _ in 0..50 {
        assert!(store.one_time.take(digest(), at(60), at(0)).await.unwrap());
    }
    drop(store);
    let good = fs::read(&path).unwrap();
    let used: Vec<_> = (0..good.len()).filter(|place| good[*place] != 0).collect();
    let mut refused = 0;
    for place in used.iter().step_by(used.len() / 100 + 1) {
        let mut bad = good.clone();
        bad[*place] ^= 0xff;
        fs::write(&path, bad).unwrap();
        refused += usize::from(FileStore::open(&path).is_err());
    }
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    refused += usize::from(FileStore::open(&path).is_err());
    assert!(refused > 0);
}

/// A store whose writes fail while the flag is set, and the changes that were written.
fn failing() -> (Store, Arc<AtomicBool>, Arc<Mutex<Changes>>) {
    let (fails, on_disk) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Changes>>::default());
    let write = {
        let (fails, on_disk) = (fails.clone(), on_disk.clone());
        move |changes: &Changes| {
            if fails.load(Ordering::SeqCst) {
                return Err("the disk is full".to_owned());
            }
            on_disk.lock().unwrap_or_else(PoisonError::into_inner).extend(changes.clone());
            Ok(())
        }
    };
    let store = MemoryStore::with(FileJournal::by(write).unwrap(), []);
    (Store::of(Arc::new(store)), fails, on_disk)
}

#[tokio::test]
async fn a_call_whose_change_cannot_be_written_fails_and_the_change_is_written_later() {
    let (store, fails, on_disk) = failing();
    let ended = Sid([1; 16]);
    assert_eq!(store.health.is_reachable(), Some(true));
    fails.store(true, Ordering::SeqCst);
    assert!(matches!(store.refreshes.end(ended, at(500), at(0)).await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.health.is_reachable(), Some(false));
    // In memory the session has ended all the same, and no new record is accepted.
    assert!(store.refreshes.has_ended(ended, at(1)));
    let key = digest();
    assert!(matches!(store.one_time.take(key, at(60), at(1)).await, Err(StoreError::Unavailable(_))));
    assert!(store.health.probe().await.is_err());
    fails.store(false, Ordering::SeqCst);
    store.health.probe().await.unwrap();
    assert_eq!(store.health.is_reachable(), Some(true));
    assert!(on_disk.lock().unwrap().contains_key(&RecordKey::Ended(ended)));
    assert!(store.one_time.take(key, at(60), at(2)).await.unwrap());
}

#[tokio::test]
async fn counts_that_are_given_back_leave_no_record() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let quota = Quota { key: digest(), most: 5, window: Duration::from_secs(60) };
    assert_eq!(store.counters.spend(vec![quota], at(0)).await.unwrap(), Spent::Within);
    store.counters.refund(vec![quota], at(0), at(1)).await.unwrap();
    drop(store);
    assert_eq!(records(&folder), 0);
}

#[tokio::test]
async fn a_call_that_read_an_unwritten_change_fails() {
    let (store, fails, _) = failing();
    let (sid, rt) = (Sid([1; 16]), digest());
    let Lease::Granted(Grant { fence, .. }) =
        store.refreshes.lease(sid, rt, 0, HOLDER, Duration::from_secs(30), at(0)).await.unwrap()
    else {
        panic!("no other call has the lease")
    };
    fails.store(true, Ordering::SeqCst);
    let result = Some((1, Bytes::from_static(b"sealed")));
    assert!(store.refreshes.settle(sid, rt, fence, result, at(1000), at(1)).await.is_err());
    assert!(store.refreshes.result(sid, rt, at(2)).await.is_err());
    fails.store(false, Ordering::SeqCst);
    store.health.probe().await.unwrap();
    assert!(store.refreshes.result(sid, rt, at(2)).await.unwrap().is_some());
}

const CHILD: &str = "VESTIBULE_TEST_STORE_FILE";

#[test]
fn everything_that_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    let mut known = Vec::new();
    for round in 1..=3 {
        let mut child = KilledOnDrop(
            Command::new(std::env::current_exe().unwrap())
                .args(["store::file::tests::a_child_that_writes_until_it_is_killed", "--exact", "--ignored"])
                .args(["--nocapture", "--test-threads=1"])
                .env(CHILD, &path)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map(Result::unwrap);
        let answered = |line: String| line.strip_prefix("answered ").map(str::to_owned);
        known.extend(lines.by_ref().filter_map(answered).take(300));
        assert_eq!(known.len(), round * 300, "the child ended before it was killed");
        child.0.kill().unwrap();
        // Lines that were in the pipe at the kill were answered too.
        let complete = lines.filter_map(answered).filter(|key| key.len() == 64);
        let late: Vec<_> = complete.collect();
        child.0.wait().unwrap();

        let written = database::open(&path).unwrap().1;
        let written: std::collections::HashSet<_> = written.iter().map(|record| hex(&record.key())).collect();
        let missing = known.iter().chain(&late).filter(|key| !written.contains(*key)).count();
        assert_eq!(missing, 0, "of {} in round {round}", known.len());
    }
}

/// Kills the child also if the test fails.
struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn hex(key: &RecordKey) -> String {
    match key {
        RecordKey::Taken(Digest(bytes)) | RecordKey::Address(Digest(bytes)) | RecordKey::Counter(Digest(bytes)) => {
            bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
        }
        _ => String::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "started as a child process by everything_that_was_answered_survives_a_kill"]
async fn a_child_that_writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = FileStore::open(Path::new(&path)).unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let store = store.clone();
        writers.spawn(async move {
            loop {
                let key = digest();
                if writer % 2 == 0 {
                    assert!(store.one_time.take(key, at(3600), at(0)).await.unwrap());
                } else {
                    let quota = Quota { key, most: 5, window: Duration::from_secs(100) };
                    assert_eq!(store.counters.spend(vec![quota], at(0)).await.unwrap(), Spent::Within);
                }
                println!("answered {}", hex(&RecordKey::Taken(key)));
            }
        });
    }
    writers.join_all().await;
}
