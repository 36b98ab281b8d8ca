//! Commands that print or change something and end.

use std::time::Duration;

use sqlx::{Connection, Executor, SqliteConnection};

use super::program::{Program, is_written_down};

/// The lines of a command on standard error, without the one that names its database.
pub(super) fn remarks<'a>(program: &Program, stderr: &'a str) -> &'a str {
    let database = format!("database {}", program.path("data/patchbay.db").display());
    let (line, rest) = stderr.split_once('\n').unwrap_or((stderr, ""));
    match line.strip_prefix(&database) {
        Some("" | ", made just now") => rest,
        _ => stderr,
    }
}

#[tokio::test]
async fn a_command_says_which_database_it_means_and_only_adding_makes_one() {
    let program = Program::new();
    let file = program.path("data/patchbay.db");
    let path = file.display();
    for arguments in [
        &["user", "list"][..],
        &["user", "remove", "1"],
        &["user", "set", "1", "--name", "x"],
        &["room", "list"],
        &["room", "set-password", "x", "--no-password"],
        &["contact", "list"],
        &["device", "list"],
        &["contact", "remove", "13800000001", "13800000002"],
    ] {
        let (_, _, stderr) = program.run(arguments).await;
        assert!(
            stderr.starts_with(&format!("there is no database {path}\n")),
            "{arguments:?}: {stderr}"
        );
        assert!(!program.path("data").exists(), "{arguments:?} made something");
    }
    let (_, _, stderr) = program.run(&["user", "add", "1"]).await;
    assert_eq!(stderr, format!("database {path}, made just now\n"));
    for arguments in [&["user", "list"][..], &["room", "add", "x", "--no-password"]] {
        let (_, _, stderr) = program.run(arguments).await;
        assert_eq!(stderr, format!("database {path}\n"), "{arguments:?}");
    }
}

/// In a wrong folder it would make a secret of its own, and the server would refuse its token.
#[tokio::test]
async fn a_token_is_issued_only_where_a_server_has_made_its_secret() {
    let program = Program::new();
    let path = program.path("data/patchbay.db").display().to_string();
    let (code, stdout, stderr) = program.run(&["token", "issue", "1"]).await;
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(
        stderr.contains(&format!("there is no database {path}; run this in the server's folder")),
        "{stderr}"
    );
    assert!(!program.path("data").exists(), "it made something");
    program.run(&["user", "add", "1"]).await;
    let (code, stdout, stderr) = program.run(&["token", "issue", "1"]).await;
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("has no secret to sign tokens with"), "{stderr}");
    program.start().await.stop().await;
    let (code, stdout, stderr) = program.run(&["token", "issue", "1"]).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(stdout.trim_end().split('.').count(), 3);
}

#[tokio::test]
async fn config_prints_the_manual_also_when_the_file_beside_it_is_broken() {
    let program = Program::new();
    program.write("patchbay.toml", "nonsense");
    let (code, stdout, _) = program.run(&["config"]).await;
    assert_eq!(code, Some(0));
    assert_eq!(stdout, include_str!("../../../config/patchbay.toml"));
}

#[tokio::test]
async fn users_are_added_changed_listed_and_removed() {
    let program = Program::new();
    let (code, stdout, _) = program.run(&["user", "list"]).await;
    assert_eq!(
        (code, stdout.as_str()),
        (Some(0), "there are no users: anybody may enter\n")
    );
    for arguments in [
        &[
            "user",
            "add",
            "1",
            "--name",
            "Ann 安",
            "--prefix",
            "Dr",
            "--postfix",
            "PhD",
        ][..],
        &["user", "add", "2"],
        &["user", "set", "2", "--name", "Bob"],
        &["user", "add", "3"],
        &["user", "remove", "3"],
    ] {
        let (code, _, stderr) = program.run(arguments).await;
        assert_eq!((code, remarks(&program, &stderr)), (Some(0), ""), "{arguments:?}");
    }
    let (_, stdout, _) = program.run(&["user", "list"]).await;
    assert_eq!(stdout, "ID  NAME   PREFIX  POSTFIX\n1   Ann 安  Dr      PhD\n2   Bob\n");
    let (code, stdout, stderr) = program.run(&["user", "add", "1"]).await;
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert_eq!(remarks(&program, &stderr), "patchbay: the user `1` exists already\n");
    let (code, _, stderr) = program.run(&["user", "remove", "9"]).await;
    assert_eq!(
        (code, remarks(&program, &stderr)),
        (Some(1), "patchbay: the user `9` does not exist\n")
    );
}

#[tokio::test]
async fn rooms_get_passwords_from_a_line_of_input_and_nobody_writes_them_down() {
    let program = Program::new();
    let (code, stdout, stderr) = program.run_with(&["room", "add", "board"], &[], "swordfish\n").await;
    let output = (code, stdout.as_str(), remarks(&program, &stderr));
    assert_eq!(output, (Some(0), "added board\n", ""));
    let (code, _, _) = program.run(&["room", "add", "lounge", "--no-password"]).await;
    assert_eq!(code, Some(0));
    let (code, _, _) = program
        .run(&["room", "set-password", "board", "--password", "tunafish"])
        .await;
    assert_eq!(code, Some(0));
    let (_, stdout, _) = program.run(&["room", "list"]).await;
    assert_eq!(stdout, "NAME    PASSWORD\nboard   yes\nlounge  no\n");
    for password in ["swordfish", "tunafish"] {
        assert!(!is_written_down(program.folder.path(), password), "{password}");
    }
    assert!(is_written_down(program.folder.path(), "$argon2id$"), "the hash is");
    let (code, stdout, _) = program.run(&["room", "remove", "board"]).await;
    assert_eq!((code, stdout.as_str()), (Some(0), "removed board\n"));
    let (code, _, stderr) = program.run_with(&["room", "add", "x"], &[], "").await;
    assert_eq!(
        (code, remarks(&program, &stderr)),
        (Some(1), "patchbay: a password must have 1 to 256 characters\n")
    );
}

#[tokio::test]
async fn doctor_says_what_is_wrong_and_goes_on() {
    let program = Program::new();
    program.write("cert.pem", "nonsense");
    program.write("key.pem", "nonsense");
    let settings = [
        "--set",
        "listeners=[{address=\"127.0.0.1:0\"}]",
        "--set",
        "media.first_port=0",
        "--set",
        "tls.certificate=cert.pem",
        "--set",
        "tls.key=key.pem",
    ];
    let doctor = async |more: &[&str]| {
        let (code, stdout, stderr) = program.run(&[&["doctor"], more].concat()).await;
        assert_eq!(stderr, "");
        (code, stdout)
    };
    let (code, said) = doctor(&settings).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.starts_with("FAULT   certificate: cert.pem holds no usable certificate"),
        "{said}"
    );
    assert!(
        said.ends_with("\n1 fault, 0 warnings\n") && said.lines().count() == 2,
        "{said}"
    );
    let sound = &settings[..4];
    let (code, said) = doctor(sound).await;
    assert_eq!((code, said.lines().count()), (Some(0), 1), "{said}");
    let (_, said) = doctor(&[sound, &["--all"]].concat()).await;
    assert!(said.contains("ok      media: worker 0: UDP 127.0.0.1:"), "{said}");
    assert!(!said.contains("webhooks"), "{said}");
    let (_, said) = doctor(&[sound, &["--json"]].concat()).await;
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(report["verdict"], "sound");
    assert!(report["findings"].as_array().is_some_and(|all| all.len() > 8), "{said}");

    let open = [
        "--set",
        "listeners=[{address=\"0.0.0.0:0\"}]",
        "--set",
        "media.first_port=0",
    ];
    let (code, said) = doctor(&open).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("WARNING users: there are no users"), "{said}");
    assert!(said.contains("WARNING certificate: "), "{said}");

    let webhooks = [
        "--set",
        "webhooks.url=https://example.org/hook",
        "--set",
        "webhooks.secret=whsec_short",
    ];
    let (code, said) = doctor(&[sound, &webhooks[..]].concat()).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAULT   webhooks: webhooks.secret: "), "{said}");
    let secret = "webhooks.secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let webhooks = [&webhooks[..3], &[secret, "--all"][..]].concat();
    let (code, said) = doctor(&[sound, &webhooks[..]].concat()).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ok      webhooks"), "{said}");
    let pinned = ["--set", "media.workers=1", "--set", "media.pin_workers=auto", "--all"];
    let (code, said) = doctor(&[sound, &pinned[..]].concat()).await;
    assert_eq!(code, Some(0), "{said}");
    let worker = said.lines().find(|line| line.contains("media: worker 0"));
    assert!(worker.is_some_and(|line| line.contains(", on processor ")), "{said}");
}

#[tokio::test]
async fn contacts_are_added_listed_and_removed() {
    let program = Program::new();
    let (_, stdout, _) = program.run(&["contact", "list"]).await;
    assert_eq!(stdout, "there are no contacts\n");
    for arguments in [
        &["contact", "add", "13800000001", "13800000002", "--mutual"][..],
        &["contact", "add", "13800000001", "13800000003"],
    ] {
        let (code, _, stderr) = program.run(arguments).await;
        assert_eq!((code, remarks(&program, &stderr)), (Some(0), ""), "{arguments:?}");
    }
    let (code, stdout, _) = program.run(&["contact", "remove", "13800000001", "13800000003"]).await;
    let sentence = "removed 13800000003 from the contacts of 13800000001\n";
    assert_eq!((code, stdout.as_str()), (Some(0), sentence));
    let (_, stdout, _) = program.run(&["contact", "list"]).await;
    let table = "PHONE        CONTACT\n13800000001  13800000002\n13800000002  13800000001\n";
    assert_eq!(stdout, table);
    let (_, stdout, _) = program.run(&["contact", "list", "13800000002"]).await;
    assert_eq!(stdout, "PHONE        CONTACT\n13800000002  13800000001\n");
    for (arguments, sentence) in [
        (
            &["contact", "add", "138", "13800000002"][..],
            "patchbay: `138` is not a phone number; write eleven digits\n",
        ),
        (
            &["contact", "add", "13800000001", "13800000001"],
            "patchbay: an account cannot be its own contact; write two different phone numbers\n",
        ),
        (
            &["contact", "add", "13800000001", "13800000002"],
            "patchbay: the contact `13800000002` exists already\n",
        ),
        (
            &["contact", "remove", "13800000001", "13800000009"],
            "patchbay: the contact `13800000009` does not exist\n",
        ),
    ] {
        let (code, _, stderr) = program.run(arguments).await;
        assert_eq!((code, remarks(&program, &stderr)), (Some(1), sentence), "{arguments:?}");
    }
}

#[tokio::test]
async fn devices_are_listed_and_removed() {
    let program = Program::new();
    let (code, stdout, _) = program.run(&["device", "list"]).await;
    assert_eq!((code, stdout.as_str()), (Some(0), "there are no devices\n"));
    let running = program.start().await;
    let http = reqwest::Client::new();
    let body = serde_json::json!({ "phone": "13800000001", "device_id": "lost phone" });
    let login = http
        .post(running.url("/account/login"))
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    let login: serde_json::Value = login.json().await.unwrap();
    let (_, stdout, _) = program.run(&["device", "list"]).await;
    assert_eq!(
        stdout,
        "PHONE        DEVICE      LAST SEEN\n13800000001  lost phone  now\n"
    );
    let (_, stdout, _) = program.run(&["device", "list", "13800000002"]).await;
    assert_eq!(stdout, "there are no devices\n");
    let (code, stdout, stderr) = program.run(&["device", "remove", "13800000001", "lost phone"]).await;
    assert_eq!((code, remarks(&program, &stderr)), (Some(0), ""));
    assert_eq!(stdout, "removed lost phone from 13800000001\n");
    let own = serde_json::json!({ "phone": "13800000001", "token": login["token"] });
    let answer = http
        .post(running.url("/getContactPersons"))
        .body(own.to_string())
        .send()
        .await
        .unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(answer["errorCode"], 4, "{answer}");
    let (code, _, stderr) = program.run(&["device", "remove", "13800000001", "lost phone"]).await;
    assert_eq!(
        (code, remarks(&program, &stderr)),
        (Some(1), "patchbay: the device `lost phone` does not exist\n")
    );
    running.stop().await;
}

#[tokio::test]
async fn a_device_whose_token_has_expired_is_removed_without_a_command() {
    let program = Program::new();
    let running = program.start().await;
    let http = reqwest::Client::new();
    for id in ["old phone", "new phone"] {
        let body = serde_json::json!({ "phone": "13800000001", "device_id": id }).to_string();
        let login = http
            .post(running.url("/account/login"))
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(login.status().as_u16(), 200);
    }
    running.stop().await;
    // Makes it look as if eight days had passed for one of them.
    let url = format!("sqlite:{}", program.path("data/patchbay.db").display());
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let ages = "UPDATE devices SET seen_at = seen_at - 8 * 86400 WHERE device_id = 'old phone'";
    assert_eq!(database.execute(ages).await.unwrap().rows_affected(), 1);
    database.close().await.unwrap();
    let (_, listed, _) = program.run(&["device", "list"]).await;
    assert!(listed.contains("old phone") && listed.contains("8 d ago"), "{listed}");
    let running = program.start().await;
    let removed = async {
        loop {
            let (_, listed, _) = program.run(&["device", "list"]).await;
            assert!(listed.contains("new phone"), "{listed}");
            if !listed.contains("old phone") {
                break;
            }
        }
    };
    let removed = tokio::time::timeout(Duration::from_secs(30), removed).await;
    removed.expect("it is removed while the server runs");
    running.stop().await;
}

#[tokio::test]
async fn doctor_checks_the_keys_of_push_services() {
    use std::os::unix::fs::PermissionsExt;
    let program = Program::new();
    let settings = [
        "--set",
        "listeners=[{address=\"127.0.0.1:0\"}]",
        "--set",
        "media.first_port=0",
        "--set",
        "push.apns.key_file=key.p8",
        "--set",
        "push.apns.key_id=ABC1234567",
        "--set",
        "push.apns.team_id=DEF1234567",
        "--set",
        "push.apns.topic=com.example.app",
    ];
    let doctor = async || program.run(&[&["doctor", "--all"], &settings[..]].concat()).await.1;
    let said = doctor().await;
    assert!(
        said.contains("FAULT   push: push.apns.key_file: cannot read key.p8"),
        "{said}"
    );
    program.write("key.p8", "nonsense");
    let mode = |mode| {
        let path = program.path("key.p8");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o600);
    let said = doctor().await;
    assert!(
        said.contains("FAULT   push: push.apns.key_file: key.p8 holds no private key"),
        "{said}"
    );
    program.write("key.p8", &rcgen::KeyPair::generate().unwrap().serialize_pem());
    mode(0o640);
    let said = doctor().await;
    assert!(
        said.contains("FAULT   push: push.apns.key_file: others can read key.p8"),
        "{said}"
    );
    mode(0o600);
    let said = doctor().await;
    assert!(
        said.contains("ok      push: services can be asked (push.apns.key_file)"),
        "{said}"
    );
}

#[tokio::test]
async fn accounts_are_added_imported_listed_changed_and_removed() {
    let program = Program::new();
    let (_, stdout, _) = program
        .run(&["account", "add", "anna", "--name", "Anna", "--password", "1"])
        .await;
    assert_eq!(
        stdout,
        "added anna\nthere were no users before: from now on only users may enter\n"
    );
    let file = program.path("people.csv");
    let path = file.display().to_string();
    std::fs::write(
        &file,
        "account,password,name\nben,2,Ben\n\"carl@example.org\",\"a,b\"\n",
    )
    .unwrap();
    let (_, stdout, _) = program.run(&["account", "import", &path]).await;
    assert_eq!(stdout, "added 2 accounts\n");
    let (code, _, stderr) = program.run(&["account", "import", &path]).await;
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("line 2: the account `ben` exists already; nothing was added"),
        "{stderr}"
    );
    let (_, stdout, _) = program.run(&["account", "list"]).await;
    let expected = "NUMBER  ACCOUNT           NAME\n1       anna              Anna\n2       ben               Ben\n\
        3       carl@example.org  carl@example.org\n";
    assert_eq!(stdout, expected);
    let (_, stdout, _) = program.run(&["account", "password", "ben", "--password", "3"]).await;
    assert_eq!(stdout, "changed the password of ben\n");
    let (_, stdout, _) = program.run(&["account", "remove", "ben"]).await;
    assert_eq!(stdout, "removed ben\n");
    let (code, _, stderr) = program.run(&["account", "remove", "ben"]).await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("there is no account `ben`"), "{stderr}");
}
