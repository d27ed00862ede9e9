//! The simulated vendor and the servers as processes: they say when they are ready and drain.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use crate::process::{Running, marketlake, run};

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the announced port is open");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers");
    answer
}

#[test]
fn the_simulated_vendor_announces_its_address_and_ends_on_sigterm() {
    let temp = tempfile::tempdir().unwrap();
    let arguments = ["simulate", "--symbols", "2", "--days", "1"];
    let mut vendor = Running::start(&mut marketlake(temp.path(), &arguments));
    let line = vendor.line();
    let address = line.strip_prefix("listening on http://").expect(&line);
    let answer = get(address, "/__sim/state");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(vendor.terminate(), 0);
}

#[test]
fn serve_opens_both_ports_prints_a_password_once_and_drains() {
    let temp = tempfile::tempdir().unwrap();
    let start = || {
        let mut command = marketlake(temp.path(), &["serve", "--output", "json"]);
        command
            .env("MARKETLAKE__HTTP__BIND", "127.0.0.1:0")
            .env("MARKETLAKE__POSTGRES__BIND", "127.0.0.1:0");
        let mut running = Running::start(&mut command);
        let welcome: serde_json::Value = serde_json::from_str(&running.line()).unwrap();
        (running, welcome)
    };
    let (running, welcome) = start();
    let address = welcome["console"].as_str().unwrap();
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    let answer = get(address, "/api/v1/health");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"ok\""), "{answer}");
    let answer = get(address, "/api/v1/status");
    assert!(answer.contains("\"stages\""), "{answer}");
    let password = welcome["postgres"]["password"].as_str().expect("a first start makes one");
    assert_eq!(password.len(), 20);
    assert_eq!(running.terminate(), 0);

    let (running, welcome) = start();
    assert!(welcome["postgres"]["password"].is_null(), "it was shown once");
    assert_eq!(running.terminate(), 0);

    let (code, out, err) = run(&mut marketlake(temp.path(), &["status", "--output", "json"]));
    assert_eq!(code, 0, "{err}");
    let status: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(status["stages"].as_array().unwrap().len(), 5);
    let sql = "SELECT count(*) AS n FROM silver.bar";
    let (code, out, err) = run(&mut marketlake(temp.path(), &["query", sql, "--output", "csv"]));
    assert_eq!((code, out.as_str()), (0, "n\n0\n"), "{err}");
    let (code, _, err) =
        run(&mut marketlake(temp.path(), &["query", "DROP TABLE silver.bar", "--output", "csv"]));
    assert_eq!(code, 3, "{err}");
    let (code, out, err) = run(&mut marketlake(temp.path(), &["verify"]));
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("the promise holds"), "{out}");
}
