//! `vestibule demo` and its page in a real Chromium, with screenshots.

use std::{path::Path, process::Stdio};

use tokio::process::Command;

use crate::harness::Process;

#[tokio::test]
async fn a_person_logs_in_watches_a_refresh_and_logs_out() {
    let mut demo = Process::start("", &["demo"]);
    demo.until_said("Open this page").await;
    let output = demo.output();
    let page =
        output.lines().find(|line| line.starts_with("http://")).expect("the page's address, alone on its line").trim();
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo");
    let visit = Command::new("node")
        .arg("demo.mjs")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e"))
        .env("PAGE", page)
        .env("SCREENSHOTS", &pictures)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let visit = tokio::time::timeout(crate::harness::secs(240), visit).await.expect("the visit ends").unwrap();
    let (said, complaints) = (String::from_utf8_lossy(&visit.stdout), String::from_utf8_lossy(&visit.stderr));
    assert!(visit.status.success(), "{said}{complaints}\n{}", demo.output());
    for name in ["desktop-en", "desktop-ko", "phone-ko", "phone-en"] {
        assert!(pictures.join(format!("{name}-anonymous.png")).is_file(), "{name}");
    }
    demo.signal("TERM");
    assert_eq!(demo.ended().await.code(), Some(0));
}
