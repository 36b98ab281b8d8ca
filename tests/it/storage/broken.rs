//! Databases that cannot be used: each error is a sentence that names the thing and what to do.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use patchbay::config;
use patchbay::storage::Records;

async fn error(url: &str) -> String {
    let config = config::Storage {
        url: url.to_owned(),
        ..config::Storage::default()
    };
    Records::open(&config)
        .await
        .err()
        .expect("it cannot be opened")
        .to_string()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_missing_file_and_its_directories_are_made_for_our_eyes_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a/b/records.db");
    let config = config::Storage {
        url: format!("sqlite:{}", file.display()),
        ..config::Storage::default()
    };
    let records = Records::open(&config).await.unwrap();
    records.add_room(&"r".into(), Some("password")).await.unwrap();
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&folder.path().join("a/b/records.db-wal")), 0o600);
    assert_eq!(mode(&folder.path().join("a/b")), 0o700);
}

#[tokio::test]
async fn a_file_that_was_deleted_under_a_running_server_is_not_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.db");
    let config = config::Storage {
        url: format!("sqlite:{}", file.display()),
        ..config::Storage::default()
    };
    let records = Records::open(&config).await.unwrap();
    std::fs::remove_file(&file).unwrap();
    // More reads than there are connections so far: some are opened for them.
    let reads = futures_util::future::join_all((0..50).map(|_| records.has_users())).await;
    assert!(reads.iter().any(Result::is_err), "no connection was opened");
    assert!(!file.exists());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("records.db");
    let content = "this is a shopping list, not a database. ".repeat(50);
    std::fs::write(&file, &content).unwrap();
    let error = error(&format!("sqlite:{}", file.display())).await;
    assert!(
        error.contains("records.db") && error.contains("damaged, or not a database"),
        "{error}"
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), content);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = error(&format!("sqlite:{}/sub/records.db", file.display())).await;
    assert!(
        error.contains("file/sub") && error.contains("change storage.url"),
        "{error}"
    );
}

#[tokio::test]
async fn a_directory_in_place_of_the_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = error(&format!("sqlite:{}", folder.path().display())).await;
    assert!(
        error.contains("cannot be written") && error.contains("permissions"),
        "{error}"
    );
}

#[tokio::test]
async fn a_url_that_is_not_understood_is_shown_without_its_password() {
    let error = error("mysql://root:geheim@localhost/x").await;
    assert!(
        error.contains("mysql://root:…@localhost/x") && error.contains("sqlite:<path"),
        "{error}"
    );
    assert!(!error.contains("geheim"), "{error}");
}

#[tokio::test]
async fn a_postgresql_server_that_is_not_there_is_named_without_its_password() {
    // Nothing listens on a port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = error(&format!("postgres://me:geheim@127.0.0.1:{port}/calls")).await;
    assert!(
        error.contains(&format!("`calls` on 127.0.0.1:{port} cannot be reached")),
        "{error}"
    );
    assert!(error.contains("refused") && !error.contains("geheim"), "{error}");
}

#[tokio::test]
async fn a_postgresql_server_that_never_answers_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let error = error(&format!("postgres://me@127.0.0.1:{port}/calls")).await;
    assert!(error.contains("cannot be reached"), "{error}");
}

#[tokio::test]
#[ignore = "needs a PostgreSQL server; tests/run starts one"]
async fn a_postgresql_database_that_does_not_exist_is_named() {
    let place = super::Place::postgres().await;
    place.remove().await;
    let error = error(&place.config().url).await;
    assert!(
        error.contains("refuses us") && error.contains("does not exist"),
        "{error}"
    );
}
