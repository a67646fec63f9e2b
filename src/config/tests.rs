//! Whole files, good and bad.

use super::*;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn environment(settings: &[(&str, &str)]) -> Environment {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read(text: &str, settings: &[(&str, &str)]) -> Result<Loaded, Complaints> {
    parse(text, "gateway.toml", Path::new("/nowhere"), &environment(settings), &Random::system())
}

const SMALLEST: &str = r#"
[server]
listen = "127.0.0.1:8080"
public_url = "http://localhost:8080"
[providers.google]
client_id = "id"
client_secret = "env:SECRET"
[upstreams.app]
targets = ["http://127.0.0.1:3000"]
[[routes]]
path = "/{*rest}"
upstream = "app"
access = "user"
"#;

#[test]
fn dump() {
    let all = read(
        r#"
[server]
listen = ":8080"
public_url = "https://a.example/x"
hots = []
[server.tls]
cert = "no.pem"
acme = true
[session]
keys = ["env:KEY", "hunter2"]
refresh_ahed = "60s"
idle = 5
store = "server"
login_page = "/login"
[otp]
x = 1
[authority]
kind = "backend"
upstream = "ap"
[authority.exchange]
path = "/auth/{provder}"
json = { query = "a {email}" }
[upstreams.api]
targets = ["http://u:hunter2@x"]
cookies = ["sb_rt", "x"]
[[routes]]
path = "/a/{*r}/b"
upstream = "api"
access = "usr"
headers = { set = { host = "x", x-y = "{claim.sub}" } }
[[routes]]
upstream = "api"
access = { when = "x" }
"#,
        &[("VESTIBULE_SERVER__LISTN", "x"), ("VESTIBULE_SESSION__SEAL", "maybe"), ("KEY", KEY)],
    )
    .unwrap_err();
    println!("{all}{}", all.count());
    println!("{}", read("[server]\nlisten = \"127.0.0.1:80\npublic_url = 3", &[]).unwrap_err());
    println!("{}", read("", &[]).unwrap_err());
    let good = read(SMALLEST, &[("SECRET", "s")]);
    match good {
        Ok(l) => {
            for w in l.warnings {
                println!("{w}\n")
            }
        }
        Err(e) => println!("{e}"),
    }
    let all: Environment = [
        "VESTIBULE_KEY",
        "GOOGLE_CLIENT_ID",
        "GOOGLE_CLIENT_SECRET",
        "KAKAO_REST_API_KEY",
        "KAKAO_CLIENT_SECRET",
        "NAVER_CLIENT_ID",
        "NAVER_CLIENT_SECRET",
        "CORP_SECRET",
    ]
    .iter()
    .map(|n| (n.to_string(), KEY.to_string()))
    .collect();
    let l = load(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/gateway.toml")), &all, &Random::system());
    match l {
        Ok(l) => {
            for w in &l.warnings {
                println!("{w}\n")
            }
            println!("{:#?}", l.config)
        }
        Err(e) => println!("{e}"),
    }
}
