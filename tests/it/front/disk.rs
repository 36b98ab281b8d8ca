//! A full disk, which is made with a file system of 256 KiB in a mount namespace of its own.

use crate::cli::program::Program;

use super::running::PATIENCE;

#[tokio::test]
async fn a_full_disk_is_a_sentence_and_leaves_no_half_file() {
    let Some(program) = Program::on_small_disk("files", 256) else {
        return;
    };
    let running = program.start().await;
    let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    let upload = |bytes: usize| {
        let part = reqwest::multipart::Part::bytes(vec![0; bytes])
            .file_name("a.txt")
            .mime_str("text/plain")
            .unwrap();
        let form = reqwest::multipart::Form::new().part("file", part);
        http.post(running.url("/files")).multipart(form).send()
    };
    assert_eq!(upload(10_000).await.unwrap().status().as_u16(), 200);
    let full = upload(1_000_000).await.unwrap();
    assert_eq!(full.status().as_u16(), 507);
    assert!(full.text().await.unwrap().contains("the server's disk is full"));
    assert_eq!(
        upload(100_000).await.unwrap().status().as_u16(),
        200,
        "the half file made room again"
    );
    let (code, _, stderr) = running.stop().await;
    assert_eq!(code, Some(0));
    assert!(stderr.contains("an upload failed: the disk is full"), "{stderr}");
}
