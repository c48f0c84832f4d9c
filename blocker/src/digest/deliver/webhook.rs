//! A digest by HTTP to whatever does something with it.

use std::pin::pin;

use anyhow::{Context as _, Result, bail};
use axum::body::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::config::Webhook;

/// Bytes of an answer's head that are read; of its body none is.
const HEAD: usize = 16 * 1024;

/// Posts the digest.
pub(super) async fn deliver(webhook: &Webhook, digest: Vec<u8>) -> Result<()> {
    let to = (webhook.host.as_str(), webhook.port);
    let stream = TcpStream::connect(to).await.context("cannot be connected to")?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD)
        .handshake(TokioIo::new(stream))
        .await?;
    let request = Request::post(&webhook.path)
        .header(HOST, &webhook.authority)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("blocker/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close")
        .body(Full::<Bytes>::from(digest))?;
    let mut answer = pin!(sender.send_request(request));
    let mut connection = pin!(connection);
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        // The answer may have come with the end.
        _ = &mut connection => answer.await,
    };
    let status = answer.context("the server broke off")?.status();
    if !status.is_success() {
        bail!("the server answers {status}");
    }
    Ok(())
}
