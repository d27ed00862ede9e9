//! SIGTERM and SIGINT as messages.

use model::ErrorKind;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use crate::failure::Failure;

/// Starts listening; every signal from now on is one message. Two are all that anybody acts on.
pub(crate) fn listen() -> Result<mpsc::Receiver<()>, Failure> {
    let open = |kind| {
        signal(kind).map_err(|error| {
            Failure::new(ErrorKind::Internal, error).context("listening for signals")
        })
    };
    let (mut terminate, mut interrupt) =
        (open(SignalKind::terminate())?, open(SignalKind::interrupt())?);
    let (sender, receiver) = mpsc::channel(2);
    drop(tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => (),
                _ = interrupt.recv() => (),
            }
            if sender.send(()).await.is_err() {
                return;
            }
        }
    }));
    Ok(receiver)
}
