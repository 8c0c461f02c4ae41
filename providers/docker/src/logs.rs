//! The output of process 1.

use crate::{DockerProvider, error};
use async_trait::async_trait;
use bollard::{container::LogOutput, query_parameters::LogsOptions};
use futures_util::{StreamExt, stream::BoxStream};
use rig_model::Stream;
use rig_provider_api::{Context, LogEvent, LogRequest, Logs, MachineRef, Result};

#[async_trait]
impl Logs for DockerProvider {
    async fn logs(
        &self,
        _: &Context,
        machine: &MachineRef,
        request: &LogRequest,
    ) -> Result<BoxStream<'static, Result<LogEvent>>> {
        let options = LogsOptions {
            follow: request.follow,
            stdout: true,
            stderr: true,
            since: request.since.map_or(0, |since| i32::try_from(since.as_second()).unwrap_or(i32::MAX)),
            timestamps: request.timestamps,
            tail: request.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string()),
            ..LogsOptions::default()
        };
        let doing = format!("reading the log of machine {machine}");
        let name = Self::container(machine);
        let stream = self.docker.logs(&name, Some(options)).filter_map(move |piece| {
            let event = match piece {
                Ok(LogOutput::StdErr { message }) => Some(Ok(LogEvent { stream: Stream::Stderr, bytes: message })),
                Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => {
                    Some(Ok(LogEvent { stream: Stream::Stdout, bytes: message }))
                }
                Ok(LogOutput::StdIn { .. }) => None,
                Err(error) => Some(Err(error::failure(&doing, &name, error))),
            };
            std::future::ready(event)
        });
        Ok(stream.boxed())
    }
}
