//! Microsoft's client over our connection.

use std::{fmt, sync::Arc};

use azure_core::{
    error::ErrorKind,
    http::{
        AsyncRawResponse, Body, HttpClient, Method, Request,
        headers::{HeaderName, HeaderValue, Headers},
    },
};
use url::Origin;

use crate::{RemoteError, http::Http};

/// Sends what Microsoft's client wants to send.
pub(super) struct AzureTransport {
    http: Arc<Http>,
    /// The only host that may be asked: a vault names the address of its next page itself, and
    /// the bearer token goes wherever that is.
    origin: Option<Origin>,
}

impl AzureTransport {
    pub(super) fn anywhere(http: Arc<Http>) -> Self {
        Self { http, origin: None }
    }

    pub(super) fn only_to(http: Arc<Http>, origin: Origin) -> Self {
        Self { http, origin: Some(origin) }
    }

    async fn send(&self, request: &Request) -> Result<AsyncRawResponse, RemoteError> {
        if self.origin.as_ref().is_some_and(|origin| *origin != request.url().origin()) {
            return Err(RemoteError::BadReply { what: "with a page that is on another host" });
        }
        let method = match request.method() {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            _ => return Err(RemoteError::BadReply { what: "so that a write would follow" }),
        };
        let mut ours = reqwest::Request::new(method, request.url().clone());
        for (name, value) in request.headers().iter() {
            let name = reqwest::header::HeaderName::try_from(name.as_str());
            let value = reqwest::header::HeaderValue::try_from(value.as_str());
            if let (Ok(name), Ok(mut value)) = (name, value) {
                value.set_sensitive(true);
                ours.headers_mut().insert(name, value);
            }
        }
        if let Body::Bytes(bytes) = request.body() {
            *ours.body_mut() = Some(bytes.clone().into());
        }
        let mut reply = self.http.send(ours).await?;
        let headers = reply.headers.iter().filter_map(|(name, value)| {
            let value = value.to_str().ok()?.to_owned();
            Some((HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value)))
        });
        let headers: std::collections::HashMap<_, _> = headers.collect();
        let body = std::mem::take(&mut *reply.body);
        Ok(AsyncRawResponse::from_bytes(reply.status.into(), Headers::from(headers), body))
    }
}

#[async_trait::async_trait]
impl HttpClient for AzureTransport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        self.send(request).await.map_err(|error| {
            azure_core::Error::with_error(ErrorKind::Io, error, "asking the service")
        })
    }
}

impl fmt::Debug for AzureTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzureTransport").finish_non_exhaustive()
    }
}
