//! A double of Google Cloud Storage's XML interface, for tests.
//!
//! Objects lie in memory. What the pipeline relies on is kept as the service documents it: a create
//! on the condition that there is no generation (`x-goog-if-generation-match: 0`), a replacement on
//! the condition of one, tags, ranges, listings in pages, uploads in parts. Who asks is not checked.

mod bucket;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};

use model::Clock;
use object_store::path::Path;
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use url::form_urlencoded;

use self::bucket::{Bucket, Condition, Object, Problem};
use crate::http::{self, Message, Reader, response};

#[cfg(test)]
mod tests;

/// What all answers are but objects.
const XML: &str = "application/xml";

/// The condition of a write.
const CONDITION: &str = "x-goog-if-generation-match";

/// The metadata that a client sets, and gets back.
const META: &str = "x-goog-meta-";

/// A running double. Dropped, it cuts every connection and forgets every object.
#[derive(Debug)]
pub struct GcsDouble {
    url: String,
    _running: watch::Sender<()>,
}

impl GcsDouble {
    /// Serves one empty bucket at `listen`, such as `127.0.0.1:0`.
    ///
    /// # Errors
    /// Nothing can listen there.
    pub async fn start(listen: &str, bucket: &str, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (running, stop) = watch::channel(());
        let name = bucket.to_owned();
        let service =
            Arc::new(Service { name, bucket: Mutex::default(), clock: Arc::clone(&clock) });
        http::listen(listener, clock, stop, move |socket| serve(socket, Arc::clone(&service)));
        Ok(Self { url, _running: running })
    }

    /// Returns the address for the option `base_url`, such as `http://127.0.0.1:41234`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

async fn serve(socket: TcpStream, service: Arc<Service>) -> io::Result<()> {
    let mut client = BufReader::new(socket);
    while let Some(request) = Reader::new(&mut client).request().await? {
        let is_head = request.method() == "HEAD";
        let mut reply = service.answer(request).unwrap_or_else(|problem| {
            let (status, code) = problem.status();
            let body = format!("<?xml version='1.0'?><Error><Code>{code}</Code></Error>");
            response(status, XML, body)
        });
        if is_head {
            // Its length stays: that of the body a GET would bring.
            reply.body.clear();
        }
        client.get_mut().write_all(&reply.encode()).await?;
    }
    Ok(())
}

struct Service {
    name: String,
    bucket: Mutex<Bucket>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("name", &self.name).finish_non_exhaustive()
    }
}

type Query<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

impl Service {
    fn answer(&self, request: Message) -> Result<Message, Problem> {
        let target = request.target().to_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let query: Query<'_> = form_urlencoded::parse(query.as_bytes()).collect();
        let path = path.trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        if bucket != self.name {
            return Err(Problem::NoSuchBucket);
        }
        let key = Path::from_url_path(key).map_err(|_| Problem::InvalidArgument)?.to_string();
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        match (request.method(), key.is_empty()) {
            ("GET", true) => Ok(list(&bucket, &query)),
            ("GET" | "HEAD", false) => get(bucket.get(&key)?, &request),
            ("PUT", false) => self.put(&mut bucket, &key, &query, request),
            ("POST", false) => self.post(&mut bucket, &key, &query, &request),
            ("DELETE", false) => {
                match query.get("uploadId") {
                    Some(_) => bucket.abort(number(&query, "uploadId")?)?,
                    None => bucket.delete(&key)?,
                }
                Ok(response("204 No Content", XML, ""))
            }
            _ => Err(Problem::InvalidArgument),
        }
    }

    fn put(
        &self,
        bucket: &mut Bucket,
        key: &str,
        query: &Query<'_>,
        request: Message,
    ) -> Result<Message, Problem> {
        if query.contains_key("uploadId") {
            let part = number(query, "partNumber")?;
            bucket.put_part(number(query, "uploadId")?, part, request.body)?;
            return Ok(response("200 OK", XML, "").with([format!("ETag: \"part-{part}\"")]));
        }
        let condition = match request.header(CONDITION) {
            None => Condition::Always,
            Some(text) => {
                Condition::Generation(text.parse().map_err(|_| Problem::InvalidArgument)?)
            }
        };
        let written = self.clock.now();
        let object = match request.header("x-goog-copy-source") {
            Some(from) => {
                let from = Path::from_url_path(from).map_err(|_| Problem::InvalidArgument)?;
                let below = format!("{}/", self.name);
                let from = from.as_ref().strip_prefix(&below).ok_or(Problem::NoSuchBucket)?;
                Object { written, ..bucket.get(from)?.clone() }
            }
            None => {
                let meta = meta(&request);
                Object { content: request.body, meta, generation: 0, written }
            }
        };
        let generation = bucket.put(key, object, condition)?;
        let body = format!("<CopyObjectResult><ETag>{generation}</ETag></CopyObjectResult>");
        Ok(response("200 OK", XML, body).with(tags(generation)))
    }

    fn post(
        &self,
        bucket: &mut Bucket,
        key: &str,
        query: &Query<'_>,
        request: &Message,
    ) -> Result<Message, Problem> {
        if query.contains_key("uploads") {
            let id = bucket.begin_upload(key, meta(request));
            let body = format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId>\
                 </InitiateMultipartUploadResult>"
            );
            return Ok(response("200 OK", XML, body));
        }
        let generation = bucket.complete(number(query, "uploadId")?, self.clock.now())?;
        let body = format!(
            "<CompleteMultipartUploadResult><ETag>\"{generation}\"</ETag>\
             </CompleteMultipartUploadResult>"
        );
        Ok(response("200 OK", XML, body).with(tags(generation)))
    }
}

fn number<N: std::str::FromStr>(query: &Query<'_>, name: &str) -> Result<N, Problem> {
    query.get(name).and_then(|text| text.parse().ok()).ok_or(Problem::InvalidArgument)
}

/// Returns the metadata of a request, as header lines.
fn meta(request: &Message) -> Vec<String> {
    let is_meta = |line: &&String| line.to_ascii_lowercase().starts_with(META);
    request.headers.iter().filter(is_meta).cloned().collect()
}

fn tags(generation: u64) -> Vec<String> {
    vec![format!("ETag: \"{generation}\""), format!("x-goog-generation: {generation}")]
}

fn get(object: &Object, request: &Message) -> Result<Message, Problem> {
    let tag = format!("\"{}\"", object.generation);
    let lists = |name| {
        let tags = request.header(name)?;
        Some(tags == "*" || tags.split(',').any(|other| other.trim() == tag))
    };
    if lists("if-match") == Some(false) {
        return Err(Problem::PreconditionFailed);
    }
    if lists("if-none-match") == Some(true) {
        return Err(Problem::NotModified);
    }
    let mut headers = tags(object.generation);
    headers.extend(object.meta.iter().cloned());
    headers.push(format!("Last-Modified: {}", object.written.format("%a, %d %b %Y %H:%M:%S GMT")));
    let length = object.content.len();
    let (status, body) = match request.header("range") {
        None => ("200 OK", object.content.clone()),
        Some(asked) => {
            let range = bucket::range(asked, length)?;
            let last = range.end - 1;
            headers.push(format!("Content-Range: bytes {}-{last}/{length}", range.start));
            ("206 Partial Content", object.content[range].to_vec())
        }
    };
    Ok(response(status, "application/octet-stream", body).with(headers))
}

fn list(bucket: &Bucket, query: &Query<'_>) -> Message {
    let asked = |name: &str| query.get(name).map(AsRef::as_ref);
    let after = asked("continuation-token").or_else(|| asked("start-after"));
    let prefix = asked("prefix").unwrap_or_default();
    let page = bucket.list(prefix, asked("delimiter"), after.unwrap_or_default());
    let mut body = String::from("<?xml version='1.0' encoding='UTF-8'?><ListBucketResult>");
    for (key, object) in page.objects {
        let written = object.written.format("%Y-%m-%dT%H:%M:%S%.3fZ");
        body.push_str(&format!(
            "<Contents><Key>{}</Key><LastModified>{written}</LastModified>\
             <ETag>\"{}\"</ETag><Size>{}</Size></Contents>",
            escape(key),
            object.generation,
            object.content.len()
        ));
    }
    for prefix in page.prefixes {
        let prefix = escape(&prefix);
        body.push_str(&format!("<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>"));
    }
    if let Some(next) = page.next {
        let next = escape(&next);
        body.push_str(&format!("<NextContinuationToken>{next}</NextContinuationToken>"));
    }
    body.push_str("</ListBucketResult>");
    response("200 OK", XML, body)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
