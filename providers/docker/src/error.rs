//! The engine's errors in the seam's terms.

use bollard::errors::Error;
use rig_provider_api::ProviderError;

/// What an engine's failure means while `doing` something to `what`.
pub(crate) fn failure(doing: impl Into<String>, what: &str, error: Error) -> ProviderError {
    let doing = doing.into();
    match error {
        Error::DockerResponseServerError { status_code: 404, message } if message.starts_with("No such container") => {
            ProviderError::Absent { doing, what: what.to_owned() }
        }
        Error::DockerResponseServerError { message, .. } => {
            let hint = hint(&message);
            let failure = ProviderError::failed(doing, message.trim());
            match hint {
                Some(hint) => failure.hinted(hint),
                None => failure,
            }
        }
        Error::DockerStreamError { error } => ProviderError::failed(doing, error.trim()),
        error if is_connection(&error) => ProviderError::Unreachable {
            endpoint: format!("{doing}: the engine"),
            why: root(&error),
            hint: "it may have stopped or restarted; when it answers again, run the same command: it goes on from what is there"
                .to_owned(),
        },
        error => ProviderError::failed(doing, root(&error)),
    }
}

/// Whether the engine said that the thing is not there.
pub(crate) fn is_absent(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

/// Whether the engine said that the thing is there already, or busy.
pub(crate) fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 409, .. })
}

/// Whether the engine said that a container has the volume.
pub(crate) fn is_in_use(error: &ProviderError) -> bool {
    matches!(error, ProviderError::Failed { why, .. } if why.contains("volume is in use"))
}

/// Whether the engine said that there is nothing to do.
pub(crate) fn is_unchanged(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 304, .. })
}

/// Whether the engine said that a container is on that network already.
pub(crate) fn is_connected(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 403, message } if message.contains("already exists in network"))
}

/// Whether the engine said that the kernel did not catch all processes of a container.
pub(crate) fn is_unfrozen(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { message, .. } if message.contains("unable to freeze"))
}

/// Whether the engine said that a container is not frozen.
pub(crate) fn is_not_paused(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { message, .. } if message.contains("is not paused"))
}

/// Whether the engine said that an address range is taken.
pub(crate) fn is_overlap(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { message, .. } if message.contains("Pool overlaps"))
}

fn is_connection(error: &Error) -> bool {
    matches!(
        error,
        Error::HyperLegacyError { .. }
            | Error::HyperResponseError { .. }
            | Error::SocketNotFoundError(_)
            | Error::IOError { .. }
    )
}

/// The innermost cause: the outer ones of an HTTP client only say that a client failed.
fn root(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// What to do about failures that users meet.
fn hint(message: &str) -> Option<&'static str> {
    let table = [
        ("port is already allocated", "another container has the port; `host=\"auto\"` takes the next free one"),
        ("address already in use", "another process has the port; `host=\"auto\"` takes the next free one"),
        ("Pool overlaps", "give the topology another range: `network \"default\" subnet=\"10.x.y.0/24\"`"),
        ("Address already in use", "another machine of this network has the address"),
        (
            "no space left on device",
            "free disk space on the engine's host, then run the same command: it goes on from what is there",
        ),
        ("executable file not found", "the box does not hold this program; compare the `command` with the box"),
    ];
    table.iter().find(|(needle, _)| message.contains(needle)).map(|(_, hint)| *hint)
}
