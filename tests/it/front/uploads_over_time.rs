//! Uploads and the calendar: when files expire, how much space all of them take, and what a crash leaves. Without sockets,
//! under a clock that the tests move.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::{Request, Response};
use patchbay::config::{self, Http};
use patchbay::http::files::{self, FileStore, router};
use patchbay::http::origin::Origins;
use patchbay::storage::Records;
use serde_json::Value;
use tempfile::TempDir;
use tower::Service;

const HOUR: u64 = 3_600;

struct Shelf {
    data: TempDir,
    config: config::Files,
    records: Records,
    files: FileStore,
    /// Seconds since 1970.
    now: Arc<AtomicU64>,
}

impl Shelf {
    async fn new(adjust: impl FnOnce(&mut config::Files)) -> Shelf {
        let data = tempfile::tempdir().unwrap();
        let storage = config::Storage {
            url: format!("sqlite:{}", data.path().join("records.db").display()),
            ..config::Storage::default()
        };
        let mut config = config::Files {
            directory: data.path().join("files"),
            expire_after_h: 1,
            ..config::Files::default()
        };
        adjust(&mut config);
        let records = Records::open(&storage).await.unwrap();
        let now = Arc::new(AtomicU64::new(1_000_000_000));
        let files = open(&config, &records, &now).await;
        Shelf {
            data,
            config,
            records,
            files,
            now,
        }
    }

    async fn ask(&self, request: Request<Body>) -> Response<Body> {
        let mut router: axum::Router = router(self.files.clone(), &Http::default(), &Origins::new(&[], [])).into();
        router.call(request).await.unwrap()
    }

    /// Uploads so many bytes. Returns the status, and the URL or the sentence.
    async fn upload(&self, bytes: usize) -> (u16, String) {
        let body = format!(
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n{}\r\n--b--",
            "x".repeat(bytes)
        );
        let request = Request::post("/files").header("content-type", "multipart/form-data; boundary=b");
        let response = self.ask(request.body(body.into()).unwrap()).await;
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let text = body["fileUrl"].as_str().or(body["error"].as_str()).unwrap();
        (status, text.to_owned())
    }

    async fn fetch(&self, url: &str) -> u16 {
        self.ask(Request::get(url).body(Body::empty()).unwrap())
            .await
            .status()
            .as_u16()
    }

    fn pass(&self, seconds: u64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }

    fn stored(&self) -> usize {
        std::fs::read_dir(self.data.path().join("files")).unwrap().count()
    }
}

async fn open(config: &config::Files, records: &Records, now: &Arc<AtomicU64>) -> FileStore {
    let now = Arc::clone(now);
    let clock = Arc::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(now.load(Ordering::Relaxed)));
    FileStore::open(config, 25, records.clone(), clock).await.unwrap()
}

#[tokio::test]
async fn a_file_cannot_be_fetched_from_the_second_it_expires_and_is_deleted_soon_after() {
    let shelf = Shelf::new(|_| {}).await;
    let (_, first) = shelf.upload(10).await;
    shelf.pass(HOUR / 2);
    let (_, second) = shelf.upload(10).await;
    shelf.pass(HOUR / 2 - 1);
    assert_eq!(shelf.fetch(&first).await, 200);
    shelf.pass(1);
    assert_eq!(shelf.fetch(&first).await, 404);
    assert_eq!(shelf.fetch(&second).await, 200);
    assert_eq!(shelf.stored(), 2);
    shelf.files.sweep().await.unwrap();
    assert_eq!(shelf.stored(), 1);
    assert_eq!(shelf.fetch(&second).await, 200);
}

#[tokio::test]
async fn when_the_total_is_used_up_uploads_are_refused_until_others_expire() {
    let shelf = Shelf::new(|config| config.total_size_mib = 1).await;
    let (status, _) = shelf.upload(700_000).await;
    assert_eq!(status, 200);
    let (status, sentence) = shelf.upload(700_000).await;
    assert_eq!(status, 507);
    assert!(sentence.contains("older ones must expire first"), "{sentence}");
    assert_eq!(shelf.stored(), 1, "the refused one left nothing");
    assert_eq!(shelf.upload(200_000).await.0, 200, "a smaller one still fits");
    shelf.pass(HOUR);
    shelf.files.sweep().await.unwrap();
    assert_eq!(shelf.upload(700_000).await.0, 200);
}

#[tokio::test]
async fn empty_files_are_not_free() {
    let shelf = Shelf::new(|config| config.total_size_mib = 1).await;
    for n in 0..256 {
        assert_eq!(shelf.upload(0).await.0, 200, "{n}");
    }
    assert_eq!(shelf.upload(0).await.0, 507);
}

#[tokio::test]
async fn the_total_and_the_files_are_known_again_after_a_restart() {
    let mut shelf = Shelf::new(|config| config.total_size_mib = 1).await;
    let (_, url) = shelf.upload(700_000).await;
    shelf.files = open(&shelf.config, &shelf.records, &shelf.now).await;
    assert_eq!(shelf.fetch(&url).await, 200);
    assert_eq!(shelf.upload(700_000).await.0, 507);
}

#[tokio::test]
async fn files_that_a_crash_left_are_deleted_at_the_next_start_and_nothing_else() {
    let shelf = Shelf::new(|config| config.total_size_mib = 1).await;
    let (_, url) = shelf.upload(10).await;
    let folder = shelf.data.path().join("files");
    let place = |name: &str| std::fs::File::create(folder.join(name)).unwrap();
    // A moment ago: a supervisor starts the server again at once.
    place(&"a".repeat(32)).set_len(900_000).unwrap();
    let written_by_another_process = place(&"b".repeat(32));
    written_by_another_process.lock().unwrap();
    place("notes of the administrator");
    let files = open(&shelf.config, &shelf.records, &shelf.now).await;
    assert!(!folder.join("a".repeat(32)).exists());
    assert!(folder.join("b".repeat(32)).exists());
    assert!(folder.join("notes of the administrator").exists());
    assert_eq!(shelf.fetch(&url).await, 200);
    drop((files, written_by_another_process));
    open(&shelf.config, &shelf.records, &shelf.now).await;
    assert!(!folder.join("b".repeat(32)).exists(), "that one has crashed since");
    assert_eq!(shelf.fetch(&url).await, 200);
}

#[tokio::test]
async fn an_upload_that_goes_on_is_not_taken_for_one_that_a_crash_left() {
    let shelf = Shelf::new(|_| {}).await;
    let (pieces, body) = tokio::sync::mpsc::channel::<Result<String, std::io::Error>>(1);
    let body = futures_util::stream::unfold(body, async |mut body| Some((body.recv().await?, body)));
    let request = Request::post("/files").header("content-type", "multipart/form-data; boundary=b");
    let uploading = shelf.ask(request.body(Body::from_stream(body)).unwrap());
    let another_start = async {
        let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nbegin";
        pieces.send(Ok(head.to_owned())).await.unwrap();
        while shelf.stored() == 0 {
            tokio::task::yield_now().await;
        }
        open(&shelf.config, &shelf.records, &shelf.now).await;
        assert_eq!(shelf.stored(), 1);
        pieces.send(Ok("end\r\n--b--".to_owned())).await.unwrap();
        drop(pieces);
    };
    let (response, ()) = tokio::join!(uploading, another_start);
    assert_eq!(response.status().as_u16(), 200);
}

#[tokio::test]
async fn an_expired_file_that_cannot_be_deleted_stays_counted_until_it_can() {
    let shelf = Shelf::new(|config| config.total_size_mib = 1).await;
    let (_, url) = shelf.upload(700_000).await;
    let id = url.split('/').nth(2).unwrap();
    // A folder in its place cannot be deleted as a file.
    let path = shelf.data.path().join("files").join(id);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    shelf.pass(HOUR);
    shelf.files.sweep().await.unwrap();
    assert_eq!(shelf.upload(700_000).await.0, 507);
    std::fs::remove_dir(&path).unwrap();
    shelf.files.sweep().await.unwrap();
    assert_eq!(shelf.upload(700_000).await.0, 200);
}

#[tokio::test]
async fn an_upload_of_a_byte_every_nine_seconds_is_ended() {
    let shelf = Shelf::new(|_| {}).await;
    tokio::time::pause();
    let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n";
    let pieces = futures_util::stream::unfold(0, move |sent| async move {
        if sent > 0 {
            tokio::time::sleep(Duration::from_secs(9)).await;
        }
        let piece = if sent == 0 { head } else { "x" };
        Some((Ok::<_, std::io::Error>(piece), sent + 1))
    });
    let request = Request::post("/files").header("content-type", "multipart/form-data; boundary=b");
    let since = tokio::time::Instant::now();
    let response = shelf.ask(request.body(Body::from_stream(pieces)).unwrap()).await;
    assert_eq!(response.status().as_u16(), 408);
    // The server reads the rest of it for five seconds.
    assert!(since.elapsed() < Duration::from_secs(25), "{:?}", since.elapsed());
    assert_eq!(shelf.stored(), 0);
}

#[tokio::test]
async fn the_share_of_an_address_is_known_after_a_restart() {
    let mut shelf = Shelf::new(|config| {
        config.total_size_mib = 8;
        config.max_size_mib = 1;
    })
    .await;
    let mut kept = 0;
    while shelf.upload(500_000).await.0 == 200 {
        kept += 1;
    }
    assert_eq!(kept, 4, "a quarter");
    shelf.files = open(&shelf.config, &shelf.records, &shelf.now).await;
    assert_eq!(shelf.upload(500_000).await.0, 507);
    shelf.pass(HOUR);
    shelf.files.sweep().await.unwrap();
    assert_eq!(shelf.upload(500_000).await.0, 200, "others have expired");
}

#[tokio::test]
async fn an_address_that_holds_more_than_its_share_gets_an_answer_that_says_so_and_leaves_no_empty_files() {
    let mut shelf = Shelf::new(|config| {
        config.total_size_mib = 8;
        config.max_size_mib = 1;
    })
    .await;
    for _ in 0..4 {
        assert_eq!(shelf.upload(500_000).await.0, 200);
    }
    // The server is started anew, and may keep less.
    shelf.config.total_size_mib = 2;
    shelf.files = open(&shelf.config, &shelf.records, &shelf.now).await;
    for _ in 0..3 {
        let (status, sentence) = shelf.upload(10).await;
        assert_eq!(status, 507);
        assert!(sentence.contains("from your address"), "{sentence}");
    }
    assert_eq!(shelf.stored(), 4);
}

#[tokio::test]
async fn as_many_expired_files_as_there_are_are_deleted_without_waiting_for_the_next_time() {
    let shelf = Shelf::new(|_| {}).await;
    for _ in 0..250 {
        assert_eq!(shelf.upload(0).await.0, 200);
    }
    shelf.pass(HOUR);
    let sweeping = tokio::spawn(files::sweep(shelf.files.clone()));
    let all_deleted = async {
        while shelf.stored() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let deleted = tokio::time::timeout(Duration::from_secs(30), all_deleted).await;
    sweeping.abort();
    assert!(deleted.is_ok(), "{} are left", shelf.stored());
}

#[tokio::test]
async fn an_upload_at_the_least_speed_may_take_as_long_as_it_needs() {
    let shelf = Shelf::new(|_| {}).await;
    tokio::time::pause();
    let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n";
    // Twenty minutes at 64 kbit/s.
    let pieces = futures_util::stream::unfold(0, move |sent| async move {
        let piece = match sent {
            0 => head.to_owned(),
            1..=120 => "x".repeat(80_000),
            121 => "\r\n--b--".to_owned(),
            _ => return None,
        };
        match sent {
            1..=120 => tokio::time::sleep(Duration::from_secs(10)).await,
            // The wait for the database needs a running clock.
            121 => tokio::time::resume(),
            _ => {}
        }
        Some((Ok::<_, std::io::Error>(piece), sent + 1))
    });
    let request = Request::post("/files").header("content-type", "multipart/form-data; boundary=b");
    let response = shelf.ask(request.body(Body::from_stream(pieces)).unwrap()).await;
    assert_eq!(response.status().as_u16(), 200);
}
