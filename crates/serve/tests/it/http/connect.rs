//! The files of the Connect page have this server's addresses in them, and nothing secret.

use super::{
    client::{get, send},
    fixture::Server,
};

#[tokio::test]
async fn power_bi_is_told_where_the_sql_port_is() {
    let server = Server::start().await;
    for (mode, word) in [("import", "Import"), ("directquery", "DirectQuery")] {
        let file = format!("marketlake-{mode}.pbids");
        let reply = get(server.addr, &format!("/api/v1/connect/powerbi/{file}")).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let attachment = format!("attachment; filename=\"{file}\"");
        assert_eq!(reply.header("content-disposition"), Some(attachment.as_str()));
        let connection = &reply.json()["connections"][0];
        assert_eq!(connection["details"]["address"]["server"], "localhost:5439");
        assert_eq!(connection["mode"], word);
    }
    let reply = get(server.addr, "/api/v1/connect/powerbi/else.zip").await;
    assert_eq!((reply.status, reply.error().0.as_str()), (404, "not_found"));
}

#[tokio::test]
async fn the_other_doors_are_told_as_they_are() {
    let server = Server::start().await;
    let told = get(server.addr, "/api/v1/connect").await.json();
    assert_eq!(told["postgres"]["port"], 5439);
    assert_eq!(told["postgres"]["user"], "analyst");
    assert_eq!(told["sharing_endpoint"], serde_json::Value::Null);
    assert_eq!(told["has_sql"], true);
    let head = "GET /api/v1/connect HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n";
    assert_eq!(send(server.addr, head).await.status, 403);
}
